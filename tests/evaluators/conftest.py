"""Public data with human ratings, where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def public_data() -> Path:
    """Folder with the public data: STROP_TEST_DATA, else shared/data beside the checkout."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("STROP_TEST_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no public data at {folder} (set STROP_TEST_DATA)")
    return folder
