"""Work over blocks that may be done elsewhere: by `map`, or by what is given in its place.

`map` does it here, block after block. What the backend gives instead has other processes or
machines do it, and gives the same results in the same order; blocks are cut alike, so that no
figure depends on where it was computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Spread(Protocol):
    """As `map` of one iterable; work, blocks and results can be pickled."""

    def __call__(
        self, work: Callable[[Sequence[Item]], Result], blocks: Iterable[Sequence[Item]], /
    ) -> Iterator[Result]: ...


def cut(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Blocks of so many items, in order; the last may have fewer."""
    return [items[start : start + size] for start in range(0, len(items), size)]
