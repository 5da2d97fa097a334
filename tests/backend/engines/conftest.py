"""A tiny base with three adapters, loaded once into a local engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.engines.base import ServedModel
from backend.engines.local.engine import LocalEngine
from tests.fixtures_models import make_tiny_base, tiny_adapter


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ServedModel]:
    """Base, two adapters, and one without effect."""
    folder = tmp_path_factory.mktemp("engine-models")
    base = make_tiny_base(folder / "base")
    made = {
        "v1.0": tiny_adapter(folder / "v1", base, seed=1),
        "v2": tiny_adapter(folder / "v2", base, seed=2),
        "zero": tiny_adapter(folder / "zero", base, zero=True),
    }
    served = {name: ServedModel(name, str(base), path) for name, path in made.items()}
    return {"base": ServedModel("base", str(base)), **served}


@pytest.fixture(scope="session")
def local(models: dict[str, ServedModel]) -> Iterator[LocalEngine]:
    """A local engine that holds all of them; do not load others into it."""
    with LocalEngine(batch_size=4, threads=1) as engine:
        engine.load(list(models.values()))
        yield engine


@pytest.fixture
def base_folder(models: dict[str, ServedModel]) -> Path:
    """Folder of the tiny base; do not write to it."""
    return Path(models["base"].base_model)
