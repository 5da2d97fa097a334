"""What a set holds back is never trained on: not its prompts, not its groups, not their likes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput
from backend.services.curation import (
    Recipe,
    freeze_training_set,
    held_back_rows,
    training_rows,
)
from backend.services.review import Answer, revise
from backend.tables.curation import TrainingSet
from backend.tables.datasets import Example
from backend.tables.review import Review
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, review_next

YES = {"criterion": "faithful", "equals": "yes"}


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sqlite_sessions() as session:
        yield session


def furnish(session: Session) -> Desk:
    """Ten train examples in five groups of two; the first eight outputs are corrected."""
    desk = build_desk(session, splits={"train": 10})
    for number, example in enumerate(desk.examples):
        example.group = f"customer {number // 2}"
    session.flush()
    queue = desk.open(session, "q")
    for number in range(10):
        answer = Answer(GOOD) if number >= 8 else Answer(BAD, correction=f"fix {number}")
        review_next(session, queue, desk.experts[0], answer)
    return desk


def freeze(session: Session, desk: Desk, *, name: str = "s", **recipe: Any) -> TrainingSet:
    wanted = {"queues": ["q"], "hold_back": 0.25, **recipe}
    return freeze_training_set(
        session, project_id=desk.project.id, name=name, recipe=Recipe.model_validate(wanted)
    )


def held_groups(session: Session, frozen: TrainingSet) -> set[str | None]:
    rows = held_back_rows(session, frozen.id)
    return {session.get_one(Example, row.example_id).group for row in rows}


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_the_stated_share_is_held_back_and_recorded(
    session: Session, desk: Desk, share: float
) -> None:
    frozen = freeze(session, desk, hold_back=share)
    said = frozen.recipe["held_back"]
    held = [row for row in held_back_rows(session, frozen.id) if row.source == "corrected"]
    assert said["of_corrections"] == 8
    assert said["corrections"] == len(held)
    assert abs(len(held) - share * 8) <= 2  # groups stay whole
    assert 0 < len(held) < 8


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"references": {}},
        {"approved": YES, "references": {}},
        {"dpo_corrections": True, "kto": YES, "negatives": YES},
    ],
)
def test_nothing_of_a_held_back_group_is_trained_on(
    session: Session, desk: Desk, recipe: dict[str, Any]
) -> None:
    frozen = freeze(session, desk, **recipe)
    taught = {row.provenance["group"] for row in training_rows(session, frozen.id)}
    assert held_groups(session, frozen)
    assert not taught & held_groups(session, frozen)


def test_a_relative_of_a_held_back_prompt_is_not_trained_on(session: Session, desk: Desk) -> None:
    """The reference of another prompt of the same customer, which nobody corrected."""
    first = freeze(session, desk, references={})
    [group] = list(held_groups(session, first))[:1]
    replayed = next(
        row.provenance["example"]
        for row in training_rows(session, first.id)
        if row.provenance["source"] == "reference"
    )
    relative = next(example for example in desk.examples if example.external_id == replayed)
    relative.group = group
    session.flush()
    second = freeze(session, desk, name="t", references={})
    assert group in held_groups(session, second)
    taught = {row.provenance["example"] for row in training_rows(session, second.id)}
    assert replayed not in taught


def test_an_example_that_is_named_is_held_back_too(session: Session, desk: Desk) -> None:
    ids = [example.id for example in desk.examples]
    frozen = freeze(session, desk, examples=ids)
    taught = {row.provenance["group"] for row in training_rows(session, frozen.id)}
    assert not taught & held_groups(session, frozen)


def test_a_prompt_that_nearly_repeats_a_held_back_one_is_left_out(
    session: Session, desk: Desk
) -> None:
    told = "the caller says that her parcel never came and that she wants her money back by friday"
    first = freeze(session, desk)
    held_id = held_back_rows(session, first.id)[0].example_id
    twin = next(e for e in desk.examples if e.group not in held_groups(session, first))
    session.get_one(Example, held_id).context = told
    twin.context = f"well {told}"
    for example in (session.get_one(Example, held_id), twin):
        example.input = "Summarise the call"
    session.flush()
    second = freeze(session, desk, name="t", references={})
    assert held_groups(session, second) == held_groups(session, first)
    taught = {row.provenance["example"] for row in training_rows(session, second.id)}
    assert twin.external_id not in taught
    assert second.recipe["held_back"]["near_duplicates_left_out"] == [twin.external_id]


def test_the_seed_draws_the_groups(session: Session, desk: Desk) -> None:
    drawn = [held_groups(session, freeze(session, desk, name=f"s{n}", seed=n)) for n in range(4)]
    again = held_groups(session, freeze(session, desk, name="again", seed=0))
    assert again == drawn[0]
    assert len({frozenset(groups) for groups in drawn}) > 1


def test_corrections_of_one_group_cannot_be_held_back(session: Session, desk: Desk) -> None:
    for example in desk.examples:
        example.group = "one"
    session.flush()
    with pytest.raises(InvalidInput, match="1 group"):
        freeze(session, desk)


def test_a_held_back_answer_stands(session: Session, desk: Desk) -> None:
    """Its reviewer cannot revise it: it is what the yield is measured against."""
    held = held_back_rows(session, freeze(session, desk).id)[0]
    reviewed = session.get_one(Review, held.review_id)
    reviewed.item.queue.rules = {**reviewed.item.queue.rules, "revise_minutes": 30}
    session.flush()
    with pytest.raises(Conflict, match="A training set was frozen with this answer"):
        revise(session, reviewed.id, reviewed.reviewer_id, now=NOW)
