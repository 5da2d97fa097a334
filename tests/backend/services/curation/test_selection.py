"""Which rows a recipe lets in: verdicts, least ratings, groups, tasks by share, weights, order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import InvalidInput
from backend.services.curation import (
    Recipe,
    describe_recipe,
    describe_set,
    freeze_training_set,
    stored_digest,
    training_rows,
)
from backend.services.curation.formats import TrainingRow, export_rows
from backend.services.review import Answer, Claim, QueueRules, claim_adjudication
from backend.tables.curation import TrainingSet
from backend.tables.datasets import Example
from backend.tables.review import ReviewQueue
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, review_next, submit

YES = {"criterion": "faithful", "equals": "yes"}
AT_LEAST_4 = {"criterion": "quality", "at_least": 4}
CORRECTED = Answer(BAD, correction="right")


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: nothing here depends on the backend."""
    with sqlite_sessions() as session:
        yield session


def furnish(session: Session) -> Desk:
    return build_desk(session, splits={"train": 8})


def freeze(session: Session, desk: Desk, *, name: str = "s", **recipe: Any) -> TrainingSet:
    return freeze_training_set(
        session, project_id=desk.project.id, name=name, recipe=Recipe.model_validate(recipe)
    )


def rows_of(session: Session, frozen: TrainingSet) -> list[TrainingRow]:
    return list(training_rows(session, frozen.id))


def correct_all(session: Session, desk: Desk, *, name: str = "q", **options: Any) -> None:
    """The first expert corrects every train example's first output."""
    queue = desk.open(session, name, **options)
    for number in range(int(queue.design["n_items"])):
        answer = Answer(BAD, correction="right " + "x" * (50 - 3 * number))
        review_next(session, queue, desk.experts[0], answer)


def regroup(session: Session, desk: Desk, groups: Sequence[str | None]) -> None:
    for example, group in zip(desk.examples, groups, strict=True):
        example.group = group
    session.flush()


def answer_one(session: Session, desk: Desk, answers: list[Answer], **options: Any) -> ReviewQueue:
    """One item, an answer of each expert."""
    queue = desk.open(session, n_items=1, overlap=3, overlap_share=1.0, **options)
    for n, (expert, answer) in enumerate(zip(desk.experts, answers, strict=False)):
        review_next(session, queue, expert, answer, now=NOW + timedelta(seconds=n))
    return queue


def test_adjudicated_only_takes_verdicts_and_nothing_else(session: Session, desk: Desk) -> None:
    """Two items are corrected; of the one where people differed, an adjudicator decides."""
    queue = desk.open(
        session,
        n_items=2,
        overlap=2,
        overlap_share=1.0,
        rules=QueueRules(adjudicate_above=0.1),
    )
    first, second, judge = desk.experts
    for answer in (Answer(GOOD), CORRECTED):
        review_next(session, queue, first, answer)
    for _ in range(2):
        review_next(session, queue, second, CORRECTED)
    claim = claim_adjudication(session, queue.id, judge.id, now=NOW)
    assert isinstance(claim, Claim)
    submit(session, claim, judge, Answer(BAD, correction="the verdict"))
    frozen = freeze(session, desk, queues=["q"], adjudicated_only=True)
    assert [row.completion for row in rows_of(session, frozen)] == ["the verdict"]
    assert freeze(session, desk, name="all", queues=["q"]).n_rows == 2
    assert any("no verdict of an adjudication: 2" in said for said in describe_set(frozen))


@pytest.mark.parametrize(
    ("qualities", "kept"), [([5, 5, 5], True), ([5, 5, 2], True), ([4, 4, 3], False)]
)
def test_an_approved_output_rated_below_the_minimum_stays_out(
    session: Session, desk: Desk, qualities: list[int], kept: bool
) -> None:
    answer_one(session, desk, [Answer({**GOOD, "quality": q}) for q in qualities])
    recipe: dict[str, Any] = {
        "queues": ["q"],
        "approved": YES,
        "minimum": AT_LEAST_4,
        "dataset": "tickets",
        "references": {"count": 1},
    }
    sources = Counter(
        row.provenance["source"] for row in rows_of(session, freeze(session, desk, **recipe))
    )
    assert sources["approved"] == int(kept)


def test_a_minimum_does_not_touch_corrections(session: Session, desk: Desk) -> None:
    """What is rated is the output, not what the expert wrote in its place."""
    answer_one(session, desk, [CORRECTED])
    frozen = freeze(session, desk, queues=["q"], approved=YES, minimum=AT_LEAST_4)
    assert [row.completion for row in rows_of(session, frozen)] == ["right"]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_group_gives_more_than_k_rows(session: Session, desk: Desk, most: int) -> None:
    regroup(session, desk, ["a"] * 4 + ["b"] * 2 + [None] * 2)
    correct_all(session, desk, n_items=8)
    frozen = freeze(session, desk, queues=["q"], per_group=most)
    groups = Counter(row.provenance["group"] for row in rows_of(session, frozen))
    assert groups == {"a": min(most, 4), "b": min(most, 2), None: 2}


def test_corrections_go_before_references_in_a_full_group(session: Session, desk: Desk) -> None:
    regroup(session, desk, ["a"] * 8)
    correct_all(session, desk, n_items=2)
    frozen = freeze(session, desk, queues=["q"], per_group=3, references={})
    sources = [row.provenance["source"] for row in rows_of(session, frozen)]
    assert sources == ["corrected", "corrected", "reference"]


def test_the_replay_share_is_of_the_finished_rows(session: Session, desk: Desk) -> None:
    regroup(session, desk, ["a"] * 4 + ["b"] * 4)
    correct_all(session, desk, n_items=4)
    frozen = freeze(session, desk, queues=["q"], references={"share": 0.5}, per_group=4)
    by_source = frozen.recipe["rows_by_source"]
    assert by_source["corrected"] == by_source["reference"]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"intent": 0.5, "reply": 0.5}, {"intent": 2, "reply": 2}),
        ({"intent": 0.25, "reply": 0.75}, {"intent": 2, "reply": 6}),
        ({"intent": 0.8, "reply": 0.2}, {"intent": 2, "reply": 1}),
    ],
)
def test_tasks_are_mixed_by_their_shares(
    session: Session, desk: Desk, shares: dict[str, float], expected: dict[str, int]
) -> None:
    tasks = ["intent"] * 2 + ["reply"] * 6
    for example, task in zip(desk.examples, tasks, strict=True):
        example.slices = {"task": task}
    session.flush()
    correct_all(session, desk, n_items=8)
    rows = rows_of(
        session, freeze(session, desk, queues=["q"], mix={"by": "task", "shares": shares})
    )
    by_id = {example.external_id: example.slices["task"] for example in desk.examples}
    assert Counter(by_id[row.provenance["example"]] for row in rows) == expected


def test_a_mix_of_a_task_without_rows_is_refused(session: Session, desk: Desk) -> None:
    correct_all(session, desk, n_items=2)
    mix = {"by": "dataset", "shares": {"tickets": 0.5, "calls": 0.5}}
    with pytest.raises(InvalidInput, match="no sft row of dataset 'calls'"):
        freeze(session, desk, queues=["q"], mix=mix)


@pytest.mark.parametrize(
    ("answers", "weight"),
    [
        ([Answer(GOOD)] * 3, 1.0),
        ([Answer(GOOD), Answer(GOOD), Answer(BAD)], 2 / 3),
        ([CORRECTED, Answer(BAD), Answer(GOOD)], 1 / 3),
    ],
)
def test_a_row_weighs_the_share_of_those_who_agree(
    session: Session, desk: Desk, answers: list[Answer], weight: float
) -> None:
    answer_one(session, desk, answers)
    recipe: dict[str, Any] = {"queues": ["q"], "approved": YES, "weight": "agreement"}
    [row] = rows_of(session, freeze(session, desk, **recipe))
    assert row.weight == pytest.approx(weight)
    [exported] = export_rows([row], "sft")
    assert exported["weight"] == row.weight


def test_without_weights_nothing_is_exported(session: Session, desk: Desk) -> None:
    answer_one(session, desk, [CORRECTED])
    [exported] = export_rows(rows_of(session, freeze(session, desk, queues=["q"])), "sft")
    assert not {"weight", "order"} & set(exported)


def test_short_rows_come_first(session: Session, desk: Desk) -> None:
    correct_all(session, desk, n_items=5)
    rows = rows_of(session, freeze(session, desk, queues=["q"], order="short_to_long"))
    lengths = [len(row.completion) + sum(len(m["content"]) for m in row.prompt) for row in rows]
    assert lengths == sorted(lengths)
    assert [row.order for row in rows] == [0, 1, 2, 3, 4]


def test_easy_to_hard_is_left_to_the_trainer(session: Session, desk: Desk) -> None:
    correct_all(session, desk, n_items=2)
    frozen = freeze(session, desk, queues=["q"], order="easy_to_hard")
    exported = list(export_rows(training_rows(session, frozen.id), "sft"))
    assert [row["order"] for row in exported] == ["loss", "loss"]


@pytest.mark.parametrize(
    "recipe",
    [
        {"weight": "agreement", "approved": YES},
        {"order": "easy_to_hard"},
        {"hold_back": 0.5},
        {"negatives": YES, "dpo_corrections": True},
        {"per_group": 1, "references": {"count": 3}},
    ],
)
def test_the_digest_covers_all_that_the_trainer_is_given(
    session: Session, desk: Desk, recipe: dict[str, Any]
) -> None:
    correct_all(session, desk, n_items=4)
    plain = freeze(session, desk, queues=["q"])
    frozen = freeze(session, desk, name="t", queues=["q"], **recipe)
    again = freeze(session, desk, name="u", queues=["q"], **recipe)
    assert frozen.digest != plain.digest
    assert frozen.digest == again.digest == stored_digest(session, frozen.id)


def test_a_set_says_its_recipe_in_words(session: Session, desk: Desk) -> None:
    correct_all(session, desk, n_items=6)
    frozen = freeze(
        session,
        desk,
        queues=["q"],
        approved=YES,
        minimum=AT_LEAST_4,
        negatives=YES,
        weight="agreement",
        per_group=2,
        order="short_to_long",
        hold_back=0.34,
        fixed_when={"metric": "token_f1", "at_least": 0.9},
        references={"share": 0.5},
    )
    told = " ".join(describe_set(frozen))
    for part in (
        "From queues q.",
        "approve (faithful=yes)",
        "mean rating of quality>=4",
        "fail faithful=yes are negative examples",
        "weighs the share",
        "At most 2 rows",
        "from short to long",
        "Held back: 2 of 6 corrections in 2 groups",
        "token_f1>=0.9 against the expert's text",
        "references as 50% of the SFT rows",
    ):
        assert part in told


def test_examples_are_unchanged(session: Session, desk: Desk) -> None:
    """A recipe chooses rows; it never writes to what it chooses from."""
    correct_all(session, desk, n_items=2)
    freeze(session, desk, queues=["q"], hold_back=0.5, per_group=1)
    assert not session.dirty
    assert {type(example) for example in desk.examples} == {Example}


def test_a_recipe_of_references_alone_says_nothing_of_corrections() -> None:
    recipe = Recipe.model_validate({"dataset": "tickets", "references": {}})
    said = describe_recipe(recipe)
    assert said[0] == "Replayed: all references of the train split of tickets."
    assert not [sentence for sentence in said if "correction" in sentence]
