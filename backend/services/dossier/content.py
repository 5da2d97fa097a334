"""What a section of a dossier tells: sentences, tables, and files beside the index."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

NOT_MEASURED = "Not measured."


@dataclass(frozen=True, slots=True)
class DossierTable:
    """Rows as they are shown; a cell is a text, a number or None."""

    columns: tuple[str, ...]
    rows: list[list[Any]]


@dataclass(frozen=True, slots=True)
class SectionContent:
    """What one section says.

    Attributes:
        measured: False: nothing was measured or recorded, and the sentences say so.
        files: further files of the archive, by name.
    """

    sentences: list[str]
    tables: list[DossierTable] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    measured: bool = True


def not_measured(why: str) -> SectionContent:
    """A section of which the records hold nothing; it stands in the dossier all the same."""
    return SectionContent([f"{NOT_MEASURED} {why}"], measured=False)


def as_json(content: object) -> bytes:
    """How JSON is written in a dossier: the same content, the same bytes."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, indent=1, default=str).encode()
