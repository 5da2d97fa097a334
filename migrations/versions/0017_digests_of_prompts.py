"""digests of prompts

By the digest of its prompt a held-out example is known again. It is that of the prompt as a reader
sees it (entities, look-alikes, characters that show nothing), so that what was stored under other
rules is digested anew; acceptances of leaks go with their prompts.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from backend.services.datasets.conversations import digest_text

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BATCH = 1000
EXAMPLES = sa.table(
    "examples",
    sa.column("id", sa.Integer),
    sa.column("input", sa.Text),
    sa.column("context", sa.Text),
    sa.column("content_digest", sa.String),
)
ACCEPTED = sa.table(
    "accepted_leaks",
    sa.column("id", sa.Integer),
    sa.column("project_id", sa.Integer),
    sa.column("train_digest", sa.String),
    sa.column("held_out_digest", sa.String),
)


def upgrade() -> None:
    connection = op.get_bind()
    again = sa.update(EXAMPLES).where(EXAMPLES.c.id == sa.bindparam("which"))
    renamed: dict[str, str] = {}
    for rows in _batches(connection):
        found = [(row, digest_text(row.input, row.context)) for row in rows]
        changed = [(row, digest) for row, digest in found if digest != row.content_digest]
        if changed:
            values = [{"which": row.id, "digest": digest} for row, digest in changed]
            connection.execute(again.values(content_digest=sa.bindparam("digest")), values)
            renamed |= {row.content_digest: digest for row, digest in changed}
    _rename_accepted(connection, renamed)


def _rename_accepted(connection: sa.Connection, renamed: dict[str, str]) -> None:
    """Two acceptances that become one stay as they are but for the first."""
    rows = list(connection.execute(sa.select(ACCEPTED).order_by(ACCEPTED.c.id)))
    taken = {tuple(row[1:]) for row in rows}
    for id_, project_id, *pair in rows:
        new = [renamed.get(digest, digest) for digest in pair]
        if (project_id, *new) not in taken:
            taken.add((project_id, *new))
            moved = sa.update(ACCEPTED).where(ACCEPTED.c.id == id_)
            connection.execute(moved.values(train_digest=new[0], held_out_digest=new[1]))


def _batches(connection: sa.Connection) -> Iterator[list[sa.Row[tuple[int, str, str, str]]]]:
    last = 0
    while True:
        query = sa.select(EXAMPLES).where(EXAMPLES.c.id > last).order_by(EXAMPLES.c.id).limit(BATCH)
        rows = list(connection.execute(query))
        if not rows:
            return
        last = rows[-1].id
        yield rows


def downgrade() -> None:
    """The digests stay: they are of the same prompts."""
