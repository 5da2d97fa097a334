"""What a team answers for its dossiers."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dossier_answers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("question", sa.String(length=40), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{of}.id"], name=op.f(f"fk_dossier_answers_{column}_{of}")
            )
            for column, of in (("project_id", "projects"), ("created_by_id", "users"))
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dossier_answers")),
    )
    op.create_index("ix_dossier_answers_project_id", "dossier_answers", ["project_id", "question"])


def downgrade() -> None:
    op.drop_table("dossier_answers")
