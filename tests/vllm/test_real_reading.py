"""How likely given answers are on a real vLLM server, against the local engine's own numbers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import pytest

from backend.engines.base import Message, ReadRequest, ReadResult
from backend.engines.local.engine import LocalEngine
from backend.engines.vllm.engine import VllmEngine

pytestmark = pytest.mark.vllm

MODELS = ("base", "one", "two")


def readings(prompts: Sequence[Sequence[Message]]) -> list[ReadRequest]:
    """Each prompt with its own last words, and with text of other scripts."""
    return [
        ReadRequest(f"{model}/{i}/{kind}", model, messages, answer)
        for i, messages in enumerate(prompts)
        for model in MODELS
        for kind, answer in (
            ("near", " ".join(messages[0]["content"].split()[-12:])),
            ("far", "Grüße, 日本 👩‍⚕️ <|end|>, and 5 mg."),
        )
    ]


def test_vllm_and_local_agree(
    engine: VllmEngine, local: LocalEngine, prompts: Sequence[Sequence[Message]]
) -> None:
    asked = readings(prompts[:6])
    served = {result.key: result for result in engine.read(asked)}
    meant = {result.key: result for result in local.read(asked)}
    for model in MODELS:
        gaps = [
            abs(a - b)
            for key in served
            if key.startswith(f"{model}/")
            for a, b in zip(served[key].logprobs, meant[key].logprobs, strict=True)
        ]
        means = [
            abs(statistics.mean(served[key].logprobs) - statistics.mean(meant[key].logprobs))
            for key in served
            if key.startswith(f"{model}/")
        ]
        print(f"\n{model}: gap a token median {statistics.median(gaps):.4f}, mean ", end="")
        print(f"{statistics.mean(gaps):.4f}, n={len(gaps)}; of an answer's mean {max(means):.4f}")
        assert statistics.median(gaps) < 0.05
        assert max(means) < 0.06
    assert all(served[key].starts == meant[key].starts for key in served)


def test_each_adapter_reads_its_own(
    engine: VllmEngine, prompts: Sequence[Sequence[Message]]
) -> None:
    found = {result.key: result.logprobs for result in engine.read(readings(prompts[:1]))}
    assert len({found[f"{model}/0/near"] for model in MODELS}) == 3


def test_what_is_too_long_is_an_error_and_the_others_go_on(engine: VllmEngine) -> None:
    messages = [{"role": "user", "content": "bill"}]
    asked = [
        ReadRequest("long", "base", messages, "bill 7 " * 4000),
        ReadRequest("short", "base", messages, "bill 7"),
        ReadRequest("empty", "base", messages, ""),
    ]
    results = {result.key: result for result in engine.read(asked)}
    assert "context length" in str(results["long"].error)
    assert results["short"].error is None
    assert results["empty"] == ReadResult("empty")
