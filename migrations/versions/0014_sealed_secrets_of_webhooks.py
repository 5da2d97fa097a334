"""sealed secrets of webhooks"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _resize(200, 500)  # a sealed secret is longer; what is clear is sealed when the server starts


def downgrade() -> None:
    _resize(500, 200)


def _resize(old: int, new: int) -> None:
    with op.batch_alter_table("webhooks") as table:
        table.alter_column(
            "secret",
            existing_type=sa.String(old),
            type_=sa.String(new),
            existing_nullable=False,
        )
