"""Digits answer the question that is next; every scale has its choices."""

from __future__ import annotations

import pytest

from backend.rubrics import (
    Multi,
    Rubric,
    chosen_options,
    find_rubric,
    library_names,
    parse_rubric,
)
from dashboard.components.keys import Typed
from dashboard.components.questions import (
    Choice,
    answer_of_digit,
    choice_label,
    choices_of_name,
    next_question,
    set_option,
    toggle_option,
)
from dashboard.views.review.desk.entered import _take_digits
from dashboard.views.review.desk.state import DeskState

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


@pytest.mark.parametrize(
    ("entries", "ratings"),
    [
        ("2 3 Enter 1", {"q": '["a", "b"]', "next": "yes"}),
        ("2 3 2 Enter 2", {"q": '["b"]', "next": "no"}),
        ("1 1", {"q": '["none"]', "next": "yes"}),  # the option that stands alone is the answer
        ("2 9 3", {"q": '["a", "b"]'}),
        ("Enter 2", {"q": '["a"]'}),
        ("@skip:1 2", {"q": '["a"]'}),  # for the reasons of a skip, and not for a question
    ],
)
def test_digits_answer_a_question_of_several_options(
    entries: str, ratings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rubric = parse_rubric(
        "name: r\nguidelines: g\ncriteria: [{name: q, question: Q, scale: multi, alone: none,"
        " options: [{name: none, label: N}, {name: a, label: A}, {name: b, label: B}]},"
        " {name: next, question: N, scale: yes_no}]"
    )
    typed = [Typed(*(e.split(":") if ":" in e else (None, e))) for e in entries.split()]
    monkeypatch.setattr("dashboard.views.review.desk.entered.digits_typed", lambda **_: typed)
    desk = DeskState(queue_id=1)
    _take_digits(desk, rubric)
    assert desk.answer.ratings == ratings
    assert desk.digits_taken == len(typed)


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


def test_two_quick_presses_add_up_and_a_double_click_is_one_press() -> None:
    assert isinstance(MULTI, Multi)
    one, two = "a", "b"
    first = set_option(MULTI, None, name=one, chosen=True)
    assert set_option(MULTI, first, name=one, chosen=True) == first
    assert chosen_options(set_option(MULTI, first, name=two, chosen=True)) == [one, two]
    assert set_option(MULTI, first, name=one, chosen=False) is None
