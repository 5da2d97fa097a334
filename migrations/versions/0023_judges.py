"""judges, what they say of pairs, their licences, and grading notes"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def _made() -> sa.Column[datetime]:
    return sa.Column("created_at", sa.DateTime(timezone=True), nullable=False)


def _key(table: str, column: str, of: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{of}.id"], name=op.f(f"fk_{table}_{column}_{of}"))


def _text(name: str, length: int | None = None, *, empty: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=empty)


def _number(name: str, *, empty: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=empty)


def upgrade() -> None:
    op.create_table(
        "judges",
        _number("id"),
        _number("project_id"),
        _text("name", 40),
        _number("version"),
        _number("model_version_id"),
        _text("kind", 8),
        _text("criterion", 80, empty=True),
        _text("prompt"),
        _text("digest", 64),
        sa.Column("scale", sa.JSON(), nullable=False),
        _number("max_tokens"),
        _number("created_by_id", empty=True),
        _made(),
        _key("judges", "project_id", "projects"),
        _key("judges", "model_version_id", "model_versions"),
        _key("judges", "created_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judges")),
        sa.UniqueConstraint(
            "project_id", "name", "version", name=op.f("uq_judges_project_id_name_version")
        ),
    )
    op.create_table(
        "judge_verdicts",
        _number("id"),
        _number("judge_id"),
        _number("generation_a_id"),
        _number("generation_b_id"),
        _text("forward", 3, empty=True),
        _text("backward", 3, empty=True),
        _text("winner", 3, empty=True),
        _text("reason"),
        _text("error", empty=True),
        _made(),
        _key("judge_verdicts", "judge_id", "judges"),
        _key("judge_verdicts", "generation_a_id", "generations"),
        _key("judge_verdicts", "generation_b_id", "generations"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judge_verdicts")),
        sa.UniqueConstraint(
            "judge_id",
            "generation_a_id",
            "generation_b_id",
            name=op.f("uq_judge_verdicts_judge_id_generation_a_id_generation_b_id"),
        ),
    )
    op.create_index(
        op.f("ix_judge_verdicts_generation_a_id"), "judge_verdicts", ["generation_a_id"]
    )
    op.create_table(
        "judge_licences",
        _number("id"),
        _number("judge_id"),
        _number("queue_id"),
        _text("criterion", 80),
        _text("state", 8),
        _text("reason"),
        sa.Column("evidence", sa.JSON(), nullable=False),
        _made(),
        _key("judge_licences", "judge_id", "judges"),
        _key("judge_licences", "queue_id", "review_queues"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judge_licences")),
    )
    op.create_index(
        "ix_judge_licences_judge_criterion", "judge_licences", ["judge_id", "criterion"]
    )
    op.create_table(
        "grading_notes",
        _number("id"),
        _number("dataset_id"),
        _text("external_id", 200),
        _number("version"),
        _text("note"),
        _number("created_by_id", empty=True),
        _made(),
        _key("grading_notes", "dataset_id", "datasets"),
        _key("grading_notes", "created_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grading_notes")),
        sa.UniqueConstraint(
            "dataset_id",
            "external_id",
            "version",
            name=op.f("uq_grading_notes_dataset_id_external_id_version"),
        ),
    )


def downgrade() -> None:
    for table, what in (("judges", "judges with their licences"), ("grading_notes", "notes")):
        if count := op.get_bind().execute(sa.text(f"SELECT count(*) FROM {table}")).scalar():
            raise RuntimeError(f"An older Strop would lose {count} {what}.")
    for table in ("grading_notes", "judge_licences", "judge_verdicts", "judges"):
        op.drop_table(table)
