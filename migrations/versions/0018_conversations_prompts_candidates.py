"""conversations, prompts, candidates, and models whose weights are elsewhere"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

REFERENCES = {"bare_id": "model_versions", "prompt_id": "prompts"}


def upgrade() -> None:
    op.create_table(
        "prompts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("search", sa.JSON(), nullable=True),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_prompts_project_id_projects")
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name=op.f("fk_prompts_created_by_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
        sa.UniqueConstraint(
            "project_id", "name", "version", name=op.f("uq_prompts_project_id_name_version")
        ),
    )
    op.create_index(op.f("ix_prompts_digest"), "prompts", ["digest"])
    op.add_column("examples", sa.Column("messages", sa.JSON(), nullable=True))
    op.add_column(
        "model_versions",
        sa.Column("kind", sa.String(length=8), nullable=False, server_default="weights"),
    )
    for column, table in REFERENCES.items():
        op.execute(
            f"ALTER TABLE model_versions ADD COLUMN {column} INTEGER "
            f"CONSTRAINT fk_model_versions_{column}_{table} REFERENCES {table} (id)"
        )


def downgrade() -> None:
    connection = op.get_bind()
    kept = {
        "conversations": "SELECT count(*) FROM examples WHERE messages IS NOT NULL",
        "candidates with a prompt, or models without weights here": "SELECT count(*) "
        "FROM model_versions WHERE prompt_id IS NOT NULL OR kind <> 'weights'",
    }
    for what, query in kept.items():
        if count := connection.execute(sa.text(query)).scalar():
            raise RuntimeError(f"An older Strop would take {count} {what} for something else.")
    for column in REFERENCES:
        op.execute(f"ALTER TABLE model_versions DROP COLUMN {column}")
    op.drop_column("model_versions", "kind")
    op.drop_column("examples", "messages")
    op.drop_table("prompts")
