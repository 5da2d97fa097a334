"""The parts of the Ray executor that need no cluster: what is said, kept, and counted."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import Conflict, ExecutorUnavailable, NotFound
from backend.executors import ray as ray_executor
from backend.executors import ray_session, ray_task
from backend.executors.ray import RayExecutor
from backend.executors.ray_session import Session
from backend.executors.ray_task import do_item, installation


def double(number: int) -> int:
    return 2 * number


def triple(number: int) -> int:
    return 3 * number


def refuse(number: int) -> None:
    raise NotFound(f"no {number}", hint="look there")


class Stubborn(Exception):
    def __reduce__(self) -> str:
        raise TypeError("stays where it is")


def be_stubborn(number: int) -> None:
    raise Stubborn(f"number {number}")


def done(work: Any, item: Any, digest: str) -> tuple[str, Any]:
    kind, told = do_item(installation(), digest, pickle.dumps(work), pickle.dumps(item))
    return kind, told if kind == "differs" else pickle.loads(told)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    ray_task._kept.clear()
    yield
    ray_task._kept.clear()


def test_work_is_told_apart_by_its_digest_and_only_the_last_is_kept() -> None:
    assert done(double, 4, "a") == ("done", 8)
    assert done(triple, 4, "b") == ("done", 12)
    assert list(ray_task._kept) == ["b"]
    assert done(double, 4, "b") == ("done", 12), "kept, not unpacked again"


def test_what_the_work_raises_is_a_value_and_has_words_where_it_cannot_travel() -> None:
    kind, error = done(refuse, 4, "a")
    assert (kind, type(error), error.hint) == ("raised", NotFound, "look there")
    kind, error = done(be_stubborn, 4, "b")
    assert (kind, type(error), str(error)) == ("raised", RuntimeError, "Stubborn: number 4")


@pytest.mark.parametrize("name", ["Python", "Strop's code", "numpy", "sacrebleu"])
def test_a_node_is_refused_for_whatever_a_score_may_depend_on(name: str) -> None:
    wanted = {**installation(), name: "another"}
    kind, said = do_item(wanted, "a", pickle.dumps(double), pickle.dumps(4))
    assert kind == "differs"
    assert f"{name} {installation()[name]} for another" in said
    assert not ray_task._kept, "nothing was unpacked"


class Cluster:
    """As much of the module `ray` as waiting needs; nothing is ever done."""

    def __init__(self, *processors: float) -> None:
        self.processors = list(processors)
        self.asked = 0

    def wait(self, begun: list[Any], *, timeout: float) -> tuple[list[Any], list[Any]]:
        self.asked += 1
        if self.asked > len(self.processors):
            return begun, []
        return [], begun

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.processors[self.asked - 1]}


def test_a_cluster_without_processors_is_waited_for_no_longer_than_a_minute() -> None:
    looks = round(ray_executor.MOST_SECONDS_WITHOUT_PROCESSOR / ray_executor.LOOK_SECONDS)
    lost = Cluster(*[0.0] * (looks + 5))
    with pytest.raises(ExecutorUnavailable, match="no processor for 60 seconds"):
        ray_executor._wait(lost, "task")
    assert lost.asked == looks
    busy = Cluster(*[1.0] * (3 * looks))
    ray_executor._wait(busy, "task")  # slow work is no fault
    back = Cluster(*[0.0] * (looks - 1), 1.0, *[0.0] * (looks - 1))
    ray_executor._wait(back, "task")  # a node that came begins the minute anew


def test_no_processor_at_the_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    executor = RayExecutor("somewhere:1", home=tmp_path)
    monkeypatch.setattr(executor, "_join", lambda: SimpleNamespace(cluster_resources=dict))
    with pytest.raises(ExecutorUnavailable, match="has a processor to give"):
        _ = executor.slots


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was begun and ended, with no Ray in it."""
    seen: list[str] = []

    def begin(address: str | None, processes: int | None, home: Path) -> Session:
        seen.append(f"begin {address}")
        return Session(address, 1, None, joined=False)

    monkeypatch.setattr(ray_session, "_begin", begin)
    monkeypatch.setattr(ray_session, "_end", lambda child: seen.append("end"))
    return seen


def test_a_session_is_shared_and_ends_with_its_last_user(begun: list[str], tmp_path: Path) -> None:
    first = ray_session.join("a:1", None, tmp_path)
    second = ray_session.join("a:1", None, tmp_path)
    assert first is second
    with pytest.raises(Conflict):
        ray_session.join("b:1", None, tmp_path)
    ray_session.leave(first)
    assert begun == ["begin a:1"]
    ray_session.leave(second)
    assert begun == ["begin a:1", "end"]
    ray_session.leave(ray_session.join("b:1", None, tmp_path))
    assert begun[2:] == ["begin b:1", "end"]


def test_the_token_is_secret_and_stays_the_same(tmp_path: Path) -> None:
    first = ray_session._token(tmp_path / "home")
    file = Path(first["RAY_AUTH_TOKEN_PATH"])
    token = file.read_text()
    assert len(token) == 64
    assert file.stat().st_mode & 0o077 == 0
    assert ray_session._token(tmp_path / "home") == first
    assert file.read_text() == token


def test_our_own_handler_of_the_signal_is_kept() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ray_session._own_signals():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_address_that_is_none_is_said_before_ray_is_asked() -> None:
    for address in ("localhost:notaport", "ray://127.0.0.1:1"):
        with pytest.raises(ExecutorUnavailable, match="Nobody answers"):
            ray_session._require_reachable(address)
    ray_session._require_reachable("auto")


def test_a_ray_that_does_not_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_session.sys, "executable", "/bin/true")
    with pytest.raises(ExecutorUnavailable, match="could not be started"):
        ray_session._start(1)
