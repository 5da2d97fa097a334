"""The mark of rows that a model drafted, as files carry it: out with exports, back with imports.

    {"origin": "synthetic", ...}              a key of its own
    {"provenance": {"origin": "synthetic"}}   in a row's provenance, also as JSON text

Any other value of such a column is somebody else's, and says nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backend.tables.datasets import Origin

Marked = tuple[str, dict[str, Any]]


def origin_in(values: Mapping[str, Any]) -> Marked | None:
    """The origin that a row of a file names, with what it says of it; None: it names none."""
    provenance = provenance_in(values.get("provenance")) or {}
    named = [values.get("origin"), provenance.get("origin")]
    if not any(isinstance(one, str) and one.strip().lower() == Origin.SYNTHETIC for one in named):
        return None
    return Origin.SYNTHETIC, {"imported": True, **provenance}


def provenance_in(value: object) -> dict[str, Any] | None:
    """A row's provenance, also as JSON text; None where it is none."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
