"""slots with random ids"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

COLUMNS = (("review_slots", "id"), ("reviews", "slot_id"), ("adjudications", "slot_id"))


def upgrade() -> None:
    # An integer of SQLite has 64 bits already. Slots that are there keep their ids.
    if op.get_bind().dialect.name == "postgresql":
        for table, column in COLUMNS:
            op.alter_column(table, column, type_=sa.BigInteger())


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, column in reversed(COLUMNS):
            op.alter_column(table, column, type_=sa.Integer())
