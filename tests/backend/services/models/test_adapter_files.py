"""Adapter folders: pickles, other bases, damage and paths outside the root are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.adapters.folders import WEIGHTS_FILE as WEIGHTS
from backend.errors import Forbidden, InvalidInput, NotFound, StropError
from backend.services.models import seen as seen_weights
from backend.services.models.adapter_files import NamedBy, own_folder
from backend.services.models.versions import (
    find_model,
    list_models,
    look_at_adapter,
    register_adapter,
)
from backend.services.projects import create_project
from backend.settings import Settings
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.training import TrainingRun
from training.weights.digest import adapter_sha256

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
        (_add_pickle, InvalidInput, "pickle"),
        (_truncate, InvalidInput, "cut short"),
        (_name_other_base, InvalidInput, "trained on another base"),
        (_remove_config, InvalidInput, "has no adapter_config.json"),
        (_break_config, InvalidInput, "is not JSON"),
        (_link_outside, InvalidInput, "a link that leads out"),
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


@pytest.mark.parametrize(
    "name",
    [
        "base",
        "",
        "v1@2",
        "base:v1",
        "a b",
        "../v1",
        "..",
        ".",
        "-v",
        "a/b",
        "v1\n",
        "\u0660",
        "x" * 81,
    ],
)
def test_names_that_could_be_misread_are_refused(
    session: Session, project_id: int, settings: Settings, adapter: Path, name: str
) -> None:
    with pytest.raises(InvalidInput, match="cannot name an adapter"):
        register_adapter(session, project_id, name, adapter, settings=settings)


@dataclass(frozen=True, slots=True)
class Doors:
    """Two projects, and folders that are the one's, the other's and nobody's."""

    settings: Settings
    mine: int
    other: int

    def folder(self, name: str) -> Path:
        """A folder below the artifact root."""
        path = self.settings.artifacts / name
        path.mkdir(parents=True, exist_ok=True)
        return path


@pytest.fixture
def doors(session: Session, settings: Settings, project_id: int, base_folder: Path) -> Doors:
    other = create_project(session, "other", base_model=str(base_folder)).id
    return Doors(settings, project_id, other)


@pytest.mark.parametrize(
    ("path", "by_person", "by_request"),
    [
        ("project-{mine}/v1", None, None),
        ("project-{mine}/v1/inner", None, None),
        ("project-{mine}", None, "does not lie in this project's own folder"),
        ("free", None, "does not lie in this project's own folder"),
        ("project-{other}/v1", "belongs to another project", "belongs to another project"),
        ("project-{other}", "belongs to another project", "belongs to another project"),
        ("project-77/v1", "belongs to another project", "belongs to another project"),
        ("registered-there", "belongs to another project", "belongs to another project"),
        ("registered-there/inner", "belongs to another project", "belongs to another project"),
        ("trained-there", "belongs to another project", "belongs to another project"),
        ("registered-here", None, None),
        ("", "belongs to another project", "belongs to another project"),
        ("..", "outside the artifact root", "outside the artifact root"),
        ("/etc", "outside the artifact root", "outside the artifact root"),
        ("project-{mine}/../project-{other}/v1", "another project", "another project"),
        ("project-{mine}/out", "another project", "another project"),
        ("project-{mine}/round", "cannot be a folder", "cannot be a folder"),
        ("project-{mine}/nothing", "no folder", "no folder"),
        ("project-{mine}/" + "x" * 300, "folder", "folder"),
        ("a\0b", "cannot be a folder", "cannot be a folder"),
    ],
)
def test_which_folders_a_project_may_name(
    session: Session, doors: Doors, path: str, by_person: str | None, by_request: str | None
) -> None:
    registered = {"registered-there": doors.other, "registered-here": doors.mine}
    for name, owner in registered.items():
        session.add(_version(owner, name, adapter_path=str(doors.folder(name))))
        doors.folder(f"{name}/inner")
    for name in (f"project-{doors.other}/v1", f"project-{doors.mine}/v1/inner", "free"):
        doors.folder(name)
    doors.folder("project-77/v1")
    own = doors.folder(f"project-{doors.mine}")
    (own / "out").symlink_to(doors.folder(f"project-{doors.other}/v1"))
    (own / "round").symlink_to("round")
    _lay_down_run(session, doors.other, doors.folder("trained-there"))
    given = Path(path.format(mine=doors.mine, other=doors.other))
    for named_by, said in ((NamedBy.PERSON, by_person), (NamedBy.REQUEST, by_request)):
        asked = doors.settings.artifacts / given
        if said is None:
            found = own_folder(
                session, doors.mine, asked, settings=doors.settings, named_by=named_by
            )
            assert found == asked
            continue
        with pytest.raises(StropError, match=said) as raised:
            own_folder(session, doors.mine, asked, settings=doors.settings, named_by=named_by)
        told = str(raised.value).replace(repr(str(asked)[:200]), "")
        assert str(doors.settings.artifacts) not in told


def test_a_request_counts_from_the_projects_own_folder(session: Session, doors: Doors) -> None:
    folder = doors.folder(f"project-{doors.mine}/v1")
    found = own_folder(
        session, doors.mine, Path("v1"), settings=doors.settings, named_by=NamedBy.REQUEST
    )
    assert found == folder


def _version(project_id: int, name: str, **columns: object) -> ModelVersion:
    digests = {f"{part}_sha256": "a" * 64 for part in ("base", "tokenizer", "template")}
    values = {"base_model": "b", "revision": 1} | digests | columns
    return ModelVersion(project_id=project_id, name=name, **values)


def _lay_down_run(session: Session, project_id: int, output_dir: Path) -> TrainingRun:
    bar = SuccessManifest(project_id=project_id, version=1, digest="b" * 64, content={}, source="-")
    frozen = TrainingSet(project_id=project_id, name="t", recipe={}, digest="c" * 64, n_rows=1)
    session.add_all([bar, frozen])
    session.flush()
    run = TrainingRun(
        project_id=project_id,
        training_set_id=frozen.id,
        manifest_id=bar.id,
        adapter_name="v1",
        config={},
        output_dir=str(output_dir),
    )
    session.add(run)
    session.flush()
    return run


@pytest.mark.parametrize("trained_there", [True, False])
@pytest.mark.parametrize("by", ["copy", "start"])
def test_weights_that_another_project_trained_are_known_again(
    session: Session, doors: Doors, adapter: Path, trained_there: bool, by: str
) -> None:
    """A copy in a folder of one's own, and what went on from one."""
    known = "9" * 64 if by == "start" else adapter_sha256(adapter)
    if by == "start":
        (adapter / "strop.json").write_text(json.dumps({"start_from_sha256": known}))
    there = _version(doors.other, "v9", adapter_path="/gone", adapter_sha256=known)
    if trained_there:
        run = _lay_down_run(session, doors.other, doors.folder("there"))
        there.training_run_id = run.id
    session.add(there)
    session.flush()
    if not trained_there:  # registered from outside in both: neither knows more than the other
        register_adapter(session, doors.mine, "v1", adapter, settings=doors.settings)
        return
    with pytest.raises(Forbidden, match="trained in another project"):
        register_adapter(session, doors.mine, "v1", adapter, settings=doors.settings)


def test_that_weights_are_read_in_no_transaction(
    sqlite_sessions: sessionmaker[Session],
    settings: Settings,
    base_folder: Path,
    adapter: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While a base or an adapter is hashed, somebody else can write."""
    with sqlite_sessions.begin() as session:
        project = create_project(session, "desk", base_model=str(base_folder)).id
    written: list[str] = []

    def write_meanwhile(name: str, digest: Callable[[Path], str]) -> Callable[[Path], str]:
        def hashing(path: Path) -> str:
            with sqlite_sessions() as session:
                session.connection().exec_driver_sql("PRAGMA busy_timeout=0")
                create_project(session, f"meanwhile-{len(written)}", base_model="b")
                session.commit()
            written.append(name)
            return digest(path)

        return hashing

    for name in ("model_sha256", "adapter_sha256"):
        real = getattr(seen_weights, name)
        monkeypatch.setattr(seen_weights, name, write_meanwhile(name, real))
    seen = look_at_adapter(sqlite_sessions, project, "v1", adapter, settings=settings)
    with sqlite_sessions.begin() as session:
        register_adapter(session, project, "v1", adapter, settings=settings, seen=seen)
    assert written == ["model_sha256", "adapter_sha256"]
