"""When a replayed answer is right: equality after normalisation, or a metric with a bound."""

from __future__ import annotations

import pytest

from backend.errors import InvalidInput
from backend.services.curation import FixedRule, parse_fixed_rule
from backend.services.yields.outcomes import AnswerToJudge, JudgedAnswer, judge_answers
from backend.tables.datasets import Example

EXAMPLE = Example(external_id="e", input="say", context="The bill is EUR 10.90", references=["x"])


def judge(rule: str, answer: str, *accepted: str) -> JudgedAnswer:
    [judged] = judge_answers(
        parse_fixed_rule(rule), [AnswerToJudge(EXAMPLE, answer, accepted)]
    ).judged
    return judged


@pytest.mark.parametrize(
    ("answer", "accepted", "right"),
    [
        ("The bill is EUR 10.", ("The bill is EUR 10.",), True),
        ("  the BILL\nis  EUR 10", ("The bill is EUR 10.",), True),
        ("The bill is EUR ten", ("The bill is EUR 10.",), False),
        ("ﬁne", ("fine",), True),
        ("second", ("first", "Second."), True),
        ("", ("fine",), False),
        ("the bill", ("The bill is EUR 10.",), False),
    ],
)
def test_equality_is_after_normalisation(
    answer: str, accepted: tuple[str, ...], right: bool
) -> None:
    assert judge("equal", answer, *accepted) == JudgedAnswer(right)


@pytest.mark.parametrize(
    ("rule", "answer", "right"),
    [
        ("token_f1>=0.8", "the bill is EUR 10", True),
        ("token_f1>=0.8", "the bill", False),
        ("exact_match>=1", "bill is EUR 10", True),
        ("invented<=0", "It is EUR 10.90", True),
        ("invented<=0", "It is EUR 99.90", False),
    ],
)
def test_a_metric_has_a_bound(rule: str, answer: str, right: bool) -> None:
    assert judge(rule, answer, "the bill is EUR 10").right is right


def test_the_signature_holds_metric_and_bound() -> None:
    asked = [AnswerToJudge(EXAMPLE, "a", ("a",))]
    equal, metric = (
        judge_answers(parse_fixed_rule(rule), asked).signature
        for rule in ("equal", "token_f1>=0.8")
    )
    assert equal.startswith("equal|strop:1|")
    assert metric.startswith("token_f1|strop:")
    assert metric.endswith("|right:token_f1>=0.8")


def test_what_a_metric_cannot_judge_is_neither_right_nor_wrong() -> None:
    blank = Example(external_id="e", input="say", context=None, references=[])
    rule = FixedRule(metric="grounding", at_least=1)
    [judged] = judge_answers(rule, [AnswerToJudge(blank, "EUR 5", ("EUR 5",))]).judged
    assert judged == JudgedAnswer(None, "no source to check against")


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(InvalidInput, match="token_f2"):
        judge("token_f2>=0.5", "a", "a")


@pytest.mark.parametrize("text", ["", "equals", "equal>=1", "token_f1", "token_f1>0.5", "f1>=x"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_fixed_rule(text)


@pytest.mark.parametrize("text", ["equal", "token_f1>=0.9", "invented<=0"])
def test_a_rule_is_read_and_written(text: str) -> None:
    assert str(parse_fixed_rule(text)) == text
