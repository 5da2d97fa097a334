"""When a reviewer found an output wrong: one rule, read from words or chosen by the rubric.

    mark                any error is marked        mark:unsupported,contradicted   of these kinds
    correction          the output was corrected   verdict<pass, faithful=no, quality<=2

By default the first question of the rubric that is a verdict (below pass), else its first yes or no
question (no), else any marked error where the rubric names kinds of them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backend.errors import InvalidInput
from backend.rubrics import VERDICTS, CheckedAnswer, Criterion, Rubric

_COMPARED = re.compile(r"([a-z][a-z0-9_]*)\s*(<=|>=|<|>|=)\s*(\S.*)")
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
HINT = "Write mark, mark:KIND,KIND, correction, or CRITERION<=2, such as verdict<pass."
MARK, CORRECTION = "mark", "correction"


@dataclass(frozen=True, slots=True)
class Said:
    """What one review says of an output, as far as the rule may look."""

    answers: dict[str, CheckedAnswer]
    marks: frozenset[str]
    corrected: bool


@dataclass(frozen=True, slots=True)
class WrongRule:
    """When a review counts as finding the output wrong.

    Attributes:
        criterion: None for a rule on marks or on a correction.
        kinds: of marked errors; empty for any.
    """

    text: str
    criterion: str | None = None
    sign: str = "="
    bound: str = ""
    kinds: tuple[str, ...] = ()

    def fits(self, rubric: Rubric) -> bool:
        """Whether a rubric asks what the rule looks at."""
        if self.criterion is not None:
            return any(c.name == self.criterion for c in rubric.criteria)
        return not self.kinds or not rubric.span_kinds or bool({*self.kinds} & {*rubric.span_kinds})

    def finds_wrong(self, said: Said) -> bool | None:
        """Whether the review found the output wrong; None where it does not say."""
        if self.criterion is not None:
            answer = said.answers.get(self.criterion)
            return None if answer is None else self._compare(answer)
        if self.text == CORRECTION:
            return said.corrected
        return bool(said.marks & {*self.kinds}) if self.kinds else bool(said.marks)

    def _compare(self, answer: CheckedAnswer) -> bool | None:
        if (bound := _number(self.bound)) is None:
            return answer.value == self.bound
        return None if answer.number is None else _SIGNS[self.sign](answer.number, bound)


def _number(text: str) -> float | None:
    """A bound as a number; a verdict's word is its number."""
    if text in VERDICTS:
        return VERDICTS[text]
    try:
        return float(text)
    except ValueError:
        return None


def parse_wrong(text: str) -> WrongRule:
    """Read a rule.

    Raises:
        InvalidInput: it cannot be read.
    """
    said = text.strip()
    if said in (MARK, CORRECTION):
        return WrongRule(said)
    if said.startswith(f"{MARK}:"):
        kinds = tuple(kind.strip() for kind in said.removeprefix(f"{MARK}:").split(","))
        if not all(kinds):
            raise InvalidInput(f"{text[:80]!r} names a kind that is empty.", hint=HINT)
        return WrongRule(f"{MARK}:{','.join(kinds)}", kinds=kinds)
    found = _COMPARED.fullmatch(said)
    if found is None:
        raise InvalidInput(f"{text[:80]!r} does not say when an output is wrong.", hint=HINT)
    criterion, sign, bound = found.groups()
    if sign != "=" and _number(bound) is None:
        raise InvalidInput(f"{bound[:40]!r} in {text[:80]!r} is no number.", hint=HINT)
    return WrongRule(f"{criterion}{sign}{bound}", criterion, sign, bound)


def check_wrong(rule: WrongRule, rubrics: Sequence[Rubric]) -> None:
    """Check that at least one rubric asks what the rule looks at.

    Raises:
        InvalidInput: none does; the hint names what they ask.
    """
    if rubrics and not any(rule.fits(rubric) for rubric in rubrics):
        asked = sorted({c.name for rubric in rubrics for c in rubric.criteria})
        kinds = sorted({kind for rubric in rubrics for kind in rubric.span_kinds})
        raise InvalidInput(
            f"No rubric of these reviews asks for {rule.text}.",
            hint=f"They ask: {', '.join(asked) or 'nothing'}; marks: {', '.join(kinds) or 'any'}.",
        )


def usual_rule(rubric: Rubric) -> WrongRule | None:
    """The rule that a rubric suggests, None where it suggests none."""
    chosen = _first(rubric, "verdict") or _first(rubric, "yes_no")
    if chosen is not None:
        return parse_wrong(f"{chosen.name}{'<pass' if chosen.scale == 'verdict' else '=no'}")
    return WrongRule(MARK) if rubric.span_kinds else None


def _first(rubric: Rubric, scale: str) -> Criterion | None:
    return next((c for c in rubric.criteria if c.scale == scale and c.required), None)
