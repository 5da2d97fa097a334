"""cancelled jobs"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE jobs ADD COLUMN cancelled_by_id INTEGER"
        " CONSTRAINT fk_jobs_cancelled_by_id_users REFERENCES users (id)"
    )


def downgrade() -> None:
    op.drop_column("jobs", "cancelled_by_id")
