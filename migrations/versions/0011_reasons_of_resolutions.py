"""reasons of resolutions"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gold_results", sa.Column("resolution_reason", sa.String()))
    op.execute(
        "ALTER TABLE gold_results ADD COLUMN resolved_by_id INTEGER"
        " CONSTRAINT fk_gold_results_resolved_by_id_users REFERENCES users (id)"
    )


def downgrade() -> None:
    op.drop_column("gold_results", "resolved_by_id")
    op.drop_column("gold_results", "resolution_reason")
