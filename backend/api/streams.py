"""JSONL answers of any length: one line at a time, never all of them in memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from fastapi.responses import StreamingResponse

JSONL = "application/jsonl"


def stream_lines(lines: Iterator[str], *, filename: str) -> StreamingResponse:
    """Send lines as a file; the first is made now, so that what is refused is still a problem."""
    first = list(islice(lines, 1))
    return StreamingResponse(
        chain(first, lines),
        media_type=JSONL,
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )
