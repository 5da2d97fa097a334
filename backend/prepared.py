"""Statements of the hot path, compiled once for each kind of database and sent as they are.

What SQLAlchemy does around a small statement costs more than the statement. Here the Core statement
is compiled once; then its text goes to the driver, in the transaction of the session, with the
types' own conversions of values and rows. It remains the one source of the SQL.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete
Convert = Callable[[Any], Any]


@dataclass(slots=True)
class _StatementPlan:
    """The text for one kind of database, what is bound to it, and how rows are read."""

    sql: str
    take: Callable[[Mapping[str, Any]], Any] | None
    constants: Mapping[str, Any]
    binds: Sequence[tuple[str, Convert]]
    row: Callable[..., Any]
    types: Sequence[TypeEngine[Any]]
    reads: list[tuple[int, Convert]] | None = None

    def bind(self, values: Mapping[str, Any]) -> Any:
        bound = {**self.constants, **values}
        for name, convert in self.binds:
            bound[name] = convert(bound[name])
        return bound if self.take is None else self.take(bound)

    def learn(self, cursor: Any, dialect: Dialect) -> list[tuple[int, Convert]]:
        """How columns are read; what the driver gives is known from its first answer on."""
        told = (column[1] for column in cursor.description)
        converts: Sequence[Convert | None] = [
            kind.result_processor(dialect, code)
            for kind, code in zip(self.types, told, strict=True)
        ]
        self.reads = [(n, convert) for n, convert in enumerate(converts) if convert]
        return self.reads

    def read(self, found: Sequence[Any], cursor: Any, dialect: Dialect) -> Any:
        reads = self.learn(cursor, dialect) if self.reads is None else self.reads
        if not reads:
            return self.row(*found)
        cells = list(found)
        for n, convert in reads:
            cells[n] = convert(cells[n])
        return self.row(*cells)


class PreparedStatement:
    """A Core statement to be run many times.

    Args:
        keys: the columns that an insert or an update is given values for, besides its own.
    """

    __slots__ = ("_keys", "_plans", "_statement")

    def __init__(self, statement: Statement, *, keys: Sequence[str] = ()) -> None:
        self._statement = statement
        self._keys = list(keys)
        self._plans: dict[str, _StatementPlan] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Send it; for statements that return nothing."""
        self._send(connection, values)

    def count(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """How many rows an update or a delete that returns nothing has met."""
        return int(self._send(connection, values)[1].rowcount)

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Any | None:
        """The first row, by names; None when there is none."""
        plan, cursor = self._send(connection, values)
        found = cursor.fetchone()
        row = None if found is None else plan.read(found, cursor, connection.dialect)
        cursor.close()
        return row

    def each(self, connection: Connection, values: Mapping[str, Any]) -> Iterator[Any]:
        """All rows, by names, that the statement finds now."""
        plan, cursor = self._send(connection, values)
        found = cursor.fetchall()
        return (plan.read(row, cursor, connection.dialect) for row in found)

    def _send(
        self, connection: Connection, values: Mapping[str, Any]
    ) -> tuple[_StatementPlan, Any]:
        plan = self._plans.get(connection.dialect.name) or self._compile(connection.dialect)
        bound = plan.bind(values)
        driver: Any = connection.connection.dbapi_connection
        try:
            return plan, driver.execute(plan.sql, bound)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _translated(connection, plan.sql, bound, error) from error

    def _compile(self, dialect: Dialect) -> _StatementPlan:
        plan = self._plans[dialect.name] = _compile(self._statement, self._keys, dialect)
        return plan


def _compile(statement: Statement, keys: Sequence[str], dialect: Dialect) -> _StatementPlan:
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(keys) or None)
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
    return _StatementPlan(
        sql=str(compiled),
        take=_in_order(compiled.positiontup or ()) if compiled.positional else None,
        constants=fixed,
        binds=[(name, convert) for name, convert in converts.items() if name in given],
        row=namedtuple("Row", names),
        types=[column.type.dialect_impl(dialect) for column in columns],
    )


def _in_order(names: Sequence[str]) -> Callable[[Mapping[str, Any]], Any]:
    """Values by name as a tuple in the order of the statement."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda bound: tuple(bound[name] for name in names)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _translated(connection: Connection, sql: str, bound: Any, error: Exception) -> BaseException:
    """The driver's error as SQLAlchemy would have raised it; a lost connection is used no more."""
    dialect, base = connection.dialect, connection.dialect.loaded_dbapi.Error
    lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, None)  # type: ignore[arg-type]
    if lost:
        connection.invalidate(error)
        connection.engine.dispose()  # the others of the pool were lost with it
    return DBAPIError.instance(
        sql, bound, error, base, dialect=dialect, connection_invalidated=lost
    )
