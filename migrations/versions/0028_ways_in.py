"""Ways in: accounts at a provider, second factor, links that admins give, tries that failed."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Not in a batch: SQLite would make the tables anew, and others refer to their rows.
    op.add_column("users", sa.Column("barred_by", sa.String(length=16), nullable=True))
    op.add_column(
        "users",
        sa.Column(
            "second_factor_required", sa.Boolean(), server_default=sa.false(), nullable=False
        ),
    )
    users = sa.table("users", sa.column("active", sa.Boolean), sa.column("barred_by", sa.String))
    op.execute(users.update().where(sa.not_(users.c.active)).values(barred_by="admin"))
    op.add_column(
        "login_sessions",
        sa.Column("method", sa.String(length=16), server_default="password", nullable=False),
    )
    op.create_table(
        "identities",
        _key("id"),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("issuer", sa.String(length=500), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_seen_at", MOMENT, nullable=False),
        _refers("identities", "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_identities_issuer_subject")),
    )
    op.create_index(op.f("ix_identities_user_id"), "identities", ["user_id"])
    op.create_table(
        "provider_sessions",
        _key("session_id"),
        sa.Column("identity_id", sa.Integer(), nullable=False),
        sa.Column("sid", sa.String(length=255), nullable=True),
        sa.Column("id_token", sa.String(), nullable=False),
        _refers("provider_sessions", "session_id", "login_sessions"),
        _refers("provider_sessions", "identity_id", "identities"),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_provider_sessions")),
    )
    op.create_index(op.f("ix_provider_sessions_identity_id"), "provider_sessions", ["identity_id"])
    op.create_index(op.f("ix_provider_sessions_sid"), "provider_sessions", ["sid"])
    op.create_table(
        "logout_tokens",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_logout_tokens")),
    )
    op.create_index(op.f("ix_logout_tokens_expires_at"), "logout_tokens", ["expires_at"])
    _second_factor()
    _links_and_tries()


def _second_factor() -> None:
    op.create_table(
        "second_factors",
        _key("user_id"),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=True),
        _refers("second_factors", "user_id", "users"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_second_factors")),
    )
    op.create_table(
        "recovery_codes",
        _key("id"),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        _refers("recovery_codes", "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_recovery_codes_code_hash")),
    )
    op.create_index(op.f("ix_recovery_codes_user_id"), "recovery_codes", ["user_id"])


def _links_and_tries() -> None:
    op.create_table(
        "access_links",
        _key("id"),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("made_by_id", sa.Integer(), nullable=True),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        _refers("access_links", "user_id", "users"),
        _refers("access_links", "made_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_links")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_access_links_token_hash")),
    )
    op.create_index(op.f("ix_access_links_user_id"), "access_links", ["user_id"])
    op.create_table(
        "failed_tries",
        _key("id"),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("blocked_until", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_failed_tries")),
        sa.UniqueConstraint("kind", "key_hash", name=op.f("uq_failed_tries_kind_key_hash")),
    )
    op.create_index(op.f("ix_failed_tries_last_at"), "failed_tries", ["last_at"])


def downgrade() -> None:
    for table in (
        *("failed_tries", "access_links", "recovery_codes", "second_factors", "logout_tokens"),
        *("provider_sessions", "identities"),
    ):
        op.drop_table(table)
    # Not in a batch: SQLite would make the tables anew, and others refer to their rows.
    op.drop_column("login_sessions", "method")
    op.drop_column("users", "second_factor_required")
    op.drop_column("users", "barred_by")


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _refers(table: str, column: str, of: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{of}")
    return sa.ForeignKeyConstraint([column], [f"{of}.id"], name=name)
