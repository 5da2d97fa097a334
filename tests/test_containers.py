"""Dockerfile and compose file: what they run and set is there; built only where docker is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.cli import COMMANDS, load_command
from backend.settings import Settings

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
KNOWN = {f"STROP_{name.upper()}" for name in Settings.model_fields}
OURS = ("web", "worker")


def options(name: str) -> set[str]:
    command = load_command(name)
    return {option for one in command.params for option in (*one.opts, *one.secondary_opts)}


def commands() -> list[list[str]]:
    (cmd,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return [json.loads(cmd), *(COMPOSE["services"][name]["command"] for name in OURS)]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_what_is_run_is_a_command(command: list[str]) -> None:
    assert command[0] in COMMANDS
    assert {word for word in command[1:] if word.startswith("-")} <= options(command[0])


def test_every_variable_is_a_setting() -> None:
    text = DOCKERFILE + (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"\bSTROP_[A-Z_]+", text)) <= KNOWN


def test_what_is_copied_is_there_and_nothing_runs_as_root() -> None:
    copied = [line.split()[1:-1] for line in re.findall(r"^COPY .*$", DOCKERFILE, re.MULTILINE)]
    assert [name for names in copied for name in names if not (ROOT / name).exists()] == []
    assert DOCKERFILE.index("USER strop") < DOCKERFILE.index("ENTRYPOINT")


def test_no_secret_has_a_default_and_only_this_machine_is_served() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    for name in ("STROP_SECRET", "POSTGRES_PASSWORD"):
        assert set(re.findall(rf"\$\{{{name}(..)", text)) == {":?"}
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def has_docker() -> bool:
    """Whether a docker daemon answers."""
    if shutil.which("docker") is None:
        return False
    return not subprocess.run(["docker", "info"], capture_output=True).returncode


@pytest.mark.deep
def test_the_image_builds_and_says_its_version() -> None:
    if not has_docker():
        pytest.skip("docker is not at hand")
    subprocess.run(["docker", "build", "-q", "-t", "strop-test", str(ROOT)], check=True)
    run = ["docker", "run", "--rm", "strop-test", "--version"]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("strop ")
