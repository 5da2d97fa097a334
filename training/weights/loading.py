"""The model that a training moves: a base with an adapter on it, or all weights of the base.

Says in one sentence what cannot be loaded, does not fit, or would not fit into memory. Imports
torch, transformers and PEFT inside its functions.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.config import TrainingConfig, TrainingError, Weights
from training.divergence import require_magnitudes
from training.weights.digest import ADAPTER_FILES
from training.weights.tensors import read_tensors, require_finite

PACKS = "support_avx512bf16_for_cpu"  # of bitsandbytes' Linear4bit
FULL_BYTES = 16  # a weight, its gradient and AdamW's two moments, four bytes each


def check_quantization(config: TrainingConfig) -> None:
    """Raise TrainingError where the base model cannot be held in 4 bits."""
    import importlib.util

    if config.quantize is not None and importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError(
            "4-bit training needs the package bitsandbytes (0.49 or later without a GPU).",
            hint="Leave out quantize to train on the whole base model.",
        )


def load_model(config: TrainingConfig, base: Path, dtype: Any) -> Any:
    """The base with a fresh adapter or the one to go on from; with `weights: full`, all weights.

    Args:
        dtype: of the base under an adapter; weights that are trained are held in float32.

    Raises:
        TrainingError: something cannot be loaded, or does not fit the configuration or the memory.
    """
    if config.weights is Weights.FULL:
        return _load_full(config, base)
    model = _load_base(config, base, dtype)
    if config.weights is Weights.PROMPT_TUNING:
        adapted = _add_soft_prompt(model, config)
    elif config.start_from is None:
        with _refusal(config.base_model):
            adapted = _add_adapter(model, config)
    else:
        adapted = _continue_adapter(model, config, config.start_from)
    require_magnitudes(adapted)
    adapted.peft_config["default"].base_model_name_or_path = config.base_model
    return adapted


@contextmanager
def _refusal(part: str) -> Iterator[None]:
    """What the libraries cannot load, as one sentence."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainingError(f"{part} cannot be loaded for training: {reason}") from error


def _load_base(config: TrainingConfig, base: Path, dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM

    with _refusal(config.base_model):
        model = AutoModelForCausalLM.from_pretrained(
            base,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            **_quantization(config, dtype),
        )
    keep_differentiable(model)
    return model


def keep_differentiable(model: Any) -> None:
    """Keep bitsandbytes from laying 4-bit weights out for answering only.

    On a processor with AVX512-BF16 it does so at the first pass in evaluation, as when a training
    measures what it will forget, and never back: the kernel of that layout has no gradient, and the
    training goes on without one, with no error (bitsandbytes 0.50).
    """
    for module in model.modules():
        if hasattr(module, PACKS):
            setattr(module, PACKS, False)


def _load_full(config: TrainingConfig, base: Path) -> Any:
    import torch

    start = config.start_from
    if start is None:
        _require_memory(config.base_model, base)
        return _load_base(config, base, torch.float32)
    if (start / ADAPTER_FILES[0]).is_file():
        raise TrainingError(
            f"{start} is an adapter, and weights: full goes on from a whole model.",
            hint="Leave out start_from, or train with weights: lora.",
        )
    _require_same_architecture(start, base)
    _require_memory(str(start), start)
    return _load_base(config, start, torch.float32)


def _require_same_architecture(start: Path, base: Path) -> None:
    """Training may go on from weights of the base's own shape and no others."""
    ours, theirs = weight_shapes(base), weight_shapes(start)
    if ours != theirs:
        name = min(n for n in ours.keys() | theirs.keys() if ours.get(n) != theirs.get(n))
        raise TrainingError(
            f"{start} is not of the base's architecture: {name} has shape {theirs.get(name)}, "
            f"in the base {ours.get(name)}.",
            hint="Go on from a model that was trained from this base.",
        )


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of a model folder, from the headers of its files."""
    from safetensors import safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with _refusal(str(folder)), safe_open(file, framework="np") as tensors:
            names = tensors.keys()
            shapes |= {name: tuple(tensors.get_slice(name).get_shape()) for name in names}
    return shapes


def _require_memory(name: str, folder: Path) -> None:
    count = sum(math.prod(shape) for shape in weight_shapes(folder).values())
    where, room = _memory()
    if count * FULL_BYTES > room:
        raise TrainingError(
            f"{name} has {count / 1e6:.0f} million weights; to train all of them takes "
            f"{count * FULL_BYTES / 1e9:.0f} GB before any activation, and {where} has "
            f"{room / 1e9:.0f} GB.",
            hint="Train an adapter: weights: lora.",
        )


def _memory() -> tuple[str, int]:
    """Where the weights will lie, and its bytes in all."""
    import torch

    if torch.cuda.is_available():
        return "the GPU", int(torch.cuda.get_device_properties(0).total_memory)
    return "this machine", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _continue_adapter(model: Any, config: TrainingConfig, start: Path) -> Any:
    from peft import PeftModel

    require_finite(read_tensors(start / ADAPTER_FILES[1]), f"The adapter {start.name}")
    with _refusal(str(start)):
        adapted = PeftModel.from_pretrained(
            model, str(start), is_trainable=True, local_files_only=True
        )
    _check_same_shape(config, adapted.peft_config["default"])
    return adapted


def _quantization(config: TrainingConfig, dtype: Any) -> dict[str, Any]:
    if config.quantize is None:
        return {}
    from transformers import BitsAndBytesConfig

    bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": bits}


def _add_adapter(model: Any, config: TrainingConfig) -> Any:
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    shape = LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=config.lora.target_modules,
        use_rslora=config.lora.rslora,
        use_dora=config.lora.dora,
        task_type="CAUSAL_LM",
    )
    if config.quantize is not None:
        model = prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=config.gradient_checkpointing
        )
    return get_peft_model(model, shape)


def _add_soft_prompt(model: Any, config: TrainingConfig) -> Any:
    from peft import PromptTuningConfig, PromptTuningInit, get_peft_model

    shape = PromptTuningConfig(
        num_virtual_tokens=config.prompt_tuning.tokens,
        prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, shape)


def _check_same_shape(config: TrainingConfig, theirs: Any) -> None:
    lora = config.lora
    wanted = (lora.rank, lora.alpha, lora.rslora, lora.dora)
    found = (theirs.r, theirs.lora_alpha, bool(theirs.use_rslora), bool(theirs.use_dora))
    if wanted != found:
        raise TrainingError(
            f"{config.start_from} has rank, alpha, rslora and dora {found}, "
            f"the configuration says {wanted}.",
            hint="Write the adapter's own under lora.",
        )
