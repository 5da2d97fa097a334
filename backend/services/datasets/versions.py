"""Datasets: import into immutable versions, split by group, and reading them back.

An import is whole or it is nothing: every row is checked before the first is stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from backend.engines.base import Message
from backend.errors import InvalidInput, NotFound
from backend.schemas.common import row_number
from backend.services.datasets.conversations import (
    content_digest,
    content_text,
)
from backend.services.datasets.erased import gone_from
from backend.services.datasets.leaks import (
    Acceptance,
    Leak,
    LeakSide,
    canned_answers,
    find_leaks,
    settle_leaks,
)
from backend.services.datasets.masking.files import RowMask
from backend.services.datasets.masking.stored import (
    settle_masks,
    store_masks,
    with_masks,
)
from backend.services.datasets.near_duplicates import near_duplicate_pairs
from backend.services.datasets.row_checks import check_rows
from backend.services.datasets.splits import SHARES, Shares, assign_splits
from backend.services.projects import lock_project
from backend.tables.datasets import Dataset, DatasetVersion, Example, Split
from evaluators.spread import Spread

REMEDY = "Leave them out with --drop-leaks"


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """One example as it comes in. `split` is None when the platform is to choose it.

    `messages` is a conversation of more than one message, and `input` then its transcript.
    `origin` and `provenance` are the mark of a row that a model drafted, `mask` of a masked one.
    """

    external_id: str
    input: str
    context: str | None = None
    references: tuple[str, ...] = ()
    group: str | None = None
    slices: Mapping[str, str] = field(default_factory=dict)
    split: str | None = None
    messages: tuple[Message, ...] | None = None
    origin: str | None = None
    provenance: Mapping[str, Any] | None = None
    mask: RowMask | None = field(default=None, compare=False)

    @property
    def content_digest(self) -> str:
        """Digest of the prompt, so that the same text under another id is recognised."""
        return content_digest(self)


@dataclass(frozen=True, slots=True)
class PreparedImport:
    """Rows checked, split and compared, ready to be stored.

    Attributes:
        leaks: near-duplicates across a given split, which somebody has to accept.
    """

    rows: Sequence[ExampleRow]
    source_name: str
    recipe: Mapping[str, Any]
    leaks: Sequence[Leak]
    digest: str


def prepare_import(
    rows: Sequence[ExampleRow],
    *,
    source_name: str,
    seed: int = 7,
    fractions: Shares | None = None,
    drop_leaks: bool = False,
    spread: Spread = map,
) -> PreparedImport:
    """All of an import that needs no database, and takes seconds: nobody waits for it meanwhile.

    Args:
        rows: examples; either all name their split or none does.
        fractions: train, validation and test shares of a split by group, SHARES by default;
            near-duplicates stay on one side of it.
        drop_leaks: leave out training rows that repeat a held-out prompt.
        spread: where blocks of texts are prepared to be compared.

    Raises:
        InvalidInput: no rows, an id twice, or shares for rows that name their split.
    """
    check_rows(rows, source_name)
    recipe: dict[str, Any] = {"method": "given"}
    if rows[0].split is None:
        rows, recipe = _split(rows, seed=seed, fractions=fractions or SHARES, spread=spread)
    elif fractions is not None:
        raise InvalidInput(
            "The rows name their split themselves, so there is nothing to share out.",
            hint="Leave out the shares, or the split of the rows.",
        )
    else:
        recipe["groups_on_both_sides"] = groups_on_both_sides(rows)
    leaks = _leaks(rows, spread)
    if drop_leaks and leaks:
        dropped = dict.fromkeys(leak.train.example for leak in leaks)
        rows = [row for row in rows if row.external_id not in dropped]
        recipe["dropped_as_leaks"] = list(dropped)
        leaks = []
    return PreparedImport(rows, source_name, recipe, leaks, rows_digest(rows))


def store_import(
    session: Session,
    project_id: int,
    name: str,
    prepared: PreparedImport,
    *,
    accept_leaks: Acceptance | None = None,
) -> DatasetVersion:
    """Store what was prepared as the next version; the same content is the version that stands.

    Args:
        accept_leaks: who lets near-duplicates across a given split stand, and why.

    Rows that were erased from the project are left out, and counted in the version's recipe.

    Raises:
        LeakRefused: training rows repeat a held-out prompt, and nobody accepted it.
        InvalidInput: every row was erased before, or the project masks and a row is not masked.
    """
    lock_project(session, project_id)
    rows = settle_masks(session, project_id, prepared.rows, prepared.source_name)
    prepared = _without_erased(session, project_id, name, replace(prepared, rows=rows))
    if prepared.leaks:
        settle_leaks(
            session,
            project_id,
            prepared.leaks,
            subject=prepared.source_name,
            remedy=REMEDY,
            accept=accept_leaks,
        )
    return _store_version(session, project_id, name, prepared)


def _without_erased(
    session: Session, project_id: int, name: str, prepared: PreparedImport
) -> PreparedImport:
    gone = gone_from(session, project_id)
    kept = [
        row
        for row in prepared.rows
        if not gone.holds(name, row.external_id, row.group, row.content_digest)
    ]
    n_left_out = len(prepared.rows) - len(kept)
    if not n_left_out:
        return prepared
    if not kept:
        raise InvalidInput(
            f"{prepared.source_name}: all {n_left_out} rows were erased from this project.",
            hint="What was erased does not come in again.",
        )
    recipe = {**prepared.recipe, "left_out_as_erased": n_left_out}
    return replace(prepared, rows=kept, recipe=recipe, digest=rows_digest(kept))


def import_dataset(
    session: Session,
    project_id: int,
    name: str,
    rows: Sequence[ExampleRow],
    *,
    source_name: str,
    seed: int = 7,
    fractions: Shares | None = None,
    drop_leaks: bool = False,
    accept_leaks: Acceptance | None = None,
) -> DatasetVersion:
    """`prepare_import` and `store_import` in one, for a few rows or where nobody waits."""
    prepared = prepare_import(
        rows, source_name=source_name, seed=seed, fractions=fractions, drop_leaks=drop_leaks
    )
    return store_import(session, project_id, name, prepared, accept_leaks=accept_leaks)


def _split(
    rows: Sequence[ExampleRow], *, seed: int, fractions: Shares, spread: Spread
) -> tuple[list[ExampleRow], dict[str, Any]]:
    pairs = _linked(rows, spread)
    keys = [(row.group, row.content_digest) for row in rows]
    splits = assign_splits(keys, seed=seed, fractions=fractions, linked=pairs)
    recipe = {
        "method": "by group",
        "seed": seed,
        "fractions": list(fractions),
        "near_duplicates_kept_together": len(pairs),
    }
    return [replace(row, split=split) for row, split in zip(rows, splits, strict=True)], recipe


def _linked(rows: Sequence[ExampleRow], spread: Spread) -> list[tuple[int, int]]:
    """Rows of which a prompt or an answer repeats one of the other, as `_leaks` would find them."""
    sides = [_sides(row) for row in rows]
    canned = canned_answers([side for row in sides for side in row], [])
    answers = [
        (index, side.text)
        for index, row in enumerate(sides)
        for side in row
        if side.is_answer and side.digest not in canned
    ]
    texts = [*map(content_text, rows), *(reference for _, reference in answers)]
    owners = [*range(len(rows)), *(index for index, _ in answers)]
    pairs = near_duplicate_pairs(texts, answers=len(answers), spread=spread)
    linked = {
        (min(a, b), max(a, b)) for one, other in pairs for a, b in [(owners[one], owners[other])]
    }
    return sorted((one, other) for one, other in linked if one != other)


def groups_on_both_sides(rows: Sequence[ExampleRow]) -> int:
    """Groups that a given split has both in training and held out."""
    sides: dict[bool, set[str]] = {True: set(), False: set()}
    for row in rows:
        if row.group is not None:
            sides[row.split == Split.TRAIN].add(row.group)
    return len(sides[True] & sides[False])


def warn_of_groups(shared: int) -> str | None:
    """What it means that a given split parts groups; None where it parts none."""
    if not shared:
        return None
    return (
        f"{shared} groups stand both in training and held out: figures on the held-out examples "
        "say nothing of groups never seen. Leave the split to Strop, and groups stay together."
    )


def _leaks(rows: Sequence[ExampleRow], spread: Spread = map) -> list[Leak]:
    sides: dict[bool, list[LeakSide]] = {True: [], False: []}
    for row in rows:
        sides[row.split == Split.TRAIN] += _sides(row)
    return find_leaks(sides[True], sides[False], spread=spread)


def _sides(row: ExampleRow) -> list[LeakSide]:
    """The prompt of a row and its references."""
    text, digest = content_text(row), row.content_digest
    side = LeakSide(row.external_id, str(row.split), text, digest, owner=digest)
    return [side, *map(side.answer, dict.fromkeys(row.references))]


def _store_version(
    session: Session, project_id: int, name: str, prepared: PreparedImport
) -> DatasetVersion:
    dataset = _dataset_named(session, project_id, name)
    versions = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset.id)
    latest = session.scalar(versions.order_by(DatasetVersion.number.desc()).limit(1))
    if latest is not None and latest.digest == prepared.digest:
        return latest
    version = DatasetVersion(
        dataset=dataset,
        number=1 if latest is None else latest.number + 1,
        digest=prepared.digest,
        n_examples=len(prepared.rows),
        source_name=prepared.source_name,
        split_recipe=dict(prepared.recipe),
    )
    session.add(version)
    session.flush()
    session.execute(insert(Example), [_example_values(version.id, row) for row in prepared.rows])
    store_masks(session, version.id, prepared.rows)
    return version


def _example_values(version_id: int, row: ExampleRow) -> dict[str, Any]:
    return {
        "dataset_version_id": version_id,
        "external_id": row.external_id,
        "input": row.input,
        "messages": None if row.messages is None else [dict(turn) for turn in row.messages],
        "context": row.context,
        "references": list(row.references),
        "group": row.group,
        "slices": dict(row.slices),
        "split": row.split,
        "content_digest": row.content_digest,
        "origin": row.origin,
        "provenance": None if row.provenance is None else dict(row.provenance),
    }


def rows_digest(rows: Sequence[ExampleRow]) -> str:
    """SHA-256 over every example with its split, whatever their order."""
    return hashlib.sha256("\n".join(sorted(map(row_line, rows))).encode()).hexdigest()


def row_line(row: ExampleRow) -> str:
    """What one example counts as in the digest of its version."""
    parts = [row.external_id, row.input, row.context, row.references, row.group, dict(row.slices)]
    turns = [] if row.messages is None else [[dict(turn) for turn in row.messages]]
    made = [] if row.origin is None else [{"origin": row.origin}]
    return json.dumps([*parts, row.split, *turns, *made], sort_keys=True, ensure_ascii=False)


def version_lines(session: Session, dataset_version_id: int) -> dict[str, str]:
    """The lines of all examples of a version as they stand now, by id."""
    examples = list_examples(session, dataset_version_id, erased=True)
    return {str(example.id): row_line(row_of(example)) for example in examples}


def _dataset_named(session: Session, project_id: int, name: str) -> Dataset:
    query = select(Dataset).where(Dataset.project_id == project_id, Dataset.name == name)
    dataset = session.scalar(query)
    if dataset is None:
        dataset = Dataset(project_id=project_id, name=name)
        session.add(dataset)
        session.flush()
    return dataset


def get_dataset_version(
    session: Session, project_id: int, name: str, number: int | None = None
) -> DatasetVersion:
    """A version of a dataset, the newest unless a number is given."""
    query = (
        select(DatasetVersion)
        .join(Dataset)
        .where(Dataset.project_id == project_id, Dataset.name == name)
        .order_by(DatasetVersion.number.desc())
    )
    if number is not None:
        query = query.where(DatasetVersion.number == number)
    version = session.scalar(query.limit(1))
    if version is None:
        known = session.scalars(select(Dataset.name).where(Dataset.project_id == project_id)).all()
        raise NotFound(
            f"There is no dataset {name!r}" + (f" version {number}." if number else "."),
            hint=f"Known: {', '.join(known)}." if known else "Import one: strop dataset import",
        )
    return version


def parse_version(label: str) -> tuple[str, int | None]:
    """Name and number of NAME or NAME@VERSION; None is the newest.

    Raises:
        InvalidInput: the version is no whole number from 1 on.
    """
    name, at, number = label.partition("@")
    if at and not row_number(number):
        raise InvalidInput(
            f"{number[:40]!r} is no version of a dataset.",
            hint=f"Write its number, {name}@1; or {name} alone, which is the newest.",
        )
    return name, row_number(number) if at else None


def find_version(session: Session, project_id: int, label: str) -> DatasetVersion:
    """The version that people mean by NAME or NAME@VERSION; errors as of `parse_version`.

    Raises:
        NotFound: the project has no such dataset, or no such version.
    """
    return get_dataset_version(session, project_id, *parse_version(label))


def only_dataset(session: Session, project_id: int) -> str:
    """The name of the one dataset that people brought in; briefs and drafts of models are none.

    Raises:
        NotFound: the project has no dataset.
        InvalidInput: it has several.
    """
    own = (
        select(Example.id)
        .join(DatasetVersion)
        .where(DatasetVersion.dataset_id == Dataset.id, Example.origin.is_(None))
        .exists()
    )
    query = select(Dataset.name).where(Dataset.project_id == project_id, own)
    names = session.scalars(query.order_by(Dataset.id)).all()
    if not names:
        raise NotFound("The project has no dataset.", hint="Import one: strop dataset import FILE")
    if len(names) > 1:
        raise InvalidInput(
            f"The project has {len(names)} datasets.", hint=f"Name one: {', '.join(names)}."
        )
    return names[0]


def list_dataset_versions(session: Session, project_id: int) -> list[DatasetVersion]:
    """All versions of all datasets of a project, oldest first."""
    query = select(DatasetVersion).join(Dataset).where(Dataset.project_id == project_id)
    return list(session.scalars(query.order_by(DatasetVersion.id)))


def list_examples(
    session: Session, dataset_version_id: int, split: str | None = None, *, erased: bool = False
) -> list[Example]:
    """Examples of a version in the order of import, all or of one split.

    Args:
        erased: list those that were erased, too.
    """
    query = select(Example).where(Example.dataset_version_id == dataset_version_id)
    if not erased:
        query = query.where(Example.erasure_id.is_(None))
    if split is not None:
        query = query.where(Example.split == split)
    return list(session.scalars(query.order_by(Example.id)))


def unsplit_rows(session: Session, dataset_version_id: int) -> list[ExampleRow]:
    """The examples of a version as rows whose split is to be chosen anew; no erased ones."""
    examples = list_examples(session, dataset_version_id)
    rows = ((example.id, replace(row_of(example), split=None)) for example in examples)
    return with_masks(session, rows)


def stored_rows(session: Session, dataset_version_id: int) -> list[ExampleRow]:
    """The examples of a version as the rows that they came from, erased ones as they stand."""
    return [row_of(e) for e in list_examples(session, dataset_version_id, erased=True)]


def row_of(example: Example) -> ExampleRow:
    """A stored example as the row that it came from."""
    return ExampleRow(
        external_id=example.external_id,
        input=example.input,
        context=example.context,
        references=tuple(example.references),
        group=example.group,
        slices=example.slices,
        split=example.split,
        messages=None if example.messages is None else tuple(example.messages),
        origin=example.origin,
        provenance=example.provenance,
    )


def size_of_test(session: Session, dataset_version_id: int) -> tuple[int, int]:
    """Test examples, and their groups; an example without a group is one of its own."""
    groups = func.count(func.distinct(Example.group))
    alone = func.count() - func.count(Example.group)
    n, together = session.execute(
        select(func.count(), groups + alone).where(
            Example.dataset_version_id == dataset_version_id, Example.split == Split.TEST
        )
    ).one()
    return n, together


def split_counts(session: Session, dataset_version_id: int) -> dict[str, tuple[int, int]]:
    """Examples and groups of each split: {"train": (720, 180), ...}."""
    query = (
        select(Example.split, func.count(), func.count(func.distinct(Example.group)))
        .where(Example.dataset_version_id == dataset_version_id)
        .group_by(Example.split)
    )
    return {split: (n, groups) for split, n, groups in session.execute(query)}
