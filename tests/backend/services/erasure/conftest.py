"""A project in which one patient's text stands wherever a text can stand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.services.accounts.sealing import open_seal
from backend.services.curation import Recipe, ReplayPart, freeze_training_set
from backend.services.datasets.conversations import content_digest
from backend.services.idempotency import keep_answer
from backend.services.projects import set_manifest
from backend.services.review import Answer, claim_review_item, save_draft
from backend.services.review.answer import SpanMark
from backend.services.training import runs as training
from backend.services.webhooks.hooks import add_webhook, record_test
from backend.settings import Settings
from backend.tables.checks.judges import GradingNote
from backend.tables.curation import TrainingSet
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion, Preflight
from backend.tables.projects import SuccessManifest
from backend.tables.queue import Job
from backend.tables.review import ReviewQueue
from backend.tables.runs import Generation, Score
from backend.tables.training import TrainingRun
from tests.fixtures_review import BAD, NOW, Desk, build_desk, score_with_flag, submit

SECRET = "Odilia Brandtner of Sonnfeld"
BAR = "name: bar\nbaseline: base\nlines:\n  - {metric: rougeL, margin: 0.02}\n"


@dataclass
class House:
    """What `house` built.

    Attributes:
        example_id: of the example whose texts hold SECRET; its id in the file is `train-0`.
        drafting: the queue in which an expert holds the item, with a draft.
    """

    desk: Desk
    example_id: int
    settings: Settings
    queue: ReviewQueue
    drafting: ReviewQueue
    slot: tuple[int, int] = (0, 0)
    training_run_id: int = 0
    files: list[Path] = field(default_factory=list)


def told(what: str) -> str:
    """A text of its kind with the secret in it."""
    return f"{what}: {SECRET} was seen on the fourth of May with a fever."


def plant(session: Session, desk: Desk) -> Example:
    """Put the secret into the first example and the outputs on it, as if it had come in so."""
    from backend.services.datasets.versions import rows_digest, stored_rows

    example = desk.examples[0]
    example.input, example.context = told("Question"), told("Source")
    example.references = [told("Reference")]
    example.content_digest = content_digest(example)
    example.slices = {"ward": "north", "nickname": SECRET}
    for output in session.scalars(select(Generation).where(Generation.example_id == example.id)):
        output.text = told(f"Output {output.model_version_id}")
    session.flush()
    desk.version.digest = rows_digest(stored_rows(session, desk.version.id))
    session.flush()
    return example


def build_house(session: Session, settings: Settings) -> House:
    """Plant the secret in every table that one can come into by the services, and in files."""
    desk = build_desk(session, splits={"train": 6, "validation": 2})
    example = plant(session, desk)
    set_manifest(session, desk.project.id, BAR)
    queue = desk.open(session, "q", n_items=6)
    drafting = desk.open(session, "later", n_items=6)
    house = House(desk, example.id, settings, queue, drafting)
    _review(session, house)
    _hold(session, house)
    _score(session, house, example)
    recipe = Recipe(queues=("q",), references=ReplayPart(count=3))
    frozen = freeze_training_set(session, project_id=desk.project.id, name="s", recipe=recipe)
    run = training.create_training_run(
        session,
        project_id=desk.project.id,
        training_set_id=frozen.id,
        adapter_name="v2",
        config={},
        settings=settings,
    )
    house.training_run_id = run.id
    _quote(session, house, run)
    session.flush()
    return house


def _review(session: Session, house: House) -> None:
    mark = SpanMark(0, 4, "invented_fact", note=told("Note"))
    whole = Answer(BAD, correction=told("Correction"), comment=told("Comment"), spans=(mark,))
    expert = house.desk.experts[0]
    for n in range(6):
        claim = claim_review_item(session, house.queue.id, expert.id, now=NOW)
        assert claim is not None
        secret = _example_of(session, claim.item_id) == house.example_id
        answer = whole if secret else Answer(BAD, correction=f"another correction {n}")
        submit(session, claim, expert, answer)


def _example_of(session: Session, item_id: int) -> int:
    from backend.tables.review import ReviewItem

    item = session.get_one(ReviewItem, item_id)
    return session.get_one(Generation, item.generation_a_id).example_id


def _hold(session: Session, house: House) -> None:
    """Claim items until the one of the secret is held, and save a draft on it."""
    for expert in house.desk.experts:
        claim = claim_review_item(session, house.drafting.id, expert.id, now=NOW)
        while claim is not None and _example_of(session, claim.item_id) != house.example_id:
            submit(session, claim, expert, Answer(BAD, correction="something else"))
            claim = claim_review_item(session, house.drafting.id, expert.id, now=NOW)
        assert claim is not None
        draft = {"correction": told("Draft")}
        save_draft(session, claim.slot_id, claim.version, expert.id, draft, now=NOW)
        house.slot = (claim.slot_id, claim.version)
        return


def _score(session: Session, house: House, example: Example) -> None:
    output = session.scalars(select(Generation).where(Generation.example_id == example.id)).first()
    assert output is not None
    run = score_with_flag(session, house.desk.run, output)
    score = session.scalars(select(Score).where(Score.score_run_id == run.id)).one()
    score.explanation = told("Explanation")
    score.spans = [{"start": 0, "end": 4, "reason": told("Reason"), "kind": "name"}]


def _quote(session: Session, house: House, run: TrainingRun) -> None:
    """Places that hold texts of examples without naming them."""
    digest = session.get_one(TrainingSet, run.training_set_id).digest
    bar = session.get_one(SuccessManifest, run.manifest_id).digest
    desk = house.desk
    dataset_id = desk.version.dataset_id
    session.add(
        GradingNote(dataset_id=dataset_id, external_id="train-0", version=1, note=told("Grading"))
    )
    probes = [[{"role": "user", "content": told("Question")}]]
    session.add(
        Preflight(
            project_id=desk.project.id,
            engine="fake",
            model_ids=[],
            passed=True,
            checks=[],
            fingerprint={"probes": probes},
        )
    )
    cut = told("Source")[:40]
    session.add(Job(kind="score", subject_id=99, queue="score", error=f"row 1 ({cut!r}) is odd"))
    hook = add_webhook(session, desk.project.id, "https://e.org/", seal=open_seal(house.settings))
    delivery = record_test(session, hook.hook.id, now=NOW)
    delivery.payload = {"note": told("Comment")}
    body = json.dumps({"text": told("Correction")})
    keep_answer(
        session,
        desk.experts[0].id,
        "key-1",
        digest="0" * 64,
        status=201,
        body=body,
        seal=open_seal(house.settings),
    )
    session.flush()
    folder = Path(run.output_dir)
    folder.mkdir(parents=True)
    (folder / "strop.json").write_text(json.dumps({"probe": told("Question"), "steps": 3}))
    (folder / "README.md").write_text(f"A card.\n\n> {told('Reference')}\n")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    known = {"base_model": "tiny", "base_sha256": "0" * 64, "tokenizer_sha256": "0" * 64}
    session.add(
        ModelVersion(
            project_id=desk.project.id,
            name="v2",
            revision=1,
            template_sha256="0" * 64,
            adapter_path=str(folder),
            adapter_sha256="1" * 64,
            training_run_id=run.id,
            **known,
        )
    )
    facts = {"training_set_digest": digest, "manifest_digest": bar, "adapter_sha256": "1" * 64}
    run.result, run.finished_at = facts, NOW


def bytes_of(folder: Path) -> bytes:
    """Every byte below a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.fixture
def house(sqlite_sessions: sessionmaker[Session], settings: Settings) -> House:
    """The house on SQLite; one test has it on both databases."""
    with sqlite_sessions.begin() as session:
        return build_house(session, settings)


def everything_in(session: Session) -> str:
    """Every value of every row of every table, as one text."""
    from backend.tables import Base

    found: list[Any] = []
    for table in Base.metadata.sorted_tables:
        found += [
            json.dumps(list(map(str, row)), ensure_ascii=False)
            for row in session.execute(select(table))
        ]
    return "\n".join(found)
