"""A backup that only its passphrase opens: any other one, and any changed byte, is refused."""

from __future__ import annotations

import io
import os
import random
import tarfile
from pathlib import Path

import pytest

from backend.cli.operations.sealed_archive import CHUNK, HEADER, TAG, is_sealed, sealing, unseal
from backend.db import connect
from backend.errors import InvalidInput
from backend.services.projects import create_project, get_project
from backend.settings import Settings
from tests.backend.cli.operations.test_backup import _run

KEY = "a key of the backup"


def sealed(content: bytes, key: str = KEY) -> bytes:
    stream = io.BytesIO()
    with sealing(stream, key, log_n=4) as out:
        for at in range(0, len(content), 10_000):
            out.write(content[at : at + 10_000])
    return stream.getvalue()


def opened(content: bytes, folder: Path, key: str = KEY) -> bytes:
    (folder / "sealed").write_bytes(content)
    unseal(folder / "sealed", folder / "plain", key)
    return (folder / "plain").read_bytes()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_was_sealed_comes_back(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    closed = sealed(content)
    assert opened(closed, tmp_path) == content
    assert is_sealed(tmp_path / "sealed")
    assert size < 16 or content[:16] not in closed


def test_two_of_the_same_differ() -> None:
    assert sealed(b"x" * 100) != sealed(b"x" * 100)


@pytest.mark.parametrize("key", ["another key of it", KEY + " ", KEY.upper(), "x" * 12, ""])
def test_another_key_opens_nothing(tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidInput, match="key is another one"):
        opened(sealed(b"words"), tmp_path, key)


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    whole = sealed(os.urandom(CHUNK + 50))
    chosen = random.Random(7).sample(range(HEADER, len(whole)), 12)
    for at in [*range(9, HEADER), *chosen, HEADER, len(whole) - 1]:
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(InvalidInput):
            opened(bytes(changed), tmp_path)


def test_chunks_cannot_be_cut_swapped_or_repeated(tmp_path: Path) -> None:
    whole = sealed(os.urandom(3 * CHUNK))
    head, size = whole[:HEADER], CHUNK + TAG
    one, two, three = (whole[HEADER + n * size : HEADER + (n + 1) * size] for n in range(3))
    for parts in ([one, two], [one], [], [two, one, three], [one, one, two, three], [two, three]):
        with pytest.raises(InvalidInput):
            opened(head + b"".join(parts), tmp_path)
    with pytest.raises(InvalidInput):
        opened(head[:-1], tmp_path)
    assert len(opened(head + one + two + three, tmp_path)) == 3 * CHUNK


def test_costs_of_the_key_are_bounded(tmp_path: Path) -> None:
    whole = bytearray(sealed(b"x"))
    whole[8] = 60  # 2^60 steps of scrypt
    with pytest.raises(InvalidInput):
        opened(bytes(whole), tmp_path)


def test_installation_goes_in_and_comes_out(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        create_project(session, "desk-of-the-ward", base_model="base")
    file, plain, home = tmp_path / "b", tmp_path / "plain", tmp_path / "new"
    assert _run("backup", str(file), "--home", str(settings.home), "--encrypt") == 1
    assert "STROP_BACKUP_KEY" in capsys.readouterr().err
    monkeypatch.setenv("STROP_BACKUP_KEY", "short")
    assert _run("backup", str(file), "--home", str(settings.home), "--encrypt") == 1
    assert not file.exists()
    monkeypatch.setenv("STROP_BACKUP_KEY", KEY)
    assert _run("backup", str(file), "--home", str(settings.home), "--encrypt", "--verify") == 0
    assert "not encrypted" not in capsys.readouterr().err
    assert _run("backup", str(plain), "--home", str(settings.home)) == 0
    assert "not encrypted" in capsys.readouterr().err
    assert not tarfile.is_tarfile(file)
    monkeypatch.setenv("STROP_BACKUP_KEY", "another key of it")
    assert _run("restore", str(file), "--home", str(home)) == 1
    assert not home.exists()
    monkeypatch.delenv("STROP_BACKUP_KEY")
    assert _run("restore", str(file), "--home", str(home)) == 1
    monkeypatch.setenv("STROP_BACKUP_KEY", KEY)
    assert _run("restore", str(file), "--home", str(home)) == 0
    assert not (home / ".unsealed").exists()
    restored = Settings(home=home, database_url=f"sqlite:///{home / 'strop.db'}")
    with connect(restored)() as session:
        assert get_project(session).name == "desk-of-the-ward"
