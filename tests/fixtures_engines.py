"""One dialect, and so one cache of compiled statements, for all engines of a kind in a process.

SQLAlchemy compiles each statement once for each engine. A program has one engine, a test run one
for every test: without this, most of the time of most tests goes into compiling what was compiled
before. Connections, pools and listeners stay each engine's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from backend import db

STATEMENTS = 10_000


class Dialects:
    """The first engine of each kind that has connected."""

    def __init__(self) -> None:
        self._first: dict[str, Engine] = {}

    def share(self, engine: Engine) -> Engine:
        """Give an engine the dialect of the first of its kind; the first one is known by its
        connecting, which is when a dialect learns what its server can do."""
        kind = engine.dialect.name
        if first := self._first.get(kind):
            engine.dialect = first.dialect
            engine._compiled_cache = first._compiled_cache
        else:
            event.listen(engine, "first_connect", lambda *_: self._remember(kind, engine))
        return engine

    def _remember(self, kind: str, engine: Engine) -> None:
        engine._compiled_cache.capacity = STATEMENTS  # type: ignore[union-attr]
        self._first.setdefault(kind, engine)


@contextmanager
def shared_dialects() -> Iterator[None]:
    """Let all databases that are opened in this process share what was compiled."""
    dialects, make, configure = Dialects(), db.create_engine, db._configure_sqlite

    def create_engine(url: Any, **options: Any) -> Engine:
        engine = make(url, **options)
        return engine if engine.dialect.name == "sqlite" else dialects.share(engine)

    def configure_sqlite(engine: Engine) -> None:
        configure(engine)  # it listens at the engine's own dialect, by which its pool connects
        dialects.share(engine)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "create_engine", create_engine)
        patch.setattr(db, "_configure_sqlite", configure_sqlite)
        yield
