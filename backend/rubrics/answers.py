"""What counts as an answer to a question of a rubric, and how it is stored.

An answer is a text, and a number where the scale has one. Read it through `backend.rubrics`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, assert_never

from backend.errors import InvalidInput
from backend.rubrics.scales import (
    VERDICTS,
    Category,
    Criterion,
    Multi,
    Number,
    Stars,
    Text,
    Verdict,
    YesNo,
)

SHOWN = 40
MOST_DECIMALS = 30


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer as it is stored: its text, and its number where the scale has one."""

    value: str
    number: float | None


def validate_answer(criterion: Criterion, value: object) -> CheckedAnswer | None:
    """Check one answer against its criterion.

    Returns None for an answer left blank (None, white space, nothing chosen) where none is
    required.

    Raises:
        InvalidInput: a required answer is missing, or the answer is not on the scale.
    """
    if _is_blank(criterion, value):
        if criterion.required:
            raise InvalidInput(f"{criterion.question!r} needs an answer.", hint=_allowed(criterion))
        return None
    match criterion:
        case YesNo():
            return _check_yes_no(criterion, value)
        case Verdict():
            return _check_verdict(criterion, value)
        case Stars():
            return _check_stars(criterion, value)
        case Category():
            return _check_category(criterion, value)
        case Multi():
            return _check_multi(criterion, value)
        case Number():
            return _check_number(criterion, value)
        case Text():
            return _check_text(criterion, value)
        case _:
            assert_never(criterion)


def _is_blank(criterion: Criterion, value: object) -> bool:
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    return isinstance(criterion, Multi) and chosen_options(value) == []


def chosen_options(value: object) -> list[str] | None:
    """The options of a `multi` answer, given as a list or as stored; None when it is neither."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        return None
    return list(value)


def value_in_words(value: str) -> str:
    """A stored answer as people read it: the options of a `multi` answer with commas between."""
    options = chosen_options(value)
    return value if options is None else ", ".join(options)


def _allowed(criterion: Criterion) -> str:
    match criterion:
        case YesNo():
            return "Answer yes or no."
        case Verdict():
            return "Answer pass, fail or critical_fail."
        case Stars():
            return f"Give a whole number from 1 to {criterion.n}."
        case Category():
            return "Choose one of: " + ", ".join(option.name for option in criterion.options) + "."
        case Multi():
            return _allowed_multi(criterion)
        case Number():
            return _allowed_number(criterion)
        case Text():
            return f"Write at most {criterion.max_length} characters."
        case _:
            assert_never(criterion)


def _allowed_multi(criterion: Multi) -> str:
    most = "" if criterion.most is None else f" at most {criterion.most}"
    alone = "" if criterion.alone is None else f" {criterion.alone} stands alone."
    return f"Choose{most} of: {', '.join(o.name for o in criterion.options)}.{alone}"


def _allowed_number(criterion: Number) -> str:
    steps = "" if criterion.step is None else f" in steps of {criterion.step:g}"
    unit = f" {criterion.unit}" if criterion.unit else ""
    return f"Give a number from {criterion.min:g} to {criterion.max:g}{unit}{steps}."


def _refuse(criterion: Criterion, value: object) -> InvalidInput:
    shown: Any = value if len(str(value)) <= SHOWN else f"{str(value)[:SHOWN]}..."
    return InvalidInput(
        f"{shown!r} is no answer to {criterion.question!r}.", hint=_allowed(criterion)
    )


def _check_yes_no(criterion: YesNo, value: object) -> CheckedAnswer:
    known = {True: True, False: False, "yes": True, "no": False}
    if not isinstance(value, bool | str) or value not in known:
        raise _refuse(criterion, value)
    yes = known[value]
    return CheckedAnswer("yes" if yes else "no", float(yes))


def _check_verdict(criterion: Verdict, value: object) -> CheckedAnswer:
    if not isinstance(value, str) or value not in VERDICTS:
        raise _refuse(criterion, value)
    return CheckedAnswer(value, VERDICTS[value])


def _check_stars(criterion: Stars, value: object) -> CheckedAnswer:
    text = str(value)
    on_scale = {str(star) for star in range(1, criterion.n + 1)}
    if isinstance(value, bool | float) or text not in on_scale:
        raise _refuse(criterion, value)
    return CheckedAnswer(text, float(text))


def _check_category(criterion: Category, value: object) -> CheckedAnswer:
    if not isinstance(value, str) or value not in {option.name for option in criterion.options}:
        raise _refuse(criterion, value)
    return CheckedAnswer(value, None)


def _check_multi(criterion: Multi, value: object) -> CheckedAnswer:
    known = [option.name for option in criterion.options]
    chosen = chosen_options(value)
    if chosen is None or not set(chosen) <= set(known):
        raise _refuse(criterion, value)
    kept = [name for name in known if name in chosen]
    too_many = criterion.most is not None and len(kept) > criterion.most
    if too_many or (criterion.alone in kept and len(kept) > 1):
        raise _refuse(criterion, value)
    return CheckedAnswer(json.dumps(kept), None)


def _check_number(criterion: Number, value: object) -> CheckedAnswer:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _refuse(criterion, value)
    exact = _decimal(str(value).strip())
    if exact is None or not _on_scale(criterion, exact):
        raise _refuse(criterion, value)
    return CheckedAnswer(f"{exact.normalize():f}" if exact else "0", float(exact) if exact else 0.0)


def _decimal(text: str) -> Decimal | None:
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return None
    exponent = exact.as_tuple().exponent
    return exact if isinstance(exponent, int) and abs(exponent) <= MOST_DECIMALS else None


def _on_scale(criterion: Number, exact: Decimal) -> bool:
    """Decimal, since 0.3 is three steps of 0.1 on paper and not in binary."""
    least, most = Decimal(str(criterion.min)), Decimal(str(criterion.max))
    if not least <= exact <= most:
        return False
    if criterion.step is None:
        return True
    try:
        return (exact - least) % Decimal(str(criterion.step)) == 0
    except InvalidOperation:  # more steps than a Decimal counts
        return False


def _check_text(criterion: Text, value: object) -> CheckedAnswer:
    if not isinstance(value, str) or len(value.strip()) > criterion.max_length:
        raise _refuse(criterion, value)
    return CheckedAnswer(value.strip(), None)
