"""A batch computed in parts of similar length: less padding, the same loss and gradient.

Batches whose rows are *drawn* by length pad little, too, but each then holds one kind of text, and
the loss, a mean over the tokens of a batch, weighs short answers more. Here the rows of a batch
stay as the trainer drew them, and only the work on them is parted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
