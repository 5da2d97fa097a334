"""The grading note under which a judge said something of a pair."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

TABLE = "judge_verdicts"
OLD = "uq_judge_verdicts_judge_id_generation_a_id_generation_b_id"
NEW = "uq_judge_verdicts_pair_noted"
PAIR = ["judge_id", "generation_a_id", "generation_b_id"]


def upgrade() -> None:
    with op.batch_alter_table(TABLE) as table:
        table.add_column(
            sa.Column("noted", sa.String(length=64), nullable=False, server_default="")
        )
        table.drop_constraint(OLD, type_="unique")
        table.create_unique_constraint(NEW, [*PAIR, "noted"])


def downgrade() -> None:
    # Under the older key one verdict of a pair has room: the newest stays.
    op.execute(
        f"DELETE FROM {TABLE} WHERE id NOT IN (SELECT max(id) FROM {TABLE} GROUP BY "
        f"{', '.join(PAIR)})"
    )
    with op.batch_alter_table(TABLE) as table:
        table.drop_constraint(NEW, type_="unique")
        table.create_unique_constraint(OLD, PAIR)
        table.drop_column("noted")
