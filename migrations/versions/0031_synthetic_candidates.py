"""synthetic candidates: draftings, drafts, their queues, and the guard of training sets

An example that a model drafted enters a training set only with a review of a person in a queue of
its own drafting, which was submitted and stands; with a simulated one only where the set says that
it is simulated. What asks for drafts never enters. The mark of an example is never changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from backend.db import UtcDateTime

revision = "0031"
down_revision = "0029"
branch_labels = None
depends_on = None

UNAPPROVED = """
    EXISTS (SELECT 1 FROM examples WHERE id = NEW.example_id AND origin = 'brief')
    OR ((
        EXISTS (SELECT 1 FROM examples WHERE id = NEW.example_id AND origin = 'synthetic')
        OR EXISTS (
            SELECT 1 FROM examples mine
            JOIN dataset_versions mine_version ON mine_version.id = mine.dataset_version_id
            JOIN datasets mine_set ON mine_set.id = mine_version.dataset_id
            JOIN drafts ON drafts.prompt_digest = mine.content_digest
                AND drafts.project_id = mine_set.project_id AND drafts.own_input
            JOIN draftings ON draftings.id = drafts.drafting_id
            WHERE mine.id = NEW.example_id
                AND mine.dataset_version_id > draftings.briefs_version_id)
    ) AND NOT EXISTS (
        SELECT 1 FROM reviews
        JOIN review_items ON review_items.id = reviews.item_id
        JOIN synthetic_queues ON synthetic_queues.queue_id = review_items.queue_id
        JOIN training_sets ON training_sets.id = NEW.training_set_id
        WHERE reviews.id = NEW.review_id AND reviews.state = 'submitted'
            AND reviews.withdrawn_at IS NULL AND reviews.superseded_at IS NULL
            AND ((reviews.annotator_kind = 'human' AND NOT reviews.simulated)
                OR (reviews.simulated AND training_sets.simulated))))
"""
GUARDS = [
    (
        "synthetic",
        "training_set_rows",
        "INSERT",
        UNAPPROVED,
        "the row was drafted by a model and no expert approved or corrected it",
    ),
    (
        "frozen_origin",
        "examples",
        "UPDATE OF origin",
        "1 = 1",
        "the origin of an example is never changed",
    ),
]


def upgrade() -> None:
    op.add_column("examples", sa.Column("origin", sa.String(length=16), nullable=True))
    op.add_column("examples", sa.Column("provenance", sa.JSON(), nullable=True))
    _make_draftings()
    _make_batches()
    _make_drafts()
    _make_queues()
    for guard in GUARDS:
        _make_guard(*guard)


def _make_draftings() -> None:
    op.create_table(
        "draftings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("source_kind", sa.String(length=16), nullable=False),
        sa.Column("shape", sa.String(length=8), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("model_version_id", sa.Integer(), nullable=False),
        sa.Column("engine", sa.String(length=32), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("briefs_version_id", sa.Integer(), nullable=False),
        sa.Column("dataset_version_id", sa.Integer(), nullable=True),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("stopped", sa.String(), nullable=True),
        sa.Column("figures", sa.JSON(), nullable=True),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        _to("draftings", "project_id", "projects"),
        _to("draftings", "model_version_id", "model_versions"),
        _to("draftings", "briefs_version_id", "dataset_versions"),
        _to("draftings", "dataset_version_id", "dataset_versions"),
        _to("draftings", "run_id", "generation_runs"),
        _to("draftings", "created_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_draftings")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_draftings_project_id_name")),
        sa.UniqueConstraint("run_id", name=op.f("uq_draftings_run_id")),
    )
    op.create_index(op.f("ix_draftings_project_id"), "draftings", ["project_id"])


def _make_batches() -> None:
    op.create_table(
        "drafting_batches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("drafting_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("generation_run_id", sa.Integer(), nullable=False),
        _to("drafting_batches", "drafting_id", "draftings"),
        _to("drafting_batches", "generation_run_id", "generation_runs"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafting_batches")),
        sa.UniqueConstraint(
            "drafting_id", "number", name=op.f("uq_drafting_batches_drafting_id_number")
        ),
        sa.UniqueConstraint(
            "generation_run_id", name=op.f("uq_drafting_batches_generation_run_id")
        ),
    )


def _make_drafts() -> None:
    op.create_table(
        "drafts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("drafting_id", sa.Integer(), nullable=False),
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("brief_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("input", sa.String(), nullable=True),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("prompt_digest", sa.String(length=64), nullable=True),
        sa.Column("answer_digest", sa.String(length=64), nullable=True),
        sa.Column("own_input", sa.Boolean(), nullable=False),
        sa.Column("example_id", sa.Integer(), nullable=True),
        sa.Column("answer_id", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        _to("drafts", "project_id", "projects"),
        _to("drafts", "drafting_id", "draftings"),
        _to("drafts", "generation_id", "generations"),
        _to("drafts", "brief_id", "examples"),
        _to("drafts", "example_id", "examples"),
        _to("drafts", "answer_id", "generations"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafts")),
        sa.UniqueConstraint("generation_id", name=op.f("uq_drafts_generation_id")),
        sa.UniqueConstraint("example_id", name=op.f("uq_drafts_example_id")),
        sa.UniqueConstraint("answer_id", name=op.f("uq_drafts_answer_id")),
    )
    op.create_index(op.f("ix_drafts_drafting_id"), "drafts", ["drafting_id"])
    op.create_index("ix_drafts_project_prompt", "drafts", ["project_id", "prompt_digest"])


def _make_queues() -> None:
    op.create_table(
        "synthetic_queues",
        sa.Column("queue_id", sa.Integer(), nullable=False),
        sa.Column("drafting_id", sa.Integer(), nullable=False),
        sa.Column("criterion", sa.String(length=80), nullable=False),
        sa.Column("approves", sa.String(), nullable=False),
        _to("synthetic_queues", "queue_id", "review_queues"),
        _to("synthetic_queues", "drafting_id", "draftings"),
        sa.PrimaryKeyConstraint("queue_id", name=op.f("pk_synthetic_queues")),
    )
    op.create_index(op.f("ix_synthetic_queues_drafting_id"), "synthetic_queues", ["drafting_id"])


def _to(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}")
    )


def _make_guard(name: str, table: str, event: str, condition: str, message: str) -> None:
    trigger = f"guard_{table}_{name}"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"""CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF {condition} THEN
                    RAISE EXCEPTION '{message}'
                    USING ERRCODE = 'integrity_constraint_violation';
                END IF;
                RETURN NEW;
            END $$"""
        )
        op.execute(
            f"CREATE TRIGGER {trigger} BEFORE {event} ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {trigger}()"
        )
    else:
        op.execute(
            f"CREATE TRIGGER {trigger} BEFORE {event} ON {table} FOR EACH ROW "
            f"WHEN {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )


def downgrade() -> None:
    connection = op.get_bind()
    query = sa.text("SELECT count(*) FROM examples WHERE origin IS NOT NULL")
    if count := connection.execute(query).scalar():
        raise RuntimeError(f"An older Strop would take {count} drafts of models for people's rows.")
    for name, table, *_ in reversed(GUARDS):
        trigger = f"guard_{table}_{name}"
        if connection.dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER {trigger} ON {table}")
            op.execute(f"DROP FUNCTION {trigger}()")
        else:
            op.execute(f"DROP TRIGGER {trigger}")
    for table in ("synthetic_queues", "drafts", "drafting_batches", "draftings"):
        op.drop_table(table)
    op.drop_column("examples", "provenance")
    op.drop_column("examples", "origin")
