"""Webhook secrets and kept answers at rest: nothing in clear text, and old rows are sealed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from backend.errors import Conflict
from backend.services.accounts.sealing import PREFIX, open_seal, seal_open_rows
from backend.services.accounts.users import create_user
from backend.services.idempotency import find_answer, keep_answer
from backend.services.webhooks.hooks import add_webhook, new_secret
from backend.settings import Settings
from backend.tables.accounts import IdempotencyKey
from backend.tables.projects import Project
from backend.tables.webhooks import Webhook

SECRET = "0123456789abcdef" * 2
WORDS = '{"comment": "Frau M. has a fever"}'


def with_secret(home: Path, secret: str | None = SECRET) -> Settings:
    return Settings(home=home, secret=secret)  # type: ignore[arg-type]


def test_the_same_secret_opens_elsewhere_and_another_does_not(tmp_path: Path) -> None:
    sealed = open_seal(with_secret(tmp_path / "a")).close(WORDS)
    assert "fever" not in sealed
    assert open_seal(with_secret(tmp_path / "b")).open(sealed) == WORDS
    assert not (tmp_path / "a").exists()  # no key file is made where there is a secret
    with pytest.raises(Conflict, match="key is another one"):
        open_seal(with_secret(tmp_path / "b", SECRET.upper())).open(sealed)
    with pytest.raises(Conflict):
        open_seal(with_secret(tmp_path / "b")).open(sealed[:-4] + "AAA=")


def test_a_key_file_serves_without_a_secret_and_after_one_is_set(tmp_path: Path) -> None:
    sealed = open_seal(with_secret(tmp_path, None)).close(WORDS)
    assert open_seal(with_secret(tmp_path, None)).open(sealed) == WORDS
    assert open_seal(with_secret(tmp_path)).open(sealed) == WORDS


def test_processes_that_start_together_agree_on_the_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        seals = list(pool.map(lambda _: open_seal(with_secret(tmp_path / "h", None)), range(8)))
    sealed = seals[0].close(WORDS)
    assert {seal.open(sealed) for seal in seals} == {WORDS}
    assert [file.name for file in (tmp_path / "h").iterdir()] == ["secret.key"]


def test_rows_hold_no_clear_text_and_older_ones_are_sealed(
    session: Session, tmp_path: Path
) -> None:
    seal, clear = open_seal(with_secret(tmp_path)), new_secret()
    project = Project(name="p", base_model="tiny")
    session.add(project)
    session.flush()
    hook, shown = add_webhook(session, project.id, "https://a.example/", seal=seal)
    user = create_user(session, "eva", "engineer")
    keep_answer(session, user.id, "key-new", digest="d", status=201, body=WORDS, seal=seal)
    session.add(
        Webhook(project_id=project.id, url="https://b.example/", secret=clear, events=["x"])
    )
    session.add(
        IdempotencyKey(user_id=user.id, key="key-old", request_digest="d", status=201, body=WORDS)
    )
    session.flush()
    assert hook.secret.startswith(PREFIX)
    assert seal_open_rows(session, seal) == 2
    assert seal_open_rows(session, seal) == 0
    secrets = [row.secret for row in session.query(Webhook).order_by(Webhook.id)]
    assert [seal.open(secret) for secret in secrets] == [shown, clear]
    assert all(row.body.startswith(PREFIX) for row in session.query(IdempotencyKey))
    for key in ("key-new", "key-old"):
        assert find_answer(session, user.id, key, digest="d", seal=seal) == (201, WORDS)
