"""An import into a project that masks: checked, split and compared before names are exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backend.services.datasets.masking.files import Masker
from backend.services.datasets.splits import Shares
from backend.services.datasets.versions import PreparedImport, Row, prepare_import, rows_digest


def prepare_masked(
    rows: Sequence[Row],
    masker: Masker | None,
    *,
    source_name: str,
    fractions: Shares | None = None,
    seed: int = 7,
    drop_leaks: bool = False,
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
        told, source_name=source_name, seed=seed, fractions=fractions, drop_leaks=drop_leaks
    )
    by_id = {row.external_id: row for row in masked}
    kept = [replace(by_id[row.external_id], split=row.split) for row in prepared.rows]
    return replace(prepared, rows=kept, digest=rows_digest(kept))
