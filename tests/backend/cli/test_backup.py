"""A backup restores to an installation that says the same; a damaged one is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from backend.cli import main
from backend.db import connect
from backend.services.model_versions import find_model, register_adapter, register_full_model
from backend.services.projects import create_project, get_project
from backend.settings import Settings
from tests.fixtures_models import make_tiny_base, tiny_adapter


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.fixture
def installation(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    base = make_tiny_base(tmp_path / "base")
    adapter = tiny_adapter(settings.artifacts / "team" / "v1", base, seed=1)
    with connect(settings).begin() as session:
        project = create_project(session, "desk", base_model=str(base))
        register_adapter(session, project.id, "v1", adapter, settings=settings)
        full = make_tiny_base(settings.artifacts / "full", seed=2)
        register_full_model(session, project.id, "v2", full, settings=settings)
    return settings


def test_restored_installation_has_the_rows_and_the_files(
    installation: Settings, tmp_path: Path
) -> None:
    file, home = tmp_path / "desk.tar.gz", tmp_path / "new"
    assert _run("backup", str(file), "--home", str(installation.home)) == 0
    assert _run("restore", str(file), "--home", str(home)) == 0
    restored = Settings(home=home, database_url=f"sqlite:///{home / 'strop.db'}")
    with connect(restored)() as session:
        model = find_model(session, get_project(session).id, "v1")
        full = find_model(session, get_project(session).id, "v2")
    assert Path(str(model.adapter_path)).is_relative_to(home)
    assert (Path(str(model.adapter_path)) / "adapter_model.safetensors").is_file()
    assert Path(full.base_model).is_relative_to(home)
    assert (Path(full.base_model) / "model.safetensors").is_file()


def test_nothing_is_overwritten(
    installation: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "desk.tar.gz"
    assert _run("backup", str(file), "--home", str(installation.home)) == 0
    assert _run("backup", str(file), "--home", str(installation.home)) == 1
    assert _run("restore", str(file), "--home", str(installation.home)) == 1
    said = capsys.readouterr().err
    assert "exists already" in said
    assert "is not empty" in said


def _escaping_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("strop.db", "../escaped"):
            archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"not a tar", "not a whole archive"), (_escaping_archive(), "not a whole archive")],
)
def test_damaged_or_hostile_archive_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    (tmp_path / "x.tar.gz").write_bytes(content)
    assert _run("restore", str(tmp_path / "x.tar.gz"), "--home", str(tmp_path / "h")) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "escaped").exists()
