"""erasure and retention

Erasures with the digests of what they took, exports that were made, days for which things are kept.
Frozen rows may be changed by an erasure alone, and only to nothing: the triggers that froze them
see to it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

MARKED = ("examples", "training_set_rows", "held_back_rows")
LOGS = ("erased_rows", "erasure_seals")
SAME = "NEW.{0} IS NOT DISTINCT FROM OLD.{0}"
ERASES = {
    "training_set_rows": "CAST(NEW.prompt AS TEXT) = '[]' AND NEW.rejected IS NULL AND ",
    "held_back_rows": "",
}
KEPT = {
    "training_set_rows": (
        *("id", "training_set_id", "position", "kind", "label", "weight", "source"),
        *("example_id", "generation_id", "review_id"),
    ),
    "held_back_rows": (
        *("id", "training_set_id", "position", "source"),
        *("example_id", "generation_id", "review_id"),
    ),
}


def _erasure(table: str) -> str:
    """Whether an update of a frozen row only takes its texts, in the name of an erasure."""
    same = " AND ".join(SAME.format(column) for column in KEPT[table])
    return (
        "NEW.erasure_id IS NOT NULL AND NEW.completion LIKE 'Erased on %' "
        f"AND {ERASES[table]}{same}"
    )


def upgrade() -> None:
    _make_erasures()
    _make_digests()
    _make_exports_and_rules()
    for table in MARKED:
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN erasure_id INTEGER "
            f"CONSTRAINT fk_{table}_erasure_id_erasures REFERENCES erasures (id)"
        )
    for table in KEPT:
        _guard(table, f"NOT ({_erasure(table)})")
    _append_only()


def _make_erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer()),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("subject", sa.String(400), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("example_ids", sa.JSON(), nullable=False),
        sa.Column("person_id", sa.Integer()),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("asked_by_id", sa.Integer()),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        *_keys("erasures", {"project_id": "projects", "person_id": "users"}),
        *_keys("erasures", {"asked_by_id": "users"}),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )
    op.create_index("ix_erasures_state", "erasures", ["state"])
    op.create_index("ix_erasures_project_id", "erasures", ["project_id"])


def _make_digests() -> None:
    op.create_table(
        "erased_rows",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("erasure_id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(40), nullable=False),
        sa.Column("part", sa.String(24), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        *_keys("erased_rows", {"erasure_id": "erasures"}),
        sa.PrimaryKeyConstraint("id", name="pk_erased_rows"),
        sa.UniqueConstraint("subject", "part", name="uq_erased_rows_subject_part"),
    )
    op.create_index("ix_erased_rows_erasure_id", "erased_rows", ["erasure_id"])
    op.create_table(
        "erasure_seals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("intact", sa.Boolean(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_erasure_seals"),
        sa.UniqueConstraint("subject", name="uq_erasure_seals_subject"),
    )


def _make_exports_and_rules() -> None:
    op.create_table(
        "exports_made",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer()),
        sa.Column("user_id", sa.Integer()),
        sa.Column("subject", sa.String(40), nullable=False),
        sa.Column("format", sa.String(40), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *_keys("exports_made", {"project_id": "projects", "user_id": "users"}),
        sa.PrimaryKeyConstraint("id", name="pk_exports_made"),
    )
    op.create_index("ix_exports_made_subject", "exports_made", ["subject"])
    op.create_table(
        "retention_rules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("set_by_id", sa.Integer()),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        *_keys("retention_rules", {"project_id": "projects", "set_by_id": "users"}),
        sa.PrimaryKeyConstraint("id", name="pk_retention_rules"),
        sa.UniqueConstraint("project_id", "kind", name="uq_retention_rules_project_id_kind"),
    )


def _keys(table: str, keys: dict[str, str]) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([name], [f"{other}.id"], name=f"fk_{table}_{name}_{other}")
        for name, other in keys.items()
    ]


def _guard(table: str, condition: str) -> None:
    """Let the trigger that freezes the rows of a table refuse what meets the condition."""
    trigger, message = f"guard_{table}_frozen", "a frozen set is never changed"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"""CREATE OR REPLACE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF {condition} THEN
                    RAISE EXCEPTION '{message}'
                    USING ERRCODE = 'integrity_constraint_violation';
                END IF;
                RETURN NEW;
            END $$"""
        )
    else:
        op.execute(f"DROP TRIGGER {trigger}")
        op.execute(
            f"CREATE TRIGGER {trigger} BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )


def _append_only() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    message = "what was erased is only ever added to"
    if postgres:
        op.execute(
            f"""CREATE FUNCTION guard_erased() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation';
            END $$"""
        )
    does = (
        "EXECUTE FUNCTION guard_erased()"
        if postgres
        else f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )
    for table in LOGS:
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER guard_{table}_{event.lower()} BEFORE {event} ON {table} "
                f"FOR EACH ROW {does}"
            )


def downgrade() -> None:
    connection = op.get_bind()
    if count := connection.execute(sa.text("SELECT count(*) FROM erasures")).scalar():
        raise RuntimeError(f"An older Strop would take what {count} erasures took for changed.")
    postgres = connection.dialect.name == "postgresql"
    for table in KEPT:
        _guard(table, "1 = 1")
    for table in LOGS:
        for event in ("update", "delete"):
            where = f" ON {table}" if postgres else ""
            op.execute(f"DROP TRIGGER guard_{table}_{event}{where}")
    if postgres:
        op.execute("DROP FUNCTION guard_erased()")
    for table in MARKED:
        op.execute(f"ALTER TABLE {table} DROP COLUMN erasure_id")
    for table in ("retention_rules", "exports_made", "erasure_seals", "erased_rows", "erasures"):
        op.drop_table(table)
