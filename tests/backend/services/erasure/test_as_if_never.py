"""After a withdrawal or an erasure a training is, byte for byte, one that never had the row.

Two installations: one in which a row came in, was reviewed and went again, one that never had it.
The ids of their databases differ from the first row on; the splits are those of the file.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.services.curation import Recipe, freeze_training_set
from backend.services.curation.recipes import ReplayPart, parse_rule
from backend.services.erasure.acts import ask_erasure, carry_out
from backend.services.erasure.requests import find_examples_to_erase
from backend.services.projects import set_manifest
from backend.services.review import Answer, claim_review_item
from backend.services.review.desk.revise import withdraw_review
from backend.services.training import runs as training
from backend.services.training.files import run_files
from backend.settings import Settings
from backend.tables.datasets import Example
from backend.tables.review import Review, ReviewItem
from backend.tables.runs import Generation
from tests.fixtures_copies import sessions_at
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, submit
from tests.fixtures_training import train_and_read, write_small_config

GONE = "train-4"
BAR = "name: bar\nbaseline: base\nlines:\n  - {metric: rougeL, margin: 0.02}\n"
RECIPES = {
    "corrections": Recipe(queues=("q",)),
    "with references": Recipe(queues=("q",), references=ReplayPart(count=3), seed=3),
    "half references": Recipe(queues=("q",), references=ReplayPart(share=0.5), seed=5),
    "held back and capped": Recipe(queues=("q",), hold_back=0.3, per_group=1, seed=2),
    "preferences": Recipe(queues=("q",), dpo_corrections=True, kto=parse_rule("faithful=yes")),
}


@pytest.fixture
def second(sqlite_template: Path, tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    """Another installation."""
    shutil.copy(sqlite_template, tmp_path / "second.db")
    with sessions_at(f"sqlite:///{tmp_path / 'second.db'}") as sessions:
        yield sessions


def furnish(sessions: sessionmaker[Session], *, without: str | None) -> Desk:
    """The project, each output reviewed in the order of the examples' own names."""
    with sessions.begin() as session:
        desk = _desk(session, without)
        set_manifest(session, desk.project.id, BAR)
        queue = desk.open(session, "q", n_items=len(desk.examples))
        for _ in desk.examples:
            claim = claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)
            assert claim is not None
            name = _name(session, claim.item_id)
            number = int(name.rpartition("-")[2])
            good = number % 3 == 0
            said = None if good else f"the corrected answer to {name}"
            answer = Answer(GOOD if good else BAD, correction=said)
            submit(session, claim, desk.experts[0], answer)
        return desk


def _desk(session: Session, without: str | None) -> Desk:
    """With a project before it, where a row is lacking, so that no id is the same."""
    if without is None:
        return build_desk(session, splits={"train": 9, "validation": 2})
    from tests import fixtures_review

    build_desk(session, name="before", splits={"train": 2})
    make = fixtures_review.make_rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            fixtures_review,
            "make_rows",
            lambda splits: [row for row in make(splits) if row.external_id != without],
        )
        return build_desk(session, splits={"train": 9, "validation": 2})


def _name(session: Session, item_id: int) -> str:
    item = session.get_one(ReviewItem, item_id)
    output = session.get_one(Generation, item.generation_a_id)
    return session.get_one(Example, output.example_id).external_id


def erase(sessions: sessionmaker[Session], desk: Desk, settings: Settings) -> None:
    """Erase the row."""
    with sessions.begin() as session:
        wanted = find_examples_to_erase(session, desk.project.id, f"tickets:{GONE}")
        asked = ask_erasure(session, desk.project.id, wanted, reason="r", by_id=None, now=NOW)
    carry_out(sessions, settings, asked.id, now=NOW)


def train_file(
    sessions: sessionmaker[Session], desk: Desk, settings: Settings, name: str, **config: Any
) -> tuple[str, bytes]:
    """Freeze by a recipe and lay down a training; the set's digest and the bytes to train on."""
    with sessions.begin() as session:
        project_id = desk.project.id
        frozen = freeze_training_set(
            session, project_id=project_id, name=name, recipe=RECIPES[name]
        )
        run = training.create_training_run(
            session,
            project_id=project_id,
            training_set_id=frozen.id,
            adapter_name="v2",
            config=config,
            settings=settings,
        )
        return frozen.digest, run_files(run, settings).train.read_bytes()


def other_settings(settings: Settings) -> Settings:
    """The same in another home."""
    return settings.model_copy(update={"home": settings.home.with_name("home-2")})


@pytest.mark.parametrize("name", RECIPES)
def test_the_next_set_is_that_of_a_project_that_never_had_the_row(
    sqlite_sessions: sessionmaker[Session],
    second: sessionmaker[Session],
    settings: Settings,
    name: str,
) -> None:
    desk = furnish(sqlite_sessions, without=None)
    with_it = train_file(sqlite_sessions, desk, settings, "corrections")
    erase(sqlite_sessions, desk, settings)
    never = furnish(second, without=GONE)
    if name == "corrections":
        with sqlite_sessions.begin() as session:
            from backend.tables.curation import TrainingSet

            session.scalars(select(TrainingSet)).one().name = "old"
    here = train_file(sqlite_sessions, desk, settings, name)
    there = train_file(second, never, other_settings(settings), name)
    assert here == there
    assert here != with_it
    assert GONE.encode() not in here[1]


def test_after_a_withdrawal_the_next_set_is_one_without_that_review(
    sqlite_sessions: sessionmaker[Session], second: sessionmaker[Session], settings: Settings
) -> None:
    desk, never = furnish(sqlite_sessions, without=None), furnish(second, without=GONE)
    with sqlite_sessions.begin() as session:
        for review in session.scalars(select(Review)).all():
            if _name(session, review.item_id) == GONE:
                withdraw_review(session, review.id, user_id=None, reason="objects", now=NOW)
    here = train_file(sqlite_sessions, desk, settings, "held back and capped")
    assert here == train_file(second, never, other_settings(settings), "held back and capped")


@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.deep), "bfloat16"])
def test_the_weights_are_byte_for_byte_those_of_a_training_that_never_had_it(
    sqlite_sessions: sessionmaker[Session],
    second: sessionmaker[Session],
    settings: Settings,
    tmp_path: Path,
    tiny_base: Path,
    dtype: str,
) -> None:
    desk, never = furnish(sqlite_sessions, without=None), furnish(second, without=GONE)
    had = train_file(sqlite_sessions, desk, settings, "corrections")[1]
    erase(sqlite_sessions, desk, settings)
    without = train_file(sqlite_sessions, desk, settings, "with references")[1]
    there = train_file(second, never, other_settings(settings), "with references")[1]
    digests = [
        _trained(tmp_path / str(n), tiny_base, rows, dtype)
        for n, rows in enumerate([without, there, had])
    ]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def _trained(folder: Path, base: Path, rows: bytes, dtype: str) -> str:
    folder.mkdir()
    (folder / "train.jsonl").write_bytes(rows)
    lora = {"rank": 4, "alpha": 8, "dropout": 0.1}
    values = {
        "train_file": str(folder / "train.jsonl"),
        "epochs": 1,
        "lora": lora,
        "max_length": 256,
        "dtype": dtype,
    }
    train_and_read(write_small_config(folder, base, {**values, "measure_forgetting": False}))
    return hashlib.sha256((folder / "v1" / "adapter_model.safetensors").read_bytes()).hexdigest()
