"""The plugin against vLLM's own CPU classes: a row without an adapter gets nothing of any slot."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

SCRIPT = """
import os
import torch
from backend.engines.vllm.plugin import register
from vllm.lora.layers import LoRAMapping
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.model_executor.models import registry

SLOTS, VOCABULARY, HIDDEN, RANK = 2, 50, 16, 4
IDS = ([7, 0, 8, 0], [0, 7, 7], [0, 0])
torch.manual_seed(0)
a, b = torch.randn(SLOTS, 1, RANK, HIDDEN), torch.randn(SLOTS, 1, HIDDEN, RANK)


def leaks():
    worst = {"linear": 0.0, "embedding": 0.0}
    for prefill in (True, False):
        for ids in IDS:
            wrapper = PunicaWrapperCPU(64, 8, device="cpu")
            mapping = LoRAMapping(tuple(ids), tuple(ids), is_prefill=prefill)
            wrapper.update_metadata(mapping, [7, 8], SLOTS, VOCABULARY)
            rows = [i for i, one in enumerate(ids) if one == 0]
            linear, embedding = torch.zeros(len(ids), HIDDEN), torch.zeros(len(ids), HIDDEN)
            given = torch.randn(len(ids), HIDDEN)
            wrapper.add_lora_linear(linear, given, (a,), (b,), 1.0, (HIDDEN,))
            looked_up = torch.randn(len(ids), RANK)
            wrapper.add_lora_embedding(embedding, looked_up, b, add_input=True)
            for name, found in (("linear", linear), ("embedding", embedding)):
                worst[name] = max(worst[name], float(found[rows].abs().max()))
    return worst


before = leaks()
register()
register()
after = leaks()
print(before, after)
assert min(before.values()) > 0, "vLLM no longer needs the plugin"
assert max(after.values()) == 0
assert registry._run_in_subprocess(os.getpid) == os.getpid()
"""


def test_no_slot_reaches_a_row_without_an_adapter() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
