"""Masking policies, where surrogates stand, and the originals, encrypted."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "masking_policies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_masking_policies_project_id_projects")
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name=op.f("fk_masking_policies_created_by_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_masking_policies")),
        sa.UniqueConstraint(
            "project_id", "version", name=op.f("uq_masking_policies_project_id_version")
        ),
    )
    op.create_table(
        "example_masks",
        sa.Column("example_id", sa.Integer(), nullable=False),
        sa.Column("policy_id", sa.Integer(), nullable=False),
        sa.Column("spans", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["example_id"], ["examples.id"], name=op.f("fk_example_masks_example_id_examples")
        ),
        sa.ForeignKeyConstraint(
            ["policy_id"],
            ["masking_policies.id"],
            name=op.f("fk_example_masks_policy_id_masking_policies"),
        ),
        sa.PrimaryKeyConstraint("example_id", name=op.f("pk_example_masks")),
    )
    op.create_index("ix_example_masks_policy_id", "example_masks", ["policy_id"])
    op.create_table(
        "masked_originals",
        sa.Column("example_id", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["example_id"], ["examples.id"], name=op.f("fk_masked_originals_example_id_examples")
        ),
        sa.PrimaryKeyConstraint("example_id", name=op.f("pk_masked_originals")),
    )


def downgrade() -> None:
    op.drop_table("masked_originals")
    op.drop_table("example_masks")
    op.drop_table("masking_policies")
