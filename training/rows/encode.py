"""From the rows of a file to what a trainer takes, and what the tokeniser made of them.

A batch computed in parts of similar length, where rows cannot lie end to end
(`training.attention`): less padding, the same loss and gradient.

Batches whose rows are *drawn* by length pad little, too, but each then holds one kind of text, and
the loss, a mean over the tokens of a batch, weighs short answers more. Here the rows of a batch
stay as the trainer drew them, and only the work on them is parted.

Short rows joined to long ones, so that little is computed on padding.

Best-fit decreasing (Johnson 1974; for language models Ding et al. 2024, arXiv:2404.10830): the
longest row first, each into the fullest row of `max_length` that still has room. No row is cut,
and attention ends where a row ends: the positions of every row begin at 0. Knows nothing of torch.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from training.rows.curriculum import mean_one_weights
from training.rows.data import (
    ChatRow,
    DataError,
    DataReport,
    TokenRow,
    encode_documents,
    encode_rows,
)
from training.rows.preferences import Preference, as_record, fit_rows

if TYPE_CHECKING:
    from training.config import TrainingConfig

_PART_COST = 50  # tokens whose computing takes about as long as one more pass through the model


def part_bounds(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Where to part rows that are sorted by length, so that the least is computed.

    Args:
        lengths: tokens of each row, ascending.

    Returns:
        start and end of each part; each costs its rows times its longest, and one pass.
    """
    least = [0.0]
    starts = [0]
    for end in range(1, len(lengths) + 1):
        costs = [least[start] + (end - start) * lengths[end - 1] for start in range(end)]
        start = min(range(end), key=costs.__getitem__)
        least.append(costs[start] + _PART_COST)
        starts.append(start)
    bounds, end = [], len(lengths)
    while end:
        bounds.append((starts[end], end))
        end = starts[end]
    return bounds[::-1]


def part_batch(inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a batch of tensors, padded on the right, each cut to its longest row."""
    lengths = inputs["attention_mask"].sum(dim=1)
    order = lengths.argsort(stable=True)
    ascending: list[int] = lengths[order].tolist()
    parts = []
    for start, end in part_bounds(ascending):
        rows = order[start:end]
        cut = {name: value[rows] for name, value in inputs.items()}
        longest = ascending[end - 1]
        parts.append({name: v[:, :longest] if v.ndim == 2 else v for name, v in cut.items()})
    return parts


Ends = Collection[int] | None


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a trainer takes.

    Attributes:
        records: one mapping a row: token ids and labels, or answers that TRL tokenises.
        lengths: tokens of each row; None where TRL tokenises.
        groups: what each row belongs to, None where it stands alone as blocks of documents do;
            empty where rows were joined.
    """

    records: list[dict[str, Any]]
    lengths: list[int] | None
    report: DataReport
    groups: list[str | None] = field(default_factory=list)


def encode_answers(
    config: TrainingConfig, rows: list[ChatRow], tokenizer: Any, ends: Ends = None
) -> Encoded:
    """Answers to prompts as token rows; DataError as of `encode_rows`."""
    found = encode_rows(
        rows,
        tokenizer,
        max_length=config.max_length,
        truncate=config.truncate,
        completion_only=config.completion_only,
        first_token_only=config.check is not None,
        ends=ends,
    )
    return _of_tokens(*found)


def encode_texts(
    config: TrainingConfig, rows: list[str], tokenizer: Any, ends: Ends = None
) -> Encoded:
    """Documents as blocks of tokens; DataError as of `encode_documents`."""
    return _of_tokens(*encode_documents(rows, tokenizer, max_length=config.max_length))


def encode_preferences(
    config: TrainingConfig, rows: Sequence[Preference], tokenizer: Any, ends: Ends = None
) -> Encoded:
    """Pairs or labelled answers, which TRL tokenises; DataError as of `fit_rows`."""
    length, cut = config.max_length, config.truncate
    kept, report = fit_rows(rows, tokenizer, max_length=length, truncate=cut, ends=ends)
    return Encoded([as_record(row) for row in kept], None, report, [row.group for row in kept])


def _of_tokens(rows: list[TokenRow], report: DataReport) -> Encoded:
    records: list[dict[str, Any]] = [
        {"input_ids": row.input_ids, "labels": row.labels} for row in rows
    ]
    for record, row, weight in zip(records, rows, mean_one_weights(rows), strict=True):
        record |= {} if weight is None else {"weight": weight}
        record |= {} if row.order is None else {"order": row.order}
    lengths = [len(row.input_ids) for row in rows]
    return Encoded(records, lengths, report, [row.group for row in rows])


def by_length(encoded: Encoded) -> Encoded:
    """The same rows, shortest first: neighbours share a batch, so that less is padded."""
    if encoded.lengths is None:
        return encoded
    order = sorted(range(len(encoded.lengths)), key=encoded.lengths.__getitem__)
    return Encoded(
        [encoded.records[i] for i in order],
        [encoded.lengths[i] for i in order],
        encoded.report,
        [encoded.groups[i] for i in order],
    )


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
