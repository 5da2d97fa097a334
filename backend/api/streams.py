"""Answers of any length: one piece at a time, never all of them in memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from fastapi.responses import StreamingResponse

from backend.api.reads import logged_export

JSONL = "application/jsonl"


def stream_lines(lines: Iterator[str], *, filename: str) -> StreamingResponse:
    """Send lines as a JSONL file; see `stream_text`."""
    return stream_text(lines, filename=filename, media_type=JSONL)


def stream_text(pieces: Iterator[str], *, filename: str, media_type: str) -> StreamingResponse:
    """Send a file, noted in the audit log; the first piece is made now, so that what is refused is
    still a problem."""
    pieces = logged_export(pieces)
    first = list(islice(pieces, 1))
    return StreamingResponse(
        chain(first, pieces),
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )
