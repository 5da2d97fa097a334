"""Known answers: what one may say, and whether somebody's answer meets it. Pure.

As JSON, the way a file gives it and the database keeps it:

    {"ratings": {"faithful": "no", "quality": 2}, "tolerance": {"quality": 1}}
    {"winner": "a"}                                    a, b, tie, both_bad; for blind pairs

Only what it names is judged. An answer agrees when it is the same; within `tolerance` for stars,
verdicts and numbers. Words are not judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from backend.errors import InvalidInput
from backend.rubrics import (
    CheckedAnswer,
    Number,
    Rubric,
    Stars,
    Text,
    Verdict,
    validate_answer,
)
from backend.services.review.quality.item_agreement import WINNER, distance
from backend.tables.review import QueueKind, Winner

PARTS = ("ratings", "tolerance", "winner")
DECIDED = (Winner.A, Winner.B, Winner.TIE, Winner.BOTH_BAD)


def check_known(rubric: Rubric, kind: str, content: object) -> dict[str, Any]:
    """The known answer as it is stored.

    Raises:
        InvalidInput: it names nothing that can be judged, or does not fit rubric or kind.
        UnknownName: a criterion that the rubric does not have.
    """
    if not isinstance(content, Mapping) or not set(content) <= set(PARTS):
        raise InvalidInput(
            "A known answer has the parts ratings, tolerance and winner.",
            hint='For example {"ratings": {"faithful": "no"}}, or {"winner": "a"} for a pair.',
        )
    ratings = _checked_ratings(rubric, content.get("ratings") or {})
    known: dict[str, Any] = {
        "ratings": ratings,
        "tolerance": _checked_tolerance(rubric, ratings, content.get("tolerance") or {}),
    }
    winner = content.get("winner")
    if winner is not None:
        known["winner"] = _checked_winner(kind, winner)
    if not ratings and winner is None:
        raise InvalidInput(
            "The known answer says nothing that can be judged.",
            hint="Name the vote." if kind == QueueKind.PAIR else "Name at least one rating.",
        )
    return known


def _checked_ratings(rubric: Rubric, given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise InvalidInput("The known ratings are answers by the name of their criterion.")
    ratings = {}
    for name, value in given.items():
        criterion = rubric.criterion(str(name))
        if isinstance(criterion, Text):
            raise InvalidInput(
                f"{name!r} is answered in words, which no known answer can judge.",
                hint="Say it in the explanation.",
            )
        checked = validate_answer(criterion, value)
        if checked is None:
            raise InvalidInput(f"The known answer to {name!r} is empty.", hint="Leave it out.")
        ratings[str(name)] = checked.value
    return ratings


def _checked_tolerance(
    rubric: Rubric, ratings: Mapping[str, str], given: object
) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise InvalidInput("The tolerance is a number by the name of a criterion.")
    for name, width in given.items():
        ordered = name in ratings and isinstance(rubric.criterion(name), Stars | Verdict | Number)
        number = isinstance(width, int | float) and not isinstance(width, bool)
        if not ordered or not number or not (math.isfinite(width) and width >= 0):
            raise InvalidInput(
                f"There can be no tolerance of {str(width)[:40]!r} for {str(name)[:80]!r}.",
                hint="Give a number from 0 on, for stars, verdicts and numbers that are judged.",
            )
    return {str(name): float(width) for name, width in given.items()}


def _checked_winner(kind: str, winner: object) -> str:
    if kind != QueueKind.PAIR:
        raise InvalidInput("A single output takes no vote.", hint="Name ratings.")
    if winner not in list(DECIDED):
        raise InvalidInput(
            f"{str(winner)[:40]!r} is no known vote.", hint=f"Use {', '.join(DECIDED)}."
        )
    return str(winner)


def compare_with_known(
    rubric: Rubric, known: Mapping[str, Any], said: Mapping[str, CheckedAnswer]
) -> dict[str, bool]:
    """Which parts of a known answer somebody's answers meet; a vote is under `winner`."""
    tolerance: Mapping[str, float] = known.get("tolerance", {})
    met = {
        name: _meets(rubric, name, value, said.get(name), tolerance.get(name, 0.0))
        for name, value in known.get("ratings", {}).items()
    }
    if (winner := known.get("winner")) is not None:
        met[WINNER] = WINNER in said and said[WINNER].value == winner
    return met


def _meets(
    rubric: Rubric, name: str, value: str, said: CheckedAnswer | None, tolerance: float
) -> bool:
    criterion = rubric.criterion(name)
    expected = validate_answer(criterion, value)
    if said is None or expected is None:
        return False
    if expected.number is not None and said.number is not None:
        return abs(said.number - expected.number) <= tolerance + 1e-9
    return distance(criterion, expected, said) == 0.0
