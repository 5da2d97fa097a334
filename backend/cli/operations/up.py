"""`strop up`: dashboard and API on one port in one process, and one worker beside them.

The dashboard is an ASGI application with the API mounted below it. The worker is a child process
that is started again when it dies. The parts also run apart, behind one proxy: `--api-only`, and
`--dashboard-only` with STROP_API_URL. Nothing here knows what a page or a route does.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from backend.cli.operations.api_processes import check_processes, run_processes
from backend.cli.operations.page_shell import NoErrorDialogs, PackedFiles, wants_page
from backend.cli.operations.worker_process import worker_process
from backend.errors import Conflict, InvalidInput
from backend.settings import Settings, load_settings

SESSION_COOKIE = "strop_session"
LOGIN_PATH = "/api/v1/login"
BACKLOG = 2048


def command(
    port: Annotated[int | None, Option(help="Port; 0 picks a free one.")] = None,
    host: Annotated[str | None, Option(help="Address to bind to.")] = None,
    home: Annotated[Path | None, Option(help="Folder of the database and the runs.")] = None,
    no_worker: Annotated[bool, Option("--no-worker", help="Start no worker.")] = False,
    api_only: Annotated[bool, Option("--api-only", help="Serve the API alone.")] = False,
    dashboard_only: Annotated[
        bool, Option("--dashboard-only", help="Serve the dashboard alone (STROP_API_URL).")
    ] = False,
    api_processes: Annotated[
        int, Option(help="Processes that serve the API, on PostgreSQL, with --api-only.")
    ] = 1,
) -> None:
    """Serve dashboard and API on one port, with a worker."""
    if api_only and dashboard_only:
        raise InvalidInput("--api-only and --dashboard-only exclude each other.")
    settings = load_settings(port=port, host=host, home=home)
    if dashboard_only and settings.api_url is None:
        raise InvalidInput("The dashboard alone needs to know the API.", hint="Set STROP_API_URL.")
    check_processes(settings, api_processes, dashboard=not api_only)
    serve(
        settings,
        worker=not (no_worker or dashboard_only),
        api=not dashboard_only,
        dashboard=not api_only,
        processes=api_processes,
    )


def serve(
    settings: Settings,
    *,
    worker: bool = True,
    api: bool = True,
    dashboard: bool = True,
    processes: int = 1,
) -> None:
    """Migrate, bind, serve until SIGTERM or SIGINT, then end the worker.

    Args:
        processes: of the API alone (`api_processes`).

    Raises:
        Conflict: the port is taken.
    """
    with bind(settings.host, settings.port) as listener:
        address = web_address(settings.host, listener.getsockname()[1])
        settings = settings.model_copy(
            update={"port": listener.getsockname()[1], "api_url": settings.api_url or address}
        )
        sessions = open_migrated(settings) if api else None
        beside = worker_process(settings) if worker else contextlib.nullcontext()
        if processes > 1 and sessions is not None:
            with beside:
                say_where(address, sessions=sessions, worker=worker)
                sessions.kw["bind"].dispose()
                run_processes(settings, listener, processes)
            return
        api_app = build_api(settings, sessions) if api else None
        life = lifespan(
            beside, announce=lambda: say_where(address, sessions=sessions, worker=worker)
        )
        app = build_app(settings, api_app, life, dashboard=dashboard)
        run_server(app, listener, proxies=settings.proxies)


@contextlib.contextmanager
def bind(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise Conflict(
                f"Cannot listen on {host} port {port}: {error.strerror}.",
                hint="Take another with --port, or --port 0 for any free one.",
            ) from error
        listener.listen(BACKLOG)
        listener.setblocking(False)
        yield listener


def web_address(host: str, port: int) -> str:
    """The address at which this machine reaches the server."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)
    return f"http://{name}:{port}"


def open_migrated(settings: Settings) -> Any:
    """Sessions on the configured database, brought to the newest revision first."""
    from backend.db import connect, migrate
    from backend.private_files import close_installation, make_folder
    from backend.services.accounts.sealing import open_seal, seal_open_rows

    make_folder(settings.home)
    sessions = connect(settings)
    migrate(settings.url)
    for word in close_installation(settings):
        typer.echo(word, err=True)
    with sessions.begin() as session:
        seal_open_rows(session, open_seal(settings))
    return sessions


def build_api(settings: Settings, sessions: Any) -> Any:
    """The FastAPI application, to be mounted below /api."""
    from backend.api.app import create_app

    return create_app(settings, sessions)


def build_app(settings: Settings, api_app: Any, life: Any, *, dashboard: bool) -> Any:
    """The ASGI application of this process: the dashboard with the API below it, or either."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Mount

    routes = [] if api_app is None else [Mount("/api", app=api_app)]
    if not dashboard:
        return Starlette(routes=routes, lifespan=life)
    import streamlit as st

    from backend.api.guards import PAGE_HEADERS, OwnPagesOnly, StrictHeaders

    return st.App(
        dashboard_script(),
        routes=routes,
        lifespan=life,
        middleware=[
            Middleware(OwnPagesOnly),
            Middleware(StrictHeaders, wanted=PAGE_HEADERS),
            *(Middleware(part) for part in (SignInFirst, NoErrorDialogs, PackedFiles)),
        ],
        secrets={"api_url": str(settings.api_url)},
        on_script_error=show_defect,
    )


def show_defect(error: Exception) -> bool:
    """What a person sees of an error that nobody foresaw; the log has the trace."""
    import streamlit as st

    st.error(
        f"This page broke ({type(error).__name__}). That is a defect of Strop, not of your work: "
        "saved answers are safe. Reload the page; the server's log says more."
    )
    return True


def dashboard_script() -> Path:
    """Where the dashboard's first script lies; found without importing it."""
    return Path(__file__).parents[3] / "dashboard" / "app.py"


class SignInFirst:
    """Sends a browser without a session cookie from a page to the sign-in form, and back after.

    This is courtesy, not protection: every figure a page shows comes from the API, which checks.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and wants_page(scope) and not has_session(scope):
            from urllib.parse import quote

            from starlette.responses import RedirectResponse

            query = scope["query_string"].decode("latin-1")
            page = quote(scope["path"]) + (f"?{query}" if query else "")
            target = f"{LOGIN_PATH}?next={quote(page)}"
            headers = {"Cache-Control": "no-store"}
            response = RedirectResponse(target, status_code=303, headers=headers)
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)


def has_session(scope: Any) -> bool:
    """Whether the request carries the session cookie (valid or not)."""
    cookies = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
    return any(part.strip().startswith(f"{SESSION_COOKIE}=") for part in cookies.split(";"))


def lifespan(worker: Any, *, announce: Callable[[], None]) -> Any:
    """A lifespan that holds the worker from the server's start to its end."""

    @contextlib.asynccontextmanager
    async def live(_: Any) -> AsyncIterator[None]:
        with worker:
            announce()
            yield

    return live


def run_server(app: Any, listener: socket.socket, *, proxies: Sequence[str] = ()) -> None:
    """Serve until a signal; uvicorn raises the signal again after its end, which is ignored."""
    import uvicorn

    from backend.logs import log_without_words

    log_without_words()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = uvicorn.Server(server_config(app, proxies))
    server.run(sockets=[listener])
    if not server.started:
        raise Conflict("The server did not start.", hint="The lines above say why.")


def server_config(app: Any, proxies: Sequence[str], **options: Any) -> Any:
    """How uvicorn serves.

    Args:
        proxies: whose X-Forwarded-For and X-Forwarded-Proto are believed; by default uvicorn
            believes whoever asks from this machine.
    """
    import uvicorn

    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=64 * 2**20,
        timeout_graceful_shutdown=3,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        **options,
    )


def say_where(address: str, *, sessions: Any, worker: bool) -> None:
    """Print the address and how to sign in."""
    lines = [f"Strop is at {address}" + ("" if worker else "  (no worker: jobs wait)")]
    names = names_that_sign_in(sessions) if sessions is not None else None
    if names:
        lines.append(f"Sign in as {', '.join(names)}. Ctrl+C ends it.")
    elif names is not None:
        lines.append("Nobody can sign in yet: strop user add NAME --role engineer --generate")
    print(*lines, sep="\n", flush=True)


def names_that_sign_in(sessions: Any, *, most: int = 5) -> list[str]:
    """The first few people who have a password and may use it."""
    from backend.db import reading
    from backend.services.accounts.users import list_users

    with reading(sessions) as session:
        users = [u.name for u in list_users(session) if u.active and u.password_hash]
    return [*users[:most], *(["..."] if len(users) > most else [])]
