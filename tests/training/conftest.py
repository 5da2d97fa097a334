"""Training in this process, which must leave the environment as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _environment_is_restored() -> Iterator[None]:
    """Training tells the libraries by the environment to stay off the network."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM"):
            patch.setenv(name, os.environ.get(name, "1"))
        yield
