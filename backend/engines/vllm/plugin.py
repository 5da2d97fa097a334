"""A plugin of vLLM: on a CPU, requests without an adapter are answered by the base alone.

vLLM loads it in each of its processes (entry point `vllm.general_plugins`), so nothing here is
imported by Strop itself. vLLM 0.32 marks a row without an adapter by the slot -1, which its CPU
operations read as the last adapter slot (vllm-project/vllm#48421): once that slot was ever filled,
the base answers with an adapter's weights. Slots fill one by one, as unloading frees none. Here
each of the operations leaves such rows as they were, whatever the last slot holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Operation = Callable[..., None]
OPERATIONS = ("bgmv_shrink", "bgmv_expand", "bgmv_expand_slice")
"""What the others of vLLM's CPU operations are made of; embeddings call the second alone."""


def register() -> None:
    """Called by vLLM; may be called again. Does nothing where the platform is no CPU."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    from vllm.lora.ops.torch_ops import lora_ops
    from vllm.lora.punica_wrapper import punica_cpu

    for name in OPERATIONS:
        if not hasattr(getattr(lora_ops, name), "rows_without_adapter"):
            kept = keep_rows_without_adapter(getattr(lora_ops, name))
            setattr(lora_ops, name, kept)
            setattr(punica_cpu, name, kept)


def keep_rows_without_adapter(operation: Operation) -> Operation:
    """The same operation, but a row of slot -1 stays as it was.

    `operation` takes inputs (rows, in), weights (slots, 1, out, in), output (rows, out), slots
    (rows,), and more; it writes the output in place.
    """

    def kept(inputs: Any, weights: Any, output: Any, slots: Any, *more: Any, **named: Any) -> None:
        without = slots < 0
        before = output.clone() if without.any() else None
        operation(inputs, weights, output, slots, *more, **named)
        if before is not None:
            output.copy_(before.where(without[:, None], output))

    kept.rows_without_adapter = True  # type: ignore[attr-defined]
    return kept
