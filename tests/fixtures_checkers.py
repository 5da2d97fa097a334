"""A project in which a checker can be trained: notes with their dialogues, reviews, a bar.

`lay_down_notes` needs no model; `dialogue` and `note` are what a small base can learn to check.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.datasets.versions import ExampleRow, import_dataset, list_examples
from backend.services.models.seen import see_base
from backend.tables.datasets import DatasetVersion, Example
from backend.tables.models import BASE, ModelVersion
from backend.tables.projects import Project, SuccessManifest
from tests.fixtures_review import Desk, build_desk

NAMES = (
    *("Anna", "Berta", "Clara", "Doris", "Emma", "Frida", "Greta", "Hanna", "Ida", "Julia"),
    *("Karla", "Lina", "Maria", "Nora", "Olga", "Paula", "Rosa", "Sara", "Thea", "Ursula"),
)


THINGS = (
    *("garden", "ladder", "kitchen", "violin", "harbour", "orchard", "bakery", "tunnel", "meadow"),
    *("bicycle", "library", "market", "island", "castle", "forest", "bridge", "factory", "museum"),
    *("theatre", "village", "station", "chapel", "stable", "cinema", "tower", "canyon", "desert"),
)


def dialogue(number: int) -> str:
    """What was said, with small talk that no other dialogue has."""
    name = NAMES[number % len(NAMES)]
    things = random.Random(number).sample(THINGS, 9)
    talk = f"Patient: On the way I passed a {', a '.join(things)}. "
    return talk + (
        f"Doctor: How old is {name}? Patient: {name} is {30 + number} years old. Doctor: Which "
        f"dose? Patient: {number + 5} mg of aspirin. Doctor: Any fever? Patient: No. Patient: The "
        f"pain increased after the fall in March."
    )


def note(number: int) -> str:
    """A right summary of it."""
    return (
        f"{NAMES[number % len(NAMES)]} is {30 + number} years old. She takes {number + 5} mg of "
        "aspirin. She has no fever. The pain increased after the fall in March."
    )


def note_rows(split: str, count: int, *, first: int = 0) -> list[ExampleRow]:
    """Examples numbered on from `first`, each a group of its own."""
    return [
        ExampleRow(
            external_id=f"{split}-{n}",
            input=f"Summarise visit {n} of the {split} list",
            context=dialogue(n),
            references=(note(n),),
            group=f"{split}-{n}",
            split=split,
        )
        for n in range(first, first + count)
    ]


@dataclass(frozen=True, slots=True)
class Notes:
    """A desk whose dataset `notes` can teach a checker."""

    desk: Desk
    version: DatasetVersion
    examples: list[Example]

    @property
    def project(self) -> int:
        """Its id."""
        return self.desk.project.id


def lay_down_notes(
    session: Session, *, train: int = 20, validation: int = 12, test: int = 4, name: str = "desk"
) -> Notes:
    """A project with notes in three splits, a run of two models over them, and a bar."""
    desk = build_desk(session, splits={"train": 1}, name=name)
    rows = [
        *note_rows("train", train),
        *note_rows("validation", validation, first=100),
        *note_rows("test", test, first=200),
    ]
    version = import_dataset(session, desk.project.id, "notes", rows, source_name="made here")
    session.add(
        SuccessManifest(
            project_id=desk.project.id, version=1, digest="b" * 64, content={}, source="-"
        )
    )
    session.flush()
    return Notes(desk, version, list_examples(session, version.id))


def set_base(session: Session, project_id: int, base: str) -> None:
    """Have the project stand on a base that is there."""
    session.get_one(Project, project_id).base_model = base
    row = session.scalars(
        select(ModelVersion).where(ModelVersion.project_id == project_id, ModelVersion.name == BASE)
    ).one()
    row.base_model = base
    for column, digest in see_base(base).as_columns().items():
        setattr(row, column, digest)
    session.flush()


__all__ = ["Notes", "dialogue", "lay_down_notes", "note", "note_rows", "set_base"]
