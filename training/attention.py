"""Rows laid end to end without padding, each attending to itself alone, on a processor.

Kernels that take such a batch at once (FlashAttention's) are for GPUs. On a processor one mask over
the whole batch would be computed, which costs the square of its length, so the attention of each
row is computed apart, and everything else of the model once, over real tokens only. In float32 also
where the model is in bfloat16: its backward pass took 1.3 to 3 times as long in bfloat16 for rows
of up to 370 tokens, 1/1.1 for 900 (torch 2.13, one core with AVX512-BF16). Imports torch and
transformers: imported only by a process that is about to train.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from training.rows.data import IGNORED

NAME = "rows_apart"
_PROBE = (5, 3)  # tokens of the rows by which a base is tried
_LIKE = 0.05  # logits of bfloat16 differ by .01 between shapes, those of mixed rows by .3 and more


def attend_rows_apart(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    cu_seq_lens_q: torch.Tensor | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one layer; of rows end to end where `cu_seq_lens_q` says where each begins.

    Args:
        query: shape (batch, heads, tokens, size), as key and value; the batch is 1 of such rows.
        cu_seq_lens_q: starts of the rows and the end of the last, as FlashAttention takes them;
            None for batches with a mask, which go to torch's kernel as they are.
    """
    if cu_seq_lens_q is None:
        found = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        return cast(tuple[torch.Tensor, None], found)
    lengths = cu_seq_lens_q.diff().tolist()
    parts = [one.float().split(lengths, dim=2) for one in (query, key, value)]
    with torch.autocast("cpu", enabled=False):
        rows = [
            sdpa_attention_forward(module, *row, None, **kwargs)[0]
            for row in zip(*parts, strict=True)
        ]
    return torch.cat(rows, dim=1).to(query.dtype), None


def take_rows_apart(model: PreTrainedModel) -> bool:
    """Have a model compute rows end to end; False, and nothing changed, where it cannot.

    It can where every layer sees the whole row and hands on what is said of the rows: two short
    rows must have the same logits together as alone.
    """
    config = model.config.get_text_config()
    if config._attn_implementation != "sdpa" or _sees_a_window(config):
        return False
    AttentionInterface.register(NAME, attend_rows_apart)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    if _keeps_rows_apart(model):
        return True
    model.set_attn_implementation("sdpa")
    return False


def lay_end_to_end(
    inputs: dict[str, Any], *, most: int | None, multiple: int = 1
) -> list[dict[str, Any]]:
    """The rows of a batch one behind the other, none padded, in passes through the model.

    Args:
        inputs: padded on the right, or joined as TRL's collator joins packed rows; `weight`, shape
            (rows,), may be there.
        most: tokens of a pass, so that memory does not grow with the batch; a longer row has a
            pass of its own. None is one pass.
        multiple: that the tokens of each pass are filled up to, by a row that nothing is learnt of.

    Returns:
        of each pass `input_ids`, `labels` and, where there was one, `weight`, shape (1, tokens),
        and where the rows lie. The first label of a row is ignored: no row is predicted from the
        one before it.
    """
    rows = _split_rows(inputs)
    bounds = pass_bounds([len(row["input_ids"]) for row in rows], most)
    return [_join(_fill_up(rows[start:end], multiple)) for start, end in bounds]


def pass_bounds(lengths: Sequence[int], most: int | None) -> list[tuple[int, int]]:
    """Start and end of passes of at most so many tokens, or of one row, in the rows' order."""
    bounds, start, tokens = [], 0, 0
    for end, length in enumerate(lengths):
        if most is not None and end > start and tokens + length > most:
            bounds.append((start, end))
            start, tokens = end, 0
        tokens += length
    return [*bounds, (start, len(lengths))]


def _split_rows(inputs: dict[str, Any]) -> list[dict[str, torch.Tensor]]:
    ids, labels = inputs["input_ids"], inputs["labels"].clone()
    if "attention_mask" in inputs:
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        pairs = [(ids[i, :n], labels[i, :n]) for i, n in enumerate(lengths)]
    else:
        lengths = inputs["cu_seq_lens_q"].diff().tolist()
        pairs = list(zip(ids[0].split(lengths), labels[0].split(lengths), strict=True))
    rows = [{"input_ids": row, "labels": label} for row, label in pairs]
    for number, row in enumerate(rows):
        row["labels"][0] = IGNORED
        if "weight" in inputs:
            row["weight"] = inputs["weight"][number].expand(lengths[number])
    return rows


def _fill_up(rows: list[dict[str, torch.Tensor]], multiple: int) -> list[dict[str, torch.Tensor]]:
    missing = -sum(len(row["input_ids"]) for row in rows) % multiple
    filling = {"input_ids": 0, "labels": IGNORED, "weight": 0}
    row = {name: row.new_full((missing,), filling[name]) for name, row in rows[0].items()}
    return [*rows, row] if missing else rows


def _join(rows: list[dict[str, torch.Tensor]]) -> dict[str, Any]:
    joined = {name: torch.cat([row[name] for row in rows])[None] for name in rows[0]}
    return joined | _places([len(row["input_ids"]) for row in rows])


def _places(lengths: Sequence[int]) -> dict[str, Any]:
    """Where rows lie; the mask hides nothing, and keeps transformers from making one of its own
    over the whole pass."""
    starts = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    return {
        "attention_mask": torch.ones(1, sum(lengths), dtype=torch.long),
        "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
        "cu_seq_lens_q": starts,
        "cu_seq_lens_k": starts,
        "max_length_q": max(lengths),
        "max_length_k": max(lengths),
    }


def _sees_a_window(config: Any) -> bool:
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:
        return set(kinds) != {"full_attention"}
    return getattr(config, "sliding_window", None) is not None


def _keeps_rows_apart(model: PreTrainedModel) -> bool:
    ids = torch.arange(sum(_PROBE))[None] % model.config.get_text_config().vocab_size
    was_training = model.training
    model.eval()
    with torch.no_grad():
        alone = [model(input_ids=row, use_cache=False).logits for row in ids.split(_PROBE, dim=1)]
        together = model(input_ids=ids, use_cache=False, **_places(_PROBE)).logits
    model.train(was_training)
    apart = torch.cat(alone, dim=1).float()
    return bool((together.float() - apart).norm() <= _LIKE * apart.norm())
