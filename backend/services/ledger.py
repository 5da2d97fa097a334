"""Inserting into a ledger: rows with a unique key, of which those already there are left alone.

What is there is counted as it is written, so that whoever asks how far a run is reads one row. The
count stands in the transaction that writes the rows, at its end; two writers of one run wait there
for each other for the moment of a commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Float, Table, bindparam, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from backend.db import Base
from backend.tables.runs import Generation, GenerationRun, Score, ScoreRun
from evaluators.spread import cut

Rows = Sequence[Mapping[str, Any]]
Columns = Sequence[ColumnElement[Any]]
Statement = tuple[Any, Any]
"""What is executed, and its parameters."""

_ROWS_PER_STATEMENT = 500


class Counts(NamedTuple):
    """Rows of a ledger, and how many of them are errors."""

    done: int
    failed: int


def insert_missing(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows whose unique key is not in the table yet; returns how many were new."""
    return len(_insert(session, table, rows, ("id",)))


def _insert(
    session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]], told: Sequence[str]
) -> list[Any]:
    insert = _INSERTS[session.get_bind().dialect.name]
    columns: list[Any] = [table.__table__.c[name] for name in told]
    new: list[Any] = []
    for some in cut(rows, _ROWS_PER_STATEMENT):
        new += session.execute(*insert(cast(Table, table.__table__), some, columns)).all()
    return new


def _by_rows(table: Table, rows: Rows, told: Columns) -> Statement:
    statement = sqlite.insert(table).on_conflict_do_nothing().returning(*told)
    return statement, [dict(row) for row in rows]


def _by_columns(table: Table, rows: Rows, told: Columns) -> Statement:
    """One array a column: parameters by row cost the client and the server twice the time."""
    names = list(rows[0])
    arrays = [
        bindparam(name, type_=postgresql.ARRAY(table.c[name].type, dimensions=1)) for name in names
    ]
    statement = (
        postgresql.insert(table)
        .from_select(names, select(*map(func.unnest, arrays)))
        .on_conflict_do_nothing()
        .returning(*told)
    )
    return statement, {name: _cells(table.c[name], [row[name] for row in rows]) for name in names}


def _cells(column: ColumnElement[Any], values: list[Any]) -> list[Any]:
    """The values of a column as of one type: the driver refuses an array of 1 and 0.5."""
    if not isinstance(column.type, Float):
        return values
    return [None if value is None else float(value) for value in values]


_INSERTS: Mapping[str, Callable[[Table, Rows, Columns], Statement]] = {
    "sqlite": _by_rows,
    "postgresql": _by_columns,
}


def text_ids(session: Session, table: type[Base], texts: Iterable[str]) -> dict[str, int]:
    """The ids of texts that a table keeps once each (`text`); those that lack are put in."""
    wanted = sorted(set(texts))
    columns: Any = table.__table__.c
    known = select(columns.text, columns.id).where(columns.text.in_(wanted))
    found = {row.text: row.id for row in session.execute(known)}
    if lacking := [{"text": said} for said in wanted if said not in found]:
        insert_missing(session, table, lacking)
        found = {row.text: row.id for row in session.execute(known)}
    return found


Run = GenerationRun | ScoreRun


def add_to_run(
    session: Session, run_table: type[Run], run_id: int, rows: Sequence[Mapping[str, Any]]
) -> int:
    """Put rows into the ledger of a run and count them; returns how many were new.

    Args:
        rows: without the id of the run.
    """
    ledger = _LEDGERS[run_table]
    key = {ledger.of_run: run_id}
    # In one order: two who write the same rows in two would wait for each other on PostgreSQL.
    known = sorted(rows, key=lambda row: tuple(row.get(name, 0) for name in ledger.unit))
    new = _insert(session, ledger.table, [{**key, **row} for row in known], ("id", "error"))
    if new:
        failed = sum(row.error is not None for row in new)
        _note_counts(session, run_table, run_id, Counts(len(new), failed))
    return len(new)


def _note_counts(session: Session, run_table: type[Run], run_id: int, new: Counts) -> None:
    """Add what is new to the counts of a run; the first time everything is counted."""
    columns = run_table.__table__.c
    if _lock_counts(session, run_table, run_id) is None:
        recount(session, run_table, run_id)
        return
    more = {"n_done": columns.n_done + new.done, "n_failed": columns.n_failed + new.failed}
    table = cast(Table, run_table.__table__)
    session.execute(update(table).where(columns.id == run_id).values(more))


def recount(session: Session, run_table: type[Run], run_id: int) -> None:
    """Count the ledger of a run and keep it: after rows were taken out, or became errors."""
    _lock_counts(session, run_table, run_id)  # what is counted must not change before it is kept
    found = _count(session, run_table, run_id)
    session.execute(
        update(cast(Table, run_table.__table__))
        .where(run_table.__table__.c.id == run_id)
        .values(n_done=found.done, n_failed=found.failed)
    )


def _lock_counts(session: Session, run_table: type[Run], run_id: int) -> int | None:
    """Have whoever else counts a run wait, or wait until they have committed; its count so far.

    Not the lock of PostgreSQL that keeps the key too: whoever has put rows in shares the key, and
    two who wanted the row for themselves would wait for each other.
    """
    columns = run_table.__table__.c
    standing = select(columns.n_done).where(columns.id == run_id).with_for_update(key_share=True)
    n_done: int | None = session.execute(standing).scalar_one()
    return n_done


def counts_of(session: Session, run_table: type[Run], run_id: int) -> Counts:
    """How many rows the ledger of a run has: one row is read, or all of them where none counted."""
    columns = run_table.__table__.c
    done, failed = session.execute(
        select(columns.n_done, columns.n_failed).where(columns.id == run_id)
    ).one()
    return _count(session, run_table, run_id) if done is None else Counts(done, failed or 0)


def _count(session: Session, run_table: type[Run], run_id: int) -> Counts:
    ledger = _LEDGERS[run_table]
    columns: Any = ledger.table.__table__.c
    wrong = func.sum(case((columns.error.is_not(None), 1), else_=0))
    counted = select(func.count(columns.id), wrong).where(columns[ledger.of_run] == run_id)
    done, failed = session.execute(counted).one()
    return Counts(done, int(failed or 0))


class _Ledger(NamedTuple):
    table: type[Base]
    of_run: str
    unit: tuple[str, ...]  # what there is one row of in a run


_LEDGERS: Mapping[type[Run], _Ledger] = {
    GenerationRun: _Ledger(Generation, "run_id", ("model_version_id", "example_id", "sample")),
    ScoreRun: _Ledger(Score, "score_run_id", ("generation_id", "metric")),
}
