"""A backup restores to an installation that says the same; a damaged one is refused."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import tarfile
import threading
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.cli.operations.restore import _move_rows, _moved
from backend.db import connect, utc_now
from backend.services.models.versions import find_model, register_adapter, register_full_model
from backend.services.projects import create_project, get_project
from backend.services.queue import JobKind, enqueue_job
from backend.settings import Settings
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelVersion
from backend.tables.projects import Project, SuccessManifest
from backend.tables.queue import Job
from backend.tables.rounds import Round
from backend.tables.training import TrainingRun
from backend.tables.webhooks import Webhook, WebhookDelivery
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


def _tar(*members: tuple[str, bytes], links: Sequence[tuple[str, str]] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return buffer.getvalue()


def _database(*statements: str) -> bytes:
    connection = sqlite3.connect(":memory:")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    return bytes(connection.serialize())


NEWER = _database(
    "CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('9999')"
)
FOREIGN = _database("CREATE TABLE notes (words TEXT)")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a whole archive"),
        (b"not a tar", "not a whole archive"),
        (_tar(("strop.db", FOREIGN))[:-200], "not a whole archive"),
        (_tar(("strop.db", b""), ("../escaped", b"x")), "not a whole archive"),
        (_tar(("strop.db", b"x"), links=[("artifacts/l", "/etc")]), "not a whole archive"),
        (_tar(("other", b"x")), "not a backup"),
        (_tar(("strop.db", b"")), "holds no database of Strop"),
        (_tar(("strop.db", b"x" * 5000)), "holds no database of Strop"),
        (_tar(("strop.db", FOREIGN)), "holds no database of Strop"),
        (_tar(("strop.db", NEWER)), "a newer Strop"),
        (
            _tar(("strop.db", NEWER), ("contents.json", b'{"files": {"strop.db": "0"}}')),
            "strop.db is not what was saved",
        ),
        (_tar(("strop.db", NEWER), ("contents.json", b"{")), "not a whole archive"),
    ],
    ids=[
        "empty",
        "no tar",
        "cut short",
        "climbing",
        "link",
        "other files",
        "empty database",
        "damaged database",
        "foreign database",
        "newer",
        "changed file",
        "damaged contents",
    ],
)
def test_damaged_or_hostile_archive_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    (tmp_path / "x.tar.gz").write_bytes(content)
    assert _run("restore", str(tmp_path / "x.tar.gz"), "--home", str(tmp_path / "h")) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "defect" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar.gz"]


def test_a_restored_copy_names_nothing_of_the_original_and_is_at_rest(
    installation: Settings, tmp_path: Path
) -> None:
    with connect(installation).begin() as session:
        project_id = get_project(session).id
        bar = SuccessManifest(
            project_id=project_id, version=1, digest="0" * 64, content={}, source="x"
        )
        frozen = TrainingSet(project_id=project_id, name="t", recipe={}, digest="0" * 64, n_rows=0)
        session.add_all([bar, frozen])
        session.flush()
        output = installation.artifacts / "v3-run-1"
        run = TrainingRun(
            project_id=project_id,
            training_set_id=frozen.id,
            manifest_id=bar.id,
            adapter_name="v3",
            config={"start_from": str(installation.artifacts / "team" / "v1")},
            output_dir=str(output),
        )
        now = utc_now()
        turn = Round(project_id=project_id, number=1, plan={}, started_at=now, since=now)
        told = Webhook(project_id=project_id, url="https://x.test", secret="s", events=[])
        session.add_all([run, turn, told])
        session.flush()
        enqueue_job(session, JobKind.TRAIN, run.id)
        session.add(
            WebhookDelivery(webhook_id=told.id, event="e", key="k", payload={}, next_attempt_at=now)
        )
    config = installation.home / "training" / "run-1" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"output_dir: {output}\n")
    file, home = tmp_path / "desk.tar.gz", tmp_path / "new"
    assert _run("backup", str(file), "--home", str(installation.home), "--verify") == 0
    assert _run("restore", str(file), "--home", str(home)) == 0
    dump = "\n".join(sqlite3.connect(home / "strop.db").iterdump())
    assert f"{installation.home}/" not in dump
    assert f"{home}/artifacts/v3-run-1" in dump
    restored = home / "training" / "run-1" / "config.yaml"
    assert restored.read_text() == f"output_dir: {home}/artifacts/v3-run-1\n"
    with connect(Settings(home=home, database_url=f"sqlite:///{home / 'strop.db'}"))() as session:
        assert [job.state for job in session.scalars(select(Job))] == ["stopped"]
        assert [row.state for row in session.scalars(select(Round))] == ["paused"]
        assert [sent.state for sent in session.scalars(select(WebhookDelivery))] == ["failed"]


def test_links_become_what_they_name_or_are_named(
    installation: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifacts = installation.artifacts
    (artifacts / "same").symlink_to(artifacts / "team" / "v1")
    (artifacts / "round").symlink_to(artifacts)
    (artifacts / "passwd").symlink_to("/etc/passwd")
    (artifacts / "nowhere").symlink_to(artifacts / "gone")
    os.mkfifo(artifacts / "pipe")
    file, home = tmp_path / "desk.tar.gz", tmp_path / "new"
    assert _run("backup", str(file), "--home", str(installation.home), "--verify") == 0
    said = capsys.readouterr().err
    assert {line for line in said.splitlines() if line.startswith("left out")} == {
        "left out: passwd (a link to outside)",
        "left out: pipe (no file)",
        "left out: round (a link to a folder that holds it)",
    }
    assert _run("restore", str(file), "--home", str(home)) == 0
    assert (home / "artifacts" / "same" / "adapter_model.safetensors").is_file()
    assert not (home / "artifacts" / "passwd").exists()


def test_checkpoints_that_rotate_while_they_are_read(
    installation: Settings, tmp_path: Path
) -> None:
    """A trainer beside it, for as long as two backups take; each of them is whole."""
    stop = threading.Event()
    folder = installation.artifacts / "v4-run-2"

    def rotate() -> None:
        for step in count():
            if stop.is_set():
                return
            checkpoint = folder / f"checkpoint-{step}"
            checkpoint.mkdir(parents=True)
            (checkpoint / "model.bin").write_bytes(os.urandom(2_000_000))
            shutil.rmtree(folder / f"checkpoint-{step - 2}", ignore_errors=True)
            (folder / "state.json").write_text("{}" * 1000)

    trainer = threading.Thread(target=rotate)
    trainer.start()
    try:
        for turn in range(2):
            file = tmp_path / f"{turn}.tar.gz"
            assert _run("backup", str(file), "--home", str(installation.home), "--verify") == 0
    finally:
        stop.set()
        trainer.join()


def test_a_backup_that_fails_leaves_no_part(
    installation: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("backend.cli.operations.backup._add_bytes", fail)
    assert _run("backup", str(tmp_path / "x.tar.gz"), "--home", str(installation.home)) == 1
    assert not list(tmp_path.glob("x.tar.gz*"))


@pytest.mark.parametrize("name", ["a b 50%20off", "why?no#1", "und&so=weiter Müller;x"])
def test_a_home_of_any_name_keeps_its_database(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("STROP_DATABASE_URL", raising=False)
    home, copy = tmp_path / name, tmp_path / f"copy of {name}"
    monkeypatch.setenv("STROP_HOME", str(home))
    assert _run("init", "desk", "--base-model", str(tiny_base)) == 0
    assert _run("dataset", "show") == 0
    assert _run("backup", str(tmp_path / "x.tar.gz"), "--verify") == 0
    assert _run("restore", str(tmp_path / "x.tar.gz"), "--home", str(copy)) == 0
    assert (home / "strop.db").is_file()
    assert (copy / "strop.db").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {name, copy.name, "x.tar.gz"}


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("/data/artifacts/v1", "/srv/data/artifacts/v1"),
        ({"a": ["/data/training/run-1"]}, {"a": ["/srv/data/training/run-1"]}),
        ("dir: /data/x\nother: '/data/y'\n", "dir: /srv/data/x\nother: '/srv/data/y'\n"),
        ("/data", "/srv/data"),
        ("/mnt/data/base", "/mnt/data/base"),
        ("/data-old/x", "/data-old/x"),
        ("/database", "/database"),
        (3, 3),
    ],
)
def test_a_path_is_moved_once_and_only_where_it_begins(value: object, moved: object) -> None:
    places = [("/data/artifacts", "/srv/data/artifacts"), ("/data", "/srv/data")]
    assert _moved(value, places) == moved
    assert _moved(value, []) == value  # an archive of before that names no place


def test_rows_of_an_archive_that_names_no_place_stay_as_they_are(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        project = Project(name="desk", base_model="/models/base")
        session.add(project)
        session.flush()
        digests = dict.fromkeys(("base_sha256", "tokenizer_sha256", "template_sha256"), "0")
        model = ModelVersion(
            project_id=project.id,
            name="v1",
            revision=1,
            base_model="/models/base",
            adapter_path="/models/v1",
            **digests,
        )
        session.add(model)
        session.flush()
        assert _move_rows(session, []) == 0
        assert (project.base_model, model.adapter_path) == ("/models/base", "/models/v1")
