"""The server is killed in the middle of a run, and one cannot start.

The server that dies is the one of the session, when all others have asked it.
"""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path

import pytest

from backend.engines.base import GenerationRequest, SamplingParams
from backend.engines.base import ServedModel as Model
from backend.engines.remote.server import Retries
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.serve import RunningServer, ServerPlan, vllm_server
from backend.errors import EngineUnavailable

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]


def test_a_killed_server_stops_the_run_and_keeps_what_came(
    server: RunningServer, base: Model
) -> None:
    requests = [
        GenerationRequest(f"k{i}", "base", [{"role": "user", "content": f"Ticket {i}"}])
        for i in range(400)
    ]
    with VllmEngine([server.url], in_flight=4, retries=Retries(attempts=3)) as engine:
        engine.load([base])
        stream = engine.generate(requests, SamplingParams(max_tokens=16))
        kept = [next(stream) for _ in range(5)]
        os.killpg(server.pid, signal.SIGKILL)
        with pytest.raises(EngineUnavailable, match="does not answer"):
            kept.extend(stream)
    assert 5 <= len(kept) < 400
    assert all(result.text is not None for result in kept)


def test_a_server_that_cannot_start_says_its_last_words(base: Model, tmp_path: Path) -> None:
    plan = ServerPlan(base, tmp_path / "vllm.log", more_flags=["--no-such-flag"])
    with (
        pytest.raises(EngineUnavailable, match="no-such-flag"),
        vllm_server(plan, environment=os.environ),
    ):
        pass
