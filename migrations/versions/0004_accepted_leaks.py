"""accepted leaks"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accepted_leaks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("train_digest", sa.String(64), nullable=False),
        sa.Column("held_out_digest", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("similarity", sa.Double(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("accepted_by_id", sa.Integer(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["accepted_by_id"], ["users.id"], name="fk_accepted_leaks_accepted_by_id_users"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_accepted_leaks_project_id_projects"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_accepted_leaks"),
        sa.UniqueConstraint(
            "project_id",
            "train_digest",
            "held_out_digest",
            name="uq_accepted_leaks_project_id_train_digest_held_out_digest",
        ),
    )


def downgrade() -> None:
    op.drop_table("accepted_leaks")
