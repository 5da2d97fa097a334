"""What Strop needs to run may be given on under Apache-2.0: no GPL, no AGPL among it."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
COPYLEFT = re.compile(r"\bA?GPL|\bLGPL|Affero|General Public License", re.IGNORECASE)
# Taken all the same, and why.
ALLOWED = {
    "psycopg": "LGPL-3.0-only: imported as it is, unchanged, and can be replaced by its user",
    "psycopg-binary": "LGPL-3.0-only: the compiled part of psycopg",
}

SAID_ELSEWHERE = {
    "cleanlab": "Apache-2.0 (its whole text stands in the metadata)",
    "setuptools": "MIT (its file LICENSE)",
}


def runtime_packages() -> list[str]:
    """All that `pip install strop` brings, by the markers of this machine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting, found = [Requirement(text) for text in project["dependencies"]], set()
    seen: set[tuple[str, str]] = set()
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        found.add(name)
        for extra in ("", *asked.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in distribution(name).requires or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    waiting.append(needed)
    return sorted(found)


def licence_of(name: str) -> str:
    """What a package says of its licence: the SPDX expression, else a short text and classifiers.

    A long text is the licence itself with those of bundled libraries and their exceptions.
    """
    told = distribution(name).metadata
    if expression := told.get("License-Expression"):
        return expression
    text = told.get("License") or ""
    classifiers = [c for c in told.get_all("Classifier") or [] if c.startswith("License ::")]
    said = " | ".join([*([text] if len(text) < 100 else []), *classifiers])
    return said or SAID_ELSEWHERE.get(name, "")


@pytest.mark.parametrize("name", runtime_packages())
def test_licence_of_what_runs(name: str) -> None:
    licence = licence_of(name)
    assert licence, f"{name} does not say its licence"
    assert name in ALLOWED or not COPYLEFT.search(licence), f"{name}: {licence}"


def test_what_runs_is_locked() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    assert set(runtime_packages()) - locked == set()


def test_exceptions_are_needed() -> None:
    for name in ALLOWED:
        try:
            assert COPYLEFT.search(licence_of(name))
        except PackageNotFoundError:
            pytest.fail(f"{name} is not there: take it off the list")


@pytest.mark.parametrize(
    ("licence", "refused"),
    [
        ("GPL-3.0-or-later", True),
        ("AGPL-3.0-only", True),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", True),
        ("GNU Affero General Public License v3", True),
        ("Apache-2.0 OR BSD-2-Clause", False),
        ("MPL-2.0 AND MIT", False),
    ],
)
def test_copyleft_is_known(licence: str, refused: bool) -> None:
    assert bool(COPYLEFT.search(licence)) is refused
