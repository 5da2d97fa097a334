"""Digits answer the question that is next; every scale has its choices."""

from __future__ import annotations

import pytest

from backend.rubrics import Multi, Rubric, find_rubric, library_names, parse_rubric
from dashboard.components.questions import (
    Choice,
    answer_of_digit,
    choice_label,
    choices_of_name,
    next_question,
    toggle_option,
)

RUBRIC = find_rubric("telecom_desk")


@pytest.mark.parametrize(
    ("ratings", "digit", "answer"),
    [
        ({}, "1", ("faithful", "yes")),
        ({}, "2", ("faithful", "no")),
        ({}, "3", None),
        ({"faithful": "no"}, "5", ("quality", 5)),
        ({"faithful": "no", "quality": 5}, "1", ("problem", "none")),
        ({"faithful": "no", "quality": 5, "problem": "none"}, "1", None),
    ],
)
def test_a_digit_answers_the_next_question(
    ratings: dict[str, str | int], digit: str, answer: tuple[str, str | int] | None
) -> None:
    assert answer_of_digit(RUBRIC, dict(ratings), digit) == answer


def test_the_tenth_choice_is_zero() -> None:
    rubric = parse_rubric(
        "name: r\nguidelines: g\ncriteria: [{name: q, question: Q, scale: stars, n: 10}]"
    )
    assert answer_of_digit(rubric, {}, "0") == ("q", 10)


@pytest.mark.parametrize("name", library_names())
def test_every_rubric_of_the_library_can_be_answered_by_digits(name: str) -> None:
    rubric: Rubric = find_rubric(name)
    ratings: dict[str, str | int | float | bool | None] = {}
    while (question := next_question(rubric, ratings)) is not None:
        assert 2 <= len(choices_of_name(rubric, question)) <= 10
        answer = answer_of_digit(rubric, ratings, "1")
        assert answer is not None
        ratings[answer[0]] = answer[1]


@pytest.mark.parametrize(
    ("choice", "picked", "digit", "label"),
    [
        (Choice("yes", "Yes"), False, "1", "Yes :gray[:small[1]]"),
        (Choice("yes", "Yes"), True, None, "✓ Yes"),
        (Choice(3, "3"), False, "3", "3"),
        (Choice("x", "**b**"), False, None, r"\*\*b\*\*"),
    ],
)
def test_labels(choice: Choice, picked: bool, digit: str | None, label: str) -> None:
    assert choice_label(choice, picked=picked, digit=digit) == label


MULTI = parse_rubric(
    "name: r\nguidelines: g\ncriteria: [{name: q, question: Q, scale: multi, alone: none,"
    " options: [{name: none, label: N}, {name: a, label: A}, {name: b, label: B}]}]"
).criterion("q")


@pytest.mark.parametrize(
    ("value", "name", "after"),
    [
        (None, "a", '["a"]'),
        ('["a"]', "b", '["a", "b"]'),
        ('["a", "b"]', "a", '["b"]'),
        ('["a"]', "a", None),
        ('["a", "b"]', "none", '["none"]'),
        ('["none"]', "a", '["a"]'),
    ],
)
def test_an_option_is_added_or_taken_away(value: str | None, name: str, after: str | None) -> None:
    assert isinstance(MULTI, Multi)
    assert toggle_option(MULTI, value, name) == after
