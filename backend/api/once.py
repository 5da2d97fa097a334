"""Idempotency: a creating request that is sent again gets the first answer again.

The stored answer is committed with what the request created, so there is never one without the
other. A key is the person's own and belongs to one request: the same key with another body is
refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from backend.api.deps import CurrentUser, ServingDep, SessionDep
from backend.services.accounts.sealing import Seal
from backend.services.idempotency import find_answer, keep_answer, wait_for_turn

Answer = TypeVar("Answer", bound=BaseModel)
REPLAYED = {"Idempotency-Replayed": "true"}


class Replayed(Exception):
    """The request was answered before; carries that answer past the route."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__("answered before")
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Once:
    """Remembers the answer of this request under its key, if it has one."""

    session: Session
    user_id: int
    key: str | None
    digest: str
    status: int
    seal: Seal

    def answer(self, made: Answer) -> Answer:
        """The answer, kept; every route that creates ends with this."""
        if self.key is not None:
            body = made.model_dump_json()
            keep_answer(
                self.session,
                self.user_id,
                self.key,
                digest=self.digest,
                status=self.status,
                body=body,
                seal=self.seal,
            )
        return made

    def replay(self) -> None:
        """Raise Replayed for a request that was answered before.

        The same request that is under way elsewhere is waited for, and its answer given.
        """
        if self.key is None:
            return
        wait_for_turn(self.session, self.user_id, self.key)
        found = find_answer(
            self.session, self.user_id, self.key, digest=self.digest, seal=self.seal
        )
        if found:
            raise Replayed(*found)


KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=200,
        description="Sent again with the same key, the request creates nothing new.",
    ),
]


async def _digest_of(request: Request) -> str:
    """Of method, path, query and body. Without a query it is what it was before queries counted, so
    that answers kept by an older version are still found; with one, such a key is a conflict."""
    place = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    content = b"\n".join([request.method.encode(), place.encode(), await request.body()])
    return hashlib.sha256(content).hexdigest()


async def get_once(
    request: Request,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    key: KeyHeader = None,
) -> Once:
    """Look the key up before the route runs."""
    status = request.scope["route"].status_code or 200
    once = Once(session, user.id, key, await _digest_of(request), status, serving.seal)
    if key is not None:
        await run_in_threadpool(once.replay)
    return once


async def require_not_answered(
    request: Request, serving: ServingDep, user: CurrentUser, key: KeyHeader = None
) -> None:
    """Raise Replayed, before servers are asked anything, for a request that was answered."""
    if key is None:
        return
    digest = await _digest_of(request)

    def look() -> None:
        with serving.reading() as session:
            found = find_answer(session, user.id, key, digest=digest, seal=serving.seal)
        if found:
            raise Replayed(*found)

    await run_in_threadpool(look)


NotAnsweredDep = Annotated[None, Depends(require_not_answered)]
OnceDep = Annotated[Once, Depends(get_once)]


def add_replay_handler(app: FastAPI) -> None:
    """Answer Replayed with what was stored."""

    async def replay(request: Request, error: Exception) -> Response:
        assert isinstance(error, Replayed)
        return Response(
            error.body, status_code=error.status, media_type="application/json", headers=REPLAYED
        )

    app.add_exception_handler(Replayed, replay)
