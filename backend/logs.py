"""What a log may say of an error: its kind and where it arose, never the words of people.

Messages of drivers and libraries repeat what they were given: a row, a prompt, a remark on a
patient. So whatever logs an exception, ours or a library's, is given its type and the lines of code
alone. Errors raised on purpose (`StropError`) keep their sentence, which is written for people.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

from backend.errors import name_of


def log_without_words() -> None:
    """Have this process log errors so; for servers and workers, once at their start."""
    if isinstance(logging.getLogRecordFactory(), _WithoutWords):
        return
    logging.setLogRecordFactory(_WithoutWords(logging.getLogRecordFactory()))
    threading.excepthook = lambda found: _tell(found.exc_value)
    sys.excepthook = lambda kind, error, trace: _tell(error)


class _WithoutWords:
    """Makes log records whose exceptions are told by `outline` and `name_of`."""

    def __init__(self, make: Any) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._make(*args, **kwargs)
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = outline(record.exc_info[1])  # a formatter takes it as it is
        if isinstance(record.msg, BaseException):
            record.msg = name_of(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(
                name_of(value) if isinstance(value, BaseException) else value
                for value in record.args
            )
        return record


def outline(error: BaseException) -> str:
    """The lines of code through which an error came, and those of its causes, without words."""
    lines: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        lines += [*_frames(link.__traceback__), name_of(link)]
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n".join(lines)


def _frames(trace: TracebackType | None) -> list[str]:
    return [
        f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'
        for frame in traceback.extract_tb(trace)
    ]


def _tell(error: BaseException | None) -> None:
    if error is not None:
        print(outline(error), file=sys.stderr, flush=True)
