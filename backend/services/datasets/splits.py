"""Splitting by group: no group, no prompt and no near-duplicate ever stands on both sides.

Examples that share a group or the text of their prompt, or that were found to be near-duplicates,
are one block; blocks are shuffled by the seed and each goes to the split that lacks most of its
share.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Sequence

from backend.errors import InvalidInput
from backend.tables.datasets import Split


def assign_splits(
    keys: Sequence[tuple[str | None, str]],
    *,
    seed: int,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    linked: Iterable[tuple[int, int]] = (),
) -> list[Split]:
    """Choose a split for each example.

    Args:
        keys: (group or None, content digest) of each example.
        fractions: shares of train, validation and test; they sum to 1.
        linked: pairs of indexes that have to stay together.

    Returns:
        A split for each example, in the order given.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise InvalidInput(f"Split shares {fractions} do not sum to 1.", hint="Try 0.8 0.1 0.1.")
    blocks = connected_blocks(keys, linked)
    # Large blocks first, so that the small ones can even the shares out.
    random.Random(seed).shuffle(blocks)
    blocks.sort(key=len, reverse=True)
    wanted = {split: share * len(keys) for split, share in zip(Split, fractions, strict=True)}
    result: list[Split] = [Split.TRAIN] * len(keys)
    for block in blocks:
        split = max(wanted, key=lambda name: wanted[name])
        wanted[split] -= len(block)
        for index in block:
            result[index] = split
    return result


def connected_blocks(
    keys: Sequence[tuple[str | None, str]], linked: Iterable[tuple[int, int]]
) -> list[list[int]]:
    """Indexes that have to stay together, arguments as `assign_splits`."""
    parent = list(range(len(keys)))

    def root_of(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[Hashable, int] = {}
    for index, (group, digest) in enumerate(keys):
        for key in (("prompt", digest), *((("group", group),) if group is not None else ())):
            other = first.setdefault(key, index)
            parent[root_of(index)] = root_of(other)
    for one, other in linked:
        parent[root_of(one)] = root_of(other)
    blocks: dict[int, list[int]] = {}
    for index in range(len(keys)):
        blocks.setdefault(root_of(index), []).append(index)
    return list(blocks.values())
