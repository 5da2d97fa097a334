"""A request that is sent again while the first is under way gets the first one's answer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.orm import Session, sessionmaker

from backend.services.accounts.sealing import open_seal
from backend.services.accounts.users import create_user
from backend.services.idempotency import find_answer, keep_answer, wait_for_turn
from backend.settings import Settings

KEY = "k" * 16


def test_the_second_waits_and_is_given_the_first_answer(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sessions.begin() as session:
        user_id = create_user(session, "ada", "admin").id
    seal, begun, made = open_seal(settings), threading.Event(), list[int]()

    def request(number: int) -> tuple[int, str] | None:
        if number:
            assert begun.wait(10)
        with sessions.begin() as session:
            wait_for_turn(session, user_id, KEY)
            if found := find_answer(session, user_id, KEY, digest="d", seal=seal):
                return found
            begun.set()
            time.sleep(0.3)
            made.append(number)
            keep_answer(session, user_id, KEY, digest="d", status=201, body="{}", seal=seal)
        return None

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(request, range(4)))
    assert made == [0]
    assert answers == [None, *[(201, "{}")] * 3]


def test_a_first_one_that_fails_lets_the_second_do_it(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sessions.begin() as session:
        user_id = create_user(session, "ada", "admin").id
    with sessions() as session:  # never committed, as after a kill
        wait_for_turn(session, user_id, KEY)
    with sessions.begin() as session:
        wait_for_turn(session, user_id, KEY)
        assert find_answer(session, user_id, KEY, digest="d", seal=open_seal(settings)) is None
