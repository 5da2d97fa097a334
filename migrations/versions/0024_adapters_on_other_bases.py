"""adapters on another base than the project's, trainings on one, and prompts only tried"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TABLES = ("model_versions", "training_runs")


def upgrade() -> None:
    for table in TABLES:
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN base_id INTEGER "
            f"CONSTRAINT fk_{table}_base_id_model_versions REFERENCES model_versions (id)"
        )
    op.add_column(
        "prompts", sa.Column("tried", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    connection = op.get_bind()
    for table in TABLES:
        query = f"SELECT count(*) FROM {table} WHERE base_id IS NOT NULL"
        if count := connection.execute(sa.text(query)).scalar():
            raise RuntimeError(
                f"An older Strop would take {count} rows of {table}, on another base, for ones on "
                "the project's own."
            )
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN base_id")
    op.drop_column("prompts", "tried")
