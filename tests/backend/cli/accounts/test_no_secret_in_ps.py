"""No secret stands where `ps` shows it: no option takes one, no process is started with one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.cli import COMMANDS, load_command
from backend.engines.base import ServedModel
from backend.engines.vllm.serve import ServerPlan, server_command
from backend.jobs import train
from backend.jobs.train import trainer_command
from backend.settings import Settings, child_environment

SECRET_WORD = re.compile(r"password|passphrase|token|secret|api.?key|(?<![a-z])keys?(?![a-z])|otp")
# Options of that name that hold no secret: what is counted in tokens, columns and files of data.
HARMLESS = re.compile(r"public.?key|max.?(new.?)?tokens|tokens$|token_id|tokenizer")
SECRETS = {
    "secret": "s1-" + "x" * 40,
    "vllm_api_key": "s2-of-vllm",
    "openai_api_key": "s3-of-openai",
    "oidc_client_secret": "s4-of-the-client",
    "backup_key": "s5-of-the-backup",
}


def options(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every option and argument of a command and those below it."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from options(inner, f"{path} {name}")
    for parameter in command.params:
        yield path, parameter


def all_options() -> list[tuple[str, Any]]:
    return [found for name in COMMANDS for found in options(load_command(name), f"strop {name}")]


def test_no_option_takes_a_secret() -> None:
    found = all_options()
    assert len(found) > 300
    taking = [
        f"{path} {parameter.opts}"
        for path, parameter in found
        if SECRET_WORD.search(words := f"{parameter.name} {' '.join(parameter.opts)}".lower())
        and not HARMLESS.search(words)
        and not getattr(parameter, "is_flag", False)
    ]
    assert taking == []


def settings_with_secrets(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        oidc_issuer="https://id.example",
        oidc_client_id="strop",
        oidc_roles={"ward 3": "expert"},
        oidc_projects={"ward 3": ["notes"]},
        **SECRETS,
    )


def test_children_are_given_secrets_in_their_environment_and_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = child_environment(settings_with_secrets(tmp_path))
    for name, secret in SECRETS.items():
        assert environment[f"STROP_{name.upper()}"] == secret
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    read = Settings()
    assert read.oidc_roles == {"ward 3": "expert"}
    assert read.oidc_projects == {"ward 3": ["notes"]}
    assert read.oidc_client_secret is not None
    assert read.oidc_client_secret.get_secret_value() == SECRETS["oidc_client_secret"]


def test_commands_of_server_and_trainer_name_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in child_environment(settings_with_secrets(tmp_path)).items():
        monkeypatch.setenv(name, value)
    plan = ServerPlan(ServedModel("base", "base"), tmp_path / "log", ())
    commands = [
        server_command(plan, port=1, on_cpu=True),
        trainer_command(tmp_path / "config.yaml"),
        trainer_command(tmp_path / "config.yaml", processes=2),
    ]
    for command in commands:
        shown = " ".join(command)
        assert not [secret for secret in SECRETS.values() if secret in shown]
        assert "--api-key" not in shown


def test_a_trainer_is_given_no_secret_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in child_environment(settings_with_secrets(tmp_path)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WANDB_MODE", "offline")  # of whom training reports to
    started: list[dict[str, str]] = []
    monkeypatch.setattr(train.subprocess, "Popen", lambda *_, env, **__: started.append(env))
    files = SimpleNamespace(log=tmp_path / "log", config=tmp_path / "config.yaml")
    plan = SimpleNamespace(output_dir=tmp_path / "out" / "v1", files=files)
    shop = SimpleNamespace(settings=settings_with_secrets(tmp_path))
    train.start_trainer(shop, plan)  # type: ignore[arg-type]
    (environment,) = started
    assert environment["WANDB_MODE"] == "offline"
    assert not [name for name in environment if name.startswith("STROP_")]
    assert not [one for one in SECRETS.values() if one in str(environment)]
