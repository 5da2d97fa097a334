"""The API as an application: `create_app` is mounted at /api, `standalone_app` serves it alone.

Run alone: uvicorn --factory backend.api.app:default_app
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session, sessionmaker
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from backend.api.authorize import authorize
from backend.api.deps import Serving, SessionDep, serve_with
from backend.api.guards import BodyLimit, StrictHeaders
from backend.api.metrics import CountRequests, JobFigures, RequestFigures
from backend.api.once import add_replay_handler
from backend.api.problems import add_problem_handlers
from backend.api.reads import note_reading, watch_answers
from backend.api.reference import complete_document, reference_page
from backend.api.routes import ROUTERS
from backend.api.rules import RULES, Access
from backend.db import connect, utc_now
from backend.schemas.common import Problem
from backend.settings import Settings, load_settings

MAX_BODY_BYTES = 16_000_000
VERSION = "1"
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "What is wrong, and what to do."},
    "503": {"model": Problem, "description": "The database takes nothing now: try again later."},
}


def create_app(
    settings: Settings,
    sessions: sessionmaker[Session],
    *,
    clock: Callable[[], datetime] = utc_now,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> FastAPI:
    """The API, to be mounted at `/api` (its own paths begin with `/v1`).

    Raises:
        RuntimeError: a route has no line in backend.api.rules.
    """
    figures = RequestFigures()
    app = FastAPI(
        title="Strop",
        version=VERSION,
        description="Evaluate LoRA adapters with experts in the loop.",
        dependencies=[Depends(authorize), Depends(note_reading, scope="function")],
        responses=PROBLEMS,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        middleware=[
            Middleware(CountRequests, figures=figures),
            Middleware(StrictHeaders),
            Middleware(BodyLimit, most=max_body_bytes),
        ],
    )
    app.state.serving = serve_with(settings, sessions, clock=clock)
    add_problem_handlers(app)
    add_replay_handler(app)
    _add_own_routes(app, figures)
    for router in ROUTERS:  # straight into the app: each router between would make all routes anew
        app.include_router(router, prefix="/v1")
    if unstated := sorted(set(route_names(app)) - RULES.keys()):
        raise RuntimeError(f"say in backend.api.rules who may call {', '.join(unstated)}")
    watch_answers(app)
    _complete_document(app)
    return app


def standalone_app(settings: Settings, sessions: sessionmaker[Session]) -> Starlette:
    """The API alone under `/api`, for a server of its own."""
    return Starlette(routes=[Mount("/api", app=create_app(settings, sessions))])


def default_app() -> Starlette:
    """The API alone, with the settings of the environment."""
    settings = load_settings()
    return standalone_app(settings, connect(settings))


def route_names(app: FastAPI) -> list[str]:
    """Every route as `METHOD path`, as the rules name it."""
    return [
        f"{method} {route.path}"
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods)
    ]


def _complete_document(app: FastAPI) -> None:
    """Let the app's document be the whole one, made once."""
    public = {name for name, rule in RULES.items() if rule is Access.PUBLIC}
    made = app.openapi

    @cache
    def openapi() -> dict[str, Any]:
        return complete_document(made(), public)

    app.openapi = openapi  # type: ignore[method-assign]


def _add_own_routes(app: FastAPI, figures: RequestFigures) -> None:
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    from backend.services.overview import count_jobs

    def jobs_by_state() -> dict[str, int]:
        serving: Serving = app.state.serving
        with serving.reading() as session:
            return count_jobs(session)

    figures.registry.register(JobFigures(jobs_by_state))

    @app.get("/healthz", tags=["server"])
    def check_health(session: SessionDep) -> dict[str, str]:
        """Whether server and database answer."""
        count_jobs(session)
        return {"status": "ok"}

    @app.get("/metrics", tags=["server"], response_class=PlainTextResponse)
    def show_metrics() -> PlainTextResponse:
        """Figures for Prometheus, which sends an engineer's bearer token."""
        return PlainTextResponse(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json", include_in_schema=False)
    def show_openapi(request: Request) -> JSONResponse:
        """The OpenAPI document."""
        prefix = request.scope.get("root_path", "")
        return JSONResponse({**app.openapi(), "servers": [{"url": prefix or "/"}]})

    @cache
    def reference(prefix: str) -> str:
        return reference_page(app.openapi(), prefix=prefix)

    @app.get("/docs", include_in_schema=False)
    def show_reference(request: Request) -> HTMLResponse:
        """The reference for people, made from the OpenAPI document."""
        return HTMLResponse(reference(request.scope["root_path"]))
