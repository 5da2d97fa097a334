"""The rows of the database: what hangs on an erased example goes, what quotes it is blacked out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import (
    Column,
    Select,
    String,
    Table,
    bindparam,
    cast,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from backend.db import Base, portions
from backend.services.datasets.queries import rows_for, values_for
from backend.services.erasure.columns import DELETED, EXAMPLES, Blank, Notice, Searched
from backend.services.erasure.passages import Passages
from backend.services.ledger import recount
from backend.tables.packed import is_json, is_packed
from backend.tables.runs import Generation, GenerationRun

TABLES: Mapping[str, Table] = Base.metadata.tables
READ_ROWS = 500
MARKED = ("examples", "training_set_rows", "held_back_rows")
"""Tables whose rows say by which erasure they went."""
FROZEN = ("training_set_rows", "held_back_rows")
"""Tables of which a row that quotes an erased text goes as a whole: its digest is sealed."""

LABELS = ("slices", "group", "value", "label", "stats")
"""Columns whose values are labels or numbers, and no text that anybody could quote."""

Ids = Sequence[int]


def _examples(ids: Ids) -> Select[Any]:
    return select(TABLES["examples"].c.id).where(TABLES["examples"].c.id.in_(ids))


def _outputs(ids: Ids) -> Select[Any]:
    table = TABLES["generations"]
    return select(table.c.id).where(table.c.example_id.in_(ids))


def _of_either(table: str) -> Callable[[Ids], Select[Any]]:
    """The rows of a table that are of one output, or of two."""

    def rows(ids: Ids) -> Select[Any]:
        columns = TABLES[table].c
        a, b = columns.generation_a_id, columns.generation_b_id
        return select(columns.id).where(or_(a.in_(_outputs(ids)), b.in_(_outputs(ids))))

    return rows


def _by(table: str, column: str, parents: Callable[[Ids], Select[Any]]) -> Callable[[Ids], Any]:
    def rows(ids: Ids) -> Select[Any]:
        found = TABLES[table]
        return select(found.c.id).where(found.c[column].in_(parents(ids)))

    return rows


def _notes(ids: Ids) -> Select[Any]:
    notes, examples, versions = (
        TABLES[name] for name in ("grading_notes", "examples", "dataset_versions")
    )
    return (
        select(notes.c.id)
        .join(versions, versions.c.dataset_id == notes.c.dataset_id)
        .join(
            examples,
            (examples.c.dataset_version_id == versions.c.id)
            & (examples.c.external_id == notes.c.external_id),
        )
        .where(examples.c.id.in_(ids))
    )


def _drafts(ids: Ids) -> Select[Any]:
    """What was drafted from an example, or as one."""
    drafts = TABLES["drafts"].c
    return select(drafts.id).where(or_(drafts.brief_id.in_(ids), drafts.example_id.in_(ids)))


_items = _of_either("review_items")
_reviews = _by("reviews", "item_id", _items)
_answers = _by("gold_answers", "item_id", _items)
HANGS: dict[str, Callable[[Ids], Select[Any]]] = {
    "examples": _examples,
    "generations": _outputs,
    "drafts": _drafts,
    "health_findings": _by("health_findings", "example_id", _examples),
    "scores": _by("scores", "generation_id", _outputs),
    "judge_verdicts": _of_either("judge_verdicts"),
    "grading_notes": _notes,
    "reviews": _reviews,
    "ratings": _by("ratings", "review_id", _reviews),
    "corrections": _by("corrections", "review_id", _reviews),
    "spans": _by("spans", "review_id", _reviews),
    "gold_answers": _answers,
    "gold_results": _by("gold_results", "gold_id", _answers),
    "adjudications": _by("adjudications", "item_id", _items),
    "training_set_rows": _by("training_set_rows", "example_id", _examples),
    "held_back_rows": _by("held_back_rows", "example_id", _examples),
}
"""By table: the ids of the rows that hang on these examples."""


def hanging_ids(session: Session, table: str, example_ids: Sequence[int]) -> list[int]:
    """The rows of a table that hang on these examples, in order."""
    parts = (session.scalars(HANGS[table](some)) for some in portions(example_ids))
    return sorted(set(chain.from_iterable(parts)))


def blank_columns(table: str) -> list[str]:
    """The columns of a table that an erasure blanks."""
    parts = (name.split(".") for name, fate in EXAMPLES.items() if isinstance(fate, Blank))
    return [column for owner, column in parts if owner == table]


def texts_of(session: Session, example_ids: Sequence[int]) -> tuple[list[str], list[str]]:
    """The texts of examples (what came in), and those that were written about them."""
    came_in: list[str] = []
    written: list[str] = []
    for table in HANGS:
        names = [name for name in blank_columns(table) if name not in LABELS]
        query = select(*(TABLES[table].c[name] for name in names))
        keep = came_in if table == "examples" else written
        hanging = hanging_ids(session, table, example_ids)
        for row in rows_for(session, query, TABLES[table].c.id, hanging) if names else ():
            keep += chain.from_iterable(map(strings_of, row))
    return came_in, written


def strings_of(value: Any) -> Iterator[str]:
    """Every string in a value of JSON, but for who says it (`role`)."""
    match value:
        case str():
            yield value
        case dict():
            for key, part in value.items():
                if key != "role":
                    yield from strings_of(part)
        case list() | tuple():
            for part in value:
                yield from strings_of(part)


def shared_text(session: Session, example_ids: Sequence[int]) -> Callable[[str], bool]:
    """Whether a stretch stands in an example that is not erased, word for word."""
    gone = set(example_ids)
    table = TABLES["examples"]
    plain = (table.c.input, table.c.context)
    coded = (table.c.messages, table.c.references)

    def stands(stretch: str) -> bool:
        return _stands_in(session, table, plain, coded, stretch, gone)

    return stands


def shared_output(
    session: Session, example_ids: Sequence[int], skip: Mapping[str, Sequence[int]]
) -> Callable[[str], bool]:
    """The same for what models and people wrote: whether it stands in what was written of another
    example, too. An answer that is always the same, a sentence of a template, a correction that
    begins as all do are of nobody.

    Args:
        skip: the rows that hang on the erased examples, by table.
    """
    in_examples = shared_text(session, example_ids)
    places = [
        (TABLES[name], *_by_form(TABLES[name]), set(skip.get(name, ())))
        for name in HANGS
        if name not in ("examples", *FROZEN)
    ]

    def stands(stretch: str) -> bool:
        return in_examples(stretch) or any(
            _stands_in(session, table, plain, coded, stretch, gone)
            for table, plain, coded, gone in places
        )

    return stands


def _by_form(table: Table) -> tuple[list[Column[Any]], list[Column[Any]]]:
    """The blanked columns of a table that hold a text as it is, and those that hold JSON."""
    columns = [table.c[name] for name in blank_columns(table.name)]
    columns = [column for column in columns if not is_packed(column.type)]
    coded = [column for column in columns if is_json(column.type)]
    return [column for column in columns if not is_json(column.type)], coded


def _stands_in(
    session: Session,
    table: Table,
    plain: Sequence[Column[Any]],
    coded: Sequence[Column[Any]],
    stretch: str,
    gone: set[int],
) -> bool:
    place = func.strpos if session.get_bind().dialect.name == "postgresql" else func.instr
    escaped = json.dumps(stretch)[1:-1]
    conditions = [place(column, stretch) > 0 for column in plain]
    conditions += [place(cast(column, String), escaped) > 0 for column in coded]
    query = select(table.c.id).where(or_(*conditions)).limit(len(gone) + 1)
    return any(id_ not in gone for id_ in session.scalars(query))


def blank_rows(
    session: Session, example_ids: Sequence[int], notice: Notice, erasure_id: int
) -> dict[str, int]:
    """Blank what hangs on examples; returns how many rows of which table."""
    counts = {}
    for table in reversed(HANGS):  # what hangs last goes first: the way there stays
        ids = hanging_ids(session, table, example_ids)
        if ids:
            counts[table] = blank_ids(session, table, ids, notice, erasure_id)
        if ids and table == "generations":
            _recount_runs(session, ids)
    for name in DELETED:
        for some in portions(example_ids):
            session.execute(delete(TABLES[name]).where(TABLES[name].c.example_id.in_(some)))
    return counts


def _recount_runs(session: Session, generation_ids: Sequence[int]) -> None:
    """What was erased of an output counts as failed."""
    runs = select(Generation.run_id).distinct()
    for run_id in sorted(set(values_for(session, runs, Generation.id, generation_ids))):
        recount(session, GenerationRun, run_id)


def blank_ids(
    session: Session, name: str, ids: Sequence[int], notice: Notice, erasure_id: int
) -> int:
    """Blank these rows of a table, as the list of columns says; rows that went before stay."""
    table = TABLES[name]
    columns = blank_columns(name)
    marked = name in MARKED
    n = 0
    for some in portions(ids):
        query = select(table.c.id, *(table.c[c] for c in columns)).where(table.c.id.in_(some))
        if marked:
            query = query.where(table.c.erasure_id.is_(None))
        values = [
            {"row_id": row[0], **_blanked(name, columns, row[1:], notice)}
            for row in session.execute(query)
        ]
        if not values:
            continue
        sets: dict[str, Any] = {c: bindparam(f"new_{c}", type_=table.c[c].type) for c in columns}
        if marked:
            sets["erasure_id"] = erasure_id
        statement = update(table).where(table.c.id == bindparam("row_id")).values(sets)
        session.connection().execute(statement, values)
        n += len(values)
    return n


def _blanked(
    table: str, columns: Sequence[str], row: Sequence[Any], notice: Notice
) -> dict[str, Any]:
    found = {}
    for column, old in zip(columns, row, strict=True):
        fate = EXAMPLES[f"{table}.{column}"]
        assert isinstance(fate, Blank)
        found[f"new_{column}"] = fate.value(old, notice)
    return found


def search_rows(
    session: Session,
    passages: Passages,
    *,
    skip: Mapping[str, Sequence[int]],
    frozen: Callable[[str, Sequence[int]], None],
) -> dict[str, int]:
    """Black out what quotes an erased text in any other row; returns how many of which table.

    Args:
        skip: rows that went as a whole, by table.
        frozen: is given the rows of a FROZEN table that quote one, before they go.
    """
    counts: dict[str, int] = {}
    for name, columns in _searched().items():
        quoting = _quoting(session, name, columns, passages, set(skip.get(name, ())))
        if name in FROZEN and quoting:
            frozen(name, sorted(id_ for (id_,) in quoting))
        elif quoting:
            _rewrite(session, TABLES[name], quoting)
        if quoting:
            counts[name] = len(quoting)
    return counts


def _searched() -> dict[str, list[str]]:
    """Columns that are searched, by table; examples are not: what is alike there is a copy."""
    found: dict[str, list[str]] = {}
    for name, fate in EXAMPLES.items():
        table, _, column = name.partition(".")
        texts = table != "examples" and column not in LABELS
        if isinstance(fate, Blank | Searched) and texts:
            found.setdefault(table, []).append(column)
    return found


def _quoting(
    session: Session, name: str, columns: Sequence[str], passages: Passages, skip: set[int]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The rows that quote, by their primary keys, each with its new values."""
    table = TABLES[name]
    keys = list(table.primary_key.columns)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    query = select(*keys, *(table.c[c] for c in columns)).execution_options(yield_per=READ_ROWS)
    for row in session.connection().execute(query):
        own, values = tuple(row[: len(keys)]), zip(columns, row[len(keys) :], strict=True)
        if own[0] not in skip:
            new = {c: passages.blacked(v) for c, v in values if passages.holds(v)}
            if new:
                found[own] = new
    return found


def _rewrite(
    session: Session, table: Table, rows: Mapping[tuple[Any, ...], Mapping[str, Any]]
) -> None:
    for own, values in rows.items():
        keys = zip(table.primary_key.columns, own, strict=True)
        here = [column == part for column, part in keys]
        session.connection().execute(update(table).where(*here).values(dict(values)))


def common_slices(session: Session, example_ids: Sequence[int], least: int) -> frozenset[Any]:
    """Values of slices that so many rows of these examples' versions share, each by itself."""
    table = TABLES["examples"]
    common: set[tuple[str, str]] = set()
    versions = select(table.c.dataset_version_id).distinct()
    for version_id in set(values_for(session, versions, table.c.id, example_ids)):
        counts: Counter[tuple[str, str]] = Counter()
        query = select(table.c.slices).where(
            table.c.dataset_version_id == version_id, table.c.erasure_id.is_(None)
        )
        for slices in session.scalars(query):
            counts.update((key, str(value)) for key, value in (slices or {}).items())
        common |= {pair for pair, n in counts.items() if n >= least}
    return frozenset(common)
