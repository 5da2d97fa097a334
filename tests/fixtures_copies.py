"""A database that many tests begin with: built once, and copied for each."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from backend.db import Base, open_database, session_factory


@dataclass(frozen=True, slots=True)
class PreparedDatabase:
    """A SQLite file, and what was built in it: rows that belong to no session."""

    path: Path
    built: bytes

    @property
    def rows(self) -> Any:
        """What was built, anew for each test: what one test changes of it no other one sees."""
        return pickle.loads(self.built)

    def copied(self, path: Path) -> str:
        """URL of a copy at this path."""
        shutil.copy(self.path, path)
        return f"sqlite:///{path}"


def prepare(
    template: Path, path: Path, build: Callable[[sessionmaker[Session]], Any]
) -> PreparedDatabase:
    """Build something in a copy of a migrated SQLite file."""
    shutil.copy(template, path)
    with sessions_at(f"sqlite:///{path}") as sessions:
        built = pickle.dumps(build(sessions))
    return PreparedDatabase(path, built)


def join(session: Session, made: Any) -> Any:
    """What was built, its rows in a session: `made` is a dataclass of rows and lists of them."""
    for value in vars(made).values():
        rows = value if isinstance(value, list) else [value]
        session.add_all(row for row in rows if isinstance(row, Base))
    return made


@contextmanager
def sessions_at(url: str) -> Iterator[sessionmaker[Session]]:
    """Sessions on a database, closed in the end."""
    engine = open_database(url)
    try:
        yield session_factory(engine)
    finally:
        engine.dispose()
