"""Signatures once each, lists of numbers as bytes, and counts of what a run's ledger holds.

Old rows are carried over some thousand at a time; nothing is rounded. The bytes are those of
`backend.tables.packed`, written out here so that this file stays what it is.
"""

import json
import struct

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

AT_ONCE = 2_000
UNIT = 10_000
SHORT, LONG = 1 << 16, 1 << 32
SIGNATURE = "fk_scores_signature_id_score_signatures"
COUNTS = (
    ("generation_runs", "generations", "run_id"),
    ("score_runs", "scores", "score_run_id"),
)


def upgrade() -> None:
    op.create_table(
        "score_signatures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_signatures")),
        sa.UniqueConstraint("text", name=op.f("uq_score_signatures_text")),
    )
    _pack_scores()
    op.add_column("generations", sa.Column("packed", sa.LargeBinary(), nullable=True))
    _carry("generations", {"token_logprobs": sa.JSON()}, {"packed": sa.LargeBinary()}, _packed)
    op.drop_column("generations", "token_logprobs")
    op.execute("ALTER TABLE generations RENAME COLUMN packed TO token_logprobs")
    op.create_index("ix_generations_run", "generations", ["run_id", "id"])
    op.create_index("ix_generations_run_model", "generations", ["run_id", "model_version_id", "id"])
    op.add_column("generation_runs", sa.Column("n_examples", sa.Integer(), nullable=True))
    op.add_column("score_runs", sa.Column("n_due", sa.Integer(), nullable=True))
    for runs, ledger, key in COUNTS:
        op.add_column(runs, sa.Column("n_done", sa.Integer(), nullable=True))
        op.add_column(runs, sa.Column("n_failed", sa.Integer(), nullable=True))
        op.execute(
            f"UPDATE {runs} SET n_done = (SELECT count(*) FROM {ledger} WHERE {key} = {runs}.id), "
            f"n_failed = (SELECT count(error) FROM {ledger} WHERE {key} = {runs}.id)"
        )


def _pack_scores() -> None:
    with op.batch_alter_table("scores") as table:
        table.add_column(sa.Column("signature_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("packed", sa.LargeBinary(), nullable=True))
        table.alter_column("spans", existing_type=sa.JSON(), nullable=True)
    op.execute("INSERT INTO score_signatures (text) SELECT DISTINCT signature FROM scores")
    op.execute(
        "UPDATE scores SET signature_id = "
        "(SELECT id FROM score_signatures WHERE text = scores.signature)"
    )
    op.execute("UPDATE scores SET spans = NULL WHERE CAST(spans AS TEXT) = '[]'")
    read = {"stats": sa.JSON(), "spans": sa.JSON()}
    _carry("scores", read, {"packed": sa.LargeBinary(), "spans": _JSON}, _packed_score)
    with op.batch_alter_table("scores") as table:
        table.drop_column("stats")
        table.drop_column("signature")
        table.alter_column("signature_id", existing_type=sa.Integer(), nullable=False)
        table.create_foreign_key(SIGNATURE, "score_signatures", ["signature_id"], ["id"])
        table.alter_column(
            "packed", new_column_name="stats", existing_type=sa.LargeBinary(), nullable=True
        )


def downgrade() -> None:
    for runs, _, _ in COUNTS:
        op.drop_column(runs, "n_done")
        op.drop_column(runs, "n_failed")
    op.drop_column("score_runs", "n_due")
    op.drop_column("generation_runs", "n_examples")
    op.drop_index("ix_generations_run_model", "generations")
    op.drop_index("ix_generations_run", "generations")
    # A default is what a column needs that is to be filled in a table that others refer to.
    whole = sa.Column("whole", sa.JSON(), nullable=False, server_default="[]")
    op.add_column("generations", whole)
    _carry("generations", {"token_logprobs": sa.LargeBinary()}, {"whole": sa.JSON()}, _unpacked)
    op.drop_column("generations", "token_logprobs")
    op.execute("ALTER TABLE generations RENAME COLUMN whole TO token_logprobs")
    _unpack_scores()
    op.drop_table("score_signatures")


def _unpack_scores() -> None:
    with op.batch_alter_table("scores") as table:
        table.add_column(sa.Column("signature", sa.String(), nullable=True))
        table.add_column(sa.Column("whole", sa.JSON(), nullable=False, server_default="[]"))
    op.execute(
        "UPDATE scores SET signature = "
        "(SELECT text FROM score_signatures WHERE id = scores.signature_id)"
    )
    read = {"stats": sa.LargeBinary(), "spans": sa.JSON()}
    _carry("scores", read, {"whole": sa.JSON(), "spans": sa.JSON()}, _unpacked_score)
    op.execute("UPDATE scores SET spans = '[]' WHERE spans IS NULL")
    with op.batch_alter_table("scores") as table:
        table.drop_constraint(SIGNATURE, type_="foreignkey")
        table.drop_column("stats")
        table.drop_column("signature_id")
        table.alter_column("signature", existing_type=sa.String(), nullable=False)
        table.alter_column("spans", existing_type=sa.JSON(), nullable=False)
        table.alter_column(
            "whole",
            new_column_name="stats",
            existing_type=sa.JSON(),
            existing_nullable=False,
            server_default=None,
        )


_JSON = sa.JSON(none_as_null=True)


def _carry(table, read, written, change) -> None:
    """Read columns of every row by id; write what `change` makes of those that hold something."""
    connection = op.get_bind()
    source = sa.table(table, sa.column("id"), *(sa.column(n, kind) for n, kind in read.items()))
    target = sa.table(table, sa.column("id"), *(sa.column(n, kind) for n, kind in written.items()))
    statement = (
        sa.update(target)
        .where(target.c.id == sa.bindparam("row_id"))
        .values({name: sa.bindparam(f"new_{name}", type_=kind) for name, kind in written.items()})
    )
    last = 0
    while True:
        query = sa.select(source).where(source.c.id > last).order_by(source.c.id).limit(AT_ONCE)
        rows = connection.execute(query).all()
        if not rows:
            return
        last = rows[-1].id
        found = [(row.id, change(*row[1:])) for row in rows if any(row[1:])]
        values = [
            {"row_id": id_, **{f"new_{n}": value for n, value in zip(written, new, strict=True)}}
            for id_, new in found
        ]
        if values:
            connection.execute(statement, values)


def _packed(values):
    return (_pack_logprobs(values or ()),)


def _unpacked(packed):
    return (_unpack(packed),)


def _packed_score(stats, spans):
    return _pack_stats(stats or ()), [_unnamed(mark) for mark in spans] if spans else None


def _unpacked_score(stats, spans):
    return _unpack(stats), [_named(mark) for mark in spans or ()]


MARK = ("start", "end", "reason", "kind")


def _unnamed(mark):
    return list(mark.values()) if isinstance(mark, dict) and tuple(mark) == MARK else mark


def _named(mark):
    return dict(zip(MARK, mark, strict=True)) if isinstance(mark, list) else mark


def _struct(mark, letter, values):
    return mark + struct.pack(f"<{len(values)}{letter}", *values)


def _as_json(values):
    return b"j" + json.dumps(list(values), ensure_ascii=False).encode()


def _pack_logprobs(values):
    if not values:
        return None
    if not all(type(value) is float for value in values):
        return _as_json(values)
    try:
        units = [round(-value * UNIT) for value in values]
    except (ValueError, OverflowError):
        return _struct(b"d", "d", values)
    if min(units) < 0 or any(-n / UNIT != v for n, v in zip(units, values, strict=True)):
        return _struct(b"d", "d", values)
    if max(units) < SHORT:
        return _struct(b"u", "H", units)
    return _struct(b"U", "I", units) if max(units) < LONG else _struct(b"d", "d", values)


def _pack_stats(values):
    if not values:
        return None
    kinds = set(map(type, values))
    if kinds == {float}:
        if all(0 <= value < SHORT and value.is_integer() for value in values):
            return _struct(b"f", "H", [int(value) for value in values])
        return _struct(b"d", "d", values)
    if kinds == {int} and min(values) >= 0 and max(values) < SHORT:
        return _struct(b"i", "H", values)
    return _as_json(values)


READERS = {
    b"u": ("H", 2, lambda n: -n / UNIT),
    b"U": ("I", 4, lambda n: -n / UNIT),
    b"d": ("d", 8, float),
    b"f": ("H", 2, float),
    b"i": ("H", 2, int),
}


def _unpack(packed):
    if not packed:
        return []
    mark, body = packed[:1], packed[1:]
    if mark == b"j":
        return json.loads(body)
    letter, size, make = READERS[mark]
    return [make(n) for n in struct.unpack(f"<{len(body) // size}{letter}", body)]
