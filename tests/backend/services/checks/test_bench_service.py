"""A project's bench: which outputs it takes, what it keeps, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound
from backend.services.checks.bench import (
    BenchPlan,
    gather_right_outputs,
    list_benches,
    measure_checks,
    record_bench,
)
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.review import Answer
from backend.tables.checks.benches import CheckBench
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, review_next

SPLITS = {"train": 6, "validation": 4, "test": 5}


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session, splits=SPLITS)


def _texts(session: Session, desk: Desk, **options: object) -> list[str]:
    plan = BenchPlan("tickets", **options)  # type: ignore[arg-type]
    return [s.prediction for s in gather_right_outputs(session, desk.project.id, plan).samples]


def test_references_of_train_and_validation_and_never_of_the_test_split(
    session: Session, desk: Desk
) -> None:
    texts = _texts(session, desk)
    assert len(texts) == 10
    assert not any("test" in text for text in texts)
    assert len(_texts(session, desk, splits=("test",))) == 5


def test_corrections_and_approved_outputs_are_right(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    for n in range(2):
        answer = Answer(BAD, correction=f"mended {n}")
        review_next(session, queue, desk.experts[0], answer, now=NOW + timedelta(seconds=n))
    review_next(session, queue, desk.experts[0], Answer(GOOD), now=NOW + timedelta(seconds=9))
    everywhere = ("train", "validation", "test")
    plain = gather_right_outputs(session, desk.project.id, BenchPlan("tickets", splits=everywhere))
    assert (plain.sources["approved"], plain.sources["corrections"]) == (0, 2)
    assert sum(s.prediction.startswith("mended") for s in plain.samples) == 2
    rule = BenchPlan("tickets", splits=everywhere, approved="faithful=yes")
    approved = gather_right_outputs(session, desk.project.id, rule)
    assert (approved.sources["approved"], approved.sources["corrections"]) == (1, 2)
    for split in everywhere:
        plan = BenchPlan("tickets", splits=(split,), approved="faithful=yes")
        samples = gather_right_outputs(session, desk.project.id, plan).samples
        assert all(s.id.startswith(split) for s in samples)
    assert any(" says " in s.prediction for s in approved.samples)
    assert all(s.context and "pays EUR" in s.context for s in approved.samples)


def test_a_bench_is_measured_kept_and_listed_newest_first(session: Session, desk: Desk) -> None:
    rows = [
        ExampleRow(f"c{n}", "Sum it up.", f"He said that he paid {n + 20} EUR on Friday.",
            (f"He paid {n + 20} EUR on Friday.",), f"g{n}", {}, "train")
        for n in range(8)
    ]  # fmt: skip
    import_dataset(session, desk.project.id, "calls", rows, source_name="made here")
    for seed in (1, 2):
        plan = BenchPlan("calls", metrics=("invented",), seed=seed)
        right = gather_right_outputs(session, desk.project.id, plan)
        record_bench(session, desk.project.id, plan, right, measure_checks(right, plan))
    session.commit()
    kept = list_benches(session, desk.project.id)
    assert [row.seed for row in kept] == [2, 1]
    assert kept[0].splits == ["train", "validation"]
    [check] = kept[0].report["checks"]
    recall = {kind["kind"]: kind["recall"]["value"] for kind in check["kinds"]}
    assert recall["number"] == 1
    assert check["false_alarms"]["value"] == 0
    assert kept[0].digest == kept[1].digest
    assert kept[0].dataset_version.number == 1
    assert session.scalars(select(CheckBench)).all()[0].sources["references"] == 8


def test_more_outputs_than_asked_are_drawn_by_the_seed(session: Session, desk: Desk) -> None:
    few = _texts(session, desk, most=4)
    assert len(few) == 4
    assert few == _texts(session, desk, most=4)
    assert any(few != _texts(session, desk, most=4, seed=seed) for seed in range(1, 6))


REFUSED = [
    (BenchPlan("nothing"), NotFound, "nothing"),
    (BenchPlan("tickets", splits=("holdout",)), InvalidInput, "is no split"),
    (BenchPlan("tickets", splits=()), InvalidInput, "is no split"),
    (BenchPlan("tickets", approved="good"), InvalidInput, "is no rule"),
]


@pytest.mark.parametrize(("plan", "error", "said"), REFUSED)
def test_what_cannot_be_gathered(
    session: Session, desk: Desk, plan: BenchPlan, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        gather_right_outputs(session, desk.project.id, plan)


@pytest.mark.parametrize(
    ("metrics", "kinds", "said"),
    [
        (("check:mine@1",), (), "check:mine@1 cannot be measured"),
        (("no_such",), (), "no metric named"),
        (("invented",), ("colour",), "no kind of planted error"),
    ],
)
def test_what_cannot_be_measured(
    session: Session, desk: Desk, metrics: tuple[str, ...], kinds: tuple[str, ...], said: str
) -> None:
    plan = BenchPlan("tickets", metrics=metrics, kinds=kinds)
    right = gather_right_outputs(session, desk.project.id, plan)
    with pytest.raises(InvalidInput, match=said):
        measure_checks(right, plan)
