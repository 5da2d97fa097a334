"""Alembic environment: migrates the database whose URL `backend.db.alembic_config` was given."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

import backend.tables
from backend.db import UtcDateTime, open_database
from backend.settings import load_settings


def render_type(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Keep migrations free of imports from the application, which may change under them."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run() -> None:
    """Run the migrations in one transaction."""
    url = context.config.attributes.get("url") or load_settings().url
    engine = open_database(url)
    try:
        with engine.connect() as connection:
            context.configure(
                connection=connection,
                target_metadata=backend.tables.Base.metadata,
                render_item=render_type,
                render_as_batch=connection.dialect.name == "sqlite",
            )
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()  # also where a migration refuses


run()
