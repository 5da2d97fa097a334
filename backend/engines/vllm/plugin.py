"""A plugin of vLLM: on a CPU, requests without an adapter are answered by the base alone.

vLLM loads it in each of its processes (entry point `vllm.general_plugins`), so nothing here is
imported by Strop itself. vLLM 0.32 marks a row without an adapter by the slot -1, which its CPU
operations read as the last adapter slot (vllm-project/vllm#48421): once that slot was ever filled,
the base answers with an adapter's weights. Slots fill one by one, as unloading frees none. Here
such rows leave the first product of an adapter as zeros, so that the second adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Shrink = Callable[..., None]


def register() -> None:
    """Called by vLLM; may be called again. Does nothing where the platform is no CPU."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    from vllm.lora.ops.torch_ops import lora_ops
    from vllm.lora.punica_wrapper import punica_cpu

    if not hasattr(lora_ops.bgmv_shrink, "rows_without_adapter"):
        kept = keep_rows_without_adapter(lora_ops.bgmv_shrink)
        lora_ops.bgmv_shrink = punica_cpu.bgmv_shrink = kept


def keep_rows_without_adapter(shrink: Shrink) -> Shrink:
    """The same operation, but a row of slot -1 becomes zeros.

    `shrink` takes inputs (rows, hidden), weights (slots, 1, rank, hidden), output (rows, rank),
    slots (rows,), and a scale; it writes the output in place.
    """

    def bgmv_shrink(inputs: Any, weights: Any, output: Any, slots: Any, *scale: Any) -> None:
        shrink(inputs, weights, output, slots, *scale)
        output.masked_fill_((slots < 0)[:, None], 0)

    bgmv_shrink.rows_without_adapter = True  # type: ignore[attr-defined]
    return bgmv_shrink
