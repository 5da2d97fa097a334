"""Requests that nobody thought of: whatever is sent, no route fails or answers off its document.

Schemathesis makes requests from the OpenAPI document, fitting and unfitting, half of them about
things that are there; each goes out as one of the roles, on both databases.
`STROP_FUZZ_EXAMPLES` says how many are tried for each route and way (a few by default).
"""

from __future__ import annotations

import base64
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance
from sqlalchemy.orm import Session, sessionmaker
from starlette.applications import Starlette
from starlette.routing import Mount

from backend.settings import Settings
from tests.backend.api.conftest import SAME_SITE, House, furnish
from tests.backend.api.test_every_route import CASES, Walk, walk_through
from tests.backend.api.test_rules import PEOPLE, ROUTES

EXAMPLES = os.environ.get("STROP_FUZZ_EXAMPLES")
# JSON as it is sent: Python would not write all of it.
HOSTILE = (
    str(2**31),
    str(2**63),
    str(-(2**63) - 1),
    "7" * 5000,
    "-1",
    "NaN",
    "1e999",
    r'"\u0000"',
    r'"\ud83d"',
    f'"{"x" * 201}"',
    '"../../etc"',
    "[]",
    "[[{}]]",
    "null",
)
WAYS = pytest.mark.parametrize("ways", ["one", pytest.param("all", marks=pytest.mark.deep)])
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
TRIES = {
    ways: hypothesis.settings(
        max_examples=int(EXAMPLES or few),
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    for ways, few in (("one", 1), ("all", 2))
}


@pytest.fixture
def walk(sessions: sessionmaker[Session], settings: Settings, password_hash: str) -> Walk:
    house = furnish(sessions, settings, password_hash, splits={"train": 14, "test": 3})
    with house.sessions.begin() as session:
        return walk_through(session, house)


@dataclass
class Attack:
    """Requests to one house as any of its people, and what came out wrong."""

    house: House
    tries: hypothesis.settings
    wrong: list[str] = field(default_factory=list)

    def try_requests(self, requests: Any) -> None:
        """Send what a strategy makes, each as one of the people."""

        @self.tries
        @hypothesis.given(case=requests, person=st.sampled_from(PEOPLE))
        def send(case: Any, person: str) -> None:
            token = self.house.tokens.get(person)
            shown = {} if token is None else {"Authorization": f"Bearer {token}"}
            answer = case.call(headers=SAME_SITE | shown)
            try:
                case.validate_response(answer, checks=CHECKS)
            except BaseExceptionGroup as group:
                said = " ".join(str(error)[:300] for error in group.exceptions)
                self.wrong.append(f"{person}: {said} {case.as_curl_command()}")

        with suppress(hypothesis.errors.Unsatisfiable):  # there is no wrong way to send nothing
            send()


@WAYS
def test_no_request_fails_the_server(walk: Walk, ways: str) -> None:
    attack = Attack(walk.house, TRIES[ways])
    mounted = Starlette(routes=[Mount("/api", app=walk.house.app)])
    document = schemathesis.openapi.from_asgi("/api/openapi.json", mounted)
    for place, found in enumerate(document.get_all_operations()):
        operation = found.ok()
        names = re.findall(r"\{(\w+)\}", operation.path)
        there: list[dict[str, Any] | None] = [{name: walk.things[name] for name in names}, None]
        every = list(product(GenerationMode, there[not names :]))
        for mode, ids in every if ways == "all" else [every[place % len(every)]]:
            attack.try_requests(operation.as_strategy(mode, path_parameters=ids))
    assert not attack.wrong, "\n\n".join(attack.wrong)


@WAYS
def test_hostile_values_in_every_place_of_a_body(walk: Walk, ways: str) -> None:
    """Each value of each body in turn; the answer may be a refusal, or a success on what fits.

    Every run puts a fifth of the literals into a place, and another fifth into the next.
    """
    failed = []
    places = [(name, place) for name, case in CASES.items() for place in case.body or ()]
    for number, (name, place) in enumerate(places):
        for literal in HOSTILE if ways == "all" else HOSTILE[number % 5 :: 5]:
            status, said = walk.ask(name, CASES[name], instead={place: literal})
            if status >= 500:
                failed.append(f"{name} {place}={literal[:30]}: {said[:200]}")
    assert not failed, "\n".join(failed)


@WAYS
def test_ids_and_cursors_that_no_row_can_have(walk: Walk, ways: str) -> None:
    """Every run tries every second value on a route, and the others on the next."""
    failed, client = [], walk.house.client("admin", raise_server_exceptions=False)
    odd = [2**31, 2**63, 10**30, "7" * 5000, -1, "%00", "%ED%A0%BD", "x" * 300]
    named = [name for name in ROUTES if "{" in name and name.startswith("GET ")]
    for number, name in enumerate(named):
        for value in odd if ways == "all" else odd[number % 2 :: 2]:
            path = re.sub(r"\{\w+\}", str(value), name.removeprefix("GET "))
            answer = client.get(f"/api{path}")
            if answer.status_code >= 500:
                failed.append(f"{name} with {str(value)[:30]}: {answer.text[:200]}")
    runs = f"/api/v1/projects/{walk.things['project_id']}/generation-runs"
    for last in odd:
        cursor = base64.urlsafe_b64encode(str(last)[:70].encode()).decode()
        assert client.get(runs, params={"cursor": cursor}).status_code < 500, last
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize(
    "said", ["Bearer strop_ü", "Bearer \xff", "Basic ü", "Bearer " + "x" * 9000]
)
def test_secrets_that_are_no_ascii(house: House, said: str) -> None:
    answer = house.client(raise_server_exceptions=False).get(
        "/api/v1/me", headers={b"Authorization": said.encode()}
    )
    assert answer.status_code == 401
