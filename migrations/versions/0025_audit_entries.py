"""the log of who did what

Entries are only ever added. The one change that is let through is sealing: an entry without a place
in the chain gets the next one, with its digest, and nothing else of it changes. Triggers hold that
on both databases; SQLite's REPLACE, which deletes without firing a trigger of deletion, finds no
row to replace, since an id that is there and a place that is taken are refused before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TABLE = "audit_entries"
CONTENT = (
    *("id", "action", "user_id", "token_id", "via", "who", "project_id", "subject"),
    *("detail", "created_at"),
)
PLACED_BEFORE = f"""
    NEW.seq IS NOT NULL OR NEW.digest IS NOT NULL
    OR EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id)
"""
NOT_SEALING = f"""
    OLD.seq IS NOT NULL OR NEW.seq IS NULL OR NEW.digest IS NULL OR length(NEW.digest) <> 64
    OR NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM {TABLE})
"""
ADDED_ONLY = "an entry of the audit log is only ever added"
GUARDS = [
    ("added", "INSERT", PLACED_BEFORE, "an entry of the audit log begins without a place"),
    ("sealed", "UPDATE", NOT_SEALING, ADDED_ONLY),
    ("kept", "DELETE", "1 = 1", ADDED_ONLY),
]


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        TABLE,
        sa.Column("id", big, nullable=False),
        sa.Column("seq", big, nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("token_id", sa.Integer(), nullable=True),
        sa.Column("via", sa.String(length=16), nullable=False),
        sa.Column("who", sa.String(length=80), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=True),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint("seq", name=op.f("uq_audit_entries_seq")),
        sqlite_autoincrement=True,
    )
    for column in ("user_id", "project_id", "subject", "created_at"):
        op.create_index(op.f(f"ix_audit_entries_{column}"), TABLE, [column])
    op.create_index("ix_audit_entries_action_created_at", TABLE, ["action", "created_at"])
    unsealed = sa.text("seq IS NULL")
    op.create_index(
        "ix_audit_entries_unsealed",
        TABLE,
        ["id"],
        sqlite_where=unsealed,
        postgresql_where=unsealed,
    )
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgres()
    else:
        _guard_sqlite()


def _guard_sqlite() -> None:
    changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in CONTENT)
    for name, event, condition, message in GUARDS:
        when = f"{condition} OR {changed}" if event == "UPDATE" else condition
        op.execute(
            f"CREATE TRIGGER guard_{TABLE}_{name} BEFORE {event} ON {TABLE} FOR EACH ROW "
            f"WHEN {when} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )


def _guard_postgres() -> None:
    # A json has no equality of its own; its text is what was stored.
    changed = " OR ".join(
        f"NEW.{column}{cast} IS DISTINCT FROM OLD.{column}{cast}"
        for column in CONTENT
        for cast in ("::text" if column == "detail" else "",)
    )
    for name, event, condition, message in GUARDS:
        when = f"{condition} OR {changed}" if event == "UPDATE" else condition
        _function(name, f"IF {when} THEN {_refuse(message)} END IF; RETURN NEW;")
        op.execute(
            f"CREATE TRIGGER guard_{TABLE}_{name} BEFORE {event} ON {TABLE} "
            f"FOR EACH ROW EXECUTE FUNCTION guard_{TABLE}_{name}()"
        )
    _function("whole", _refuse(ADDED_ONLY))
    op.execute(
        f"CREATE TRIGGER guard_{TABLE}_whole BEFORE TRUNCATE ON {TABLE} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION guard_{TABLE}_whole()"
    )


def _refuse(message: str) -> str:
    return f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation';"


def _function(name: str, body: str) -> None:
    op.execute(
        f"CREATE FUNCTION guard_{TABLE}_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN {body} END $$"
    )


def downgrade() -> None:
    op.drop_table(TABLE)  # its triggers go with it
    if op.get_bind().dialect.name == "postgresql":
        for name in ("added", "sealed", "kept", "whole"):
            op.execute(f"DROP FUNCTION guard_{TABLE}_{name}()")
