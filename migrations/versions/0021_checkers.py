"""checkers: models that check, the sets that taught them, and how well they do"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from backend.db import UtcDateTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

WITH_PURPOSE = ("model_versions", "training_sets")


def upgrade() -> None:
    for table in WITH_PURPOSE:
        op.add_column(
            table,
            sa.Column("purpose", sa.String(length=8), nullable=False, server_default="answer"),
        )
    op.create_table(
        "checkers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("training_run_id", sa.Integer(), nullable=False),
        sa.Column("form", sa.JSON(), nullable=False),
        sa.Column("held_out", sa.JSON(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=True),
        sa.Column("measured_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_checkers_project_id_projects")
        ),
        sa.ForeignKeyConstraint(
            ["training_run_id"],
            ["training_runs.id"],
            name=op.f("fk_checkers_training_run_id_training_runs"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkers")),
        sa.UniqueConstraint("training_run_id", name=op.f("uq_checkers_training_run_id")),
    )
    op.create_index(op.f("ix_checkers_project_id"), "checkers", ["project_id"])


def downgrade() -> None:
    connection = op.get_bind()
    for table in WITH_PURPOSE:
        query = sa.text(f"SELECT count(*) FROM {table} WHERE purpose <> 'answer'")
        if count := connection.execute(query).scalar():
            raise RuntimeError(
                f"An older Strop would take {count} checkers or their sets for models that answer."
            )
    op.drop_table("checkers")
    for table in WITH_PURPOSE:
        op.drop_column(table, "purpose")
