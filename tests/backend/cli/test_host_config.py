"""What the page is told about its host."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from backend.cli.host_config import PATH, NoErrorDialogs


async def answer(request: Request) -> JSONResponse:
    return JSONResponse({"allowedOrigins": [], "blockErrorDialogs": False})


def test_no_dialog_is_laid_over_the_page_and_the_rest_stays() -> None:
    routes = [Route(PATH, answer), Route("/other", answer)]
    app = Starlette(routes=routes, middleware=[Middleware(NoErrorDialogs)])
    with TestClient(app) as client:
        assert client.get(PATH).json() == {"allowedOrigins": [], "blockErrorDialogs": True}
        assert client.get("/other").json()["blockErrorDialogs"] is False


def test_streamlit_still_answers_where_we_change_its_answer() -> None:
    from streamlit.web.server.starlette.starlette_routes import create_host_config_routes

    app = Starlette(routes=create_host_config_routes(None), middleware=[Middleware(NoErrorDialogs)])
    with TestClient(app) as client:
        assert client.get(PATH).json()["blockErrorDialogs"] is True
