"""Pages in Streamlit's test harness, which leaves its script behind as the main module."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def own_main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the main module back afterwards: a process that is spawned later would run the page."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
