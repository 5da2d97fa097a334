"""Features beside those of the other answers, and what an answer says alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluators.checks.grounding.others import MOST_OTHERS, NO_OTHER, some_others, with_others
from evaluators.checks.grounding.relative import (
    AnswerKey,
    answered,
    base_name,
    is_relative,
    relative_rows,
)
from evaluators.errors import InvalidValues
from evaluators.registry import METRICS, resolve_metrics
from evaluators.types import Sample

A, B = AnswerKey("s", "a"), AnswerKey("s", "b")


@pytest.mark.parametrize(
    ("answers", "values", "expected"),
    [
        ([A, B], [3.0, 1.0], [2.0, -2.0]),
        ([A, B, AnswerKey("s", "c")], [3.0, 1.0, 2.0], [1.5, -1.5, 0.0]),
        ([A, B, AnswerKey("s", "c")], [3.0, None, 2.0], [1.0, None, -1.0]),
        ([A], [3.0], [None]),
        ([A, A], [3.0, 3.0], [None, None]),  # the same text is no other answer
        ([A, A, B], [3.0, 3.0, 1.0], [2.0, 2.0, -2.0]),  # and counts once
        ([A, AnswerKey("t", "b")], [3.0, 1.0], [None, None]),
        ([AnswerKey(None, "a"), AnswerKey(None, "b")], [3.0, 1.0], [None, None]),
        ([AnswerKey("s"), AnswerKey("s")], [3.0, 1.0], [2.0, -2.0]),  # texts are not known
        ([A, B], [None, None], [None, None]),
        ([A, B], [3.0, None], [None, None]),
    ],
)
def test_less_the_mean_of_the_others(
    answers: list[AnswerKey], values: list[float | None], expected: list[float | None]
) -> None:
    found = relative_rows([{"m": value} for value in values], answers)
    assert [row["m~others"] for row in found] == expected
    assert [row["m"] for row in found] == values


def test_a_feature_that_a_row_lacks_has_no_difference() -> None:
    found = relative_rows([{"m": 1.0}, {"n": 2.0}], [A, B])
    assert found == [
        {"m": 1.0, "m~others": None, "n~others": None},
        {"n": 2.0, "m~others": None, "n~others": None},
    ]
    assert relative_rows([{"m": 1.0, "n": 2.0}, {"m": 3.0}], [A, B], ["m"])[0].keys() == {
        "m",
        "n",
        "m~others",
    }
    assert relative_rows([], []) == []
    with pytest.raises(InvalidValues, match="2 rows for 1 answers"):
        relative_rows([{}, {}], [A])


def test_it_equals_the_mean_of_all_others_taken_one_by_one() -> None:
    rng = np.random.default_rng(0)
    values, sources = rng.normal(size=60), rng.integers(0, 8, 60)
    found = relative_rows([{"m": float(v)} for v in values], [AnswerKey(str(s)) for s in sources])
    for i, row in enumerate(found):
        others = [values[j] for j in range(60) if j != i and sources[j] == sources[i]]
        assert row["m~others"] == pytest.approx(values[i] - np.mean(others))


def test_words_for_features() -> None:
    assert base_name("invented~others") == "invented"
    assert is_relative("a~others")
    assert not is_relative("a")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"context": "a", "input": "b"}, {"context": "a", "input": "b"}, True),
        ({"context": " a\n"}, {"context": "a"}, True),
        ({"context": "a"}, {"input": "a"}, False),
        ({"context": "ab"}, {"context": "a", "input": "b"}, False),
        ({"context": "\ud800"}, {"context": "\ud800"}, True),  # half of a character
    ],
)
def test_one_source_is_one_context_and_input(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    found = [answered(Sample("1", "x", **fields)).source for fields in (one, other)]
    assert (found[0] == found[1]) == same


def test_a_sample_of_no_source_answers_none() -> None:
    assert answered(Sample("1", "x")).source is None
    assert answered(Sample("1", "x", context="  ")).source is None
    assert with_others([Sample("1", "x"), Sample("2", "y")])[0].others == ()


def beside(*texts: str) -> list[Sample]:
    return with_others([Sample(str(i), t, context="the source") for i, t in enumerate(texts)])


@pytest.mark.parametrize(
    ("texts", "own", "overlap"),
    [
        (("He takes aspirin.", "He takes ibuprofen."), 1 / 2, 2 / 4),
        (("He takes aspirin.", "He takes aspirin.", "He takes aspirin daily."), 0.0, 3 / 4),
        (("Er nimmt Aspirin.", "Er nimmt Ibuprofen."), 1 / 3, 2 / 4),
        (("他服用阿司匹林", "他服用布洛芬"), None, None),
        (("He takes aspirin.",), "no other", "no other"),
        (("He takes aspirin.", "He takes aspirin."), "no other", "no other"),
        (("", "He takes aspirin."), "no words", "no words"),
        (("aspirin", ""), 1.0, 0.0),
    ],
)
def test_own_words_and_overlap(texts: tuple[str, ...], own: Any, overlap: Any) -> None:
    sample = beside(*texts)[0]
    for name, expected in (("own_words", own), ("others_overlap", overlap)):
        score = METRICS[name].score([sample])[0]
        if expected == "no other":
            assert (score.not_applicable, score.explanation) == (True, NO_OTHER)
        elif expected == "no words":
            assert score.not_applicable
            assert "no" in (score.explanation or "")
        elif expected is not None:
            assert score.value == pytest.approx(expected)
        assert score.error is None


def test_own_words_are_marked_where_they_stand() -> None:
    text = "He takes aspirin; aspirin helps."
    [score] = METRICS["own_words"].score([beside(text, "He takes nothing that helps.")[0]])
    assert [text[s.start : s.end] for s in score.spans] == ["aspirin", "aspirin"]
    assert {s.kind for s in score.spans} == {"own"}
    assert score.explanation == "1 of 3 content words are in none of 1 other answer"


@pytest.mark.parametrize(
    ("texts", "source", "value", "marked"),
    [
        (("He takes aspirin daily.", "He takes aspirin."), "He takes aspirin.", 1.0, ["daily"]),
        (("He takes aspirin daily.", "He takes aspirin."), "Aspirin daily.", 0.0, []),
        (("He takes aspirin daily.", "He is told daily."), "He takes it.", 1.0, ["aspirin"]),
        (("He takes it.", "He takes it now."), "He takes it.", 0.0, []),
    ],
)
def test_own_and_novel_is_what_neither_source_nor_another_answer_has(
    texts: tuple[str, ...], source: str, value: float, marked: list[str]
) -> None:
    samples = with_others([Sample(str(i), t, context=source) for i, t in enumerate(texts)])
    score = METRICS["own_novel"].score(samples)[0]
    assert score.value == value
    assert [texts[0][s.start : s.end] for s in score.spans] == marked


def test_of_many_answers_so_many_are_read() -> None:
    answers = [(i, f"t{i}") for i in range(MOST_OTHERS + 30)]
    found = some_others(60, "t60", answers)
    assert len(found) == MOST_OTHERS
    assert found[:2] == ("t61", "t62")
    assert "t60" not in found
    assert "t0" in found
    assert some_others(0, "t0", [(0, "t0"), (1, " t0 "), (2, "u"), (3, "u")]) == ("u",)


def test_a_long_file_of_one_source_is_read_in_little_time() -> None:
    samples = [Sample(str(i), f"word{i} " * 20, context="s") for i in range(3000)]
    metric = METRICS["own_words"]
    assert all(s.value == 1.0 for s in metric.score(with_others(samples)))


def test_checks_stands_for_those_that_need_no_model() -> None:
    names = [metric.name for metric in resolve_metrics(["checks"])]
    assert {"invented", "overlap", "own_words", "others_overlap", "length"} <= set(names)
    read = {name for name, metric in METRICS.items() if metric.reads_others}
    assert {"own_words", "own_novel", "others_overlap", "departure_turned"} <= read
