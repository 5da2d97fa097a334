"""What a browser gets around the dashboard: a quiet page, something to see at once, packing."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from backend.cli.operations.page_shell import (
    FIRST_WORDS,
    FOR_EVER,
    HOST_CONFIG,
    NoErrorDialogs,
    PackedFiles,
    first_painted,
)


async def answer(request: Request) -> JSONResponse:
    return JSONResponse({"allowedOrigins": [], "blockErrorDialogs": False})


def test_no_dialog_is_laid_over_the_page_and_the_rest_stays() -> None:
    routes = [Route(HOST_CONFIG, answer), Route("/other", answer)]
    app = Starlette(routes=routes, middleware=[Middleware(NoErrorDialogs)])
    with TestClient(app) as client:
        assert client.get(HOST_CONFIG).json() == {"allowedOrigins": [], "blockErrorDialogs": True}
        assert client.get("/other").json()["blockErrorDialogs"] is False


def test_streamlit_still_answers_where_we_change_its_answer() -> None:
    from streamlit.web.server.starlette.starlette_routes import create_host_config_routes

    app = Starlette(routes=create_host_config_routes(None), middleware=[Middleware(NoErrorDialogs)])
    with TestClient(app) as client:
        assert client.get(HOST_CONFIG).json()["blockErrorDialogs"] is True


PAGE = """<html><head><title>Streamlit</title><link
      rel="preload"
      href="./static/media/font.woff2"
    /></head><body><div id="root"></div></body></html>"""
SCRIPT = b"export const words = 1;\n" * 200


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "static" / "js").mkdir(parents=True)
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "static" / "js" / "index.Ab12.js").write_bytes(SCRIPT)
    (tmp_path / "static" / "js" / "font.woff2").write_bytes(SCRIPT)
    (tmp_path / "secret.js").write_bytes(SCRIPT)
    return TestClient(Starlette(middleware=[Middleware(PackedFiles, folder=tmp_path)]))


class TestPackedFiles:
    def test_a_script_comes_packed_and_is_kept_for_ever(self, client: TestClient) -> None:
        answer = client.get("/static/js/index.Ab12.js", headers={"accept-encoding": "gzip, br"})
        assert answer.content == SCRIPT
        assert int(answer.headers["content-length"]) < len(SCRIPT) / 10
        assert answer.headers["content-type"].startswith("text/javascript")
        assert (answer.headers["cache-control"], answer.headers["vary"]) == (
            FOR_EVER,
            "Accept-Encoding",
        )

    @pytest.mark.parametrize(
        ("path", "encoding"),
        [
            ("/static/js/index.Ab12.js", "identity"),  # Streamlit's own answer stays
            ("/static/js/font.woff2", "gzip"),
            ("/static/js/../../secret.js", "gzip"),
            ("/static/../secret.js", "gzip"),
            ("/secret.js", "gzip"),
            ("/static/js/none.js", "gzip"),
        ],
    )
    def test_everything_else_is_for_the_app_below(
        self, client: TestClient, path: str, encoding: str
    ) -> None:
        assert client.get(path, headers={"accept-encoding": encoding}).status_code == 404

    @pytest.mark.parametrize("path", ["/", "/desk?queue=3", "/nope"])
    @pytest.mark.parametrize("encoding", ["gzip", "identity"])
    def test_a_page_has_something_to_see_at_once(
        self, client: TestClient, path: str, encoding: str
    ) -> None:
        asked = {"accept": "text/html", "accept-encoding": encoding}
        answer = client.get(path, headers=asked)
        assert FIRST_WORDS in answer.text
        assert "font.woff2" not in answer.text
        assert answer.headers["cache-control"] == "no-cache"
        again = client.get(path, headers={**asked, "if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    def test_a_page_without_a_place_for_it_is_no_silent_loss(self) -> None:
        with pytest.raises(ValueError, match="no <div id"):
            first_painted("<html><head><title>Streamlit</title></head></html>")


def test_the_page_of_the_streamlit_that_is_installed_has_the_places() -> None:
    from backend.cli.operations.page_shell import _page, _static_folder

    body, _ = _page(_static_folder(), packed=True)
    page = gzip.decompress(body).decode()
    assert FIRST_WORDS in page
    assert "SourceSans" not in page
    assert "stropLine" in page
