"""Shots: the right ones, from the train split alone, and none that tells an answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import InvalidInput
from backend.services.accounts.users import create_user
from backend.services.datasets.leaks import Acceptance
from backend.services.datasets.prompts.prompts import PromptSpec, parse_prompt
from backend.services.datasets.prompts.shots import render_spec
from backend.services.datasets.versions import ExampleRow, import_dataset, list_examples
from backend.services.projects import create_project
from backend.tables.datasets import Example
from evaluators.metrics.encoders import cosine_of_means, encode

QUESTION = "My new card has not arrived."
TWIN = "My new card has not arrived yet."
ROWS = [
    ExampleRow("card", "The card that I ordered is late.", references=("late",), split="train"),
    ExampleRow("twin", TWIN, references=("arrival",), split="train"),
    ExampleRow("twice", "Why was I charged twice for lunch?", references=("twice",), split="train"),
    ExampleRow("pin", "How do I change my PIN?", references=("pin",), group="ann", split="train"),
    ExampleRow(
        "pin2", "Can a PIN have six digits?", references=("pin",), group="ann", split="train"
    ),
    ExampleRow("blank", "My card has new colours.", split="train"),
    ExampleRow("asked", QUESTION, references=("arrival",), split="test"),
    ExampleRow("lunch", "I was charged for lunch.", references=("twice",), split="validation"),
]


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Session:
    """On SQLite only: nothing here depends on the backend."""
    return sqlite_sessions()


@pytest.fixture
def examples(session: Session) -> dict[str, Example]:
    """The rows, whose twin of a test question a person has accepted."""
    project = create_project(session, "desk", base_model="tiny")
    lead = create_user(session, "lea", role="engineer", password="a-long-password")
    accept = Acceptance(lead.id, "the answers differ", datetime(2026, 5, 3, tzinfo=UTC))
    version = import_dataset(session, project.id, "d", ROWS, source_name="f", accept_leaks=accept)
    return {e.external_id: e for e in list_examples(session, version.id)}


def shown(session: Session, spec: PromptSpec, *asked: Example, **more: Path) -> list[list[str]]:
    """The questions of the shots of each example."""
    made = render_spec(session, 1, asked, spec, name="p@1", **more)
    return [[turn["content"] for turn in turns[:-1] if turn["role"] == "user"] for turns in made]


def texts(examples: dict[str, Example], names: Sequence[str]) -> list[str]:
    return [examples[name].input for name in names]


def test_the_most_alike_stands_last(session: Session, examples: dict[str, Example]) -> None:
    spec = parse_prompt("shots: {k: 2, choose: bm25}")
    (chosen,) = shown(session, spec, examples["lunch"])
    assert chosen[-1] == examples["twice"].input


def test_bm25_is_the_formula_of_the_paper(session: Session, examples: dict[str, Example]) -> None:
    from backend.services.datasets.prompts import shots

    documents = ["a b b", "b c", "c c c d d"]

    def by_hand(document: str, question: str) -> float:
        words, mean = document.split(), sum(len(d.split()) for d in documents) / 3
        total = 0.0
        for word in set(question.split()):
            n = sum(word in d.split() for d in documents)
            tf = words.count(word)
            norm = 1.2 * (1 - 0.75 + 0.75 * len(words) / mean)
            total += math.log(1 + (3 - n + 0.5) / (n + 0.5)) * tf * 2.2 / (tf + norm)
        return total

    for question in ("b", "c d", "b c unknown", "d d d b"):
        best = sorted(range(3), key=lambda i: -by_hand(documents[i], question))
        (found,) = shots._by_bm25(documents, [question])
        assert list(found) == best, question


@pytest.mark.parametrize("choose", ["bm25", "fixed"])
def test_what_repeats_a_held_out_question_is_never_shown(
    session: Session, examples: dict[str, Example], choose: str
) -> None:
    spec = parse_prompt(f"shots: {{k: 3, choose: {choose}}}")
    held_out = [e for e in examples.values() if e.split != "train"]
    for chosen in shown(session, spec, *held_out):
        assert TWIN not in chosen
        assert examples["blank"].input not in chosen


def test_an_example_to_train_on_sees_neither_itself_nor_its_group(
    session: Session, examples: dict[str, Example]
) -> None:
    spec = parse_prompt("shots: {k: 2, choose: bm25}")
    (chosen,) = shown(session, spec, examples["pin"])
    assert sorted(chosen) == sorted(texts(examples, ["card", "twice"]))


def test_an_example_to_train_on_does_not_see_its_near_duplicate(session: Session) -> None:
    project = create_project(session, "desk", base_model="tiny")
    rows = [
        ExampleRow("a", QUESTION, references=("x",), group="a", split="train"),
        ExampleRow("b", TWIN, references=("x",), group="b", split="train"),
        ExampleRow("c", "Why was I charged twice?", references=("y",), group="c", split="train"),
    ]
    version = import_dataset(session, project.id, "d", rows, source_name="f")
    first, *_, last = list_examples(session, version.id)
    spec = parse_prompt("shots: {k: 1, choose: bm25}")
    assert shown(session, spec, first) == [[last.input]]


def test_fixed_ones_are_the_same_for_all(session: Session, examples: dict[str, Example]) -> None:
    held_out = [e for e in examples.values() if e.split != "train"]
    one, other = shown(session, parse_prompt("shots: {k: 2}"), *held_out)
    assert one == other
    drawn = {
        tuple(shown(session, parse_prompt(f"shots: {{k: 2, seed: {n}}}"), held_out[0])[0])
        for n in range(8)
    }
    assert len(drawn) > 1
    named = parse_prompt("shots: {k: 2, ids: [twice, card]}")
    assert shown(session, named, *held_out) == [texts(examples, ["twice", "card"])] * 2


@pytest.mark.parametrize("bad", ["asked", "lunch", "twin", "blank", "nobody"])
def test_a_named_shot_that_may_not_be_shown_is_refused_by_name(
    session: Session, examples: dict[str, Example], bad: str
) -> None:
    spec = parse_prompt(f"shots: {{k: 2, ids: [twice, {bad}]}}")
    with pytest.raises(InvalidInput, match=f"shot '{bad}' of the prompt p@1"):
        shown(session, spec, examples["asked"])


def test_more_than_there_are(session: Session, examples: dict[str, Example]) -> None:
    spec = parse_prompt("shots: {k: 5, choose: bm25}")
    with pytest.raises(InvalidInput, match="shows 5 shots, and d@1 has only 4"):
        shown(session, spec, examples["asked"])


class TestEncoder:
    @pytest.mark.parametrize("name", ["nowhere", "..", "../e", "/etc", "a" * 5_000])
    def test_one_that_is_not_there(
        self, session: Session, examples: dict[str, Example], name: str, tmp_path: Path
    ) -> None:
        spec = parse_prompt(f"shots: {{k: 1, choose: encoder, encoder: '{name}'}}")
        for encoders in ({"encoders": tmp_path / "own"}, {}):
            with pytest.raises(InvalidInput, match="no encoder"):
                shown(session, spec, examples["asked"], **encoders)

    def test_the_nearest_by_cosine_is_shown(
        self, session: Session, examples: dict[str, Example], tiny_base: Path
    ) -> None:
        pool = ["card", "twice", "pin", "pin2"]
        asked, *states = encode(texts(examples, ["lunch", *pool]), str(tiny_base))
        best = max(zip(states, pool, strict=True), key=lambda one: cosine_of_means(asked, one[0]))
        spec = parse_prompt(f"shots: {{k: 1, choose: encoder, encoder: {tiny_base.name}}}")
        (chosen,) = shown(session, spec, examples["lunch"], encoders=tiny_base.parent)
        assert chosen == [examples[best[1]].input]
