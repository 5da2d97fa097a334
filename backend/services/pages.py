"""Pages of rows by id, so that a page is as quick at the end of a list as at its start."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from backend.db import Base
from backend.errors import InvalidInput

Row = TypeVar("Row", bound=Base)


@dataclass(frozen=True, slots=True)
class PageAsk:
    """Which page is wanted: how many rows, and the cursor that the page before gave."""

    limit: int = 50
    cursor: str | None = None

    @property
    def last_id(self) -> int | None:
        """The id of the last row of the page before. Raises InvalidInput for a foreign cursor."""
        if self.cursor is None:
            return None
        try:
            return int(base64.urlsafe_b64decode(self.cursor.encode()))
        except (binascii.Error, ValueError) as error:
            raise InvalidInput(
                "The cursor is not one that was given.", hint="Start without a cursor."
            ) from error


@dataclass(frozen=True, slots=True)
class RowPage(Generic[Row]):
    """Rows of one page, and the cursor of the next (None on the last)."""

    rows: list[Row]
    next: str | None


def page_of(
    session: Session,
    table: type[Row],
    ask: PageAsk,
    *,
    newest_first: bool = True,
    where: Sequence[ColumnElement[bool]] = (),
    **equal: Any,
) -> RowPage[Row]:
    """The rows whose columns equal the given values (None: not asked), a page at a time."""
    key: Any = table.__mapper__.primary_key[0]
    asked = {name: value for name, value in equal.items() if value is not None}
    query = select(table).where(*where).filter_by(**asked)
    if (last := ask.last_id) is not None:
        query = query.where(key < last if newest_first else key > last)
    query = query.order_by(key.desc() if newest_first else key).limit(ask.limit + 1)
    rows = list(session.scalars(query))
    if len(rows) <= ask.limit:
        return RowPage(rows, None)
    rows = rows[: ask.limit]
    last_id = str(getattr(rows[-1], key.name)).encode()
    return RowPage(rows, base64.urlsafe_b64encode(last_id).decode())
