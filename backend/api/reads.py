"""The audit log's entry for every answer that gives out texts; which do stands in `rules`.

The entry is committed before the answer is sent: with the act where the request changes something,
else in a transaction of its own. An answer without a text of anybody has no entry.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from hashlib import sha256
from inspect import iscoroutinefunction
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from backend.api.deps import Serving, ServingDep
from backend.api.rules import TEXTS
from backend.api.texts import Texts
from backend.services.accounts.access import OWNERS
from backend.services.audit import MOST_NUMBERS, Actor, act_as, record


@dataclass(slots=True)
class TextRequest:
    """One request that may read texts."""

    name: str
    texts: Texts
    serving: Serving
    actor: Actor
    params: dict[str, Any]
    format: str | None
    ids: Sequence[int] | None = None
    n: int = 0
    noted: bool = False
    project_id: int | None = None
    _where: tuple[int | None, str] | None = field(default=None)

    def take(self, answer: Any, session: Session | None) -> None:
        """Look at the answer; record it with the act where there is a session that writes."""
        if self.texts.export:
            return
        if self.texts.ids is not None:
            self.ids = self.texts.ids(answer)
            self.n = len(self.ids)
        else:
            self.n = 1 if self.texts.count is None else self.texts.count(answer)
        if self.n and session is not None:
            self.note(session)

    def note(self, session: Session) -> None:
        """The entry of an answer that is no file; several where there are very many ids."""
        told: dict[str, Any] = {"route": self.name, "of": self.texts.of}
        if self.ids is None:
            self._record(session, "texts.read", {**told, "n": self.n})
        else:
            for start in range(0, self.n, MOST_NUMBERS):
                some = list(self.ids[start : start + MOST_NUMBERS])
                self._record(session, "texts.read", {**told, "n": len(some), "ids": some})
        self.noted = True

    def begin_export(self) -> None:
        """The entry before the first piece of a file."""
        with self.serving.writing.begin() as session:
            self._record(session, "export.begun", self._export())

    def end_export(self, told: dict[str, Any]) -> None:
        """The entry after its last piece; a file that broke off has none."""
        with self.serving.writing.begin() as session:
            self._record(session, "export.ended", {**self._export(), **told})

    def _export(self) -> dict[str, Any]:
        asked = {"format": self.format} if self.format else {}
        return {"route": self.name, "of": self.texts.of, **asked}

    def _record(self, session: Session, action: str, detail: dict[str, Any]) -> None:
        act_as(session, self.actor)
        project_id, subject = self._place(session)
        record(session, action, subject=subject, project_id=project_id, detail=detail)

    def _place(self, session: Session) -> tuple[int | None, str]:
        """The project, and the subject that the path names."""
        if self._where is None:
            key = self.texts.subject or next(iter(self.params), None)
            value = None if key is None else int(self.params[key])
            subject = self.texts.about if key is None else f"{key.removesuffix('_id')}:{value}"
            if self.project_id is None:
                owner = OWNERS.get(key or "")
                self.project_id = None if owner is None else session.scalar(owner, {"id": value})
            self._where = (self.project_id, subject)
        return self._where


_READING: ContextVar[TextRequest | None] = ContextVar("reading", default=None)


async def note_reading(request: Request, serving: ServingDep) -> AsyncIterator[None]:
    """Around every route: what it gave out is in the log before the answer is sent."""
    name = f"{request.method} {request.scope['route'].path}"
    if name not in TEXTS:
        yield
        return
    reading = TextRequest(
        name=name,
        texts=TEXTS[name],
        serving=serving,
        actor=request.state.actor,
        params=request.path_params,
        project_id=request.state.project_id,
        format=request.query_params.get("format"),
    )
    _READING.set(reading)
    yield
    if reading.n and not reading.noted:
        async with serving.writers:
            await run_in_threadpool(_note_alone, reading)


def _note_alone(reading: TextRequest) -> None:
    with reading.serving.writing.begin() as session:
        reading.note(session)


def watch_answers(app: FastAPI) -> None:
    """Let every route of TEXTS show its answers to the request's Reading."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            for method in route.methods:
                if f"{method} {route.path}" in TEXTS:
                    route.dependant.call = _watched(route.endpoint, reads=method == "GET")


def _watched(endpoint: Callable[..., Any], *, reads: bool) -> Callable[..., Any]:
    if iscoroutinefunction(endpoint):
        raise RuntimeError(f"{endpoint.__name__} gives out texts and is not a plain function")

    @wraps(endpoint)
    def watched(**values: Any) -> Any:
        answer = endpoint(**values)
        if (reading := _READING.get()) is not None:
            reading.take(answer, None if reads else values.get("session"))
        return answer

    return watched


def logged_export(pieces: Iterator[str]) -> Iterator[str]:
    """The pieces of a file, with its begin and its end in the log."""
    reading = _READING.get()
    if reading is None or not reading.texts.export:
        yield from pieces
        return
    digest, size, lines = sha256(), 0, 0
    for begun, piece in enumerate(pieces):
        if not begun:  # what is refused never begins
            reading.begin_export()
        sent = piece.encode()
        digest.update(sent)
        size += len(sent)
        lines += piece.count("\n")
        yield piece
    reading.end_export({"lines": lines, "bytes": size, "sha256": digest.hexdigest()})
