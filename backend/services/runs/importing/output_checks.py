"""Whether outputs are of the examples that they are said to be of, and under a name of their own.

Each check raises one sentence that names file, row, how many and the first ids; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db import portions
from backend.errors import InvalidInput
from backend.services.datasets.conversations import content_text
from backend.services.datasets.plain_text import plain_text
from backend.services.runs.importing.output_rows import ImportedOutput, ImportedOutputs, listed_ids
from backend.tables.datasets import Dataset, DatasetVersion, Example
from backend.tables.models import ModelKind, ModelVersion
from backend.tables.runs import GenerationRun
from backend.tables.training import TrainingRun
from evaluators.files.mapping import counted


@dataclass(frozen=True, slots=True)
class ExampleIndex:
    """The examples that outputs can be of, their ids by the ids of the file; `run` is the one that
    they are to join."""

    version: DatasetVersion
    split: str
    examples: Mapping[str, int]
    run: GenerationRun | None = None

    @property
    def name(self) -> str:
        """As messages name it."""
        return f"the {self.split} split of {self.version.dataset.name}@{self.version.number}"


def refuse_strangers(
    session: Session, project_id: int, target: ExampleIndex, given: ImportedOutputs
) -> None:
    """Raise InvalidInput for ids that the split does not have, with where they are at home."""
    strange_rows = [row for row in given.rows if row.id not in target.examples]
    if not strange_rows:
        return
    strange = list(dict.fromkeys(row.id for row in strange_rows))
    homes = _homes(session, project_id, target.version, strange)
    of_home: dict[str, list[str]] = {}
    for one in strange:
        of_home.setdefault(homes.get(one, "in no dataset of this project"), []).append(one)
    said = ", ".join(f"{len(ids)} {home} ({listed_ids(ids)})" for home, ids in of_home.items())
    total = len({row.id for row in given.rows})
    raise InvalidInput(
        f"{given.source}: row {strange_rows[0].row}: {len(strange)} of {counted(total, 'id')} "
        f"{'is' if len(strange) == 1 else 'are'} not in {target.name}: {said}.",
        hint="Name what the ids are of: --dataset NAME@VERSION --split SPLIT.",
    )


def _homes(
    session: Session, project_id: int, version: DatasetVersion, ids: Sequence[str]
) -> dict[str, str]:
    """Where ids of elsewhere are at home: in another split, another version, another dataset."""
    found: dict[str, tuple[int, str]] = {}
    query = (
        select(Example.external_id, Example.split, DatasetVersion, Dataset.name)
        .join(DatasetVersion, DatasetVersion.id == Example.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(Dataset.project_id == project_id)
        .order_by(DatasetVersion.id.desc())
    )
    for some in portions(ids):
        rows = session.execute(query.where(Example.external_id.in_(some)))
        for external_id, split, other, name in rows:
            if other.id == version.id:
                home = (0, f"in its {split} split")
            elif other.dataset_id == version.dataset_id:
                home = (1, f"in {name}@{other.number}")
            else:
                home = (2, f"in the dataset {name}")
            found[external_id] = min(found.get(external_id, home), home, key=lambda one: one[0])
    return {external_id: home for external_id, (_, home) in found.items()}


def refuse_other_inputs(session: Session, target: ExampleIndex, given: ImportedOutputs) -> None:
    """Raise InvalidInput where a row says that it was asked something else than its example asks.

    Ids such as row numbers fit every dataset.
    """
    asked = [row for row in given.rows if row.input is not None]
    other: list[ImportedOutput] = []
    for some in portions(asked):
        asked_of = {target.examples[row.id] for row in some}
        query = select(Example).where(Example.id.in_(asked_of))
        known = {example.id: example for example in session.scalars(query)}
        other += [r for r in some if not _asks(known[target.examples[r.id]], str(r.input))]
        for example in known.values():
            session.expunge(example)
    if other:
        ids = list(dict.fromkeys(row.id for row in other))
        raise InvalidInput(
            f"{given.source}: row {other[0].row}: the input is not what the example "
            f"{other[0].id!r} asks, in {counted(len(other), 'row')} ({listed_ids(ids)}).",
            hint="Are the ids those of another dataset? Else leave the column input out.",
        )


def _asks(example: Example, text: str) -> bool:
    """Whether one holds the other: the text may be a part, or have an instruction around it."""
    said, parts = plain_text(text), [content_text(example), example.input, example.context or ""]
    known = [plain_text(part) for part in parts if part.strip()]
    return said in known[0] or any(part in said for part in known)


def refuse_names(session: Session, project_id: int, given: ImportedOutputs) -> None:
    """Raise InvalidInput for the name of a model that is here, or that is being trained."""
    registered = select(ModelVersion.name).where(
        ModelVersion.project_id == project_id, ModelVersion.kind != ModelKind.OUTPUTS
    )
    trained = select(TrainingRun.adapter_name).where(TrainingRun.project_id == project_id)
    known = {*session.scalars(registered), *session.scalars(trained)}
    if (name := next((one for one in given.models if one in known), None)) is not None:
        raise InvalidInput(
            f"{name!r} names a model that is registered or trained here, and nothing proves that "
            "it wrote these outputs.",
            hint=f"Give them another name, or have it write: strop run --models {name}",
        )
