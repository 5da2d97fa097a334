"""Statements of the hot path, compiled once for each kind of database and sent as they are.

A claim and a submit are eight small statements, and what SQLAlchemy does around each costs more
than the statement. Here the Core statement is compiled once; then its text goes to the driver's own
cursor, in the transaction of the session, with the types' own conversions of values and rows. It
remains the one source of the SQL.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

Statement = Select[Any] | Insert | Update | Delete
Convert = Callable[[Any], Any]


@dataclass(slots=True)
class _Plan:
    """The text for one kind of database, what is bound to it, and how rows are read."""

    sql: str
    names: tuple[str, ...]
    positional: bool
    constants: Mapping[str, Any]
    binds: Sequence[tuple[str, Convert]]
    row: Callable[..., Any]
    types: Sequence[TypeEngine[Any]]
    reads: list[tuple[int, Convert]] | None = None

    def bind(self, values: Mapping[str, Any]) -> Any:
        bound = {**self.constants, **values}
        for name, convert in self.binds:
            bound[name] = convert(bound[name])
        return [bound[name] for name in self.names] if self.positional else bound

    def read(self, found: Sequence[Any], cursor: Any, dialect: Dialect) -> Any:
        if self.reads is None:  # what the driver gives is known from its first answer on
            told = (column[1] for column in cursor.description)
            converts: Sequence[Convert | None] = [
                kind.result_processor(dialect, code)
                for kind, code in zip(self.types, told, strict=True)
            ]
            self.reads = [(n, convert) for n, convert in enumerate(converts) if convert]
        if not self.reads:
            return self.row(*found)
        cells = list(found)
        for n, convert in self.reads:
            cells[n] = convert(cells[n])
        return self.row(*cells)


class Prepared:
    """A Core statement to be run many times.

    Args:
        keys: the columns that an insert or an update is given values for, besides its own.
    """

    __slots__ = ("_keys", "_plans", "_statement")

    def __init__(self, statement: Statement, *, keys: Sequence[str] = ()) -> None:
        self._statement = statement
        self._keys = list(keys)
        self._plans: dict[str, _Plan] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Send it; for statements that return nothing."""
        self._execute(connection, values)

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Any | None:
        """The first row, by names; None when there is none."""
        plan, cursor = self._execute(connection, values)
        found = cursor.fetchone()
        row = None if found is None else plan.read(found, cursor, connection.dialect)
        cursor.close()
        return row

    def run_many(self, connection: Connection, values: Sequence[Mapping[str, Any]]) -> None:
        """Send it once for each of these; for statements that return nothing."""
        plan = self._plan(connection.dialect)
        bound = [plan.bind(each) for each in values]
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(plan.sql, bound)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _translated(connection, plan.sql, bound, error) from error
        cursor.close()

    def _execute(self, connection: Connection, values: Mapping[str, Any]) -> tuple[_Plan, Any]:
        plan = self._plan(connection.dialect)
        bound = plan.bind(values)
        cursor: Any = connection.connection.cursor()
        try:
            cursor.execute(plan.sql, bound)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _translated(connection, plan.sql, bound, error) from error
        return plan, cursor

    def _plan(self, dialect: Dialect) -> _Plan:
        plan = self._plans.get(dialect.name)
        if plan is None:
            plan = self._plans[dialect.name] = _compile(self._statement, self._keys, dialect)
        return plan


def _compile(statement: Statement, keys: Sequence[str], dialect: Dialect) -> _Plan:
    compiled: Any = statement.compile(
        dialect=dialect,
        column_keys=list(keys) or None,
    )
    converts = {
        name: convert
        for name, bind in compiled.binds.items()
        if (convert := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
    }
    given = {name for name, bind in compiled.binds.items() if bind.required}
    constants = {name: value for name, value in compiled.params.items() if name not in given}
    fixed = {
        name: _plain(converts[name](value) if name in converts else value)
        for name, value in constants.items()
    }
    columns = list(statement.exported_columns)
    names = [column.key or f"column_{n}" for n, column in enumerate(columns)]
    return _Plan(
        sql=str(compiled),
        names=tuple(compiled.positiontup or ()),
        positional=compiled.positional,
        constants=fixed,
        binds=[(name, convert) for name, convert in converts.items() if name in given],
        row=namedtuple("Row", names),
        types=[column.type.dialect_impl(dialect) for column in columns],
    )


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _translated(connection: Connection, sql: str, bound: Any, error: Exception) -> BaseException:
    """The driver's error as SQLAlchemy would have raised it."""
    base = connection.dialect.loaded_dbapi.Error
    return DBAPIError.instance(sql, bound, error, base, dialect=connection.dialect)
