"""Short rows joined to long ones, so that little is computed on padding.

Best-fit decreasing (Johnson 1974; for language models Ding et al. 2024, arXiv:2404.10830): the
longest row first, each into the fullest row of `max_length` that still has room. No row is cut,
and attention ends where a row ends: the positions of every row begin at 0. Knows nothing of torch.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Any

from training.rows.data import DataError
from training.rows.encode import Encoded

_KEYS = {"input_ids", "labels"}


def pack(encoded: Encoded, *, max_length: int) -> Encoded:
    """The same rows, joined; `seq_lengths` of a record tells where they part.

    Raises:
        DataError: rows have a weight or a place, which a joined row cannot have.
    """
    if encoded.lengths is None or encoded.records[0].keys() - _KEYS:
        raise DataError(
            "packing cannot be combined with rows that have a weight or a place of their own.",
            hint="Leave out packing, or freeze the set without weights and order.",
        )
    bins = fill_bins(encoded.lengths, max_length)
    records = [_join([encoded.records[i] for i in rows]) for rows in bins]
    return Encoded(records, [len(record["input_ids"]) for record in records], encoded.report)


def fill_bins(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Indices of the rows of each bin; the same lengths give the same bins."""
    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (tokens left, bin), least room first
    for row in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        at = bisect_left(room, (lengths[row], -1))
        left, chosen = room.pop(at) if at < len(room) else (size, len(bins))
        if chosen == len(bins):
            bins.append([])
        bins[chosen].append(row)
        insort(room, (left - lengths[row], chosen))
    return bins


def _join(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    joined = {name: [token for record in records for token in record[name]] for name in _KEYS}
    return {**joined, "seq_lengths": [len(record["input_ids"]) for record in records]}
