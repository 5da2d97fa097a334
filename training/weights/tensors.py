"""What safetensors files hold, read without loading them: names, types, shapes, and whether every
number is finite.

The header is checked by the library's own reader, which takes it for hostile; what is read here
afterwards is inside the file. A file is read in blocks: never more than a few megabytes in memory.
Knows nothing of torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

_BLOCK = 1 << 22  # numbers read at once
# How a type is read, and the bits that are all set in its infinities and NaNs alone: the exponent.
_EXPONENTS = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F8_E5M2": ("u1", 0x7C),
    "F8_E4M3": ("u1", 0x7F),  # has NaN alone, which sets the mantissa, too
    "F8_E8M0": ("u1", 0xFF),
}
_COMPLEX = {"C64": "F32", "C128": "F64"}
_COMPARED = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


class BadWeights(TrainingError):
    """A file of weights cannot be used."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies: `begin` and `end` count bytes from the start of the file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def count(self) -> int:
        """How many numbers it has, as its shape says."""
        return prod(self.shape)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, from its header.

    Raises:
        BadWeights: there is no such file, it is cut short, not safetensors, or holds no tensor.
    """
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        raise BadWeights(f"{file.parent.name} has no {file.name}.", hint=_ONLY_SAFETENSORS)
    try:
        with safe_open(file, framework="np") as opened:
            opened.keys()
        header, begin = _header(file)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise BadWeights(
            f"{file.name} of {file.parent.name} is cut short or is not a safetensors file "
            f"({reason}).",
            hint="Copy or save it again.",
        ) from error
    if not header:
        raise BadWeights(f"{file.name} of {file.parent.name} holds no tensor.", hint=_SAVE_AGAIN)
    return {
        name: Tensor(
            file,
            entry["dtype"],
            tuple(entry["shape"]),
            begin + entry["data_offsets"][0],
            begin + entry["data_offsets"][1],
        )
        for name, entry in header.items()
    }


_ONLY_SAFETENSORS = "Only safetensors are read."
_SAVE_AGAIN = "Save it again."


def _header(file: Path) -> tuple[dict[str, Any], int]:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header: dict[str, Any] = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def model_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a whole model: of all safetensors of its folder that are not an adapter's.

    Raises:
        BadWeights: a file is damaged.
    """
    tensors: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        if not file.name.startswith("adapter_"):
            tensors |= read_tensors(file)
    return tensors


def require_finite(tensors: Mapping[str, Tensor], name: str) -> None:
    """Raise BadWeights, with `name` in the sentence, when a number of a tensor is not finite."""
    bad = [one for one, tensor in tensors.items() if not is_finite(tensor)]
    if bad:
        raise BadWeights(
            f"{name} holds numbers that are not finite, in {len(bad)} of {len(tensors)} tensors "
            f"(the first is {bad[0][:200]!r}).",
            hint="It is what a diverged training leaves; train again with a lower learning rate.",
        )


def is_finite(tensor: Tensor) -> bool:
    """Whether no number is NaN or infinite; integers and types without such are finite."""
    kind = _EXPONENTS.get(_COMPLEX.get(tensor.dtype, tensor.dtype))
    if kind is None:
        return True
    words, mask = np.dtype(kind[0]), kind[1]
    return not any(bool(((block & mask) == mask).any()) for block in _blocks(tensor, words))


def same_values(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of floating numbers hold the same ones, whatever the precision."""
    if one.shape != other.shape:
        return False
    pairs = zip(_floats(one), _floats(other), strict=True)
    return all(bool(np.array_equal(left, right)) for left, right in pairs)


def _floats(tensor: Tensor) -> Iterator[NDArray[Any]]:
    if tensor.dtype == "BF16":  # the upper half of a float32
        for block in _blocks(tensor, np.dtype("<u2")):
            yield (block.astype("<u4") << 16).view("<f4")
    elif tensor.dtype in _COMPARED:
        yield from _blocks(tensor, np.dtype(_COMPARED[tensor.dtype]))
    else:
        raise BadWeights(f"Numbers of the type {tensor.dtype} cannot be compared.")


def _blocks(tensor: Tensor, words: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    with tensor.file.open("rb") as stream:
        stream.seek(tensor.begin)
        left = (tensor.end - tensor.begin) // words.itemsize
        while left:
            block = np.fromfile(stream, words, min(left, _BLOCK))
            if not len(block):
                raise BadWeights(f"{tensor.file.name} was cut short while it was read.")
            left -= len(block)
            yield block
