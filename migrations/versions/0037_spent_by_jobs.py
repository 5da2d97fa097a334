"""Processor and GPU seconds of jobs; of those that are there already they are not known."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("processor_s", sa.Double(), nullable=True))
    op.add_column("jobs", sa.Column("gpu_s", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "gpu_s")
    op.drop_column("jobs", "processor_s")
