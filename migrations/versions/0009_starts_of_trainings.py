"""starts of trainings

The model whose weights a training went on from, so that lineage can follow it.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NAME = "fk_training_runs_start_model_id_model_versions"


def upgrade() -> None:
    op.execute(
        f"ALTER TABLE training_runs ADD COLUMN start_model_id INTEGER "
        f"CONSTRAINT {NAME} REFERENCES model_versions (id)"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE training_runs DROP COLUMN start_model_id")
