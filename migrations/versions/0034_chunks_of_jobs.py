"""The chunks of a job, which several workers may take."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_chunks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("first_id", sa.Integer(), nullable=False),
        sa.Column("last_id", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=76), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_chunks_job_id_jobs"),
        sa.PrimaryKeyConstraint("id", name="pk_job_chunks"),
        sa.UniqueConstraint(
            "job_id",
            "attempt",
            "part",
            "first_id",
            name="uq_job_chunks_job_id_attempt_part_first_id",
        ),
    )
    op.create_index("ix_job_chunks_unfinished", "job_chunks", ["job_id", "attempt", "state", "id"])


def downgrade() -> None:
    op.drop_table("job_chunks")
