"""Figures that one process has computed, kept by a digest of everything that they depend on.

A bootstrap takes seconds and reading what goes into it milliseconds: whoever asks for a figure
reads its rows anew, and computes only when they are not the rows of a figure that is kept. So a
figure of rows that have changed since is never shown. Knows nothing of what a figure is.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

MOST = 4096
"""Figures kept; one takes one to two kilobytes."""

T = TypeVar("T")
Key = tuple[Hashable, ...]


def digest_of(*parts: object) -> str:
    """SHA-256 of what Python writes of plain values: texts, numbers, None, tuples, lists, dicts.

    Not for rows of SQLAlchemy, of which it writes only the beginning.
    """
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@dataclass(slots=True)
class KeptFigures:
    """The figures of one server process; the one not asked for the longest goes first.

    Several threads may use it. Two that ask for the same figure at once both compute it.

    Attributes:
        most: how many are kept.
        computed: how many were computed so far, because they were not kept.
    """

    most: int = MOST
    computed: int = 0
    _found: OrderedDict[Key, Any] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, key: Key, compute: Callable[[], T]) -> T:
        """What was computed under this key, now or before; what raises is not kept."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                kept: T = self._found[key]
                return kept
        made = compute()
        with self._lock:
            self.computed += 1
            self._found[key] = made
            while len(self._found) > self.most:
                self._found.popitem(last=False)
        return made

    def clear(self) -> None:
        """Keep nothing of before."""
        with self._lock:
            self._found.clear()

    def __len__(self) -> int:
        return len(self._found)
