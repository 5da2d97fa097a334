"""rounds"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MADE = {
    "candidate_id": "model_versions",
    "comparison_id": "comparisons",
    "generation_run_id": "generation_runs",
    "project_id": "projects",
    "promotion_id": "promotions",
    "review_queue_id": "review_queues",
    "score_run_id": "score_runs",
    "started_by_id": "users",
    "training_run_id": "training_runs",
    "training_set_id": "training_sets",
}


def upgrade() -> None:
    op.create_table(
        "rounds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("waits_for", sa.String()),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.String()),
        *(sa.Column(name, sa.Integer(), nullable=name != "project_id") for name in MADE),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        *(
            sa.ForeignKeyConstraint([name], [f"{table}.id"], name=f"fk_rounds_{name}_{table}")
            for name, table in MADE.items()
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rounds"),
        sa.UniqueConstraint("project_id", "number", name="uq_rounds_project_id_number"),
    )
    active = sa.text("state = 'active'")
    op.create_index(
        "ix_rounds_active", "rounds", ["state"], sqlite_where=active, postgresql_where=active
    )
    op.create_table(
        "round_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["round_id"], ["rounds.id"], name="fk_round_events_round_id_rounds"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_round_events"),
    )
    op.create_index("ix_round_events_round_id", "round_events", ["round_id"])


def downgrade() -> None:
    op.drop_table("round_events")
    op.drop_table("rounds")
