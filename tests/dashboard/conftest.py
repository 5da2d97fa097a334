"""Pages in Streamlit's test harness, which leaves its script behind as the main module."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from streamlit import config
from streamlit.components.v2 import manifest_scanner


@pytest.fixture(autouse=True)
def own_main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the main module back afterwards: a process that is spawned later would run the page."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(scope="session", autouse=True)
def set_as_served() -> Iterator[None]:
    """No magic, as dashboard/.streamlit/config.toml says, which the harness does not read. A server
    looks once which packages have components, and finds none that Strop needs; the harness would
    look for each page, four fifths of all that a test of a page takes."""
    magic = config.get_option("runner.magicEnabled")
    config.set_option("runner.magicEnabled", False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", list)
        yield
    config.set_option("runner.magicEnabled", magic)
