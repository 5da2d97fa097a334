"""The check of a run's models before anything is generated, and its record."""

from __future__ import annotations

from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import Engine


def check_models(sessions: sessionmaker[Session], engine: Engine, run_id: int) -> None:
    """Placeholder until services/preflight.py is there."""
    raise NotImplementedError
