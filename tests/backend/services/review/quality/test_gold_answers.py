"""Known answers: what one may say, and whether an answer meets it."""

from __future__ import annotations

from typing import Any

import pytest

from backend.errors import InvalidInput
from backend.rubrics import CheckedAnswer, parse_rubric, validate_answers
from backend.services.review.quality.gold import check_known, compare_with_known
from backend.services.review.quality.gold_items import GoldRow, read_gold_rows
from evaluators.files.readers import FileTable

RUBRIC = parse_rubric(
    """
name: r
guidelines: g
criteria:
  - {name: ok, scale: yes_no, question: OK, required: false}
  - {name: fit, scale: verdict, question: Fit, required: false}
  - {name: stars, scale: stars, question: Stars, required: false}
  - {name: dose, scale: number, question: Dose, min: 0, max: 10, required: false}
  - name: faults
    scale: multi
    question: Faults
    required: false
    options: [{name: a, label: A}, {name: b, label: B}]
  - {name: note, scale: text, question: Note, required: false}
"""
)


@pytest.mark.parametrize(
    ("known", "said", "met"),
    [
        ({"ratings": {"ok": "no"}}, {"ok": "no"}, {"ok": True}),
        ({"ratings": {"ok": False}}, {"ok": "yes"}, {"ok": False}),
        ({"ratings": {"ok": "no"}}, {"ok": "no", "stars": 5}, {"ok": True}),
        ({"ratings": {"ok": "no"}}, {}, {"ok": False}),
        ({"ratings": {"stars": 2}}, {"stars": 3}, {"stars": False}),
        ({"ratings": {"stars": 2}, "tolerance": {"stars": 1}}, {"stars": 3}, {"stars": True}),
        ({"ratings": {"stars": 2}, "tolerance": {"stars": 1}}, {"stars": 4}, {"stars": False}),
        ({"ratings": {"fit": "fail"}}, {"fit": "critical_fail"}, {"fit": False}),
        ({"ratings": {"dose": 0.3}, "tolerance": {"dose": 0.1}}, {"dose": 0.4}, {"dose": True}),
        ({"ratings": {"faults": ["b", "a"]}}, {"faults": ["a", "b"]}, {"faults": True}),
        ({"ratings": {"faults": ["a"]}}, {"faults": ["a", "b"]}, {"faults": False}),
        (
            {"ratings": {"ok": "no", "stars": 1}},
            {"ok": "no", "stars": 5},
            {"ok": True, "stars": False},
        ),
    ],
)
def test_an_answer_meets_the_known_one(
    known: dict[str, Any], said: dict[str, object], met: dict[str, bool]
) -> None:
    stored = check_known(RUBRIC, "single", known)
    assert compare_with_known(RUBRIC, stored, validate_answers(RUBRIC, said)) == met


@pytest.mark.parametrize(("winner", "met"), [("a", True), ("b", False), ("cannot_judge", False)])
def test_a_vote_meets_the_known_one(winner: str, met: bool) -> None:
    stored = check_known(RUBRIC, "pair", {"winner": "a"})
    said = {"winner": CheckedAnswer(winner, None)}
    assert compare_with_known(RUBRIC, stored, said) == {"winner": met}


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("single", {}),
        ("single", {"ratings": {}}),
        ("single", ["ok"]),
        ("single", {"rating": {"ok": "no"}}),
        ("single", {"ratings": {"okay": "no"}}),
        ("single", {"ratings": {"ok": "maybe"}}),
        ("single", {"ratings": {"ok": None}}),
        ("single", {"ratings": ["ok"]}),
        ("single", {"ratings": {"note": "words"}}),
        ("single", {"ratings": {"ok": "no"}, "winner": "a"}),
        ("single", {"ratings": {"stars": 3}, "tolerance": {"stars": -1}}),
        ("single", {"ratings": {"stars": 3}, "tolerance": {"stars": "1"}}),
        ("single", {"ratings": {"stars": 3}, "tolerance": {"stars": float("nan")}}),
        ("single", {"ratings": {"stars": 3}, "tolerance": {"ok": 1}}),
        ("single", {"ratings": {"ok": "no"}, "tolerance": {"ok": 1}}),
        ("single", {"ratings": {"stars": 3}, "tolerance": 1}),
        ("pair", {"winner": "left"}),
        ("pair", {"winner": "cannot_judge"}),
        ("pair", {}),
    ],
)
def test_a_known_answer_that_judges_nothing_is_refused(kind: str, known: object) -> None:
    with pytest.raises(InvalidInput):
        check_known(RUBRIC, kind, known)


def test_a_file_of_known_answers() -> None:
    rows = [
        {"generation": 3, "answer": {"winner": "a"}, "explanation": "x", "example": None},
        {"example": "t-1", "model": "base", "answer": {}, "explanation": "größe"},
    ]
    assert read_gold_rows(FileTable.of_rows("g.jsonl", rows)) == [
        GoldRow(answer={"winner": "a"}, explanation="x", generation=3),
        GoldRow(answer={}, explanation="größe", example="t-1", model="base"),
    ]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"answer": {}}, "row 1 .* 'explanation' is missing"),
        ({"answer": {}, "explanation": "x", "gen": 3}, "'gen' is no part"),
        ({"answer": {}, "explanation": 3}, "'explanation' is no text"),
        ({"answer": {}, "explanation": "x", "generation": "3"}, "no id of an output"),
        ({"answer": {}, "explanation": "x", "generation": True}, "no id of an output"),
    ],
)
def test_a_row_that_is_no_known_answer_is_named(row: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        read_gold_rows(FileTable.of_rows("g.jsonl", [row]))
