"""review desk

Columns are added and dropped one by one and no table is made anew: on SQLite, triggers of the
training sets name the tables of reviews, which a rename would break.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _columns() -> dict[str, list[sa.Column]]:
    return {
        "memberships": [
            sa.Column("skills", sa.JSON(), server_default="[]", nullable=False),
            sa.Column("groups", sa.JSON(), server_default="[]", nullable=False),
        ],
        "queue_members": [
            sa.Column("n_submitted", sa.Integer(), server_default="0", nullable=False),
            sa.Column("n_timed", sa.Integer(), server_default="0", nullable=False),
            sa.Column("timed_seconds", sa.Double(), server_default="0", nullable=False),
            sa.Column("n_gold", sa.Integer(), server_default="0", nullable=False),
            sa.Column("since_gold", sa.Integer(), server_default="0", nullable=False),
            sa.Column("paused_at", sa.DateTime(timezone=True)),
            sa.Column("pause_reason", sa.String()),
        ],
        "review_items": [
            sa.Column("purpose", sa.String(12), server_default="review", nullable=False),
            sa.Column("stratum", sa.String(80)),
            sa.Column("why", sa.String()),
        ],
        "review_queues": [
            sa.Column("rules", sa.JSON(), server_default="{}", nullable=False),
            sa.Column("finished_at", sa.DateTime(timezone=True)),
        ],
        "review_slots": [
            sa.Column("purpose", sa.String(12), server_default="review", nullable=False),
            sa.Column("required_skill", sa.String(80)),
        ],
        "reviews": [
            sa.Column("purpose", sa.String(12), server_default="review", nullable=False),
            sa.Column("extra", sa.Boolean(), server_default="0", nullable=False),
            sa.Column("superseded_at", sa.DateTime(timezone=True)),
            sa.Column("seconds_by_criterion", sa.JSON(), server_default="{}", nullable=False),
            sa.Column("source", sa.String(24), server_default="desk", nullable=False),
        ],
    }


def upgrade() -> None:
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    op.execute(
        "ALTER TABLE review_slots ADD COLUMN assigned_to_id INTEGER"
        " CONSTRAINT fk_review_slots_assigned_to_id_users REFERENCES users (id)"
    )
    _index_claims(" AND purpose = 'review'")
    op.create_index(
        "ix_review_slots_assigned",
        "review_slots",
        ["assigned_to_id", "queue_id"],
        sqlite_where=sa.text("assigned_to_id IS NOT NULL"),
        postgresql_where=sa.text("assigned_to_id IS NOT NULL"),
    )
    op.create_table(
        "gold_answers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("explanation", sa.String(), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by_id", sa.Integer(), nullable=True),
        sa.Column("withdrawn_reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name=op.f("fk_gold_answers_created_by_id_users")
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["review_items.id"], name=op.f("fk_gold_answers_item_id_review_items")
        ),
        sa.ForeignKeyConstraint(
            ["withdrawn_by_id"], ["users.id"], name=op.f("fk_gold_answers_withdrawn_by_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gold_answers")),
        sa.UniqueConstraint("item_id", name=op.f("uq_gold_answers_item_id")),
    )
    op.create_table(
        "gold_results",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("gold_id", sa.Integer(), nullable=False),
        sa.Column("review_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("contested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("contest_reason", sa.String(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(
            ["gold_id"], ["gold_answers.id"], name=op.f("fk_gold_results_gold_id_gold_answers")
        ),
        sa.ForeignKeyConstraint(
            ["review_id"], ["reviews.id"], name=op.f("fk_gold_results_review_id_reviews")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_gold_results_user_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gold_results")),
        sa.UniqueConstraint("review_id", name=op.f("uq_gold_results_review_id")),
    )
    op.create_table(
        "adjudications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("queue_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("slot_id", sa.Integer(), nullable=False),
        sa.Column("disagreement", sa.Double(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("review_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["item_id"], ["review_items.id"], name=op.f("fk_adjudications_item_id_review_items")
        ),
        sa.ForeignKeyConstraint(
            ["queue_id"], ["review_queues.id"], name=op.f("fk_adjudications_queue_id_review_queues")
        ),
        sa.ForeignKeyConstraint(
            ["review_id"], ["reviews.id"], name=op.f("fk_adjudications_review_id_reviews")
        ),
        sa.ForeignKeyConstraint(
            ["slot_id"], ["review_slots.id"], name=op.f("fk_adjudications_slot_id_review_slots")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjudications")),
        sa.UniqueConstraint("item_id", name=op.f("uq_adjudications_item_id")),
        sa.UniqueConstraint("review_id", name=op.f("uq_adjudications_review_id")),
        sa.UniqueConstraint("slot_id", name=op.f("uq_adjudications_slot_id")),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("secret", sa.String(length=200), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_webhooks_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
        sa.UniqueConstraint("project_id", "url", name=op.f("uq_webhooks_project_id_url")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("webhook_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id_webhooks")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("webhook_id", "key", name=op.f("uq_webhook_deliveries_webhook_id_key")),
    )
    op.create_index("ix_gold_results_gold_id", "gold_results", ["gold_id"])
    op.create_index("ix_gold_results_user", "gold_results", ["user_id"])
    op.create_index("ix_adjudications_open", "adjudications", ["queue_id", "decided_at"])
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["next_attempt_at"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )


def _index_claims(purpose: str) -> None:
    """Index what can be claimed: open slots in the order of the queue, leased ones by their end."""
    for name, state, order in (
        ("ix_review_slots_open", "open", "position"),
        ("ix_review_slots_leased", "leased", "lease_until"),
    ):
        op.drop_index(name, "review_slots")
        where = sa.text(f"state = '{state}'{purpose}")
        op.create_index(
            name,
            "review_slots",
            ["queue_id", order],
            sqlite_where=where,
            postgresql_where=where,
        )


def downgrade() -> None:
    tables = ["webhook_deliveries", "webhooks", "gold_results", "gold_answers", "adjudications"]
    for table in tables:
        op.drop_table(table)
    op.drop_index("ix_review_slots_assigned", "review_slots")
    _index_claims("")
    op.drop_column("review_slots", "assigned_to_id")
    for table, columns in _columns().items():
        for column in columns:
            op.drop_column(table, column.name)
