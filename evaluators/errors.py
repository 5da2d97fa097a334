"""Errors of the evaluators; each says what is wrong and what to do.

EvaluatorError (ValueError)
├── UnknownMetric     no metric of that name; lists the nearest
├── UnreadableRecord  a file, or a row of it, cannot be used
├── InvalidValues     numbers or labels that a formula does not take
└── UndefinedFigure   a figure that is not defined on these data
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class EvaluatorError(ValueError):
    """Base of all expected errors.

    Args:
        message: one sentence that says what is wrong.
        hint: one sentence that says what to do.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """As it is, whatever its class is made from, when it comes from another process."""
        return _as_it_was, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} {self.hint}"


def _as_it_was(
    kind: type[EvaluatorError], args: tuple[Any, ...], state: Mapping[str, Any]
) -> EvaluatorError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class UnknownMetric(EvaluatorError):
    """A name that is not in the registry."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
        rest = [other for other in names if other not in near]
        super().__init__(
            f"There is no metric named {name!r}.",
            hint="Known, nearest first: " + ", ".join(near + rest) + ".",
        )


class UnreadableRecord(EvaluatorError):
    """A file, or one row of it, that is not a record; the message names both."""


class InvalidValues(EvaluatorError):
    """Values outside what the formula takes."""


class UndefinedFigure(EvaluatorError):
    """A figure that these data do not define."""
