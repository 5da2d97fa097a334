"""Grading notes: short notes by experts on what a right answer has to contain, for judges alone.

They are references as cheap as they come, and as secret: a note on a held-out example tells its
answer. Nothing that makes training data reads them, and `strop judge notes` takes none back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound
from backend.schemas.common import unstorable
from backend.services.projects import lock_project
from backend.tables.checks.judges import GradingNote
from backend.tables.datasets import Dataset, DatasetVersion, Example

if TYPE_CHECKING:
    from evaluators.types import Sample

MOST_CHARACTERS = 4_000
SHOWN = 5


@dataclass(frozen=True, slots=True)
class NoteCounts:
    """How many notes were new, a new version of what was there, and there already."""

    new: int
    changed: int
    same: int


def add_notes(
    session: Session,
    dataset: Dataset,
    notes: Mapping[str, str],
    *,
    created_by_id: int | None = None,
) -> NoteCounts:
    """Keep notes by the id of their example; a changed note is its next version.

    Raises:
        InvalidInput: an id that no version of the dataset has, or a note that is empty, too long,
            or cannot be kept.
    """
    _check(session, dataset, notes)
    lock_project(session, dataset.project_id)
    standing = _standing(session, [dataset.id])
    new = changed = 0
    for external_id, note in notes.items():
        before = standing.get((dataset.id, external_id))
        if before is not None and before.note == note.strip():
            continue
        new, changed = new + (before is None), changed + (before is not None)
        row = GradingNote(
            dataset_id=dataset.id,
            external_id=external_id,
            version=1 if before is None else before.version + 1,
            note=note.strip(),
            created_by_id=created_by_id,
        )
        session.add(row)
    session.flush()
    return NoteCounts(new, changed, len(notes) - new - changed)


def _check(session: Session, dataset: Dataset, notes: Mapping[str, str]) -> None:
    query = select(Example.external_id).join(
        DatasetVersion, DatasetVersion.id == Example.dataset_version_id
    )
    known = set(session.scalars(query.where(DatasetVersion.dataset_id == dataset.id)))
    strange = [name for name in notes if name not in known]
    if strange:
        raise InvalidInput(
            f"{len(strange)} of {len(notes)} ids are of no example of {dataset.name}: "
            f"{', '.join(name[:40] for name in strange[:SHOWN])}.",
            hint="Nothing was kept. Name the dataset that the notes are on: --dataset NAME.",
        )
    for name, note in notes.items():
        fault = unstorable(note)
        if not note.strip():
            fault = "it is empty"
        if len(note) > MOST_CHARACTERS:
            fault = f"it has {len(note):,} characters, and {MOST_CHARACTERS:,} are the most"
        if fault:
            raise InvalidInput(f"The note on {name[:40]!r} cannot be kept: {fault}.")


def _standing(session: Session, dataset_ids: list[int]) -> dict[tuple[int, str], GradingNote]:
    """The newest version of each note."""
    query = select(GradingNote).where(GradingNote.dataset_id.in_(dataset_ids))
    rows = session.scalars(query.order_by(GradingNote.version))
    return {(row.dataset_id, row.external_id): row for row in rows}


def notes_by_example(session: Session, project_id: int) -> dict[tuple[str, str], str]:
    """The note that stands on each example, by its id in the file and its input."""
    own = select(Dataset.id).where(Dataset.project_id == project_id)
    standing = _standing(session, list(session.scalars(own)))
    query = (
        select(DatasetVersion.dataset_id, Example.external_id, Example.input)
        .join(DatasetVersion, DatasetVersion.id == Example.dataset_version_id)
        .where(DatasetVersion.dataset_id.in_({dataset_id for dataset_id, _ in standing}))
    )
    return {
        (external_id, asked): standing[dataset_id, external_id].note
        for dataset_id, external_id, asked in session.execute(query)
        if (dataset_id, external_id) in standing
    }


def note_reader(session: Session, project_id: int) -> Callable[[Sample], str | None]:
    """What gives the note on a sample: that of the example with its id and its input."""
    found = notes_by_example(session, project_id)

    def note_of(sample: Sample) -> str | None:
        return found.get((sample.id.rpartition(":")[0], sample.input or ""))

    return note_of


def digest_note(note: str | None) -> str:
    """What a note says, as sha256; empty where there is none."""
    return "" if note is None else hashlib.sha256(note.encode()).hexdigest()


def digest_notes(session: Session, project_id: int) -> str:
    """What all notes of a project say now, for the recipe of a score; sha256 of the rows."""
    own = select(Dataset.id).where(Dataset.project_id == project_id)
    standing = _standing(session, list(session.scalars(own)))
    said = sorted((*key, row.version, row.note) for key, row in standing.items())
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def read_notes(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Notes by id from the rows of a file: {"id", "note"}.

    Raises:
        InvalidInput: a row lacks one of them, or an id comes twice with different notes.
    """
    found: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        name, note = row.get("id"), row.get("note")
        if name is None or not isinstance(note, str):
            raise InvalidInput(
                f"Row {number} has no id and note.", hint='A row is {"id": "t-1", "note": "..."}.'
            )
        if found.setdefault(str(name), note) != note:
            raise InvalidInput(f"Row {number}: {str(name)[:40]!r} has another note above.")
    if not found:
        raise InvalidInput("The file has no note.")
    return found


def find_dataset(session: Session, project_id: int, name: str | None) -> Dataset:
    """The dataset of that name; without one, the only one there is.

    Raises:
        NotFound: there is none of the name.
        InvalidInput: there are several, and none is named.
    """
    query = select(Dataset).where(Dataset.project_id == project_id).order_by(Dataset.id)
    every = list(session.scalars(query))
    named = [one for one in every if name in (None, one.name)]
    known = ", ".join(one.name for one in every) or "none"
    if not named:
        raise NotFound(f"There is no dataset {name!r}.", hint=f"Known: {known}.")
    if len(named) > 1:
        raise InvalidInput("There are several datasets.", hint=f"Say --dataset: {known}.")
    return named[0]
