"""outputs that skip review by a certificate, and what became of it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

QUEUE = ["review_queues.id"]
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "queue_routings",
        sa.Column("queue_id", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(length=80), nullable=False),
        sa.Column("score_run_id", sa.Integer(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("lower_is_better", sa.Boolean(), nullable=False),
        sa.Column("epsilon", sa.Double(), nullable=False),
        sa.Column("delta", sa.Double(), nullable=False),
        sa.Column("audit_share", sa.Double(), nullable=False),
        sa.Column("wrong_when", sa.String(), nullable=False),
        sa.Column("n_skipped", sa.Integer(), nullable=False),
        sa.Column("n_audited", sa.Integer(), nullable=False),
        sa.Column("n_without", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["queue_id"], QUEUE, name=op.f("fk_queue_routings_queue_id_review_queues")
        ),
        sa.ForeignKeyConstraint(
            ["score_run_id"],
            ["score_runs.id"],
            name=op.f("fk_queue_routings_score_run_id_score_runs"),
        ),
        sa.PrimaryKeyConstraint("queue_id", name=op.f("pk_queue_routings")),
    )
    op.create_table(
        "skipped_outputs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("queue_id", sa.Integer(), nullable=False),
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("risk", sa.Double(), nullable=False),
        sa.Column("chance", sa.Double(), nullable=False),
        sa.Column("audited", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["queue_id"], QUEUE, name=op.f("fk_skipped_outputs_queue_id_review_queues")
        ),
        sa.ForeignKeyConstraint(
            ["generation_id"],
            ["generations.id"],
            name=op.f("fk_skipped_outputs_generation_id_generations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skipped_outputs")),
        sa.UniqueConstraint(
            "queue_id", "generation_id", name=op.f("uq_skipped_outputs_queue_id_generation_id")
        ),
    )
    op.create_index(op.f("ix_skipped_outputs_generation_id"), "skipped_outputs", ["generation_id"])
    op.create_table(
        "routing_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("queue_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["queue_id"], QUEUE, name=op.f("fk_routing_events_queue_id_review_queues")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_routing_events_user_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_routing_events")),
        sa.UniqueConstraint("queue_id", "kind", name=op.f("uq_routing_events_queue_id_kind")),
    )


def downgrade() -> None:
    count = op.get_bind().execute(sa.text("SELECT count(*) FROM queue_routings")).scalar()
    if count:
        raise RuntimeError(
            f"An older Strop would not know what skipped review in {count} queues, and would take "
            "their audits for all that there is."
        )
    op.drop_table("routing_events")
    op.drop_table("skipped_outputs")
    op.drop_table("queue_routings")
