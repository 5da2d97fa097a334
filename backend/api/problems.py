"""Errors as RFC 9457 problem details: one renderer for everything that goes wrong."""

from __future__ import annotations

import errno
import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from backend.errors import (
    Conflict,
    DatabaseUnavailable,
    InvalidInput,
    NotFound,
    StropError,
    TooLarge,
    name_of,
)
from backend.schemas.common import Problem
from evaluators.errors import EvaluatorError
from training.config import TrainingError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:strop:problem:"
RETRY_AFTER = 5  # seconds
# What SQLite says of a schema that is not ours; what else it calls operational passes with time.
OF_ANOTHER_VERSION = ("no such table", "no such column", "has no column")
log = logging.getLogger(__name__)


def problem_response(
    slug: str,
    status: int,
    detail: str,
    *,
    hint: str | None = None,
    errors: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """One problem; `slug` names the error's class in backend.errors."""
    problem = Problem(
        type=TYPE_PREFIX + slug,
        title=slug.replace("-", " ").capitalize(),
        status=status,
        detail=detail,
        hint=hint,
        errors=errors or [],
    )
    return Response(
        problem.model_dump_json(), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


def render_error(error: StropError) -> Response:
    """A StropError with its own status, slug and hint."""
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    if error.status == DatabaseUnavailable.status:
        headers = {"Retry-After": str(RETRY_AFTER)}
    return problem_response(
        error.slug,
        error.status,
        error.message,
        hint=error.hint,
        errors=[dict(finding) for finding in getattr(error, "findings", ())],
        headers=headers,
    )


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of the app a problem."""
    handlers: dict[type[Exception], Any] = {
        StropError: lambda request, error: render_error(error),
        EvaluatorError: lambda request, error: render_error(InvalidInput(str(error))),
        TrainingError: lambda request, error: render_error(
            InvalidInput(error.message, hint=error.hint)
        ),
        IntegrityError: _render_integrity,
        DataError: _render_unfit,
        OverflowError: _render_unfit,
        UnicodeEncodeError: _render_unfit,
        OperationalError: _render_unavailable,
        InterfaceError: _render_unavailable,
        PoolTimeout: _render_unavailable,
        OSError: _render_full_disk,
        RequestValidationError: _render_validation,
        HTTPException: _render_http,
        Exception: _render_defect,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, _awaited(handler))


def _awaited(handler: Any) -> Any:
    async def handle(request: Request, error: Exception) -> Response:
        response: Response = handler(request, error)
        return response

    return handle


def _render_integrity(request: Request, error: IntegrityError) -> Response:
    log.warning("%s %s: %s", request.method, request.url.path, name_of(error))
    return render_error(
        Conflict("Somebody else did this in the same moment.", hint="Look again, then retry.")
    )


def _render_unfit(request: Request, error: Exception) -> Response:
    """A value that the database cannot hold, whichever way its driver says so."""
    log.info("%s %s: %s", request.method, request.url.path, type(error).__name__)
    return render_error(
        InvalidInput("A value is too large, too long or of no kind that can be kept.")
    )


def _render_unavailable(request: Request, error: Exception) -> Response:
    cause = str(getattr(error, "orig", error))
    if any(words in cause for words in OF_ANOTHER_VERSION):
        return _render_defect(request, error)
    log.warning("%s %s: %s", request.method, request.url.path, name_of(error))
    return render_error(DatabaseUnavailable())


def _render_full_disk(request: Request, error: OSError) -> Response:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return _render_defect(request, error)
    log.error("%s %s: %s", request.method, request.url.path, error.strerror)
    return render_error(DatabaseUnavailable())


def _render_validation(request: Request, error: RequestValidationError) -> Response:
    errors = [
        {
            "where": ".".join(str(part) for part in found["loc"]),
            "what": found["msg"].removeprefix("Value error, "),
        }
        for found in error.errors()
    ]
    first = errors[0]
    return problem_response(
        InvalidInput.slug,
        InvalidInput.status,
        f"{first['where']}: {first['what']}.",
        hint="See errors for everything that is wrong." if len(errors) > 1 else None,
        errors=errors,
    )


def _render_http(request: Request, error: HTTPException) -> Response:
    if error.status_code == 404:
        return render_error(NotFound(f"Nothing is served at {request.url.path}."))
    if error.status_code == TooLarge.status:
        return render_error(TooLarge(str(error.detail), hint="Send it in smaller parts."))
    return problem_response(
        "method-not-allowed" if error.status_code == 405 else "error",
        error.status_code,
        str(error.detail),
        headers=dict(error.headers or {}),
    )


def _render_defect(request: Request, error: Exception) -> Response:
    return problem_response(
        StropError.slug,
        500,
        "The server failed on this request.",
        hint="The server's log says why.",
    )
