"""evidence of promotions

What a preflight asked and was told, the preflight under a verdict, and what a promotion rests on.
Triggers keep the log of promotions append-only.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

GUARDED = ("UPDATE", "DELETE")
MESSAGE = "the log of promotions is append-only"


def upgrade() -> None:
    op.add_column("preflights", sa.Column("fingerprint", sa.JSON()))
    op.add_column("comparisons", sa.Column("preflight", sa.JSON()))
    op.add_column("promotions", sa.Column("override", sa.String()))
    op.add_column("promotions", sa.Column("evidence", sa.JSON()))
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"""CREATE FUNCTION guard_promotions() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation';
            END $$"""
        )
        for event in GUARDED:
            op.execute(
                f"CREATE TRIGGER guard_promotions_{event.lower()} BEFORE {event} ON promotions "
                "FOR EACH ROW EXECUTE FUNCTION guard_promotions()"
            )
    else:
        for event in GUARDED:
            op.execute(
                f"CREATE TRIGGER guard_promotions_{event.lower()} BEFORE {event} ON promotions "
                f"FOR EACH ROW BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
            )


def downgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    for event in GUARDED:
        where = " ON promotions" if postgres else ""
        op.execute(f"DROP TRIGGER guard_promotions_{event.lower()}{where}")
    if postgres:
        op.execute("DROP FUNCTION guard_promotions()")
    op.drop_column("promotions", "evidence")
    op.drop_column("promotions", "override")
    op.drop_column("comparisons", "preflight")
    op.drop_column("preflights", "fingerprint")
