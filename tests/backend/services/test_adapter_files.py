"""Adapter folders: pickles, other bases, damage and paths outside the root are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from sqlalchemy.orm import Session

from backend.errors import Forbidden, InvalidInput, NotFound, StropError
from backend.services.adapter_files import WEIGHTS, tensor_shapes
from backend.services.model_versions import find_model, list_models, register_adapter
from backend.services.projects import create_project
from backend.settings import Settings

MODULE = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def base_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "base-model"
    folder.mkdir()
    save_file({f"{MODULE}.weight": np.zeros((8, 6), np.float32)}, folder / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


@pytest.fixture
def project_id(session: Session, base_folder: Path) -> int:
    return create_project(session, "desk", base_model=str(base_folder)).id


@pytest.fixture
def adapter(settings: Settings, base_folder: Path) -> Path:
    return _write_adapter(settings.artifacts / "v1", base_folder)


def _write_adapter(folder: Path, base: Path, *, width: int = 6, fill: float = 1.0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = {"peft_type": "LORA", "r": 2, "base_model_name_or_path": str(base)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    prefix = f"base_model.model.{MODULE}"
    tensors = {
        f"{prefix}.lora_A.weight": np.full((2, width), fill, np.float32),
        f"{prefix}.lora_B.weight": np.full((8, 2), fill, np.float32),
    }
    save_file(tensors, folder / WEIGHTS)
    return folder


def test_revisions_follow_the_files(
    session: Session, project_id: int, settings: Settings, adapter: Path, base_folder: Path
) -> None:
    first = register_adapter(session, project_id, "v1", adapter, settings=settings)
    again = register_adapter(session, project_id, "v1", adapter, settings=settings)
    _write_adapter(adapter, base_folder, fill=2.0)
    second = register_adapter(session, project_id, "v1", adapter, settings=settings)
    assert again.id == first.id
    assert [model.label for model in list_models(session, project_id)] == [
        "base",
        "base:v1@1",
        "base:v1@2",
    ]
    for label in ("v1", "v1@2", "base:v1@2"):
        assert find_model(session, project_id, label).id == second.id
    with pytest.raises(NotFound, match="Known: base, base:v1@1"):
        find_model(session, project_id, "v1@3")


def _add_pickle(folder: Path) -> None:
    (folder / "optimizer.pt").write_bytes(b"\x80\x04")


def _truncate(folder: Path) -> None:
    file = folder / WEIGHTS
    file.write_bytes(file.read_bytes()[:-5])


def _name_other_base(folder: Path) -> None:
    (folder / "strop.json").write_text(json.dumps({"base_sha256": "f" * 64}))


def _remove_config(folder: Path) -> None:
    (folder / "adapter_config.json").unlink()


def _break_config(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": ')


def _link_outside(folder: Path) -> None:
    (folder / "notes.txt").symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (_add_pickle, Forbidden, "pickle"),
        (_truncate, InvalidInput, "cut short"),
        (_name_other_base, InvalidInput, "trained on another base"),
        (_remove_config, InvalidInput, "has no adapter_config.json"),
        (_break_config, InvalidInput, "is not JSON"),
        (_link_outside, Forbidden, "a link that leads out"),
    ],
)
def test_bad_folder_is_refused(
    session: Session,
    project_id: int,
    settings: Settings,
    adapter: Path,
    damage: Callable[[Path], None],
    error: type[StropError],
    message: str,
) -> None:
    damage(adapter)
    with pytest.raises(error, match=message):
        register_adapter(session, project_id, "v1", adapter, settings=settings)
    assert [model.label for model in list_models(session, project_id)] == ["base"]


def test_adapter_for_a_base_of_another_shape_is_refused(
    session: Session, project_id: int, settings: Settings, adapter: Path, base_folder: Path
) -> None:
    _write_adapter(adapter, base_folder, width=7)
    with pytest.raises(InvalidInput, match="made for another base model"):
        register_adapter(session, project_id, "v1", adapter, settings=settings)


def test_folder_outside_the_artifact_root_is_refused(
    session: Session, project_id: int, settings: Settings, tmp_path: Path, base_folder: Path
) -> None:
    outside = _write_adapter(tmp_path / "elsewhere", base_folder)
    with pytest.raises(Forbidden, match="outside the artifact root"):
        register_adapter(session, project_id, "v1", outside, settings=settings)
    settings.artifacts.mkdir(parents=True)
    (settings.artifacts / "link").symlink_to(outside)
    with pytest.raises(Forbidden, match="outside the artifact root"):
        register_adapter(session, project_id, "v1", settings.artifacts / "link", settings=settings)


@pytest.mark.parametrize("name", ["base", "", "v1@2", "base:v1", "a b", "../v1"])
def test_names_that_could_be_misread_are_refused(
    session: Session, project_id: int, settings: Settings, adapter: Path, name: str
) -> None:
    with pytest.raises(InvalidInput, match="cannot name an adapter"):
        register_adapter(session, project_id, name, adapter, settings=settings)


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"\xff" * 64, b"\x10" + b"\x00" * 7 + b"x"])
def test_damaged_safetensors_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(InvalidInput, match="cut short"):
        tensor_shapes(tmp_path / WEIGHTS)
