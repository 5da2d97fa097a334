"""Writes the answers to one batch of prompts: greedy or sampled, with the logprob of each token.

A plain loop over a transformers model with a key-value cache. Rows that have ended leave the
batch, and every row draws from random numbers of its own. What holds: the draws of a row depend on
its seed alone, never on its neighbours; the probabilities they are compared with can differ in the
last bits when the padding differs, so that a near tie may fall the other way.

A key-value cache that grows in blocks instead of being copied for every token.

transformers' own dynamic cache concatenates at each step, which is most of the time that a small
model spends on a CPU. Imported only while a model runs, because it imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
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
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
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

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep only these rows."""
        if self.get_seq_length() > 0:
            self._buffers = (self._buffers[0][indices], self._buffers[1][indices])
            self._show()

    def _grown(self, old: Tensor, new: Tensor, written: int) -> Tensor:
        rows, heads, _, size = new.shape
        larger = new.new_empty((rows, heads, self._tokens + _BLOCK_TOKENS, size))
        if written:
            larger[..., :written, :] = old[..., :written, :]
        return larger

    def _show(self) -> tuple[Tensor, Tensor]:
        self.keys = self._buffers[0][..., : self._tokens, :]
        self.values = self._buffers[1][..., : self._tokens, :]
        return self.keys, self.values


_WORTH_COPYING = 0.75  # share of rows still writing at which the ended ones are dropped


@dataclass(frozen=True, slots=True)
class DecodedText:
    """What a model wrote: token ids with the ending token, and their natural-log probabilities."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stopped: bool


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a batch is decoded. `seeds` holds one seed a row and is unused at temperature 0."""

    max_tokens: int
    temperature: float
    top_p: float
    seeds: Sequence[int]
    stop_ids: frozenset[int]
    pad_id: int


def write_answers(
    model: Any, prompts: Sequence[Sequence[int]], decoding: Decoding
) -> list[DecodedText]:
    """Answer prompts of token ids (none empty), in their order."""
    with torch.inference_mode():
        batch = _Batch(model, prompts, decoding)
        for step in range(decoding.max_tokens):
            batch.write_token(step)
            if not batch.rows:
                break
    return [
        DecodedText(tuple(ids), tuple(logprobs), stopped=bool(ids) and ids[-1] in decoding.stop_ids)
        for ids, logprobs in zip(batch.ids, batch.logprobs, strict=True)
    ]


def next_logprobs(model: Any, prompt: Sequence[int], *, top: int) -> list[tuple[int, float]]:
    """The `top` likeliest next tokens of a prompt, (id, natural log), likeliest first."""
    with torch.inference_mode():
        ids = torch.tensor([list(prompt)], device=model.device)
        logits = model(input_ids=ids, logits_to_keep=1).logits[0, -1].float()
        found = torch.log_softmax(logits, dim=-1).topk(min(top, logits.shape[-1]))
    return list(zip(found.indices.tolist(), found.values.tolist(), strict=True))


class _Batch:
    """The rows that are still being written, with their cache."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], decoding: Decoding) -> None:
        self.model = model
        self.decoding = decoding
        self.ids: list[list[int]] = [[] for _ in prompts]
        self.logprobs: list[list[float]] = [[] for _ in prompts]
        self.rows = list(range(len(prompts)))  # the request that each row of the tensors answers
        self.cache = growing_cache(model.config)
        width = max(len(prompt) for prompt in prompts)
        padded = [[decoding.pad_id] * (width - len(p)) + list(p) for p in prompts]
        mask = [[0] * (width - len(p)) + [1] * len(p) for p in prompts]
        self.input_ids = torch.tensor(padded, device=model.device)
        self.mask = torch.tensor(mask, device=model.device)
        self.positions = (self.mask.cumsum(-1) - 1).clamp(min=0)
        self.draws = _draw_uniforms(decoding) if decoding.temperature > 0 else None

    def write_token(self, step: int) -> None:
        """One forward pass: append a token to every row, drop the rows that ended."""
        out = self.model(
            input_ids=self.input_ids,
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits = out.logits[:, -1].float()
        chosen = self._choose(logits, step)
        logprobs = torch.log_softmax(logits, dim=-1).gather(-1, chosen[:, None])[:, 0]
        going = self._record(chosen.tolist(), logprobs.tolist())
        self.input_ids = chosen[:, None]
        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], dim=-1)
        self.positions = self.positions[:, -1:] + 1
        self._compact(going)

    def _choose(self, logits: Tensor, step: int) -> Tensor:
        if self.draws is None:
            return logits.argmax(-1)
        draws = self.draws[self.rows, step].to(logits.device)
        return _sample(logits / self.decoding.temperature, self.decoding.top_p, draws)

    def _record(self, chosen: list[int], logprobs: list[float]) -> list[int]:
        going = []
        for position, row in enumerate(self.rows):
            if self.ids[row] and self.ids[row][-1] in self.decoding.stop_ids:
                continue
            self.ids[row].append(chosen[position])
            self.logprobs[row].append(logprobs[position])
            if chosen[position] not in self.decoding.stop_ids:
                going.append(position)
        return going

    def _compact(self, going: list[int]) -> None:
        """Drop ended rows once there are enough of them to pay for copying the cache."""
        if len(going) > _WORTH_COPYING * len(self.rows):
            return
        self.rows = [self.rows[position] for position in going]
        if not going:
            return
        kept = torch.tensor(going, device=self.input_ids.device)
        self.cache.batch_select_indices(kept)
        self.input_ids, self.mask = self.input_ids[kept], self.mask[kept]
        self.positions = self.positions[kept]


def _draw_uniforms(decoding: Decoding) -> Tensor:
    """Uniform draws of shape (rows, max_tokens), each row from a generator of its own seed."""
    return torch.stack(
        [
            torch.rand(decoding.max_tokens, generator=torch.Generator().manual_seed(seed))
            for seed in decoding.seeds
        ]
    )


def _sample(logits: Tensor, top_p: float, draws: Tensor) -> Tensor:
    """Inverse-CDF sampling of the nucleus: (rows, vocabulary) logits, (rows,) draws -> (rows,)."""
    probabilities, order = torch.softmax(logits, dim=-1).sort(dim=-1, descending=True)
    outside = probabilities.cumsum(-1) - probabilities >= top_p
    outside[:, 0] = False
    kept = probabilities.masked_fill(outside, 0.0).cumsum(-1)
    target = draws[:, None] * kept[:, -1:]
    index = torch.searchsorted(kept, target, right=True).clamp(max=kept.shape[-1] - 1)
    return order.gather(-1, index)[:, 0]
