"""last use of sign-in sessions"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from backend.db import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Sessions from before count as used when they were begun.
    op.add_column("login_sessions", sa.Column("last_seen_at", UtcDateTime(), nullable=True))
    op.execute("UPDATE login_sessions SET last_seen_at = created_at")
    with op.batch_alter_table("login_sessions") as table:
        table.alter_column("last_seen_at", existing_type=UtcDateTime(), nullable=False)


def downgrade() -> None:
    op.drop_column("login_sessions", "last_seen_at")
