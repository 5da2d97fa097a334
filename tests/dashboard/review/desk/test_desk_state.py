"""What each click at the desk does, and that no error looks like an empty queue."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backend.errors import Conflict, LeaseLost, NotAuthenticated, ServerUnavailable, StropError
from backend.rubrics import find_rubric
from backend.schemas.review.desk import AnswerIn
from dashboard.views.review.desk.sending import skip, submit
from dashboard.views.review.desk.state import (
    DeskState,
    Screen,
    change_answer,
    on_item,
    rate,
    save_if_changed,
    take_next,
    tick,
    unsaved,
)
from tests.dashboard.fake_client import NOW, FakeClient, pair_item, single_item

RUBRIC = find_rubric("telecom_desk")
ANSWERS = {"faithful": "no", "quality": 2, "problem": "invented_fact"}


def open_desk(client: FakeClient) -> DeskState:
    desk = DeskState(queue_id=1)
    take_next(desk, client, now=NOW)
    return desk


def answer_all(desk: DeskState) -> None:
    for name, value in ANSWERS.items():
        rate(desk, name, value)


class TestTakeNext:
    def test_an_item(self) -> None:
        desk = open_desk(FakeClient())
        assert (desk.screen, desk.item_key) == (Screen.ITEM, "1-1")

    def test_the_draft_comes_with_it(self) -> None:
        draft = AnswerIn(ratings={"quality": 3}, correction="better", active_seconds=12.0)
        desk = open_desk(FakeClient(drafts={1: draft}))
        assert (desk.answer, desk.correcting, desk.active_seconds) == (draft, True, 12.0)

    def test_all_done_is_finished(self) -> None:
        assert open_desk(FakeClient(items=[])).screen == Screen.FINISHED

    def test_items_held_by_others_are_no_end(self) -> None:
        assert open_desk(FakeClient(items=[], held_by_others=2)).screen == Screen.EMPTY

    @pytest.mark.parametrize(
        ("error", "screen"),
        [
            (ServerUnavailable("no answer"), Screen.ERROR),
            (Conflict("closed"), Screen.ERROR),
            (NotAuthenticated("who"), Screen.ERROR),
        ],
    )
    def test_an_error_is_never_an_empty_queue(self, error: StropError, screen: Screen) -> None:
        assert open_desk(FakeClient(fail={"claim": error})).screen == screen


class TestSave:
    def test_what_changed_is_saved_once(self) -> None:
        client = FakeClient()
        desk = open_desk(client)
        rate(desk, "quality", 4)
        save_if_changed(desk, client)
        client.fail["save_draft"] = Conflict("must not be asked again")
        tick(desk, now=NOW + timedelta(seconds=5))
        save_if_changed(desk, client)
        assert client.drafts[1].ratings == {"quality": 4}
        assert desk.save_problem is None

    def test_nothing_said_is_nothing_saved(self) -> None:
        client = FakeClient()
        save_if_changed(open_desk(client), client)
        assert client.drafts == {}

    def test_an_answer_taken_back_is_saved(self) -> None:
        client = FakeClient()
        desk = open_desk(client)
        rate(desk, "quality", 4)
        save_if_changed(desk, client)
        rate(desk, "quality", None)
        save_if_changed(desk, client)
        assert client.drafts[1].ratings == {}

    def test_a_lost_connection_keeps_the_answer_and_says_so(self) -> None:
        client = FakeClient(fail={"save_draft": ServerUnavailable("The server is away.")})
        desk = open_desk(client)
        rate(desk, "quality", 4)
        save_if_changed(desk, client)
        assert desk.screen == Screen.ITEM
        assert desk.answer.ratings == {"quality": 4}
        assert desk.save_problem == "The server is away."
        client.fail.clear()
        save_if_changed(desk, client)
        assert (client.drafts[1].ratings, desk.save_problem) == ({"quality": 4}, None)

    def test_a_lost_lease_is_said(self) -> None:
        client = FakeClient(fail={"save_draft": LeaseLost("Somebody else has it.")})
        desk = open_desk(client)
        rate(desk, "quality", 4)
        save_if_changed(desk, client)
        assert (desk.screen, str(desk.problem)) == (Screen.ITEM, "Somebody else has it.")
        assert unsaved(desk)

    def test_a_late_answer_is_sent(self) -> None:
        client = FakeClient(fail={"save_draft": LeaseLost("Somebody else has it.")})
        desk = open_desk(client)
        answer_all(desk)
        save_if_changed(desk, client)
        submit(desk, client, RUBRIC, now=NOW)
        assert client.submitted[1].ratings == ANSWERS
        assert (desk.item_key, desk.problem) == ("2-1", None)

    def test_a_sign_in_that_ended_keeps_everything_for_the_next_one(self) -> None:
        client = FakeClient(fail={"save_draft": NotAuthenticated("who")})
        desk = open_desk(client)
        change_answer(desk, comment="twenty minutes of work")
        save_if_changed(desk, client)
        assert (desk.screen, desk.signed_out, unsaved(desk)) == (Screen.ITEM, True, True)
        client.fail.clear()
        save_if_changed(desk, client)
        assert (desk.signed_out, unsaved(desk)) == (False, False)
        assert client.drafts[1].comment == "twenty minutes of work"

    @pytest.mark.parametrize("error", [ServerUnavailable("away"), NotAuthenticated("who")])
    def test_a_claim_without_an_answer_takes_nothing_off_the_desk(self, error: StropError) -> None:
        client = FakeClient()
        desk = open_desk(client)
        change_answer(desk, comment="mine")
        client.fail["claim"] = error
        take_next(desk, client, now=NOW)
        assert (desk.item_key, desk.answer.comment, desk.screen) == ("1-1", "mine", Screen.ITEM)


class TestSubmit:
    def test_the_answer_goes_and_the_next_item_comes(self) -> None:
        client = FakeClient()
        desk = open_desk(client)
        answer_all(desk)
        submit(desk, client, RUBRIC, now=NOW + timedelta(seconds=20))
        assert client.submitted[1].ratings == ANSWERS
        assert client.submitted[1].active_seconds == 20.0
        assert (desk.item_key, desk.answer, desk.finished_here) == ("2-1", AnswerIn(), 1)

    def test_what_is_missing_is_said_and_nothing_is_sent(self) -> None:
        client = FakeClient()
        desk = open_desk(client)
        rate(desk, "faithful", "yes")
        submit(desk, client, RUBRIC, now=NOW)
        assert client.submitted == {}
        assert desk.missing == "quality"
        assert desk.note is not None
        assert "needs an answer" in desk.note
        assert "invented_fact" not in desk.note  # names that no button shows

    def test_a_correction_that_changes_nothing_is_none(self) -> None:
        client = FakeClient(items=[single_item("as it was")])
        desk = open_desk(client)
        answer_all(desk)
        change_answer(desk, correction="as it was")
        submit(desk, client, RUBRIC, now=NOW)
        assert client.submitted[1].correction is None

    def test_a_pair_needs_a_vote(self) -> None:
        client, rubric = FakeClient(kind="pair", items=[pair_item()]), find_rubric("blind_pair")
        desk = open_desk(client)
        submit(desk, client, rubric, now=NOW)
        assert (client.submitted, bool(desk.note)) == ({}, True)
        change_answer(desk, winner="left")
        submit(desk, client, rubric, now=NOW)
        assert client.submitted[1].winner == "left"

    def test_an_error_keeps_the_item_and_the_answer(self) -> None:
        client = FakeClient(fail={"submit": ServerUnavailable("away")})
        desk = open_desk(client)
        answer_all(desk)
        submit(desk, client, RUBRIC, now=NOW)
        assert (desk.screen, desk.item_key, desk.note) == (Screen.ITEM, "1-1", "Not sent. away")
        assert desk.answer.ratings == ANSWERS


class TestSkip:
    def test_needs_a_reason(self) -> None:
        client = FakeClient()
        desk = open_desk(client)
        skip(desk, client, "  ", now=NOW)
        assert (client.skipped, bool(desk.note)) == ({}, True)

    def test_passes_it_on(self) -> None:
        client = FakeClient()
        desk = open_desk(client)
        skip(desk, client, " not my field ", now=NOW)
        assert (client.skipped, desk.item_key) == ({1: "not my field"}, "2-1")


class TestOnItem:
    def test_the_second_press_of_a_double_click_leaves_the_next_item_alone(self) -> None:
        client = FakeClient()
        desk = open_desk(client)
        press = on_item(desk, lambda desk, reason: skip(desk, client, reason, now=NOW))
        press("not my field")
        press("not my field")
        assert (client.skipped, desk.item_key) == ({1: "not my field"}, "2-1")


class TestTick:
    @pytest.mark.parametrize(("gap", "counted"), [(10, 10.0), (60, 60.0), (4000, 60.0), (-5, 0.0)])
    def test_idle_time_is_cut(self, gap: int, counted: float) -> None:
        desk = open_desk(FakeClient())
        tick(desk, now=NOW + timedelta(seconds=gap))
        assert desk.active_seconds == counted
