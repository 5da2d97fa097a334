"""Every error that Strop raises on purpose, in one tree.

    StropError
    ├── InvalidInput          422  what was given cannot be used; the hint says what can
    │   ├── UnknownName       422  not in the registry; lists the nearest names
    │   └── TooLarge          413  more bytes than the server takes in one request
    ├── NotFound              404
    ├── Conflict              409  the state forbids it (frozen, already there, lease lapsed)
    │   └── LeaseLost         409  the claim was fenced off by a later one
    ├── NotAuthenticated      401
    │   └── SecondFactorNeeded 401 the password was right, and a code is to follow
    ├── Forbidden             403
    │   └── LeakRefused       403  a held-out example was about to enter training; exit code 2
    ├── JobFailed             409  a job that something waits for has failed
    ├── PreflightFailed       409  the model served is not the model meant; exit code 2
    ├── TooManyAttempts       429  wait before the next try
    ├── DatabaseUnavailable   503  locked, full or restarting; the same request may pass later
    ├── ServerUnavailable     503  the Strop server gave no answer
    ├── ExecutorUnavailable   503  the cluster cannot be reached, or cannot do the work
    ├── ProviderError         502  the OpenID provider gave no answer that can be used
    ├── EngineError           502  the model could not be asked
    │   ├── EngineUnavailable 503  no answer from the server; the work can be resumed
    │   └── UnknownAdapter    502  the server has no such adapter
    └── CannotCompute         422  a figure that is not defined on this data

Each carries the HTTP status, the exit code of the command line, and a hint: what to do next.
The module knows nothing of HTTP or of the terminal: `api` and `cli` render what is raised here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


class StropError(Exception):
    """Base of all expected errors.

    Args:
        message: one sentence that says what is wrong.
        hint: one sentence that says what to do.
    """

    status = 500
    exit_code = 1
    slug = "error"

    def __init_subclass__(
        cls, *, status: int | None = None, exit_code: int | None = None, slug: str | None = None
    ) -> None:
        """What is not said is as of the class above."""
        super().__init_subclass__()
        own = {"status": status, "exit_code": exit_code, "slug": slug}
        for name, value in own.items():
            if value is not None:
                setattr(cls, name, value)

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
    kind: type[StropError], args: tuple[Any, ...], state: Mapping[str, Any]
) -> StropError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


@contextmanager
def raised_as(kind: type[StropError], *errors: type[Exception]) -> Iterator[None]:
    """Raise errors of a layer that does not know ours, of message and hint, as one of our kind."""
    try:
        yield
    except errors as error:
        hint = getattr(error, "hint", None)
        raise kind(getattr(error, "message", str(error)), hint=hint) from error


class InvalidInput(StropError, status=422, slug="invalid-input"):
    """What was given cannot be used."""


class UnknownName(InvalidInput, slug="unknown-name"):
    """A name that is not in a registry; the message lists the valid ones, nearest first."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        rest = [n for n in names if n not in near]
        super().__init__(
            f"There is no {kind} named {name!r}.",
            hint="Known, nearest first: " + ", ".join(near + rest) + "." if names else None,
        )


class TooLarge(InvalidInput, status=413, slug="too-large"):
    """A request with more bytes than the server takes."""


class NotFound(StropError, status=404, slug="not-found"):
    """The thing asked for does not exist, or the asker may not know that it does."""


class Conflict(StropError, status=409, slug="conflict"):
    """The present state forbids the act."""


class LeaseLost(Conflict, slug="lease-lost"):
    """The lease under which an item was held has been given to somebody else."""


class NotAuthenticated(StropError, status=401, slug="not-authenticated"):
    """Nobody is signed in, or the token is not valid."""


class SecondFactorNeeded(NotAuthenticated, slug="second-factor-needed"):
    """Name and password were right; the code of the authenticator is to come with them."""

    def __init__(self) -> None:
        super().__init__(
            "The code of your authenticator is needed.", hint="Open it and type its six figures."
        )


class Forbidden(StropError, status=403, slug="forbidden"):
    """The person is known and may not do this."""


class LeakRefused(Forbidden, exit_code=2, slug="leak-refused"):
    """A validation or test example was about to enter a training set.

    Args:
        findings: what was found, side by side, one mapping of plain values a pair.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        findings: Sequence[Mapping[str, object]] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.findings = findings


class PreflightFailed(StropError, status=409, exit_code=2, slug="preflight-failed"):
    """The model that is served is not shown to be the model that was meant."""


class JobFailed(StropError, status=409, slug="job-failed"):
    """A job that something waits for has failed; its words are the message."""


class TooManyAttempts(StropError, status=429, slug="too-many-attempts"):
    """Too many failed tries in a short time."""


class DatabaseUnavailable(StropError, status=503, slug="database-unavailable"):
    """The database takes nothing at the moment: locked, full, or starting again."""

    def __init__(self) -> None:
        super().__init__(
            "The database takes nothing at the moment; nothing was changed.",
            hint="Try again in a few seconds; if it lasts, look at its disk and its log.",
        )


class ServerUnavailable(StropError, status=503, slug="server-unavailable"):
    """The Strop server did not answer, or what answered is not a Strop server."""


class ExecutorUnavailable(StropError, status=503, slug="executor-unavailable"):
    """Work over chunks could not be done elsewhere; what was saved stays, and it can be resumed."""


class ProviderError(StropError, status=502, slug="provider-error"):
    """The OpenID provider is down, slow, set up otherwise, or says what cannot be believed."""


class EngineError(StropError, status=502, slug="engine-error"):
    """A text-generation engine failed."""


class EngineUnavailable(EngineError, status=503, slug="engine-unavailable"):
    """The engine gave no answer; what was saved stays, and the work can be resumed."""


class UnknownAdapter(EngineError, slug="unknown-adapter"):
    """The server does not serve the adapter that was named."""


class CannotCompute(StropError, status=422, slug="cannot-compute"):
    """A figure that is not defined on the data given."""


MOST_OF_A_REASON = 4_000


TELL_ROWS = ("sqlalchemy", "psycopg", "sqlite3", "pydantic", "pydantic_core")
"""Packages whose errors repeat what was stored or sent, which may be a patient's words."""


def reason_of(error: Exception) -> str:
    """An error as a row keeps it: one that was expected in its own words, else with its kind.

    Of a database's error, or one of checked input, only what names no content is kept.
    """
    if isinstance(error, StropError) or hasattr(error, "hint"):
        return storable(str(error))
    if type(error).__module__.partition(".")[0] in TELL_ROWS:
        return storable(name_of(error))
    return storable(f"{type(error).__name__}: {error}".rstrip(": "))


def name_of(error: BaseException) -> str:
    """The kind of an error, with what it says by number or name alone; a StropError in full."""
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, StropError):
        return f"{kind}: {error}"
    told = [type(orig).__name__] if (orig := getattr(error, "orig", None)) is not None else []
    source = error if orig is None else orig
    constraint = getattr(getattr(source, "diag", None), "constraint_name", None)
    named = ("sqlstate", "sqlite_errorname", "strerror")
    told += [str(value) for name in named if (value := getattr(source, name, None))]
    told += [str(constraint)] if constraint else []
    return f"{kind} ({', '.join(told)})" if told else kind


def storable(text: str) -> str:
    """A text as a row can keep it: NUL and half a surrogate pair as numbers, and not too long."""
    kept = text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    return kept[:MOST_OF_A_REASON]
