"""Lineage both ways, and what a withdrawal marks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput, NotFound
from backend.schemas.rounds import LineageOut
from backend.services.curation import Recipe, freeze_training_set
from backend.services.lineage.trace import trace
from backend.services.review import Answer, queue_votes
from backend.services.review.desk.revise import withdraw_review
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.review import Review, ReviewQueue
from backend.tables.runs import ScoreRun
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison, Promotion
from tests.fixtures_review import BAD, NOW, Desk, build_desk, review_next


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: nothing here depends on the backend."""
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session, splits={"train": 6})


@pytest.fixture
def queue(session: Session, desk: Desk) -> ReviewQueue:
    queue = desk.open(session, "corrections", n_items=2)
    for number in range(2):
        review_next(session, queue, desk.experts[number], Answer(BAD, correction=f"fix {number}"))
    return queue


@pytest.fixture
def frozen(session: Session, desk: Desk, queue: ReviewQueue) -> TrainingSet:
    recipe = Recipe(queues=(queue.name,))
    return freeze_training_set(session, project_id=desk.project.id, name="round-1", recipe=recipe)


@pytest.fixture
def adapter(session: Session, desk: Desk, queue: ReviewQueue, frozen: TrainingSet) -> ModelVersion:
    """An adapter trained on the set, judged and promoted."""
    project_id = desk.project.id
    bar = SuccessManifest(project_id=project_id, version=1, digest="b" * 64, content={}, source="-")
    session.add(bar)
    session.flush()
    run = TrainingRun(
        project_id=project_id,
        training_set_id=frozen.id,
        manifest_id=bar.id,
        adapter_name="v9",
        config={},
        output_dir="x",
    )
    session.add(run)
    session.flush()
    model = ModelVersion(
        project_id=project_id,
        name="v9",
        revision=1,
        base_model="tiny",
        base_sha256="a" * 64,
        tokenizer_sha256="b" * 64,
        template_sha256="c" * 64,
        adapter_path="x",
        adapter_sha256="e" * 64,
        training_run_id=run.id,
    )
    scored = ScoreRun(generation_run_id=queue.generation_run_id, metrics=["rougeL"], seed=7)
    session.add_all([model, scored])
    session.flush()
    comparison = Comparison(
        project_id=project_id,
        manifest_id=bar.id,
        score_run_id=scored.id,
        baseline_id=model.id,
        candidate_id=model.id,
        verdict="PASS",
        lines=[{"title": "rougeL +.02", "verdict": "PASS"}],
    )
    session.add(comparison)
    session.flush()
    session.add(
        Promotion(
            project_id=project_id,
            alias="champion",
            model_version_id=model.id,
            action="promote",
            comparison_id=comparison.id,
            reason="it passed",
        )
    )
    session.flush()
    return model


def links(lineage: LineageOut) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in lineage.edges}


def marks(lineage: LineageOut, key: str) -> list[str]:
    return next(node.marks for node in lineage.nodes if node.key == key)


def first_review(session: Session) -> Review:
    review = session.query(Review).order_by(Review.id).first()
    assert review is not None
    return review


def test_an_adapter_leads_to_its_rows_their_people_and_their_data(
    session: Session, desk: Desk, queue: ReviewQueue, adapter: ModelVersion
) -> None:
    lineage = trace(session, desk.project.id, "v9")
    people = {f"person:{expert.pseudonym}" for expert in desk.experts[:2]}
    run = f"run:{queue.generation_run_id}"
    found = links(lineage)
    assert lineage.root == "model:base:v9@1"
    assert {("set:round-1", "model:base:v9@1"), ("queue:corrections", "set:round-1")} <= found
    assert {(person, "queue:corrections") for person in people} <= found
    assert (run, "queue:corrections") in found
    assert any(target == run and source.startswith("dataset:") for source, target in found)
    assert ("model:base:v9@1", "verdict:1") in found
    assert ("verdict:1", "promotion:1") in found


def test_a_correction_leads_to_its_sets_adapters_and_verdicts(
    session: Session, desk: Desk, adapter: ModelVersion
) -> None:
    review = first_review(session)
    found = links(trace(session, desk.project.id, f"review:{review.id}"))
    assert (f"review:{review.id}", "set:round-1") in found
    assert ("set:round-1", "model:base:v9@1") in found
    assert ("verdict:1", "promotion:1") in found
    assert (f"person:{review.reviewer.pseudonym}", f"review:{review.id}") in found


@pytest.mark.parametrize("name", ["set:round-1", "run:1", "dataset:d@1"])
def test_other_things_lead_to_the_adapter(
    session: Session, desk: Desk, adapter: ModelVersion, name: str
) -> None:
    dataset = desk.version.dataset.name if name.startswith("dataset") else ""
    name = f"dataset:{dataset}@1" if dataset else name
    reached = {node.key for node in trace(session, desk.project.id, name).nodes}
    assert "model:base:v9@1" in reached


def test_a_withdrawn_correction_marks_the_sets_and_adapters_that_hold_it(
    session: Session, desk: Desk, adapter: ModelVersion
) -> None:
    review = first_review(session)
    withdraw_review(session, review.id, user_id=desk.experts[0].id, reason="wrong case", now=NOW)
    project_id = desk.project.id
    from_review = trace(session, project_id, f"review:{review.id}")
    assert marks(from_review, f"review:{review.id}") == ["withdrawn: wrong case"]
    for name in ("v9", f"review:{review.id}"):
        lineage = trace(session, project_id, name)
        assert "1 rows withdrawn since" in marks(lineage, "set:round-1")
        assert "1 rows withdrawn since" in marks(lineage, "model:base:v9@1")


def test_a_withdrawn_correction_is_left_out_of_the_next_set(
    session: Session, desk: Desk, queue: ReviewQueue, frozen: TrainingSet
) -> None:
    withdraw_review(
        session, first_review(session).id, user_id=desk.experts[0].id, reason="wrong", now=NOW
    )
    recipe = Recipe(queues=(queue.name,))
    again = freeze_training_set(session, project_id=desk.project.id, name="r2", recipe=recipe)
    assert (frozen.n_rows, again.n_rows) == (2, 1)


def test_a_withdrawn_vote_counts_no_more(session: Session, desk: Desk) -> None:
    queue = desk.open(session, "votes", kind="pair", n_items=1)
    review_next(session, queue, desk.experts[0], Answer({}, winner="left"))
    assert len(queue_votes(session, queue.id)) == 1
    review = session.query(Review).order_by(Review.id.desc()).first()
    assert review is not None
    withdraw_review(session, review.id, user_id=desk.experts[0].id, reason="mistake", now=NOW)
    assert queue_votes(session, queue.id) == []


def test_a_withdrawal_needs_a_reason_and_a_submitted_review(
    session: Session, desk: Desk, queue: ReviewQueue
) -> None:
    review = first_review(session)
    with pytest.raises(InvalidInput, match="Say why"):
        withdraw_review(session, review.id, user_id=desk.experts[0].id, reason=" ", now=NOW)
    with pytest.raises(NotFound):
        withdraw_review(session, 999, user_id=desk.experts[0].id, reason="x", now=NOW)
    review.state = "skipped"
    with pytest.raises(Conflict):
        withdraw_review(session, review.id, user_id=desk.experts[0].id, reason="x", now=NOW)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("review:999", NotFound),
        ("review:x", InvalidInput),
        ("review:²", InvalidInput),
        ("review:" + "9" * 40, InvalidInput),
        ("v1@²", NotFound),
        ("v1@" + "9" * 5000, NotFound),
        ("thing:1", InvalidInput),
        ("v77", NotFound),
    ],
)
def test_what_is_not_there_is_said(
    session: Session, desk: Desk, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        trace(session, desk.project.id, name)
