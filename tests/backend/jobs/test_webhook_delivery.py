"""Deliveries over real HTTP: a receiver that takes, fails, hangs, redirects, or is inside."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.jobs import webhooks as sending
from backend.jobs.webhooks import deliver_due, deliver_now, keep_delivering, refuse_inwards
from backend.services.webhooks import hooks as webhooks
from backend.services.webhooks.hooks import claim_due
from backend.tables.projects import Project
from backend.tables.webhooks import DeliveryState, Webhook, WebhookDelivery
from tests.fixtures_review import NOW, SEAL
from tests.fixtures_worker import wait_for

HANGS = 0
WAIT_S = 60.0  # for what comes at once; so long that no machine is too slow for it


@dataclass
class Got:
    """A request that the receiver saw."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A real HTTP server that answers as it is told, in turn; then 204."""

    url: str
    answers: list[int] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.got.append(Got(self.path, headers, self.rfile.read(length)))
            made.asked.set()
            status = made.answers.pop(0) if made.answers else 204
            if status == HANGS:
                made.release.wait(2 * WAIT_S)
                return
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Clock:
    """A clock that a test moves."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Post:
    """A project with a webhook and something to tell."""

    sessions: sessionmaker[Session]
    secret: str
    clock: Clock = field(default_factory=Clock)

    def send(self, *, private: bool = True, timeout_s: float = WAIT_S) -> int:
        return deliver_due(
            self.sessions, private=private, seal=SEAL, clock=self.clock, timeout_s=timeout_s
        )

    def row(self) -> WebhookDelivery:
        with self.sessions() as session:
            return session.query(WebhookDelivery).one()

    def move_to_next(self) -> None:
        self.clock.now = self.row().next_attempt_at


def post_to(url: str, sessions: sessionmaker[Session]) -> Post:
    with sessions.begin() as session:
        project = Project(name="p", base_model="tiny")
        session.add(project)
        session.flush()
        hook, secret = webhooks.add_webhook(session, project.id, url, seal=SEAL)
        webhooks.record_test(session, hook.id, now=NOW)
        return Post(sessions, secret)


@pytest.fixture
def post(sqlite_sessions: sessionmaker[Session], receiver: Receiver) -> Post:
    return post_to(receiver.url, sqlite_sessions)


def test_that_a_receiver_can_tell_who_sends(post: Post, receiver: Receiver) -> None:
    assert post.send() == 1
    (got,) = receiver.got
    key = base64.b64decode(post.secret.removeprefix("whsec_"))
    content = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode()
    digest = hmac.new(key, content + got.body, hashlib.sha256).digest()
    assert got.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    row = post.row()
    assert (row.state, row.last_status, row.attempts) == (DeliveryState.DELIVERED, 204, 1)
    assert post.send() == 0


def test_that_two_failures_and_a_success_are_one_delivery(post: Post, receiver: Receiver) -> None:
    receiver.answers = [500, 500, 200]
    for _ in range(3):
        assert post.send() == 1
        assert post.send() == 0  # not before its time
        post.move_to_next()
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len(receiver.got) == 3
    assert (post.row().state, post.row().attempts) == (DeliveryState.DELIVERED, 3)


def test_that_each_attempt_is_signed_anew(post: Post, receiver: Receiver) -> None:
    receiver.answers = [500]
    post.send()
    post.move_to_next()
    post.send()
    first, second = receiver.got
    assert first.body == second.body
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_that_a_receiver_that_hangs_is_left(post: Post, receiver: Receiver) -> None:
    receiver.answers = [HANGS]
    assert post.send(timeout_s=0.2) == 1
    row = post.row()
    assert (row.state, row.last_status) == (DeliveryState.PENDING, None)
    assert "Timeout" in str(row.last_error)


def test_that_one_that_hangs_holds_up_no_other(post: Post, receiver: Receiver) -> None:
    receiver.answers = [HANGS]
    with post.sessions.begin() as session:
        webhooks.record_test(session, 1, now=NOW)
    sending = threading.Thread(target=post.send)
    sending.start()
    wait_for(lambda: len(receiver.got) == 2)  # the other came while the first still hangs
    receiver.release.set()
    sending.join()
    with post.sessions() as session:
        states = sorted(one.state for one in session.query(WebhookDelivery))
    assert states == [DeliveryState.DELIVERED, DeliveryState.PENDING]


def test_that_a_redirect_is_not_followed(post: Post, receiver: Receiver) -> None:
    receiver.answers = [302]
    post.send()
    assert [got.path for got in receiver.got] == ["/hook"]
    row = post.row()
    assert (row.state, row.last_status) == (DeliveryState.PENDING, 302)
    assert "redirects are not followed" in str(row.last_error)


def test_that_a_worker_killed_before_it_noted_sends_the_same_again(
    post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sending, "record_outcome", die)
        with pytest.raises(KeyboardInterrupt):
            post.send()
    assert (post.row().state, post.send()) == (DeliveryState.PENDING, 0)
    post.move_to_next()
    assert post.send() == 1
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert (post.row().state, post.row().attempts) == (DeliveryState.DELIVERED, 2)


def test_that_no_transaction_is_open_while_a_receiver_is_asked(
    post: Post, receiver: Receiver
) -> None:
    receiver.answers = [HANGS]
    thread = threading.Thread(target=post.send)
    thread.start()
    assert receiver.asked.wait(WAIT_S)
    with post.sessions.begin() as session:  # a writer, on a database with one writer
        webhooks.record_test(session, 1, now=NOW + timedelta(days=1))
    receiver.release.set()
    thread.join()


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "::"),
        *("64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "::7f00:1", "fec0::1"),
        *("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "192.88.99.1"),
        *("255.255.255.255", "240.0.0.1", "198.18.0.1", "ff02::1", "64:ff9b::8.8.8.8"),
    ],
)
def test_that_inward_addresses_are_refused(address: str) -> None:
    with pytest.raises(OSError, match="STROP_WEBHOOK_PRIVATE"):
        refuse_inwards(address)


def test_that_outward_addresses_are_not_refused() -> None:
    for address in ("93.184.216.34", "2606:2800:220:1::1"):
        refuse_inwards(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_that_nothing_is_sent_inwards_unless_it_is_allowed(
    sqlite_sessions: sessionmaker[Session], receiver: Receiver, host: str
) -> None:
    post = post_to(receiver.url.replace("127.0.0.1", host), sqlite_sessions)
    assert post.send(private=False) == 1
    assert receiver.got == []
    assert "private address" in str(post.row().last_error)
    post.move_to_next()
    post.send(private=True)
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:7f00:1]"]
)
def test_that_another_way_to_write_an_inward_address_leads_nowhere(
    sqlite_sessions: sessionmaker[Session], receiver: Receiver, host: str
) -> None:
    """Also where such a row is there from before, or slipped in."""
    post = post_to(receiver.url, sqlite_sessions)
    with post.sessions.begin() as session:
        session.query(Webhook).update({"url": receiver.url.replace("127.0.0.1", host)})
    post.send(private=False)
    assert receiver.got == []
    assert post.row().state == DeliveryState.PENDING


def test_that_a_name_is_judged_by_the_address_that_is_connected_to(
    sqlite_sessions: sessionmaker[Session], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that was public when it was looked at, and is not when it is connected to."""
    ours = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    real = socket.getaddrinfo

    def rebound(host: str, port: int, *rest: Any, **options: Any) -> Any:
        if host != "rebound.example.org":
            return real(host, port, *rest, **options)
        return [(*found[:4], ("127.0.0.1", port)) for found in ours]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    url = receiver.url.replace("127.0.0.1", "rebound.example.org")
    post = post_to(url, sqlite_sessions)
    post.send(private=False)
    assert receiver.got == []
    assert "private address" in str(post.row().last_error)


def test_that_a_receiver_that_is_not_there_is_tried_again(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        post = post_to(f"http://127.0.0.1:{taken.getsockname()[1]}/", sqlite_sessions)
        post.send()
    assert post.row().state == DeliveryState.PENDING
    assert "Connect" in str(post.row().last_error)


def test_that_one_can_be_sent_at_once(post: Post, receiver: Receiver) -> None:
    outcome = deliver_now(post.sessions, post.row().id, private=True, seal=SEAL, clock=post.clock)
    assert (outcome.status, outcome.error) == (204, None)
    assert post.row().state == DeliveryState.DELIVERED


def test_that_the_worker_keeps_delivering_until_it_is_told_to_stop(
    post: Post, receiver: Receiver
) -> None:
    stopping = threading.Event()
    arguments: dict[str, Any] = {"private": True, "seal": SEAL}
    thread = threading.Thread(
        target=keep_delivering, args=(post.sessions, stopping), kwargs=arguments
    )
    thread.start()
    assert receiver.asked.wait(WAIT_S)
    stopping.set()
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_that_nothing_due_takes_no_write(post: Post) -> None:
    post.send()
    with post.sessions.begin() as held:  # holds the one write lock of SQLite
        held.query(Project).update({"name": "q"})
        assert post.send() == 0


def test_that_claims_on_either_database_are_held(sessions: sessionmaker[Session]) -> None:
    post_to("https://hooks.example.org/", sessions)
    with sessions.begin() as session:
        assert len(claim_due(session, now=NOW)) == 1
    with sessions.begin() as session:
        assert claim_due(session, now=NOW) == []
