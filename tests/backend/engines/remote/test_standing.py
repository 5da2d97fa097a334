"""When a server is slow, and which one is asked next."""

from __future__ import annotations

import pytest

from backend.engines.remote.server_state import (
    Patience,
    ServerPlace,
    Service,
    by_load,
    is_slow,
    is_worth_asking,
    late_after,
)
from backend.errors import EngineError

RULE = Patience(slow=5.0, least_s=0.5, answers=4)


def place(
    name: str, seconds: float | None = None, *, answers: int = 4, busy: int = 0
) -> ServerPlace[str]:
    made = ServerPlace(name, outstanding=busy)
    for _ in range(answers if seconds is not None else 0):
        made.took(seconds or 0.0)
    return made


@pytest.mark.parametrize(
    ("own", "answers", "peers", "slow"),
    [
        (5.1, 4, [1.0], True),
        (4.9, 4, [1.0], False),
        (5.1, 3, [1.0], False),  # too few answers
        (0.4, 4, [0.001], False),  # nobody minds
        (9.0, 4, [1.0, 2.0, 3.0], False),  # the median of the peers
        (11.0, 4, [1.0, 2.0, 3.0], True),
        (99.0, 4, [], False),  # nobody to compare with
    ],
)
def test_slow_is_by_the_peers(own: float, answers: int, peers: list[float], slow: bool) -> None:
    one = place("one", own, answers=answers)
    assert is_slow(one, [one, *(place(f"p{i}", s) for i, s in enumerate(peers))], RULE) is slow


def test_one_answer_decides_a_trial() -> None:
    one, peer = place("one", 6.0, answers=1), place("peer", 1.0)
    assert not is_slow(one, [one, peer], RULE)
    one.service = Service.TRIAL
    assert is_slow(one, [one, peer], RULE)


def test_a_server_that_is_out_is_no_yardstick() -> None:
    one, peer = place("one", 6.0), place("peer", 1.0)
    peer.service = Service.OUT
    assert late_after(one, [one, peer], RULE) == float("inf")


def test_the_least_busy_of_equals_and_the_quickest_of_idle_ones_come_first() -> None:
    order = [p.server for p in by_load([place("a", 1.0, busy=3), place("b", 1.0, busy=1)], [1, 3])]
    assert order == ["b", "a"]
    assert [p.server for p in by_load([place("a", 2.0), place("b", 1.0)], [4, 4])] == ["b", "a"]
    full = place("full", 0.1, busy=4)
    assert [p.server for p in by_load([full, place("b", 1.0)], [0, 4])] == ["b"]


def test_out_gets_nothing_and_a_trial_one() -> None:
    out, trial = place("out"), place("trial")
    out.service, trial.service = Service.OUT, Service.TRIAL
    assert (out.room(4), trial.room(4), place("in", busy=1).room(4)) == (0, 1, 3)
    assert (out.room(4, spare=2), trial.room(4, spare=2)) == (0, 1)
    assert (place("full", busy=4).room(4, spare=2), place("in", busy=1).room(4, spare=2)) == (2, 3)


@pytest.mark.parametrize(("waiting", "worth"), [(0, False), (3, False), (12, True)])
def test_the_last_requests_are_left_to_the_quick(waiting: int, worth: bool) -> None:
    slow, quick = place("slow", 4.0), place("quick", 1.0)
    assert is_worth_asking(slow, [slow, quick], waiting, 4) is worth
    assert is_worth_asking(quick, [slow, quick], waiting, 4)


@pytest.mark.parametrize(
    ("looks", "pause"), [(0, 0.5), (1, 1.0), (3, 4.0), (9, 30.0), (9999, 30.0)]
)
def test_looks_become_rarer(looks: int, pause: float) -> None:
    assert Patience().pause(looks) == pause


def test_what_was_done_before_is_forgiven_after_a_memory_of_answers() -> None:
    one = place("one")
    one.looks, one.stumbles, one.fell = 3, 2, 2
    one.answered(0.1)
    assert (one.looks, one.stumbles, one.fell) == (3, 0, 0)
    for _ in range(31):
        one.answered(0.1)
    assert one.looks == 0


def test_a_server_that_is_let_back_is_measured_afresh() -> None:
    one, peer = place("one", 60.0, answers=9), place("peer", 1.0)
    one.service, one.error, one.stumbles = Service.OUT, EngineError("slow"), 2
    one.let_back()
    assert (one.service, one.error, one.stumbles, one.typical_s) == (Service.TRIAL, None, 0, None)
    one.answered(1.0)
    assert not is_slow(one, [one, peer], RULE)
    assert one.typical_s == 1.0
