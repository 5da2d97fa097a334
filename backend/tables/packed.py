"""Columns of many small numbers or marks, kept small: what is read is what was written.

Lists of numbers become bytes, one of which says how: as JSON a number takes about nine bytes, here
two. Nothing is rounded: numbers that the small form does not hold exactly take a larger one. An
empty list is NULL.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, Dialect, LargeBinary
from sqlalchemy.types import TypeDecorator

UNIT = 10_000
"""Log probabilities are kept to four places: whole ten-thousandths, which are exact."""
_JSON = b"j"
_SHORT, _LONG = 1 << 16, 1 << 32


def _unpacked(letter: str, size: int, make: Callable[[int], float]) -> Callable[[bytes], list[Any]]:
    def read(body: bytes) -> list[Any]:
        found = struct.unpack(f"<{len(body) // size}{letter}", body)
        return list(map(make, found))

    return read


_READERS: Mapping[bytes, Callable[[bytes], list[Any]]] = {
    b"u": _unpacked("H", 2, lambda n: -n / UNIT),
    b"U": _unpacked("I", 4, lambda n: -n / UNIT),
    b"d": _unpacked("d", 8, lambda x: x),
    b"f": _unpacked("H", 2, float),
    b"i": _unpacked("H", 2, lambda n: n),
    _JSON: lambda body: list(json.loads(body)),
}
"""By the first byte, how the others are read: ten-thousandths below 0, doubles, whole numbers that
are floats or ints, JSON."""


def unpack(packed: bytes | None) -> list[Any]:
    """The numbers or texts of a packed list."""
    if not packed:
        return []
    return _READERS[packed[:1]](packed[1:])


def _packed(mark: bytes, letter: str, values: Sequence[float]) -> bytes:
    return mark + struct.pack(f"<{len(values)}{letter}", *values)


def _as_json(values: Sequence[Any]) -> bytes:
    return _JSON + json.dumps(list(values), ensure_ascii=False).encode()


def pack_logprobs(values: Sequence[Any]) -> bytes | None:
    """Log probabilities in two bytes each where they have four places and are above -6.5536."""
    if not values:
        return None
    if set(map(type, values)) != {float}:
        return _as_json(values)
    try:
        units = [round(-value * UNIT) for value in values]
    except (ValueError, OverflowError):  # not finite
        return _packed(b"d", "d", values)
    if min(units) < 0 or [-n / UNIT for n in units] != [*values]:
        return _packed(b"d", "d", values)
    most = max(units)
    if most < _SHORT:
        return _packed(b"u", "H", units)
    return _packed(b"U", "I", units) if most < _LONG else _packed(b"d", "d", values)


def pack_stats(values: Sequence[Any]) -> bytes | None:
    """Statistics: small whole numbers in two bytes each, others in eight, texts as JSON."""
    if not values:
        return None
    kinds = set(map(type, values))
    if kinds == {float}:
        if all(0 <= value < _SHORT and value.is_integer() for value in values):
            return _packed(b"f", "H", [int(value) for value in values])
        return _packed(b"d", "d", values)
    if kinds == {int} and min(values) >= 0 and max(values) < _SHORT:
        return _packed(b"i", "H", values)
    return _as_json(values)


def to_four_places(packed: bytes) -> bytes:
    """Packed log probabilities as they are stored: rounded to four places where they have more."""
    if packed[:1] in (b"", b"u", b"U"):
        return packed
    return pack_logprobs([round(value, 4) for value in unpack(packed)]) or b""


class _Packed(TypeDecorator[list[Any]]):
    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> list[Any]:
        return unpack(value)


class PackedLogprobs(_Packed):
    """Log probabilities of tokens, as `pack_logprobs` keeps them; bytes are taken as packed."""

    cache_ok = True

    def process_bind_param(self, value: list[Any] | bytes | None, dialect: Dialect) -> bytes | None:
        return value or None if isinstance(value, bytes) else pack_logprobs(value or ())


class PackedStats(_Packed):
    """Sufficient statistics, as `pack_stats` keeps them."""

    cache_ok = True

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> bytes | None:
        return pack_stats(value or ())


_MARK = ("start", "end", "reason", "kind")
_ERASED = {"start", "end", "kind"}


class Marks(TypeDecorator[list[Any]]):
    """Marked parts of a text, {"start", "end", "reason", "kind"} each, kept without the names.

    What has other fields is kept as it is. No mark is NULL. Of a text that was erased the reason is
    gone (`erasure.columns`), and is read as an empty one.
    """

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> list[Any] | None:
        return [_unnamed(mark) for mark in value] if value else None

    def process_result_value(self, value: list[Any] | None, dialect: Dialect) -> list[Any]:
        return [_named(mark) for mark in value or ()]


def _unnamed(mark: Any) -> Any:
    if isinstance(mark, dict) and tuple(mark) == _MARK:
        return list(mark.values())
    return mark


def _named(mark: Any) -> Any:
    if isinstance(mark, list):
        return dict(zip(_MARK, mark, strict=True))
    if isinstance(mark, dict) and mark.keys() == _ERASED:
        return {**dict.fromkeys(_MARK, ""), **mark}
    return mark


def is_json(kind: object) -> bool:
    """Whether a column of this type holds JSON that can be searched as text."""
    return isinstance(kind, JSON | Marks)


def is_packed(kind: object) -> bool:
    """Whether a column of this type holds bytes that stand for a list."""
    return isinstance(kind, _Packed)
