"""Examinations of dataset versions, what they found, and the queues on it."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def _keys(table: str, *pairs: tuple[str, str]) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([column], [f"{of}.id"], name=op.f(f"fk_{table}_{column}_{of}"))
        for column, of in pairs
    ]


def upgrade() -> None:
    op.create_table(
        "health_reports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("dataset_version_id", sa.Integer(), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("content", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("worst", sa.String(length=8), nullable=True),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        *_keys(
            "health_reports",
            ("project_id", "projects"),
            ("dataset_version_id", "dataset_versions"),
            ("created_by_id", "users"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_reports")),
    )
    op.create_index(op.f("ix_health_reports_project_id"), "health_reports", ["project_id"])
    op.create_index(
        op.f("ix_health_reports_dataset_version_id"), "health_reports", ["dataset_version_id"]
    )
    op.create_table(
        "health_findings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("example_id", sa.Integer(), nullable=False),
        sa.Column("part", sa.String(length=12), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=True),
        sa.Column("end", sa.Integer(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("others", sa.JSON(), nullable=False),
        *_keys("health_findings", ("report_id", "health_reports"), ("example_id", "examples")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_findings")),
    )
    op.create_index("ix_health_findings_report_kind", "health_findings", ["report_id", "kind"])
    op.create_index(op.f("ix_health_findings_example_id"), "health_findings", ["example_id"])
    op.create_table(
        "health_queues",
        sa.Column("queue_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("confirmed_when", sa.String(), nullable=False),
        *_keys("health_queues", ("queue_id", "review_queues"), ("report_id", "health_reports")),
        sa.PrimaryKeyConstraint("queue_id", name=op.f("pk_health_queues")),
    )
    op.create_index(op.f("ix_health_queues_report_id"), "health_queues", ["report_id"])


def downgrade() -> None:
    op.drop_table("health_queues")
    op.drop_table("health_findings")
    op.drop_table("health_reports")
