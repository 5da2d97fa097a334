"""weights of rows, corrections held back, replays

A trigger keeps what a set holds back from its own rows, by example, by prompt and by group, so that
the yield on what was held back is one on prompts that the adapter never saw.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

HELD_BACK = """
    EXISTS (
        SELECT 1 FROM held_back_rows kept
        JOIN examples theirs ON theirs.id = kept.example_id
        JOIN examples mine ON mine.id = NEW.example_id
        WHERE kept.training_set_id = NEW.training_set_id
        AND (theirs.id = mine.id OR theirs.content_digest = mine.content_digest
             OR theirs."group" = mine."group"))
"""
GUARDS = [
    ("held_back", "training_set_rows", "INSERT", HELD_BACK, "the prompt is held back"),
    ("frozen", "held_back_rows", "UPDATE", "1 = 1", "a frozen set is never changed"),
]


def upgrade() -> None:
    op.add_column("training_set_rows", sa.Column("weight", sa.Double()))
    op.create_table(
        "held_back_rows",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("training_set_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("completion", sa.String(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("example_id", sa.Integer(), nullable=False),
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("review_id", sa.Integer(), nullable=False),
        *_keys("held_back_rows", HELD),
        sa.PrimaryKeyConstraint("id", name="pk_held_back_rows"),
        sa.UniqueConstraint(
            "training_set_id", "position", name="uq_held_back_rows_training_set_id_position"
        ),
    )
    op.create_index("ix_held_back_rows_review_id", "held_back_rows", ["review_id"])
    op.create_table(
        "replays",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("training_set_id", sa.Integer(), nullable=False),
        sa.Column("candidate_id", sa.Integer(), nullable=False),
        sa.Column("dataset_version_id", sa.Integer(), nullable=False),
        sa.Column("generation_run_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *_keys("replays", REPLAYED),
        sa.PrimaryKeyConstraint("id", name="pk_replays"),
        sa.UniqueConstraint("generation_run_id", name="uq_replays_generation_run_id"),
        sa.UniqueConstraint(
            "training_set_id",
            "candidate_id",
            "dataset_version_id",
            name="uq_replays_training_set_id_candidate_id_dataset_version_id",
        ),
    )
    _guard()


HELD = {
    "example_id": "examples",
    "generation_id": "generations",
    "review_id": "reviews",
    "training_set_id": "training_sets",
}
REPLAYED = {
    "candidate_id": "model_versions",
    "dataset_version_id": "dataset_versions",
    "generation_run_id": "generation_runs",
    "training_set_id": "training_sets",
}


def _keys(table: str, keys: dict[str, str]) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([name], [f"{other}.id"], name=f"fk_{table}_{name}_{other}")
        for name, other in keys.items()
    ]


def _guard() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    for name, table, event, condition, message in GUARDS:
        trigger = f"guard_{table}_{name}"
        if postgres:
            op.execute(
                f"""CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF {condition} THEN
                        RAISE EXCEPTION '{message}'
                        USING ERRCODE = 'integrity_constraint_violation';
                    END IF;
                    RETURN NEW;
                END $$"""
            )
            op.execute(
                f"CREATE TRIGGER {trigger} BEFORE {event} ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION {trigger}()"
            )
        else:
            op.execute(
                f"CREATE TRIGGER {trigger} BEFORE {event} ON {table} FOR EACH ROW "
                f"WHEN {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )


def downgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    for name, table, *_ in reversed(GUARDS):
        trigger = f"guard_{table}_{name}"
        op.execute(f"DROP TRIGGER {trigger} ON {table}" if postgres else f"DROP TRIGGER {trigger}")
        if postgres:
            op.execute(f"DROP FUNCTION {trigger}()")
    op.drop_table("replays")
    op.drop_table("held_back_rows")
    op.drop_column("training_set_rows", "weight")
