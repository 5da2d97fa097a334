"""What routes are given: a session, the person who asks, a page, the moment.

Writers wait their turn before they take a thread or a connection: one at a time on SQLite, which
has one writer anyway and whose own waiting is a sleep. Readers are never more than the pool has
connections. Without both gates, requests that hold a connection and wait for a thread could stand
against requests that hold a thread and wait for a connection.

What only looks something up is `async def`: a plain function would be handed to a thread and back,
which costs more than all that it does.
"""

from __future__ import annotations

from asyncio import Semaphore
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Annotated

import anyio
from fastapi import Depends, Query, Request
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from backend.api.guards import READING
from backend.db import alone, read_only, utc_now
from backend.services.accounts.oidc.provider import Provider
from backend.services.accounts.oidc.registration import registration_of
from backend.services.accounts.sealing import Seal, open_seal
from backend.services.audit import ACTOR, Actor, act_as
from backend.services.audit.sign_ins import Refusals
from backend.services.pages import PageAsk
from backend.services.runs.figures import KeptFigures
from backend.settings import Settings
from backend.tables.accounts import User

READERS = 12
WRITERS = {"sqlite": 1, "postgresql": 4}
PASSWORDS_AT_ONCE = 2  # argon2 takes 64 MiB and a core for each
PROVIDERS_AT_ONCE = 6  # sign-ins that wait for the OpenID provider; the others wait for them


@dataclass(frozen=True, slots=True)
class Serving:
    """What one server process holds for all its requests."""

    settings: Settings
    writing: sessionmaker[Session]
    reading: sessionmaker[Session]
    alone: Engine
    readers: Semaphore
    writers: Semaphore
    logins: Semaphore
    seal: Seal
    provider: Provider | None = None
    providers: Semaphore = field(default_factory=lambda: Semaphore(PROVIDERS_AT_ONCE))
    clock: Callable[[], datetime] = utc_now
    kept: KeptFigures = field(default_factory=KeptFigures)
    refusals: Refusals = field(default_factory=Refusals)
    tokens_noted: set[tuple[int, date]] = field(default_factory=set)


def serve_with(
    settings: Settings, sessions: sessionmaker[Session], *, clock: Callable[[], datetime]
) -> Serving:
    """The state of a server on this database; what these sessions write came in by the API."""
    sessions.configure(info={ACTOR: Actor(via="api")})
    engine = sessions.kw["bind"]
    if not isinstance(engine, Engine):
        raise TypeError("sessions must be bound to an engine")
    registration = registration_of(settings)
    return Serving(
        settings=settings,
        writing=sessions,
        reading=sessionmaker(read_only(engine), expire_on_commit=False),
        alone=alone(engine),
        readers=Semaphore(READERS),
        writers=Semaphore(WRITERS[engine.dialect.name]),
        logins=Semaphore(PASSWORDS_AT_ONCE),
        seal=open_seal(settings),
        provider=None if registration is None else Provider(registration),
        clock=clock,
    )


async def get_serving(request: Request) -> Serving:
    """The state of the server that answers this request."""
    serving: Serving = request.app.state.serving
    return serving


ServingDep = Annotated[Serving, Depends(get_serving)]


async def get_session(request: Request, serving: ServingDep) -> AsyncIterator[Session]:
    """A session that is committed before the answer is sent; for a GET, one that only reads."""
    reads = request.method in READING
    async with serving.readers if reads else serving.writers:
        session = serving.reading() if reads else serving.writing()
        if (actor := getattr(request.state, "actor", None)) is not None:
            act_as(session, actor)
        try:
            yield session
        except BaseException:
            await _end(session.close)
            raise
        await _end(session.close if reads else partial(_commit_and_close, session))


async def _end(what: Callable[[], None]) -> None:
    """Do this in a thread even if the client has gone: a connection must not stay out."""
    with anyio.CancelScope(shield=True):
        await run_in_threadpool(what)


def _commit_and_close(session: Session) -> None:
    try:
        session.commit()
    finally:
        session.close()


SessionDep = Annotated[Session, Depends(get_session, scope="function")]


async def get_now(serving: ServingDep) -> datetime:
    """The moment at which the request is answered."""
    return serving.clock()


NowDep = Annotated[datetime, Depends(get_now)]


async def get_user(request: Request) -> User:
    """The person whom `authorize` let pass; only for routes whose rule is not PUBLIC."""
    user: User = request.state.user
    return user


CurrentUser = Annotated[User, Depends(get_user)]


async def get_page(
    limit: Annotated[int, Query(ge=1, le=500, description="Rows on a page.")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=100, description="`next` of the page before.")
    ] = None,
) -> PageAsk:
    """Which page of a list is asked for."""
    return PageAsk(limit=limit, cursor=cursor)


PageDep = Annotated[PageAsk, Depends(get_page)]
