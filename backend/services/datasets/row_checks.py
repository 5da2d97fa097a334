"""What every row of an import has to hold, whatever the database knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backend.errors import InvalidInput
from backend.tables.datasets import Split

if TYPE_CHECKING:
    from backend.services.datasets.versions import ExampleRow


def check_rows(rows: Sequence[ExampleRow], source_name: str) -> None:
    """Raise InvalidInput for no rows, an id twice, or splits that cannot be."""
    if not rows:
        raise InvalidInput(f"{source_name}: there is no example in it.", hint="Give it rows.")
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if row.external_id in seen:
            raise InvalidInput(
                f"{source_name}: example {number} has the id {row.external_id!r} "
                f"of example {seen[row.external_id]}.",
                hint="Make the ids unique.",
            )
        seen[row.external_id] = number
    if len({row.split is None for row in rows}) == 2:
        raise InvalidInput(
            f"{source_name}: some examples name their split and some do not.",
            hint="Name it on all of them or on none.",
        )
    for row in rows:
        # A figure measured on what a model drafted says nothing of the real task.
        if row.origin is not None and row.split not in (None, Split.TRAIN):
            raise InvalidInput(
                f"{source_name}: example {row.external_id!r} was drafted by a model, and is in the "
                f"{row.split} split.",
                hint="Synthetic rows are for training only: put it into train, or leave it out.",
            )
    for row in rows:
        if row.split is not None and row.split not in set(Split):
            raise InvalidInput(
                f"{source_name}: example {row.external_id!r} has the split {row.split!r}.",
                hint="Splits are train, validation and test.",
            )
