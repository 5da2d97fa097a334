"""A key-value cache that grows in blocks instead of being copied for every token.

transformers' own dynamic cache concatenates at each step, which is most of the time that a small
model spends on a CPU. Imported only while a model runs, because it imports torch.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

_BLOCK_TOKENS = 64


def growing_cache(config: Any) -> DynamicCache:
    """An empty cache for a model; layers that are not plain attention keep their own kind."""
    cache = DynamicCache(config=config)
    cache.layers = [
        GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, (rows, heads, tokens, size): views on larger buffers."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the new states and return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._buffers = (key_states.new_empty(0), value_states.new_empty(0))
            self._tokens = 0
        first, self._tokens = self._tokens, self._tokens + key_states.shape[-2]
        if self._buffers[0].numel() == 0 or self._tokens > self._buffers[0].shape[-2]:
            self._buffers = (
                self._grown(self._buffers[0], key_states, first),
                self._grown(self._buffers[1], value_states, first),
            )
        self._buffers[0][..., first : self._tokens, :] = key_states
        self._buffers[1][..., first : self._tokens, :] = value_states
        return self._show()

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep only these rows."""
        if self.get_seq_length() > 0:
            self._buffers = (self._buffers[0][indices], self._buffers[1][indices])
            self._show()

    def _grown(self, old: torch.Tensor, new: torch.Tensor, written: int) -> torch.Tensor:
        rows, heads, _, size = new.shape
        larger = new.new_empty((rows, heads, self._tokens + _BLOCK_TOKENS, size))
        if written:
            larger[..., :written, :] = old[..., :written, :]
        return larger

    def _show(self) -> tuple[torch.Tensor, torch.Tensor]:
        self.keys = self._buffers[0][..., : self._tokens, :]
        self.values = self._buffers[1][..., : self._tokens, :]
        return self.keys, self.values
