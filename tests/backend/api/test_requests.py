"""What every request meets: problems, limits, strict headers, keys, pages, figures."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from starlette.requests import Request
from starlette.testclient import TestClient

from backend.api.once import _digest_of
from backend.services.idempotency import wait_for_turn
from backend.settings import Settings
from backend.tables.projects import Project
from tests.backend.api.conftest import House, bare_app

PROJECT = {"name": "new", "base_model": "tiny"}


class TestProblems:
    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "slug"),
        [
            ("GET", "/v1/nowhere", None, 404, "not-found"),
            ("GET", "/v1/projects/abc", None, 404, "not-found"),
            ("GET", "/v1/projects/1e3", None, 404, "not-found"),
            ("GET", "/v1/projects/99999999999999999999", None, 404, "not-found"),
            ("GET", "/v1/projects/../../etc/passwd", None, 404, "not-found"),
            ("PATCH", "/v1/projects", None, 405, "method-not-allowed"),
            ("POST", "/v1/projects", {"name": "x", "colour": "red"}, 422, "invalid-input"),
            ("POST", "/v1/projects", {"name": "../x"}, 422, "invalid-input"),
            ("POST", "/v1/projects", {"name": "ours"}, 409, "conflict"),
            ("GET", "/v1/projects?colour=red", None, 422, "invalid-input"),
            ("GET", "/v1/projects/1/generation-runs?limit=0", None, 422, "invalid-input"),
            ("GET", "/v1/projects/1/generation-runs?cursor=zzz", None, 422, "invalid-input"),
        ],
    )
    def test_are_rendered_alike(
        self, house: House, method: str, path: str, body: object, status: int, slug: str
    ) -> None:
        answer = house.client("admin").request(method, f"/api{path}", json=body)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["type"] == f"urn:strop:problem:{slug}"
        assert problem["status"] == status
        assert problem["detail"]

    def test_unknown_field_is_named(self, house: House) -> None:
        answer = house.client("admin").post("/api/v1/projects", json=PROJECT | {"colour": "red"})
        assert "body.colour" in answer.json()["detail"]

    def test_half_a_json_line(self, house: House) -> None:
        answer = house.client("admin").post(
            "/api/v1/projects", content='{"name": ', headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, answer.json()["title"]) == (422, "Invalid input")

    def test_asking_for_a_password_is_not_repeated_in_the_problem(self, house: House) -> None:
        body = {"name": "zoe", "role": "expert", "password": "secret"}
        answer = house.client("admin").post("/api/v1/users", json=body)
        assert answer.status_code == 422
        assert "secret" not in answer.text

    def test_unauthenticated_says_how(self, house: House) -> None:
        answer = house.client().get("/api/v1/me")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "/api/v1/login" in answer.json()["hint"]

    def test_defect_shows_no_insides(self, house: House) -> None:
        def breaks() -> datetime:
            raise ValueError("insides")

        serving = house.app.state.serving
        house.app.state.serving = replace(serving, clock=breaks)
        answer = house.client("admin", raise_server_exceptions=False).get("/api/v1/me")
        assert answer.status_code == 500
        assert "insides" not in answer.text
        assert answer.json()["hint"] == "The server's log says why."


class TestCredentials:
    @pytest.mark.parametrize(
        "value", ["Bearer nonsense", "Bearer ", "Basic ZXZhOng=", "bearer strop_x", "Bearer é"]
    )
    def test_foreign_ones_are_refused(self, house: House, value: str) -> None:
        answer = house.client().get("/api/v1/me", headers={"Authorization": value.encode()})
        assert answer.status_code == 401

    def test_expired_token(self, house: House) -> None:
        client = house.client("engineer")
        assert client.get("/api/v1/me").status_code == 200
        house.clock.move(days=91)
        assert client.get("/api/v1/me").status_code == 401

    def test_token_is_made_shown_once_used_and_revoked(self, house: House) -> None:
        client = house.client("engineer")
        made = client.post("/api/v1/me/tokens", json={"name": "ci", "days": 1}).json()
        house.tokens["program"] = made["secret"]
        assert house.client("program").get("/api/v1/me").json()["name"] == "eva"
        assert made["secret"] not in client.get("/api/v1/me/tokens").text
        assert client.delete(f"/api/v1/me/tokens/{made['id']}").status_code == 200
        assert house.client("program").get("/api/v1/me").status_code == 401

    def test_token_of_somebody_else_cannot_be_revoked(self, house: House) -> None:
        made = house.client("admin").post("/api/v1/me/tokens", json={"name": "ci"}).json()
        assert house.client("engineer").delete(f"/api/v1/me/tokens/{made['id']}").status_code == 404


class TestGuards:
    @pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/login", "/api/v1/nowhere"])
    def test_headers_are_strict(self, house: House, path: str) -> None:
        headers = house.client().get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "same-origin"

    def test_large_body_is_refused_before_it_is_read(self, small_client: TestClient) -> None:
        answer = small_client.post("/api/v1/projects", content=b"x" * 2000)
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:strop:problem:too-large")

    def test_large_body_without_a_length_is_refused(self, small_client: TestClient) -> None:
        def pieces():
            yield b'{"name": "'
            for _ in range(20):
                yield b"x" * 100

        answer = small_client.post(
            "/api/v1/projects", content=pieces(), headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:strop:problem:too-large")

    def test_large_form_is_refused(self, small_client: TestClient) -> None:
        answer = small_client.post("/api/v1/login", data={"name": "x" * 2000})
        assert answer.status_code == 413


@pytest.fixture(scope="module")
def small_app() -> FastAPI:
    """An app that takes no more than 1000 bytes; a test says what it serves."""
    return bare_app(max_body_bytes=1000)


@pytest.fixture
def small_client(house: House, small_app: FastAPI) -> TestClient:
    small_app.state.serving = house.app.state.serving
    return replace(house, app=small_app).client("admin")


class TestIdempotency:
    def test_same_key_creates_once(self, house_on_both: House) -> None:
        client = house_on_both.client("admin")
        key = {"Idempotency-Key": "k" * 16}
        first = client.post("/api/v1/projects", json=PROJECT, headers=key)
        again = client.post("/api/v1/projects", json=PROJECT, headers=key)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert again.headers["idempotency-replayed"] == "true"
        with house_on_both.sessions() as session:
            assert session.scalar(select(func.count(Project.id))) == 3

    def test_same_key_for_another_request_is_refused(self, house: House) -> None:
        client = house.client("admin")
        key = {"Idempotency-Key": "k" * 16}
        client.post("/api/v1/projects", json=PROJECT, headers=key)
        other = client.post("/api/v1/projects", json=PROJECT | {"name": "b"}, headers=key)
        assert (other.status_code, other.json()["hint"]) == (409, "Make a new key.")

    @pytest.mark.parametrize(("other", "same"), [(b"", False), (b"a=2", False), (b"a=1", True)])
    def test_another_query_is_another_request(self, other: bytes, same: bool) -> None:
        """No creating route takes a query today; the first that does must not be caught out."""

        def digest(query: bytes) -> str:
            scope = {"type": "http", "method": "POST", "path": "/x", "query_string": query}
            scope |= {"headers": [], "server": ("h", 80), "scheme": "http"}

            async def receive() -> dict[str, object]:
                return {"type": "http.request", "body": b"{}", "more_body": False}

            return asyncio.run(_digest_of(Request(scope, receive)))

        assert (digest(b"a=1") == digest(other)) == same

    def test_key_is_a_persons_own(self, house: House) -> None:
        key = {"Idempotency-Key": "k" * 16}
        path = f"/api/v1/projects/{house.desk.project.id}/manifests"
        body = {"source": "lines: ["}
        for person in ("admin", "engineer"):
            answer = house.client(person).post(path, json=body, headers=key)
            assert "idempotency-replayed" not in answer.headers

    def test_refused_request_keeps_nothing(self, house: House) -> None:
        client = house.client("admin")
        key = {"Idempotency-Key": "k" * 16}
        taken = client.post("/api/v1/projects", json=PROJECT | {"name": "ours"}, headers=key)
        assert taken.status_code == 409
        made = client.post("/api/v1/projects", json=PROJECT, headers=key)
        assert made.status_code == 201

    def test_a_first_request_that_dies_leaves_no_lock(self, house_on_both: House) -> None:
        key, sessions = "k" * 16, house_on_both.sessions
        with sessions() as session:
            wait_for_turn(session, house_on_both.users["admin"].id, key)
        client = house_on_both.client("admin")
        headers = {"Idempotency-Key": key}
        answer = client.post("/api/v1/projects", json=PROJECT, headers=headers)
        assert answer.status_code == 201

    def test_everything_that_creates_takes_a_key(self, house: House) -> None:
        document = house.app.openapi()
        without = [
            path
            for path, methods in document["paths"].items()
            if "201" in methods.get("post", {}).get("responses", {})
            and "Idempotency-Key" not in [p["name"] for p in methods["post"].get("parameters", [])]
        ]
        # The secrets of tokens and links are shown once and never kept: no answer to replay.
        assert without == ["/v1/users/{user_id}/reset-links", "/v1/me/tokens"]


def test_pages_join_without_gap_or_overlap(house: House) -> None:
    client = house.client("engineer")
    path = f"/api/v1/generation-runs/{house.desk.run.id}/generations"
    seen: list[int] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        page = client.get(path, params={"limit": 5} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        pages += 1
    assert pages == 3
    assert len(seen) == len(set(seen)) == 12
    assert seen == sorted(seen)


def test_metrics_name_routes_and_not_addresses(house: House) -> None:
    client = house.client("engineer")

    def asked() -> float:
        route = r'strop_http_requests_total\{method="GET",route="/v1/projects/\{project_id\}",'
        found = re.search(route + r'status="200"\} (\d+)', client.get("/api/metrics").text)
        return float(found[1]) if found else 0.0

    before = asked()
    client.get(f"/api/v1/projects/{house.desk.project.id}")
    client.get("/api/v1/secret-page-of-somebody")
    text = client.get("/api/metrics").text
    assert asked() == before + 1
    assert "strop_jobs" in text
    assert "secret-page" not in text


def test_health_asks_the_database(house_on_both: House) -> None:
    assert house_on_both.client().get("/api/healthz").json() == {"status": "ok"}


def test_reference_is_one_page_of_every_route(house: House) -> None:
    page = house.client().get("/api/docs")
    assert page.status_code == 200
    assert "POST /api/v1/review-queues/{queue_id}/claim" in page.text
    assert "<script" not in page.text
    document = house.client().get("/api/openapi.json").json()
    assert document["servers"] == [{"url": "/api"}]


def test_settings_are_never_shown(house: House, settings: Settings) -> None:
    """No answer holds the path of the installation."""
    page = house.client().get("/api/openapi.json").text
    assert str(settings.home) not in page
