"""Which answers say that an output is wrong: read from a line, judged, refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from backend.errors import InvalidInput, UnknownName
from backend.rubrics import CheckedAnswer, find_rubric, validate_answers
from backend.rubrics.wrong import check_wrong, default_wrong, parse_wrong

TELECOM = find_rubric("telecom_desk")
GOOD = {"faithful": "yes", "quality": 5, "problem": "none"}


def answers(**changes: object) -> Mapping[str, CheckedAnswer]:
    return validate_answers(TELECOM, {**GOOD, **changes})


@pytest.mark.parametrize(
    ("text", "changes", "marked", "wrong"),
    [
        ("marked", {}, True, True),
        ("marked", {"faithful": "no"}, False, False),
        ("faithful=no", {"faithful": "no"}, False, True),
        ("faithful=no", {}, True, False),
        ("faithful=no", {}, False, False),
        ("quality<3", {"quality": 2}, False, True),
        ("quality<3", {"quality": 3}, False, False),
        ("quality<=3", {"quality": 3}, False, True),
        ("quality>4", {"quality": 5}, False, True),
        ("quality>=5", {"quality": 4}, False, False),
        ("problem!=none", {"problem": "invented_fact"}, False, True),
        ("problem!=none", {}, False, False),
        ("problem=invented_fact|wrong_fact", {"problem": "invented_fact"}, False, True),
        ("faithful=no, quality<3", {"quality": 1}, False, True),
        ("faithful=no,marked", {}, True, True),
        ("faithful=no,marked", {}, False, False),
    ],
)
def test_answers_are_judged(
    text: str, changes: dict[str, object], marked: bool, wrong: bool
) -> None:
    assert parse_wrong(text).judge(answers(**changes), marked=marked) is wrong


def test_an_answer_that_was_not_given_says_nothing() -> None:
    assert parse_wrong("faithful=no").judge({}, marked=True) is None
    assert parse_wrong("faithful=no,marked").judge({}, marked=False) is False
    only = {"faithful": CheckedAnswer("yes", 1.0)}
    assert parse_wrong("faithful=no,quality<3").judge(only, marked=False) is None
    low = {"quality": CheckedAnswer("1", 1.0)}
    assert parse_wrong("faithful=no,quality<3").judge(low, marked=False) is True


def test_of_several_options_one_is_enough() -> None:
    several = {"problem": CheckedAnswer('["tone", "invented"]', None)}
    assert parse_wrong("problem=invented").judge(several, marked=False) is True
    assert parse_wrong("problem!=invented").judge(several, marked=False) is False


@pytest.mark.parametrize(
    "text", ["", " , ", "faithful", "faithful=", "quality<good", "quality<1|2", "=no", "x" * 600]
)
def test_what_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_wrong(text)


def test_a_statement_fits_the_rubric() -> None:
    check_wrong(parse_wrong("faithful=no,quality<3,problem!=none,marked"), TELECOM)
    with pytest.raises(UnknownName, match="faithfull"):
        check_wrong(parse_wrong("faithfull=no"), TELECOM)
    with pytest.raises(InvalidInput, match="nope"):
        check_wrong(parse_wrong("faithful=nope"), TELECOM)
    with pytest.raises(InvalidInput, match="no number"):
        check_wrong(parse_wrong("problem<3"), TELECOM)


def test_a_verdict_counts_where_nothing_is_stated() -> None:
    assert default_wrong(TELECOM).text == "marked"
    clinical = find_rubric("summary_faithfulness")
    stated = default_wrong(clinical)
    assert stated.text == "marked,verdict!=pass"
    assert stated.judge({"verdict": CheckedAnswer("fail", 0.0)}, marked=False) is True
    check_wrong(stated, clinical)
