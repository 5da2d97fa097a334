"""Rows end to end: each has the logits that it has alone, and bases that cannot are left as they
are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from training import attention
from training.attention import lay_end_to_end, pass_bounds, take_rows_apart

LENGTHS = [7, 1, 12, 3]
SHAPE: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,  # several heads share keys
}


def padded(lengths: Sequence[int], *, seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    ids = torch.randint(1, 64, (len(lengths), max(lengths)))
    mask = (torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]).long()
    return {
        "input_ids": ids * mask,
        "attention_mask": mask,
        "labels": ids.masked_fill(mask == 0, -100),
    }


@pytest.mark.parametrize(
    ("lengths", "most", "bounds"),
    [
        ([5], 10, [(0, 1)]),
        ([5, 5, 1], 10, [(0, 2), (2, 3)]),
        ([20, 3, 3], 10, [(0, 1), (1, 3)]),  # a longer row is not cut
        ([3, 20, 3], 10, [(0, 1), (1, 2), (2, 3)]),
        ([5, 5, 1], None, [(0, 3)]),
    ],
)
def test_passes_hold_whole_rows_in_order(
    lengths: list[int], most: int | None, bounds: list[tuple[int, int]]
) -> None:
    assert pass_bounds(lengths, most) == bounds


def test_no_row_is_predicted_from_the_one_before_it() -> None:
    (one,) = lay_end_to_end(padded(LENGTHS), most=None)
    assert one["input_ids"].shape == (1, sum(LENGTHS))
    assert one["cu_seq_lens_q"].tolist() == [0, 7, 8, 20, 23]
    assert [int(one["labels"][0, start]) for start in (0, 7, 8, 20)] == [-100] * 4
    assert int((one["labels"] != -100).sum()) == sum(LENGTHS) - len(LENGTHS)


def test_what_fills_a_pass_up_is_a_row_of_its_own_that_teaches_nothing() -> None:
    batch = padded(LENGTHS) | {"weight": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    (one,) = lay_end_to_end(batch, most=None, multiple=16)
    assert one["cu_seq_lens_q"].tolist() == [0, 7, 8, 20, 23, 32]
    assert one["labels"][0, 23:].tolist() == [-100] * 9
    assert one["position_ids"][0, 23:].tolist() == list(range(9))
    assert one["weight"][0].tolist() == [1.0] * 7 + [2.0] + [3.0] * 12 + [4.0] * 3 + [0.0] * 9


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_logits_are_those_of_each_row_alone(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE)).to(dtype).eval()
    batch = padded(LENGTHS)
    rows = [batch["input_ids"][i, :n][None] for i, n in enumerate(LENGTHS)]
    with torch.no_grad():
        alone = torch.cat([model(input_ids=row).logits for row in rows], dim=1)
        assert take_rows_apart(model)
        (laid,) = lay_end_to_end(batch, most=None)
        found = model(**{name: value for name, value in laid.items() if name != "labels"}).logits
        still_padded = model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).logits
    close = 1e-5 if dtype is torch.float32 else 0.02
    torch.testing.assert_close(found, alone, rtol=0, atol=close)
    torch.testing.assert_close(still_padded[2, :12], alone[0, 8:20], rtol=0, atol=close)


def test_attention_is_computed_in_float32_of_bases_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[torch.dtype, int]] = []

    def spied(module: Any, query: torch.Tensor, *given: Any, **kwargs: Any) -> Any:
        seen.append((query.dtype, query.shape[2]))
        return sdpa_attention_forward(module, query, *given, **kwargs)

    model = LlamaForCausalLM(LlamaConfig(**SHAPE)).bfloat16()
    assert take_rows_apart(model)
    monkeypatch.setattr(attention, "sdpa_attention_forward", spied)
    (laid,) = lay_end_to_end(padded(LENGTHS), most=None)
    with torch.autocast("cpu", torch.bfloat16):
        model(**{name: value for name, value in laid.items() if name != "labels"})
    assert seen == [(torch.float32, length) for length in LENGTHS] * 2  # of each layer


@pytest.mark.parametrize(
    "model",
    [
        lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=64)),
        lambda: Qwen2ForCausalLM(
            Qwen2Config(**SHAPE, layer_types=["full_attention", "sliding_attention"])
        ),
    ],
    ids=["every layer", "some layers"],
)
def test_a_base_that_sees_a_window_is_left_as_it_is(model: Callable[[], Any]) -> None:
    built = model()
    assert not take_rows_apart(built)
    assert built.config._attn_implementation == "sdpa"


def test_a_base_that_mixes_rows_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets_the_rows(*given: Any, cu_seq_lens_q: Any = None, **kwargs: Any) -> Any:
        return sdpa_attention_forward(*given, **kwargs)

    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE)).train()
    monkeypatch.setattr(attention, "attend_rows_apart", forgets_the_rows)
    assert not take_rows_apart(model)
    assert model.config._attn_implementation == "sdpa"
    assert model.training


def test_a_saved_base_does_not_name_the_attention(tmp_path: Path) -> None:
    model = LlamaForCausalLM(LlamaConfig(**SHAPE))
    assert take_rows_apart(model)
    model.save_pretrained(tmp_path)
    assert attention.NAME not in (tmp_path / "config.json").read_text("utf-8")
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config._attn_implementation == "sdpa"
