"""What `strop serve --models` means, with and without a project; no server is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.cli.models.serve import resolve_models
from backend.db import connect
from backend.errors import InvalidInput, NotFound
from backend.services.models.versions import register_base, register_full_model
from backend.services.projects import create_project
from backend.settings import Settings
from tests.fixtures_models import make_tiny_base


@pytest.fixture
def bare(tmp_path: Path) -> Settings:
    """Settings of a folder without a database."""
    return Settings(home=tmp_path, base_model="/models/base")


def test_without_a_database_the_base_of_the_settings_is_served(bare: Settings) -> None:
    base, adapters = resolve_models("base", bare, project=None, alone=False)
    assert (base.name, base.base_model, adapters) == ("base", "/models/base", [])


def test_a_folder_can_be_named_without_a_database(bare: Settings) -> None:
    _, (adapter,) = resolve_models("base, v1=/adapters/v1", bare, project=None, alone=False)
    assert (adapter.name, adapter.adapter_path) == ("v1", Path("/adapters/v1"))


def test_a_model_of_a_project_needs_the_project(bare: Settings) -> None:
    with pytest.raises(NotFound, match="no database"):
        resolve_models("v1", bare, project=None, alone=False)


def test_a_model_of_a_project_is_refused_beside_a_base_of_ones_own(bare: Settings) -> None:
    with pytest.raises(InvalidInput, match="NAME=FOLDER"):
        resolve_models("v1", bare, project=None, alone=True)


def test_a_fully_trained_model_is_served_as_a_base_and_alone(
    settings: Settings, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    full = make_tiny_base(settings.artifacts / "full", seed=2)
    with connect(settings).begin() as session:
        project = create_project(session, "desk", base_model=str(tiny_base))
        register_base(session, project.id)
        register_full_model(session, project.id, "v2", full, settings=settings)
    base, adapters = resolve_models("v2", settings, project=None, alone=False)
    assert (base.name, base.base_model, adapters) == ("v2@1", str(full), [])
    with pytest.raises(InvalidInput, match="needs a server of its own"):
        resolve_models("v2,base@1", settings, project=None, alone=False)
