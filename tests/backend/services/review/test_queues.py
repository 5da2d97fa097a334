"""Opening queues: sampling, order, sides, overlap, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput, NotFound, StropError
from backend.rubrics import find_rubric
from backend.services import review
from backend.tables.review import ReviewItem, ReviewQueue, ReviewSlot
from backend.tables.runs import Generation, GenerationRun
from tests.fixtures_review import Desk, build_desk


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: nothing here depends on the backend."""
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session, splits={"train": 8})


def items_of(session: Session, queue: ReviewQueue) -> list[ReviewItem]:
    query = select(ReviewItem).where(ReviewItem.queue_id == queue.id)
    return list(session.scalars(query.order_by(ReviewItem.position)))


def drawn(session: Session, queue: ReviewQueue) -> list[tuple[int, int | None, bool]]:
    return [
        (item.generation_a_id, item.generation_b_id, item.a_is_left)
        for item in items_of(session, queue)
    ]


def test_a_seed_fixes_sample_order_and_sides(session: Session, desk: Desk) -> None:
    one, same, other = (
        desk.open(session, f"q{n}", kind="pair", n_items=5, seed=seed)
        for n, seed in enumerate([1, 1, 2])
    )
    assert drawn(session, one) == drawn(session, same)
    assert drawn(session, one) != drawn(session, other)


def test_the_inclusion_probability_is_stored(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=2)
    assert {item.inclusion_probability for item in items_of(session, queue)} == {0.25}
    assert queue.design["n_candidates"] == 8


def test_more_items_than_there_are_is_all_of_them(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=99)
    assert queue.design["n_items"] == 8
    assert items_of(session, queue)[0].inclusion_probability == 1.0


def test_a_stands_on_the_left_in_half_of_the_pairs(session: Session, desk: Desk) -> None:
    queue = desk.open(session, kind="pair")
    assert sum(item.a_is_left for item in items_of(session, queue)) == 4


def test_overlap_makes_slots_and_comes_first(session: Session, desk: Desk) -> None:
    queue = desk.open(session, overlap_share=0.25, overlap=3)
    assert [item.required_reviews for item in items_of(session, queue)] == [3, 3] + [1] * 6
    positions = session.scalars(select(ReviewSlot.position)).all()  # ids tell no order
    assert sorted(positions) == list(range(12))
    assert queue.design["n_slots"] == 12


def test_both_models_of_a_pair_are_of_one_example(session: Session, desk: Desk) -> None:
    for item in items_of(session, desk.open(session, kind="pair")):
        assert item.generation_b is not None
        assert item.generation_a.example_id == item.generation_b.example_id
        assert item.generation_a.model_version_id == desk.models[0].id
        assert item.generation_b.model_version_id == desk.models[1].id


def test_failed_outputs_are_left_out_and_counted(session: Session, desk: Desk) -> None:
    failed = session.scalars(select(Generation).order_by(Generation.id)).first()
    assert failed is not None
    failed.text, failed.error = None, "too long"
    session.flush()
    queue = desk.open(session)
    assert (queue.design["n_items"], queue.design["n_without_output"]) == (7, 1)
    assert desk.open(session, "pairs", kind="pair").design["n_items"] == 7


def test_identical_pairs_are_left_out_and_counted(session: Session, desk: Desk) -> None:
    a, b = session.scalars(select(Generation).order_by(Generation.example_id).limit(2)).all()
    assert a.example_id == b.example_id
    b.text = f"{a.text}\n"
    session.flush()
    queue = desk.open(session, kind="pair")
    assert (queue.design["n_items"], queue.design["n_identical"]) == (7, 1)


def test_a_rubric_is_stored_once_and_a_changed_one_anew(session: Session, desk: Desk) -> None:
    rubric = find_rubric("support_reply")
    first = review.save_rubric(session, desk.project.id, rubric)
    assert review.save_rubric(session, desk.project.id, rubric).id == first.id
    changed = rubric.model_copy(update={"guidelines": "Read twice."})
    second = review.save_rubric(session, desk.project.id, changed)
    assert (first.version, second.version) == (1, 2)
    queue = desk.open(session, rubric_version_id=second.id)
    assert review.rubric_of(queue) == changed


def no_text(session: Session, desk: Desk) -> dict[str, object]:
    for output in session.scalars(select(Generation)):
        output.text, output.error = None, "failed"
    session.flush()
    return {}


def unfinished(session: Session, desk: Desk) -> dict[str, object]:
    desk.run.split = "train"
    session.delete(session.scalars(select(Generation).order_by(Generation.id)).first())
    session.flush()
    return {}


def foreign_run(session: Session, desk: Desk) -> dict[str, object]:
    return {"generation_run_id": build_desk(session, name="other").run.id}


def foreign_rubric(session: Session, desk: Desk) -> dict[str, object]:
    return {"rubric_version_id": build_desk(session, name="other").rubric_version_id}


def foreign_expert(session: Session, desk: Desk) -> dict[str, object]:
    return {"reviewer_ids": [build_desk(session, name="other").experts[0].id]}


def inactive_expert(session: Session, desk: Desk) -> dict[str, object]:
    desk.experts[0].active = False
    session.flush()
    return {}


def empty_run(session: Session, desk: Desk) -> dict[str, object]:
    run = GenerationRun(
        project_id=desk.project.id,
        dataset_version_id=desk.version.id,
        split="all",
        engine="fake",
        params={},
    )
    session.add(run)
    session.flush()
    return {"generation_run_id": run.id}


def just(**options: object) -> Callable[[Session, Desk], dict[str, object]]:
    return lambda _, __: options


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (just(kind="triple"), InvalidInput),
        (just(name="  "), InvalidInput),
        (just(model_ids=[]), InvalidInput),
        (just(model_ids=[99]), InvalidInput),
        (just(model_ids=[1, 1]), InvalidInput),
        (just(kind="pair", model_ids=[1]), InvalidInput),
        (just(reviewer_ids=[]), InvalidInput),
        (just(reviewer_ids=[99]), InvalidInput),
        (just(overlap=2), InvalidInput),
        (just(overlap_share=0.5), InvalidInput),
        (just(overlap=4, overlap_share=1.0), InvalidInput),
        (just(overlap=2, overlap_share=1.5), InvalidInput),
        (just(lease_seconds=1), InvalidInput),
        (just(generation_run_id=99), NotFound),
        (just(rubric_version_id=99), NotFound),
        (just(score_run_id=99), NotFound),
        (no_text, InvalidInput),
        (unfinished, Conflict),
        (foreign_run, NotFound),
        (foreign_rubric, NotFound),
        (foreign_expert, InvalidInput),
        (inactive_expert, InvalidInput),
        (empty_run, InvalidInput),
    ],
)
def test_a_queue_that_cannot_be_is_refused(
    session: Session,
    desk: Desk,
    change: Callable[[Session, Desk], dict[str, object]],
    error: type[StropError],
) -> None:
    with pytest.raises(error):
        desk.open(session, **{"name": "q", **change(session, desk)})  # type: ignore[arg-type]
    assert session.scalars(select(ReviewQueue)).all() == []


def test_a_single_queue_needs_questions(session: Session, desk: Desk) -> None:
    silent = find_rubric("blind_pair").model_copy(update={"name": "silent", "criteria": ()})
    version = review.save_rubric(session, desk.project.id, silent)
    with pytest.raises(InvalidInput, match="asks nothing"):
        desk.open(session, rubric_version_id=version.id)
    assert desk.open(session, "p", kind="pair", rubric_version_id=version.id).id


def test_a_name_is_taken_once(session: Session, desk: Desk) -> None:
    desk.open(session)
    with pytest.raises(Conflict):
        desk.open(session)


def test_a_missing_queue_lists_those_that_exist(session: Session, desk: Desk) -> None:
    desk.open(session, "first")
    with pytest.raises(NotFound, match="first"):
        review.find_queue(session, desk.project.id, "second")
