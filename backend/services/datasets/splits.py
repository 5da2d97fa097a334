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
from evaluators.statistics.intervals import wilson

Shares = tuple[float, float, float]
SHARES: Shares = (0.8, 0.1, 0.1)


def shares_of(text: str) -> Shares:
    """Shares of train, validation and test from `70/15/15` or `.7/.15/.15`.

    Raises:
        InvalidInput: these are not three numbers from 0 on that sum to 100 or to 1.
    """
    try:
        train, validation, test = (float(part) for part in text.split("/"))
    except ValueError as error:
        raise InvalidInput(f"{text!r} are not three shares.", hint="Try 70/15/15.") from error
    total = train + validation + test
    whole = next((whole for whole in (1.0, 100.0) if abs(total - whole) <= 1e-6 * whole), None)
    if whole is None or min(train, validation, test) < 0:
        raise InvalidInput(
            f"The shares {text} sum to {total:g}, not to 100."
            if whole is None
            else f"A share of {text} is below 0.",
            hint="Try 70/15/15: train, validation, test.",
        )
    return train / total, validation / total, test / total


def what_a_test_shows(examples: int, groups: int) -> str:
    """How wide an interval of a rate near a half would be on a test split of this size.

    Half the 95% interval of Wilson (1927) at a rate of .5; the wider figure is for examples of a
    group that are all right or all wrong together, so that groups are what counts.
    """
    if not examples:
        return "There is no test example: no model can be judged on this."

    def half(n: int) -> float:
        low, high = wilson(n / 2, n)
        return (high - low) / 2

    many = f"{examples} test example{'s' if examples != 1 else ''}"
    told = f"With {many} a rate has an interval of about ±{half(examples):.2f}"
    if 0 < groups < examples:
        told += f"; ±{half(groups):.2f} if each of the {groups} groups answers as one"
    return f"{told}."


def assign_splits(
    keys: Sequence[tuple[str | None, str]],
    *,
    seed: int,
    fractions: Shares = SHARES,
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
        raise InvalidInput(f"Split shares {fractions} do not sum to 1.", hint="Try .7, .15, .15.")
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
