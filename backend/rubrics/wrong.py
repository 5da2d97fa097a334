"""When an answer says that an output is wrong: a statement of criteria, read from one line.

    marked                         an error was marked, or the text corrected
    faithful=no                    this answer to a criterion; `a|b` for either
    quality<3, problem!=none       below or above a number; any other answer

Several, separated by commas, mean any of them; where a scale takes several options, one that is
named is enough. Values and pure functions.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backend.errors import InvalidInput, UnknownName
from backend.rubrics import CheckedAnswer, Criterion, Rubric, VerdictScale, chosen_options

MARKED = "marked"
MOST_CHARACTERS = 500
_PART = re.compile(r"([a-z][a-z0-9_]*)\s*(!=|<=|>=|=|<|>)\s*(.+)")
_ORDERS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class _ConditionPart:
    criterion: str
    sign: str
    values: tuple[str, ...]

    def holds(self, answer: CheckedAnswer) -> bool:
        if (order := _ORDERS.get(self.sign)) is not None:
            return answer.number is not None and order(answer.number, float(self.values[0]))
        given = chosen_options(answer.value) if answer.value.startswith("[") else None
        meets = bool(set(given or [answer.value]) & set(self.values))
        return meets is (self.sign == "=")


@dataclass(frozen=True, slots=True)
class WrongWhen:
    """Which answers say that an output is wrong.

    Attributes:
        text: as it was written; `parse_wrong` reads it back.
        marked: a marked error or a correction says so.
    """

    text: str
    marked: bool
    parts: tuple[_ConditionPart, ...]

    @property
    def criteria(self) -> tuple[str, ...]:
        """The criteria that it asks about."""
        return tuple(dict.fromkeys(part.criterion for part in self.parts))

    def judge(self, ratings: Mapping[str, CheckedAnswer], *, marked: bool) -> bool | None:
        """Whether a review says that its output is wrong; None where it does not say.

        Args:
            ratings: the stored answers by criterion.
            marked: whether the review marks an error, or corrects the text.
        """
        if self.marked and marked:
            return True
        given = [part for part in self.parts if part.criterion in ratings]
        if any(part.holds(ratings[part.criterion]) for part in given):
            return True
        return False if self.marked or len(given) == len(self.parts) else None


def parse_wrong(text: str) -> WrongWhen:
    """The statement that a line means.

    Raises:
        InvalidInput: it cannot be read.
    """
    pieces = [piece.strip() for piece in text.split(",") if piece.strip()]
    if not pieces or len(text) > MOST_CHARACTERS:
        raise InvalidInput("Nothing says which answers count as wrong.", hint=_FORM)
    parts = tuple(_part(piece) for piece in pieces if piece != MARKED)
    return WrongWhen(",".join(pieces), MARKED in pieces, parts)


_FORM = "Write it as marked, faithful=no, verdict=fail|critical_fail or quality<3."


def _part(piece: str) -> _ConditionPart:
    found = _PART.fullmatch(piece)
    if found is None:
        raise InvalidInput(f"{piece[:80]!r} says of no answer that it is wrong.", hint=_FORM)
    criterion, sign, value = found.groups()
    values = tuple(one.strip() for one in value.split("|"))
    if not all(values):
        raise InvalidInput(f"{piece[:80]!r} names an empty answer.", hint=_FORM)
    if sign in _ORDERS and (len(values) > 1 or not re.fullmatch(r"-?\d+(\.\d+)?", values[0])):
        raise InvalidInput(f"{piece[:80]!r} compares with no number.", hint=_FORM)
    return _ConditionPart(criterion, sign, values)


def default_wrong(rubric: Rubric) -> WrongWhen:
    """Where nothing is stated: a marked error, a correction, or a verdict that is no pass."""
    verdicts = [one.name for one in rubric.criteria if isinstance(one, VerdictScale)]
    return parse_wrong(",".join([MARKED, *(f"{name}!=pass" for name in verdicts)]))


def check_wrong(when: WrongWhen, rubric: Rubric) -> None:
    """Refuse a statement on which this rubric says nothing.

    Raises:
        UnknownName: a criterion that it does not ask.
        InvalidInput: an answer that its scale does not take, or a bound on a scale without numbers.
    """
    known = {criterion.name: criterion for criterion in rubric.criteria}
    for part in when.parts:
        if part.criterion not in known:
            raise UnknownName("criterion", part.criterion, known)
        _check_values(part, known[part.criterion])


def _check_values(part: _ConditionPart, criterion: Criterion) -> None:
    if part.sign in _ORDERS:
        if not criterion.has_number:
            raise InvalidInput(f"Answers to {criterion.name} have no number to compare.")
        return
    there = {str(choice.value) for choice in criterion.choices()}
    if there and (lacking := [value for value in part.values if value not in there]):
        raise InvalidInput(
            f"{lacking[0]!r} is no answer to {criterion.name}.", hint=criterion.allowed()
        )
