"""The client against a real server: shapes come back, and so do the errors."""

from __future__ import annotations

import socket
import ssl
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from backend.client import StropClient, sign_in
from backend.client.wire import error_of
from backend.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    LeaseLost,
    NotAuthenticated,
    NotFound,
    ServerUnavailable,
    StropError,
    UnknownName,
)
from backend.schemas.common import Problem
from backend.schemas.projects import ProjectIn
from backend.schemas.review.desk import AnswerIn
from tests.backend.api.conftest import PASSWORD, House
from tests.fixtures_review import GOOD


def answering(*responses: httpx.Response | Exception) -> httpx.MockTransport:
    """A transport that gives these answers in turn."""
    left = list(responses)

    def handle(request: httpx.Request) -> httpx.Response:
        response = left.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    return httpx.MockTransport(handle)


def problem(slug: str, status: int = 409) -> httpx.Response:
    body = Problem(
        type=f"urn:strop:problem:{slug}", title="x", status=status, detail="What.", hint="Do."
    )
    return httpx.Response(
        status,
        content=body.model_dump_json(),
        headers={"content-type": "application/problem+json"},
    )


def test_expert_works_through_a_queue_with_the_cookie(house: House, server_url: str) -> None:
    name = house.users["expert"].name
    cookie = sign_in(server_url, name, PASSWORD)
    with StropClient(server_url, cookie=cookie) as strop:
        assert strop.accounts.me().name == name
        queue = next(q for q in strop.desk.queues() if q.kind == "single")
        assert queue.rubric.criterion("quality").scale == "stars"
        answer = AnswerIn(ratings=GOOD, correction="It is EUR 10.90. 😀")
        done = 0
        while claim := strop.desk.claim(queue.id).claim:
            strop.desk.save_draft(claim.slot_id, claim.version, AnswerIn(comment="half"))
            again = strop.desk.claim(queue.id).claim
            assert again is not None
            assert again.draft == AnswerIn(comment="half")
            assert strop.desk.heartbeat(claim.slot_id, claim.version).version == claim.version
            assert not strop.desk.submit(claim.slot_id, claim.version, answer).repeated
            assert strop.desk.submit(claim.slot_id, claim.version, answer).repeated
            done += 1
        assert done == 6
        assert strop.desk.reviews(queue.id)[0].answer.correction == answer.correction
        strop.accounts.sign_out()
        with pytest.raises(NotAuthenticated):
            strop.accounts.me()


def test_engineer_reads_the_project(house: House, server_url: str) -> None:
    project_id, run_id = house.desk.project.id, house.desk.run.id
    with StropClient(server_url, token=house.tokens["engineer"]) as strop:
        assert [project.name for project in strop.projects.list()] == ["ours"]
        assert [m.label for m in strop.models.list(project_id)] == ["base", "base:v1@1"]
        [version] = strop.datasets.list(project_id)
        assert version.splits["train"].examples == 6
        assert len(strop.datasets.examples(version.id, limit=4).items) == 4
        page = strop.runs.generations(run_id, model_version_id=house.desk.models[1].id)
        assert {item.model for item in page.items} == {"base:v1@1"}
        detail = strop.runs.generation(page.items[0].id)
        assert detail.example.context
        assert len(strop.queues.list(project_id)) == 2
        [pair] = strop.queues.preferences(house.pair_queue_id)
        assert (pair.n_votes, pair.win_rate) == (0, None)
        assert pair.error
        assert strop.accounts.members(project_id)


class TestErrors:
    def test_come_back_as_they_were_raised(self, house: House, server_url: str) -> None:
        with pytest.raises(NotAuthenticated, match="wrong"):
            sign_in(server_url, "eva", "wrong password")
        with StropClient(server_url, token=house.tokens["admin"]) as strop:
            with pytest.raises(Conflict) as caught:
                strop.projects.create(ProjectIn(name="ours"))
            assert caught.value.hint == "Choose another name."
            with pytest.raises(NotFound):
                strop.runs.get(999)
        with (
            StropClient(server_url, token=house.tokens["expert"]) as strop,
            pytest.raises(Forbidden),
        ):
            strop.datasets.list(house.desk.project.id)

    @pytest.mark.parametrize(
        ("slug", "kind"),
        [
            ("lease-lost", LeaseLost),
            ("unknown-name", UnknownName),
            ("invalid-input", InvalidInput),
            ("method-not-allowed", StropError),
            ("of-a-later-version", StropError),
        ],
    )
    def test_have_the_class_of_their_slug(self, slug: str, kind: type[StropError]) -> None:
        error = error_of(problem(slug))
        assert type(error) is kind
        assert (error.message, error.hint) == ("What.", "Do.")

    def test_no_two_classes_say_the_same_slug(self) -> None:
        from backend.client.wire import _classes

        def count(kind: type[StropError]) -> int:
            return ("slug" in vars(kind)) + sum(count(child) for child in kind.__subclasses__())

        assert len(_classes(StropError)) == count(StropError)

    def test_no_server(self) -> None:
        with (
            StropClient("http://127.0.0.1:9") as strop,
            pytest.raises(ServerUnavailable, match="strop up"),
        ):
            strop.accounts.me()

    @pytest.mark.parametrize(
        "response",
        [
            httpx.Response(200, text="<html>a proxy's page</html>"),
            httpx.Response(502, text="bad gateway"),
            httpx.Response(200, json={"unexpected": 1}),
        ],
    )
    def test_something_else_answers(self, response: httpx.Response) -> None:
        with (
            StropClient("http://strop", transport=answering(response)) as strop,
            pytest.raises(ServerUnavailable, match="not a Strop server"),
        ):
            strop.accounts.me()


def test_broken_connection_creates_once() -> None:
    """What creates is sent again under the same key."""
    seen: list[str] = []
    made = {"id": 1, "name": "n", "base_model": "b", "created_at": "2026-05-04T09:00:00Z"}

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["idempotency-key"])
        if len(seen) == 1:
            raise httpx.ReadError("broken")
        return httpx.Response(201, json=made)

    with StropClient("http://strop", transport=httpx.MockTransport(handle)) as strop:
        assert strop.projects.create(ProjectIn(name="n")).id == 1
    assert len(seen) == 2
    assert seen[0] == seen[1]


def test_secrets_are_not_in_the_repr() -> None:
    with StropClient("http://strop", token="strop_secret", cookie="secret") as strop:
        assert "secret" not in repr(strop)


def test_a_server_that_no_authority_vouches_for_is_sent_no_token(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    itself = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "both.pem").write_bytes(key.private_bytes(*pem) + itself.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    sent: list[bytes] = []

    def serve() -> None:
        with suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as one:
            sent.append(one.recv(1000))

    with closing(socket.create_server(("localhost", 0))) as listener:
        served = Thread(target=serve)
        served.start()
        client = StropClient(f"https://localhost:{listener.getsockname()[1]}", token="t")
        with client, pytest.raises(ServerUnavailable):
            client.projects.list()
        served.join()
    assert sent == []
