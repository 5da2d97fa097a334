"""A model behind a soft prompt: vectors that prompt tuning learned, before every prompt.

PEFT holds no soft prompt beside LoRA adapters on one model, so the base is called here with the
vectors in front, as PEFT's own model calls it. Imported only while a model runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from backend.engines.adapters.folders import SOFT_PROMPT, WEIGHTS_FILE


def read_soft_prompt(folder: Path) -> Any:
    """The vectors of an adapter's folder: (number, width)."""
    return load_file(folder / WEIGHTS_FILE)[SOFT_PROMPT]


class SoftPrompted:
    """A network whose prompts begin with vectors; it is called as the network itself.

    Masks and positions count the prompt's tokens alone, padding on the left.
    """

    def __init__(self, network: Any, vectors: Any) -> None:
        self._network = network
        self._vectors = vectors.to(network.device, network.get_input_embeddings().weight.dtype)
        self.config = network.config
        self.device = network.device

    def __call__(
        self,
        *,
        input_ids: Any,
        attention_mask: Any = None,
        position_ids: Any = None,
        past_key_values: Any = None,
        **options: Any,
    ) -> Any:
        """The next logits; the vectors are computed with the prompt, and then are in the cache."""
        begins = past_key_values is None or past_key_values.get_seq_length() == 0
        asked: dict[str, Any] = {"input_ids": input_ids}
        if begins:
            asked = {"inputs_embeds": self._before(self._network.get_input_embeddings()(input_ids))}
        if attention_mask is not None:
            asked["attention_mask"] = self._ones_before(attention_mask)
        if position_ids is not None:
            asked["position_ids"] = self._moved(position_ids, begins=begins)
        return self._network(**asked, past_key_values=past_key_values, **options)

    def _before(self, embedded: Any) -> Any:
        vectors = self._vectors[None].expand(len(embedded), -1, -1)
        return torch.cat([vectors, embedded], dim=1)

    def _ones_before(self, mask: Any) -> Any:
        return torch.cat([mask.new_ones(len(mask), len(self._vectors)), mask], dim=1)

    def _moved(self, positions: Any, *, begins: bool) -> Any:
        moved = positions + len(self._vectors)
        if not begins:
            return moved
        first = torch.arange(len(self._vectors), device=positions.device)
        return torch.cat([first[None].expand(len(positions), -1), moved], dim=1)
