"""An answer that was written elsewhere, masked beside the example that it answers.

Whoever wrote it was shown the example masked, or as it came. What stands in the masked example is
no secret and stays; what stands in the original gets the surrogate that the example has for it;
everything else gets a surrogate of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from backend.services.datasets.masking.documents import find_identifiers, mask_document
from backend.services.datasets.masking.identifiers.checks import plain_of
from backend.services.datasets.masking.identifiers.dates import find_dates, named_day
from backend.services.datasets.masking.identifiers.shapes import FoundIdentifier, stands_apart
from backend.services.datasets.masking.policy import MaskingPolicy

ANSWER = "answer"
DAYS = ("DATE", "BIRTH_DATE")
LONG = 5  # digits: a shorter number stands by chance, as a pulse, where an example masks another
MOST_LOOKS = 8  # what is kept can lay bare a shorter finding within it


@dataclass(frozen=True, slots=True)
class MaskedExample:
    """An example as masking knows it.

    Attributes:
        masked: its texts by their fields, as they are stored.
        original: the same as they came in; None where that was dropped or its key is not here.
        scope: of its surrogates.
    """

    masked: Mapping[str, str]
    original: Mapping[str, str] | None
    scope: bytes


def mask_answer(text: str, shown: MaskedExample, policy: MaskingPolicy, *, key: bytes) -> str:
    """The answer without identifiers of its own.

    Raises:
        CannotCompute, InvalidInput: as of `mask_document`.
    """
    standing = policy.model_copy(
        update={"allow": (*policy.allow, *_standing(text, shown.masked, policy))}
    )
    # also where the original is masked otherwise today: it tells all the same who is meant
    texts = {**(shown.original or {}), ANSWER: text}
    return mask_document(texts, standing, key=key, scope=shown.scope).texts[ANSWER]


def _standing(text: str, masked: Mapping[str, str], policy: MaskingPolicy) -> tuple[str, ...]:
    """What would be found in the answer, and stands in the masked example too."""
    said = "\n".join(masked.values())
    folded, days = said.casefold(), _days(said)

    @cache
    def numbers() -> frozenset[tuple[str, str]]:
        found = find_identifiers(said, policy, day_first=False)
        return frozenset((one.kind, plain_of(_piece(said, one))) for one in found)

    def stands(one: FoundIdentifier) -> bool:
        piece = _piece(text, one)
        if one.kind == "AGE":
            return False  # masked, nobody is older than 90
        number = not any(map(str.isalpha, piece))
        if number and one.kind not in DAYS and len(plain_of(piece)) < LONG:
            return (one.kind, plain_of(piece)) in numbers()
        return _stands(piece, folded, days)

    kept: list[str] = []
    spans: list[tuple[int, int]] = []
    for _ in range(MOST_LOOKS):
        looking = policy.model_copy(update={"allow": (*policy.allow, *kept)})
        more = [
            one
            for one in find_identifiers(text, looking, day_first=False)
            if any(start <= one.start and one.end <= end for start, end in spans) or stands(one)
        ]
        if not more:
            break
        kept += [_piece(text, one) for one in more]
        spans += [(one.start, one.end) for one in more]
    return tuple(dict.fromkeys(kept))


def _piece(text: str, one: FoundIdentifier) -> str:
    return text[one.start : one.end]


def _stands(piece: str, folded: str, days: frozenset[tuple[int, int, int | None]]) -> bool:
    wanted = piece.casefold()
    place = folded.find(wanted)
    while place >= 0:
        if stands_apart(folded, place, place + len(wanted)):
            return True
        place = folded.find(wanted, place + 1)
    return bool(_days(piece) & days)


def _days(text: str) -> frozenset[tuple[int, int, int | None]]:
    """The days that a text names, however it writes them, read both ways where it is open."""
    return frozenset(
        day
        for first in (True, False)
        for one in find_dates(text, day_first=first)
        if (day := named_day(_piece(text, one), day_first=first)) is not None
    )
