"""Adapters of one base merged into one, by PEFT's weighted merges; and an adapter into its base.

What each merge computes is PEFT's to say (`add_weighted_adapter`); here stands what they need, and
what is written: a plain LoRA adapter that is scaled by 1, or a whole model. Imports torch,
transformers and PEFT inside its functions.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.weights.digest import TOKENIZER_FILES

# Whether a method takes a density: the share of each adapter's values that it keeps. Those that
# end in svd, and cat, take adapters of different ranks.
MERGES: dict[str, bool] = {
    "svd": False, "cat": False, "linear": False, "ties": True, "ties_svd": True,
    "dare_linear": True, "dare_linear_svd": True, "dare_ties": True, "dare_ties_svd": True,
    "magnitude_prune": True, "magnitude_prune_svd": True,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Merge:
    """How adapters are merged; `seed` draws what the dare methods keep."""

    method: str = "svd"
    density: float = 0.5
    seed: int = 0


def merge_adapters(
    base: Path, parts: Sequence[tuple[Path, float]], folder: Path, *, merge: Merge, named_base: str
) -> None:
    """Write the weighted merge of adapters of a base into a folder.

    Args:
        parts: folder and weight of each adapter.
        named_base: the base as the configuration is to name it.

    Raises:
        TrainingError: PEFT cannot merge them so, as where a method needs one rank.
    """
    import torch

    model = _load(base, [path for path, _ in parts])
    density = {"density": merge.density} if MERGES[merge.method] else {}
    with torch.random.fork_rng():
        torch.manual_seed(merge.seed)
        try:
            model.add_weighted_adapter(
                adapters=[_inner(n) for n in range(len(parts))],
                weights=[weight for _, weight in parts],
                adapter_name=_MERGED,
                combination_type=merge.method,
                svd_full_matrices=False,  # the same vectors, of which only the first are kept
                **density,
            )
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise TrainingError(
                f"These adapters cannot be merged by {merge.method}: {reason}",
                hint="Adapters of different ranks merge by svd or cat.",
            ) from error
    # PEFT takes the rest of the shape from the first adapter: its scale would be wrong by the root
    # of the rank where that one is of rsLoRA.
    shape = replace(model.peft_config[_MERGED], use_rslora=False, init_lora_weights=True)
    shape.base_model_name_or_path = named_base
    model.peft_config[_MERGED] = shape
    model.save_pretrained(folder, selected_adapters=[_MERGED], save_embedding_layers=False)
    for file in (folder / _MERGED).iterdir():
        file.rename(folder / file.name)
    shutil.rmtree(folder / _MERGED)


_MERGED = "merged"


def _inner(number: int) -> str:
    return f"part{number}"


def _load(base: Path, folders: Sequence[Path]) -> Any:
    """A base, in its own precision, with adapters beside each other; the first is active."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base, dtype="auto", use_safetensors=True, local_files_only=True
        )
        adapted = PeftModel.from_pretrained(model, str(folders[0]), adapter_name=_inner(0))
        for number, folder in enumerate(folders[1:], start=1):
            adapted.load_adapter(str(folder), adapter_name=_inner(number))
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainingError(f"The adapters cannot be loaded: {reason}") from error
    return adapted.eval()


def merge_into_base(base: Path, adapter: Path, folder: Path) -> str:
    """Write a base with an adapter in its weights, with the base's tokeniser and template.

    The weights keep the base's precision, which is returned, as `bfloat16`.

    Raises:
        TrainingError: they cannot be loaded or merged.
    """
    model = _load(base, [adapter])
    try:
        merged = model.merge_and_unload(safe_merge=True)
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainingError(f"{adapter.name} cannot be merged into its base: {reason}") from error
    merged.save_pretrained(folder)
    for name in (*TOKENIZER_FILES, "chat_template.jinja"):
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
    return str(merged.dtype).removeprefix("torch.")
