"""What became of drafts, counted: reasons, the share that was kept, and how varied they are.

Distinct-n is the number of different runs of n words over the number of all (Li et al. 2016, "A
Diversity-Promoting Objective Function for Neural Conversation Models").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from backend.services.datasets.plain_text import plain_text
from backend.services.synthetic.sifting import DUPLICATES, DropReason
from backend.tables.synthetic import Draft
from evaluators.statistics.intervals import wilson


def count_drafts(drafts: Sequence[Draft]) -> dict[str, Any]:
    """The figures of a drafting, JSON-serialisable; shares with Wilson's 95% interval.

    `repeats` is the share of the readable drafts that repeat a training row or another draft.
    """
    reasons = Counter(draft.reason for draft in drafts if draft.reason is not None)
    kept = [draft for draft in drafts if draft.reason is None]
    unread = (DropReason.FAILED, DropReason.MALFORMED, DropReason.EMPTY)
    readable = sum(draft.reason not in unread for draft in drafts)
    told = [f"{draft.input or ''} {draft.answer or ''}" for draft in kept]
    return {
        "drafted": len(drafts),
        "kept": share(len(kept), len(drafts)),
        "dropped": {str(reason): n for reason, n in reasons.most_common()},
        "repeats": share(sum(reasons[reason] for reason in DUPLICATES), readable),
        "unchecked": sum("unchecked" in draft.detail for draft in kept),
        "distinct_1": distinct(told, 1),
        "distinct_2": distinct(told, 2),
    }


def share(count: int, n: int) -> dict[str, Any]:
    """A share with its interval; of nothing there is none."""
    if n == 0:
        return {"count": 0, "n": 0, "value": None, "low": None, "high": None}
    value, low, high = (round(x, 4) for x in (count / n, *wilson(count, n)))
    return {"count": count, "n": n, "value": value, "low": low, "high": high}


def distinct(texts: Sequence[str], length: int) -> float | None:
    """Distinct-n over all texts together; None where no text has so many words."""
    runs: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        words = plain_text(text).split()
        runs.update(tuple(words[at : at + length]) for at in range(len(words) - length + 1))
    return round(len(runs) / runs.total(), 4) if runs else None
