"""Whether an adapter was made for this base: every pair of matrices fits the module it changes.

Read from the headers of the base's files, so names and shapes are those of the checkpoint: a head
that is tied to the embeddings is not in it, a quantised weight is packed, and a wrapper (a model
that sees, an older library) puts another prefix before the same layers. Tensors of the adapter that
stand in the place of the base's own are declared (`modules_to_save`) or are the base's own again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.engines.adapters.folders import AdapterFolder, LoraPair, read_json_object
from backend.errors import InvalidInput, raised_as
from training.config import TrainingError
from training.weights.tensors import Tensor, model_tensors, same_values

# What may stand before the layers of a language model, and never before those of another tower.
_WRAPPERS = frozenset(
    {"backbone", "base_model", "gpt_neox", "language_model", "model", "text_model", "transformer"}
)
HEADS = frozenset({"lm_head", "embed_out", "output"})
_EMBEDDINGS = frozenset({"embed_tokens", "wte", "embed_in", "word_embeddings", "tok_embeddings"})
_BITS = 32  # of the words into which AWQ and GPTQ pack


@dataclass(frozen=True, slots=True)
class _Base:
    """A base's tensors: by name, and by the name without what is put before it."""

    tensors: Mapping[str, Tensor]
    plain: Mapping[str, list[str]]
    settings: Mapping[str, Any]

    def of(self, module: str) -> dict[str, Tensor]:
        """The tensors of a module, by what follows its name: weight, bias, qweight."""
        stems = [module] if f"{module}.weight" in self.tensors else []
        stems = stems or self.plain.get(_unwrapped(module), [])
        if not stems and module.rpartition(".")[2] in HEADS:
            stems = [s for found in self.plain.values() for s in found if _is_embedding(s)]
        found: dict[str, Tensor] = {}
        for stem in stems:
            found |= {
                part: self.tensors[f"{stem}.{part}"]
                for part in _PARTS
                if f"{stem}.{part}" in self.tensors
            }
        return found

    @property
    def bits(self) -> int:
        """Bits of a packed weight."""
        found = (self.settings.get("quantization_config") or {}).get("bits")
        return found if isinstance(found, int) and found > 0 else 4


_PARTS = ("weight", "bias", "qweight", "weight_packed")


def _is_embedding(stem: str) -> bool:
    return stem.rpartition(".")[2] in _EMBEDDINGS


def is_head_or_embedding(module: str) -> bool:
    """Whether a module, by its name, turns tokens into vectors or vectors into tokens."""
    return module.rpartition(".")[2] in HEADS | _EMBEDDINGS


def is_tied(folder: Path) -> bool:
    """Whether the head of a base is its embedding, so that its files hold one of the two."""
    modules = {name.rpartition(".")[0] for name in model_tensors(folder)}
    return not any(module.rpartition(".")[2] in HEADS for module in modules)


def _unwrapped(name: str) -> str:
    parts = name.split(".")
    while len(parts) > 1 and parts[0] in _WRAPPERS:
        parts.pop(0)
    return ".".join(parts)


def _read_base(folder: Path) -> _Base:
    with raised_as(InvalidInput, TrainingError):
        tensors = model_tensors(folder)
    plain: dict[str, list[str]] = {}
    for name in tensors:
        stem = name.rpartition(".")[0]
        known = plain.setdefault(_unwrapped(stem), [])
        if stem not in known:
            known.append(stem)
    return _Base(tensors, plain, read_json_object(folder / "config.json"))


def check_fits_base(adapter: AdapterFolder, folder: Path) -> None:
    """Check that every tensor of the adapter fits the base in this folder.

    Raises:
        InvalidInput: one does not, and is named; or a whole tensor that the configuration does not
            declare differs from the base's own.
    """
    base = _read_base(folder)
    if adapter.soft_prompt is not None:
        _check_width(adapter, base, adapter.soft_prompt)
    for pair in adapter.pairs:
        _check_pair(adapter, base, pair)
    for name, tensor in adapter.whole.items():
        _check_whole(adapter, base, name, tensor)


def _check_width(adapter: AdapterFolder, base: _Base, vectors: Tensor) -> None:
    text = base.settings.get("text_config") or {}
    width = base.settings.get("hidden_size") or text.get("hidden_size")
    if vectors.shape[1] != width:
        raise InvalidInput(
            f"The adapter {adapter.path.name} was made for another base model: its vectors have "
            f"the width {vectors.shape[1]}, the base's {width}.",
            hint=f"It names {_named_base(adapter)}; register it with that base.",
        )


def _check_pair(adapter: AdapterFolder, base: _Base, pair: LoraPair) -> None:
    found = base.of(pair.module)
    size = (pair.inputs, pair.outputs) if pair.is_embedding else (pair.outputs, pair.inputs)
    if found and any(_fits(base, part, tensor, size, adapter) for part, tensor in found.items()):
        return
    has = " and ".join(f"{part} of shape {tensor.shape}" for part, tensor in found.items())
    raise InvalidInput(
        f"The adapter {adapter.path.name} was made for another base model: it changes "
        f"{pair.module[:200]!r} as a weight of shape {size}, the base has "
        f"{has or 'no such module'}.",
        hint=f"It names {_named_base(adapter)}; register it with that base.",
    )


def _fits(
    base: _Base, part: str, tensor: Tensor, size: tuple[int, int], adapter: AdapterFolder
) -> bool:
    """Whether a tensor of the base can be a weight of this size (out, in), packed or not."""
    outputs, inputs = size
    packed = outputs * inputs * base.bits == tensor.count * _BITS
    match part:
        case "weight" if tensor.dtype == "U8":  # bitsandbytes and NVFP4: two numbers a byte
            return 2 * tensor.count == outputs * inputs or tensor.shape == size
        case "weight":
            turned = adapter.config.fan_in_fan_out  # as the convolutions of GPT-2 lie
            return tensor.shape == ((inputs, outputs) if turned else size)
        case "qweight":  # AWQ packs outputs, GPTQ inputs
            return packed and (tensor.shape[0] == inputs or tensor.shape[-1] == outputs)
        case "weight_packed":
            return tensor.shape[0] == outputs and tensor.count * _BITS >= outputs * inputs
        case _:
            return False


def _check_whole(adapter: AdapterFolder, base: _Base, name: str, tensor: Tensor) -> None:
    module, _, part = name.rpartition(".")
    own = base.of(module).get(part)
    last = module.rpartition(".")[2]
    declared = any(
        one in (module, last) or module.endswith("." + one)
        for one in adapter.config.modules_to_save
    )
    if own is None or own.shape != tensor.shape:
        resized = own is not None and (_is_embedding(module) or last in HEADS)
        raise InvalidInput(
            f"The adapter {adapter.path.name} holds {name[:200]!r} of shape {tensor.shape}, the "
            f"base has {'no such tensor' if own is None else own.shape}"
            f"{': it was trained with another vocabulary' if resized else ''}.",
            hint=f"It names {_named_base(adapter)}; register it with the base it was trained on.",
        )
    if not declared and not _is_same(own, tensor):
        raise InvalidInput(
            f"The adapter {adapter.path.name} would replace the base's own {name[:200]!r}, which "
            "its configuration does not declare in modules_to_save.",
            hint="Save it again with save_embedding_layers=False, or declare the module.",
        )


def _is_same(one: Tensor, other: Tensor) -> bool:
    try:
        return same_values(one, other)
    except TrainingError:  # a packed tensor is nothing that an adapter can hold again
        return False


def _named_base(adapter: AdapterFolder) -> str:
    return (adapter.config.base_model_name_or_path or "no base")[:200]
