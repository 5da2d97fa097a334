"""withdrawals of reviews"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reviews", sa.Column("withdrawn_reason", sa.String()))
    op.execute(
        "ALTER TABLE reviews ADD COLUMN withdrawn_by_id INTEGER"
        " CONSTRAINT fk_reviews_withdrawn_by_id_users REFERENCES users (id)"
    )


def downgrade() -> None:
    op.drop_column("reviews", "withdrawn_by_id")
    op.drop_column("reviews", "withdrawn_reason")
