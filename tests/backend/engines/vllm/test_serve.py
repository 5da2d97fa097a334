"""The command line and environment of a vLLM server; no vLLM is started here."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import Tensor

from backend.engines.base import ServedModel
from backend.engines.vllm.models import digest_name
from backend.engines.vllm.plugin import keep_rows_without_adapter, read_one_by_one
from backend.engines.vllm.serve import (
    ServerPlan,
    fitting_rank,
    server_command,
    server_environment,
    vllm_server,
)
from backend.errors import Conflict, EngineUnavailable, InvalidInput


def adapter(folder: Path, rank: int, *, pattern: dict[str, int] | None = None) -> ServedModel:
    folder.mkdir(parents=True)
    config = {"peft_type": "LORA", "r": rank, "rank_pattern": pattern or {}}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    ranks = {"q_proj": rank} | (pattern or {})
    matrices = {
        f"base_model.model.{module}.lora_{half}.weight": np.ones(shape, np.float32)
        for module, one in ranks.items()
        for half, shape in (("A", (one, 4)), ("B", (4, one)))
    }
    save_file(matrices, folder / "adapter_model.safetensors")
    return ServedModel(folder.name, "/models/base", folder, "ab" * 32)


def plan(tmp_path: Path, *adapters: ServedModel, **options: object) -> ServerPlan:
    base = ServedModel("base", "/models/base")
    return ServerPlan(base, tmp_path / "vllm.log", adapters, **options)  # type: ignore[arg-type]


def flag(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


@pytest.mark.parametrize(
    ("rank", "pattern", "expected"),
    [(4, {}, 16), (16, {}, 16), (17, {}, 32), (8, {"q_proj": 40}, 64), (320, {}, 320)],
)
def test_the_smallest_rank_that_fits_is_chosen(
    tmp_path: Path, rank: int, pattern: dict[str, int], expected: int
) -> None:
    assert fitting_rank([adapter(tmp_path / "a", rank, pattern=pattern)]) == expected


def test_a_rank_beyond_vllm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at most 512"):
        fitting_rank([adapter(tmp_path / "a", 600)])


def test_adapters_are_named_with_their_digest(tmp_path: Path) -> None:
    command = server_command(plan(tmp_path, adapter(tmp_path / "v1", 8)), port=1, on_cpu=True)
    module = json.loads(flag(command, "--lora-modules"))
    assert module == {"name": digest_name("v1", "ab" * 32), "path": str(tmp_path / "v1")}


def test_lora_is_on_even_without_adapters(tmp_path: Path) -> None:
    assert "--enable-lora" in server_command(plan(tmp_path), port=1, on_cpu=False)


def test_there_is_a_slot_for_each_adapter(tmp_path: Path) -> None:
    adapters = [adapter(tmp_path / f"v{i}", 8) for i in range(3)]
    assert (
        flag(server_command(plan(tmp_path, *adapters), port=1, on_cpu=True), "--max-loras") == "3"
    )


@pytest.mark.parametrize("last", [1.0, float("nan")])
@pytest.mark.parametrize("adds", [False, True])
def test_a_row_without_an_adapter_takes_nothing_of_the_last_slot(last: float, adds: bool) -> None:
    """On a CPU vLLM reads slot -1 as the last one; the plugin leaves such rows as they were."""
    weights = torch.randn(3, 1, 4, 6)
    weights[2] *= last
    inputs, slots = torch.randn(5, 6), torch.tensor([0, -1, 1, -1, 1])

    def operate(x: Tensor, w: Tensor, output: Tensor, slots: Tensor, scale: float) -> None:
        found = scale * torch.einsum("bi,boi->bo", x, w[slots].squeeze(1))
        output[:] = output + found if adds else found

    start = torch.randn(5, 4)
    plain, kept = start.clone(), start.clone()
    operate(inputs, weights, plain, slots, 2.0)
    keep_rows_without_adapter(operate)(inputs, weights, kept, slots, 2.0)
    assert not torch.equal(plain[1], start[1])
    assert torch.equal(kept[[1, 3]], start[[1, 3]])
    assert torch.equal(kept[[0, 2, 4]], plain[[0, 2, 4]])


def test_all_rows_of_a_prompt_that_is_read_have_the_slot_of_its_request() -> None:
    """vLLM gives a row for each token and a slot for each request; three requests are read here."""
    weights, hidden = torch.randn(3, 1, 4, 6), torch.randn(9, 6)
    tokens, slots = {"a": 4, "b": 3, "c": 2}, torch.tensor([2, -1, 0])

    def operate(x: Tensor, w: Tensor, output: Tensor, slots: Tensor) -> None:
        output += torch.einsum("bi,boi->bo", x, w[slots].squeeze(1))

    def told(runner: Any, hidden: Tensor, scheduled: dict[str, int]) -> dict[str, Tensor]:
        (request,) = scheduled
        begin = {"a": 0, "b": 4, "c": 7}[request]
        rows = hidden[begin : begin + scheduled[request]]
        output = torch.zeros(len(rows), 4)
        keep_rows_without_adapter(operate)(rows, weights, output, slots)
        return {request: output}

    batch = SimpleNamespace(req_id_to_index={"a": 0, "b": 1, "c": 2})
    runner = SimpleNamespace(num_prompt_logprobs={"a": 0, "b": 0, "c": 0}, input_batch=batch)
    found = read_one_by_one(told)(runner, hidden, tokens)
    assert torch.allclose(found["a"], hidden[:4] @ weights[2, 0].T)
    assert not found["b"].any()
    assert torch.allclose(found["c"], hidden[7:] @ weights[0, 0].T)
    del runner.num_prompt_logprobs["b"]
    assert set(read_one_by_one(told)(runner, hidden, tokens)) == {"a", "c"}
    after = torch.zeros(3, 4)
    keep_rows_without_adapter(operate)(hidden[:3], weights, after, slots)
    assert torch.allclose(after[2], weights[0, 0] @ hidden[2])
    assert not after[1].any()


def test_a_pickle_is_refused_before_anything_starts(tmp_path: Path) -> None:
    served = adapter(tmp_path / "v1", 8)
    (tmp_path / "v1" / "weights.bin").write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"weights\.bin"):
        server_command(plan(tmp_path, served), port=1, on_cpu=True)


def test_secrets_of_strop_are_not_handed_on(tmp_path: Path) -> None:
    given = {"STROP_SECRET": "x", "STROP_VLLM_API_KEY": "y", "PATH": "/bin", "VLLM_API_KEY": "k"}
    environment = server_environment(given, plan(tmp_path), on_cpu=True)
    assert not [name for name in environment if name.startswith("STROP_")]
    assert environment["PATH"] == "/bin"
    assert environment["VLLM_API_KEY"] == "k"
    assert environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"


def test_the_hub_is_shut_out_only_for_a_base_on_disk(tmp_path: Path) -> None:
    on_disk = ServerPlan(ServedModel("base", str(tmp_path)), tmp_path / "log")
    assert server_environment({}, on_disk, on_cpu=True)["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in server_environment({}, plan(tmp_path), on_cpu=True)


def test_a_taken_port_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.engines.vllm.serve._runs_on_cpu", lambda: True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = plan(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(Conflict, match="cannot be used"), vllm_server(wanted, environment={}):
            pass


def test_a_server_that_cannot_start_says_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for vLLM, which takes ten seconds to say the same."""
    last = [sys.executable, "-c", "import sys; sys.exit('unknown: --no-such-flag')"]
    monkeypatch.setattr("backend.engines.vllm.serve._runs_on_cpu", lambda: True)
    monkeypatch.setattr("backend.engines.vllm.serve.server_command", lambda *_, **__: last)
    with (
        pytest.raises(EngineUnavailable, match=r"(?s)ended with code 1 .*--no-such-flag"),
        vllm_server(plan(tmp_path), environment={}),
    ):
        pass
