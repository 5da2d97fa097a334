"""An import into a project that masks: checked, split and compared before names are exchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from backend.services.datasets.conversations import content_text, digest_text
from backend.services.datasets.leaks import Leak, LeakSide
from backend.services.datasets.masking.files import Masker
from backend.services.datasets.splits import Shares
from backend.services.datasets.versions import (
    ExampleRow,
    PreparedImport,
    prepare_import,
    rows_digest,
)
from evaluators.spread import Spread


def prepare_masked(
    rows: Sequence[ExampleRow],
    masker: Masker | None,
    *,
    source_name: str,
    fractions: Shares | None = None,
    seed: int = 7,
    drop_leaks: bool = False,
    spread: Spread = map,
) -> PreparedImport:
    """`prepare_import` of rows that come in masked, where the project masks.

    What repeats what is told by the originals: two prompts that differ in a comma would have
    different people after masking, and could stand on both sides of a split.
    """
    masked = list(rows) if masker is None else masker.mask(rows)
    told = [
        replace(row, external_id=new.external_id, group=new.group)
        for row, new in zip(rows, masked, strict=True)
    ]
    prepared = prepare_import(
        told,
        source_name=source_name,
        seed=seed,
        fractions=fractions,
        drop_leaks=drop_leaks,
        spread=spread,
    )
    by_id = {row.external_id: row for row in masked}
    kept = [replace(by_id[row.external_id], split=row.split) for row in prepared.rows]
    bare = {row.external_id: row for row in told}
    leaks = [_of_masked(leak, bare, by_id) for leak in prepared.leaks]
    return replace(prepared, rows=kept, digest=rows_digest(kept), leaks=leaks)


def _of_masked(
    leak: Leak, bare: Mapping[str, ExampleRow], masked: Mapping[str, ExampleRow]
) -> Leak:
    """A leak that the originals told, in the masked texts: no error shows an original, and whoever
    lets the leak stand does so for the texts that are stored.
    """
    train, held_out = (
        _masked_side(side, bare[side.example], masked[side.example])
        for side in (leak.train, leak.held_out)
    )
    if not leak.may_be_accepted:
        held_out = replace(held_out, digest=train.digest)
    return replace(leak, train=train, held_out=held_out)


def _masked_side(side: LeakSide, bare: ExampleRow, masked: ExampleRow) -> LeakSide:
    owner = masked.content_digest
    if not side.is_answer:
        return replace(side, text=content_text(masked), digest=owner, owner=owner)
    text = masked.references[bare.references.index(side.text)]
    return replace(side, text=text, digest=digest_text(text, None), owner=owner)
