"""A plugin of vLLM: on a CPU, each row of a batch gets the adapter that was asked for it.

vLLM loads it in each of its processes (entry point `vllm.general_plugins`), so nothing here is
imported by Strop itself. vLLM 0.32 marks a row without an adapter by the slot -1, which its CPU
operations read as the last adapter slot (vllm-project/vllm#48421): once that slot was ever filled,
the base answers with an adapter's weights. Slots fill one by one, as unloading frees none. Here
each of the operations leaves such rows as they were, whatever the last slot holds.

Told how likely the tokens of a prompt are (`prompt_logprobs`), vLLM 0.32 gives the output layer a
row for each token and its adapter operations a slot for each request in the batch, and with two
requests the whole server dies (vllm-project/vllm#16668). Here the requests are read one by one, and
all rows of one have its slot.

What a model's class can do vLLM asks a process of its own, which loads all of vLLM once more where
no answer is kept; without a GPU there is nothing to keep from this process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

Operation = Callable[..., None]
OPERATIONS = ("bgmv_shrink", "bgmv_expand", "bgmv_expand_slice")
"""What the others of vLLM's CPU operations are made of; embeddings call the second alone."""


_ROW_READ: ContextVar[int | None] = ContextVar("row_read", default=None)
"""Place in the batch of the request whose prompt is being read; None while none is."""


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
    from vllm.model_executor.models import registry
    from vllm.v1.worker.cpu_model_runner import CPUModelRunner

    registry._run_in_subprocess = lambda asked: asked()  # no GPU is touched by asking here
    told = CPUModelRunner._get_prompt_logprobs_dict
    if not hasattr(told, "one_by_one"):
        CPUModelRunner._get_prompt_logprobs_dict = read_one_by_one(told)


def keep_rows_without_adapter(operation: Operation) -> Operation:
    """The same operation, but a row of slot -1 stays as it was.

    `operation` takes inputs (rows, in), weights (slots, 1, out, in), output (rows, out), slots
    (rows,), and more; it writes the output in place.
    """

    def kept(inputs: Any, weights: Any, output: Any, slots: Any, *more: Any, **named: Any) -> None:
        if (row := _ROW_READ.get()) is not None:
            slots = slots[row].expand(len(inputs))
        without = slots < 0
        before = output.clone() if without.any() else None
        operation(inputs, weights, output, slots, *more, **named)
        if before is not None:
            output.copy_(before.where(without[:, None], output))

    kept.rows_without_adapter = True  # type: ignore[attr-defined]
    return kept


def read_one_by_one(told: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The same method of a model runner, called for one request of the batch at a time.

    `told` takes the runner, the hidden states of the batch and the number of tokens that each
    request has in it; it returns what each request's prompt is told, once that is whole.
    """

    def by_request(runner: Any, hidden: Any, scheduled: Mapping[str, int]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for request, tokens in scheduled.items():
            if request in runner.num_prompt_logprobs:
                token = _ROW_READ.set(runner.input_batch.req_id_to_index[request])
                try:
                    found |= told(runner, hidden, {request: tokens})
                finally:
                    _ROW_READ.reset(token)
        return found

    by_request.one_by_one = True  # type: ignore[attr-defined]
    return by_request
