"""counters of reviewers

Queues that were open before reviewers had counters get them counted once: what is done, and the
active time from which leases learn. Nothing of the schema changes.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

DONE = """
    UPDATE queue_members SET n_submitted = (
        SELECT count(*) FROM review_slots
        WHERE review_slots.owner_id = queue_members.user_id
        AND review_slots.queue_id = queue_members.queue_id
        AND review_slots.state = 'done' AND review_slots.purpose = 'review'
    )
    WHERE n_submitted = 0
"""
TIMED = """
    FROM reviews JOIN review_items ON review_items.id = reviews.item_id
    WHERE review_items.queue_id = queue_members.queue_id
    AND reviews.reviewer_id = queue_members.user_id
    AND reviews.state = 'submitted' AND reviews.active_seconds > 0
"""
TIME = f"""
    UPDATE queue_members SET
        n_timed = (SELECT count(*) {TIMED}),
        timed_seconds = (SELECT coalesce(sum(reviews.active_seconds), 0) {TIMED})
    WHERE n_timed = 0
"""
FINISHED = """
    UPDATE review_queues SET finished_at = (
        SELECT max(reviews.submitted_at) FROM reviews
        JOIN review_items ON review_items.id = reviews.item_id
        WHERE review_items.queue_id = review_queues.id AND reviews.state = 'submitted'
    )
    WHERE finished_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM review_slots
        WHERE review_slots.queue_id = review_queues.id AND review_slots.purpose = 'review'
        AND review_slots.state IN ('open', 'leased')
    )
"""


def upgrade() -> None:
    for statement in (DONE, TIME, FINISHED):
        op.execute(statement)


def downgrade() -> None:
    """The counters go with their columns."""
