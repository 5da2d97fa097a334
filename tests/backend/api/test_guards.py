"""What stands before the dashboard: pages of other origins are refused, headers are strict."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from backend.api.guards import PAGE_HEADERS, OwnPagesOnly, StrictHeaders

HOST = "127.0.0.1:8500"


@pytest.fixture
def client() -> TestClient:
    async def answer(_: Any) -> PlainTextResponse:
        return PlainTextResponse("reached")

    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("reached")
        await socket.close()

    methods = ["GET", "POST", "PUT", "DELETE"]
    routes = [
        Mount("/api", routes=[Route("/x", answer, methods=methods)]),
        WebSocketRoute("/_stcore/stream", stream),
        Route("/{path:path}", answer, methods=methods),
    ]
    middleware = [Middleware(OwnPagesOnly), Middleware(StrictHeaders, wanted=PAGE_HEADERS)]
    app = Starlette(routes=routes, middleware=middleware)
    return TestClient(app, base_url=f"http://{HOST}")


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "",
        "http://evil.example",
        "http://127.0.0.1:8501",
        "http://127.0.0.1",
        "http://localhost:8500",
        f"http://{HOST}.evil.example",
        f"http://user@{HOST}",
        f"file://{HOST}",
        f"//{HOST}",
        HOST,
        f"http://evil.example/{HOST}",
    ],
)
def test_a_stream_is_opened_by_our_own_page_alone(client: TestClient, origin: str | None) -> None:
    headers = {"host": HOST} | ({} if origin is None else {"origin": origin})
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/_stcore/stream", headers=headers),
    ):
        pass


def test_our_own_page_opens_its_stream(client: TestClient) -> None:
    headers = {"host": HOST, "origin": f"http://{HOST}"}
    with client.websocket_connect("/_stcore/stream", headers=headers) as socket:
        assert socket.receive_text() == "reached"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"origin": "http://127.0.0.1:9"}, 403),
        ({"origin": f"http://{HOST}"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "same-site", "origin": f"http://{HOST}"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_changes_are_asked_for_by_our_own_page(
    client: TestClient, method: str, headers: dict[str, str], status: int
) -> None:
    answer = client.request(method, "/_stcore/upload_file/a", headers=headers)
    assert answer.status_code == status
    assert client.request(method, "/api/x", headers=headers).status_code == 200
    assert client.get("/", headers=headers).status_code == 200


def test_pages_carry_strict_headers_and_hsts_over_https_alone(client: TestClient) -> None:
    headers = client.get("/").headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    sources = set(policy["default-src"].split())
    assert sources == {"'self'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
    assert policy["object-src"] == policy["base-uri"] == "'none'"
    assert policy["frame-ancestors"] == policy["form-action"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["referrer-policy"] == "same-origin"
    assert "strict-transport-security" not in headers
    client.base_url = f"https://{HOST}"
    assert client.get("/").headers["strict-transport-security"].startswith("max-age=")
