"""An API over a small project: an admin, an engineer, experts, and a stranger of each kind."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
import uvicorn
from anyio import Event
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from httpx2 import ByteStream, Request, Response
from sqlalchemy.orm import Session, sessionmaker
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient, _TestClientTransport
from starlette.types import Message, Scope

from backend.api.app import create_app
from backend.api.deps import serve_with
from backend.db import open_database, session_factory
from backend.services.accounts.credentials import create_token
from backend.services.accounts.passwords import hash_password
from backend.services.accounts.users import add_member, create_user
from backend.settings import Settings
from backend.tables.accounts import User
from tests.fixtures_review import NOW, Desk, build_desk

PASSWORD = "correct horse battery"
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Clock:
    """A clock that a test moves."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class House:
    """The API, what it serves, and a bearer token for each kind of person."""

    app: FastAPI
    sessions: sessionmaker[Session]
    clock: Clock
    desk: Desk
    queue_id: int
    pair_queue_id: int
    foreign: Desk
    foreign_queue_id: int
    tokens: dict[str, str] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)

    def client(self, person: str | None = None, **options: object) -> TestClient:
        """A client that shows the person's bearer token, or nothing."""
        headers = {} if person is None else {"Authorization": f"Bearer {self.tokens[person]}"}
        mounted = Starlette(routes=[Mount("/api", app=self.app)])
        return TestClient(mounted, headers=headers, follow_redirects=False, **options)


@pytest.fixture(scope="session", autouse=True)
def one_event_loop() -> Iterator[None]:
    """The requests of all clients run in one event loop: to start one and its threads for each
    takes a millisecond of a processor, a third of a small request. Each goes there and back once;
    starlette goes eight times, to hand over an answer piece by piece, which takes three."""
    with start_blocking_portal() as portal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            TestClient, "_portal_factory", lambda self: nullcontext(self.portal or portal)
        )
        patch.setattr(_TestClientTransport, "handle_request", whole_answer)
        yield


STARLETTES = _TestClientTransport.handle_request


def whole_answer(transport: _TestClientTransport, request: Request) -> Response:
    """What the application answers, once it has said all of it."""
    if request.url.scheme == "ws":  # that one goes on
        return STARLETTES(transport, request)
    sent: list[Message] = []

    async def run() -> None:
        asked, done = False, Event()

        async def receive() -> Message:
            nonlocal asked
            if asked:
                await done.wait()
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": request.read()}

        async def send(message: Message) -> None:
            sent.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                done.set()

        await transport.app(scope_of(transport, request), receive, send)

    try:
        with transport.portal_factory() as portal:
            portal.call(run)
    except Exception:
        if transport.raise_server_exceptions:
            raise
    if not sent:
        return Response(500, request=request)
    body = b"".join(message.get("body", b"") for message in sent)
    headers = [(key.decode(), value.decode()) for key, value in sent[0].get("headers", [])]
    stream = ByteStream(b"" if request.method == "HEAD" else body)
    return Response(sent[0]["status"], headers=headers, stream=stream, request=request)


def scope_of(transport: _TestClientTransport, request: Request) -> Scope:
    """The request as an application gets it."""
    url = request.url
    return {
        "type": "http",
        "http_version": "1.1",
        "method": request.method,
        "path": unquote(url.path),
        "raw_path": url.raw_path.partition(b"?")[0],
        "root_path": transport.root_path,
        "scheme": url.scheme,
        "query_string": url.query,
        "headers": [(k.lower().encode(), v.encode()) for k, v in request.headers.multi_items()],
        "client": transport.client,
        "server": [url.host, url.port or {"http": 80, "https": 443}[url.scheme]],
        "state": transport.app_state.copy(),
    }


@pytest.fixture(scope="session")
def password_hash() -> str:
    """The hash of PASSWORD, made once: argon2 is slow on purpose."""
    return hash_password(PASSWORD)


def bare_app(**options: int) -> FastAPI:
    """The API before it is said what it serves."""
    settings = Settings(database_url="sqlite:///never-opened.db")
    return create_app(settings, session_factory(open_database(settings.url)), **options)


APP = bare_app()  # an app is slow to make: the process has one, and is told anew what it serves


def app_over(settings: Settings, sessions: sessionmaker[Session], clock: Clock) -> FastAPI:
    """The API over this database."""
    APP.state.serving = serve_with(settings, sessions, clock=clock)
    return APP


def furnish(
    sessions: sessionmaker[Session], settings: Settings, password_hash: str, **options: int
) -> House:
    """Two projects with a queue each, people, tokens, and the API over them."""
    clock = Clock()
    with sessions.begin() as session:
        desk = build_desk(session, name="ours", **options)  # type: ignore[arg-type]
        foreign = build_desk(session, name="theirs")
        people = _people(session, desk, foreign, password_hash)
        house = House(
            app=app_over(settings, sessions, clock),
            sessions=sessions,
            clock=clock,
            desk=desk,
            queue_id=desk.open(session, "q").id,
            pair_queue_id=desk.open(session, "pairs", kind="pair").id,
            foreign=foreign,
            foreign_queue_id=foreign.open(session, "theirs").id,
            users=people,
        )
        for name, user in people.items():
            house.tokens[name] = create_token(session, user, "test", now=clock.now).value
    return house


def _people(session: Session, desk: Desk, foreign: Desk, password_hash: str) -> dict[str, User]:
    people = {
        "admin": create_user(session, "ada", "admin"),
        "engineer": create_user(session, "eva", "engineer"),
        "lead": create_user(session, "lea", "lead"),
        "stranger": create_user(session, "sam", "engineer"),
        "expert": desk.experts[0],
        "colleague": desk.experts[1],
        "outsider": foreign.experts[0],
    }
    add_member(session, desk.project.id, people["engineer"].id)
    add_member(session, desk.project.id, people["lead"].id)
    add_member(session, foreign.project.id, people["stranger"].id)
    for user in people.values():
        user.password_hash = password_hash
    session.flush()
    return people


@pytest.fixture(scope="session")
def furnished(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, password_hash: str
) -> tuple[Path, House]:
    """A furnished SQLite file to copy from, and the house that was made with it."""
    folder = tmp_path_factory.mktemp("furnished")
    path = folder / "strop.db"
    shutil.copy(sqlite_template, path)
    engine = open_database(f"sqlite:///{path}")
    house = furnish(session_factory(engine), Settings(home=folder), password_hash)
    engine.dispose()
    return path, house


@pytest.fixture
def house_file(furnished: tuple[Path, House]) -> Path:
    """The SQLite file of which the house of a test is a copy."""
    return furnished[0]


@pytest.fixture
def house(
    house_file: Path, furnished: tuple[Path, House], settings: Settings, tmp_path: Path
) -> Iterator[House]:
    """The API on a SQLite database of the test's own."""
    _, made = furnished
    shutil.copy(house_file, tmp_path / "house.db")
    engine = open_database(f"sqlite:///{tmp_path / 'house.db'}")
    sessions, clock = session_factory(engine), Clock()
    app = app_over(settings, sessions, clock)
    yield replace(made, app=app, sessions=sessions, clock=clock, tokens=dict(made.tokens))
    engine.dispose()


@pytest.fixture
def house_on_both(sessions: sessionmaker[Session], settings: Settings, password_hash: str) -> House:
    """The API on each backend."""
    return furnish(sessions, settings, password_hash)


@pytest.fixture
def server_url(house: House) -> Iterator[str]:
    """A real server over the house, on a free port."""
    mounted = Starlette(routes=[Mount("/api", app=house.app)])
    config = uvicorn.Config(
        mounted, port=0, log_level="warning", ws="none", lifespan="off", access_log=False
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # who asks before the server's thread has come up waits
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
