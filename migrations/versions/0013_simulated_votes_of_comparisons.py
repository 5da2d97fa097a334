"""simulated votes of comparisons

Comparisons of before get the number of simulated votes that stood in their queue when they judged.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Only lines on votes have this unit.
COUNT = """
    UPDATE comparisons SET n_simulated = (
        SELECT count(*) FROM reviews JOIN review_items ON review_items.id = reviews.item_id
        WHERE review_items.queue_id = comparisons.review_queue_id
        AND reviews.simulated AND NOT reviews.extra
        AND reviews.state = 'submitted' AND reviews.purpose IN ('review', 'import')
        AND reviews.submitted_at <= comparisons.created_at
        AND (reviews.withdrawn_at IS NULL OR reviews.withdrawn_at > comparisons.created_at)
        AND (reviews.superseded_at IS NULL OR reviews.superseded_at > comparisons.created_at)
    )
    WHERE review_queue_id IS NOT NULL AND CAST(lines AS TEXT) LIKE '%"unit": "votes"%'
"""


def upgrade() -> None:
    op.add_column(
        "comparisons", sa.Column("n_simulated", sa.Integer(), nullable=False, server_default="0")
    )
    op.execute(COUNT)


def downgrade() -> None:
    op.drop_column("comparisons", "n_simulated")
