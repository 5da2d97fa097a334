"""Looking back, revising, contesting, settling; feedback and the reasons for an empty desk."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backend.errors import Conflict, LeaseLost, NotAuthenticated, ServerUnavailable, StropError
from backend.rubrics import find_rubric
from backend.schemas.review.desk import AdjudicationView, AnswerIn, GoldFeedback, LinkOut
from dashboard.views.review.desk.after import (
    contest,
    fetch_links,
    go_on_after_feedback,
    lead_on,
    leave_as_it_was,
    load_history,
    revise,
    take_adjudication,
    take_up_again,
)
from dashboard.views.review.desk.sending import LONGEST_HISTORY, skip, submit
from dashboard.views.review.desk.state import (
    DeskState,
    Screen,
    change_answer,
    has_words,
    rate,
    save_if_changed,
    take_next,
    take_time,
    tick,
    unsaved,
)
from tests.dashboard.fake_client import NOW, FakeClient, single_item

RUBRIC = find_rubric("telecom_desk")
GOLD = GoldFeedback(
    result_id=4,
    passed=False,
    score=0.5,
    explanation="The price is invented.",
    known=AnswerIn(ratings={"faithful": "no"}),
    may_contest=True,
)


def open_desk(client: FakeClient) -> DeskState:
    desk = DeskState(queue_id=1)
    take_next(desk, client, now=NOW)
    return desk


def finish_one(desk: DeskState, client: FakeClient) -> None:
    for name, value in {"faithful": "no", "quality": 2, "problem": "none"}.items():
        rate(desk, name, value)
    submit(desk, client, RUBRIC, now=NOW + timedelta(seconds=5))


class TestHistory:
    def test_a_submit_goes_to_its_head_with_what_can_now_be_told(self) -> None:
        client = FakeClient(receipt={"why": "drawn at random", "extra": True})
        desk = open_desk(client)
        finish_one(desk, client)
        (past,) = desk.history
        assert (past.why, past.extra, past.may_revise) == ("drawn at random", True, False)
        assert past.answer.ratings["quality"] == 2

    def test_it_is_loaded_once_and_bounded(self) -> None:
        client = FakeClient(items=[single_item() for _ in range(12)])
        desk = open_desk(client)
        load_history(desk, client)
        for _ in range(LONGEST_HISTORY + 2):
            finish_one(desk, client)
        assert len(desk.history) == LONGEST_HISTORY
        load_history(desk, client)
        assert desk.history[0].review_id == LONGEST_HISTORY + 2

    def test_a_skip_is_there_with_its_reason_and_can_be_taken_back(self) -> None:
        client = FakeClient()
        desk = open_desk(client)
        skip(desk, client, "not my field", now=NOW)
        assert desk.history[0].skip_reason == "not my field"
        assert desk.history[0].may_revise
        revise(desk, client, 1, now=NOW)
        assert (desk.item_key, client.skipped, desk.history) == ("1-2", {}, [])


class TestRevise:
    def test_the_old_answer_is_on_the_desk_and_out_of_the_history(self) -> None:
        client = FakeClient()
        desk = open_desk(client)
        finish_one(desk, client)
        rate(desk, "quality", 5)
        revise(desk, client, 1, now=NOW)
        assert (desk.item_key, desk.answer.ratings["quality"]) == ("1-2", 2)
        assert client.drafts[2].ratings == {"quality": 5}  # the item in hand kept its draft
        assert desk.history == []

    @pytest.mark.parametrize("method", ["revise", "save_draft"])
    def test_an_error_leaves_the_item_and_its_answer(self, method: str) -> None:
        client = FakeClient()
        desk = open_desk(client)
        finish_one(desk, client)
        rate(desk, "quality", 5)
        client.fail[method] = ServerUnavailable("No longer.")
        revise(desk, client, 1, now=NOW)
        assert (desk.item_key, desk.answer.ratings) == ("2-1", {"quality": 5})
        assert "No longer." in (desk.note or "") + (desk.save_problem or "")

    def test_leaving_it_keeps_the_answer_in_the_history(self) -> None:
        client = FakeClient()
        desk = open_desk(client)
        finish_one(desk, client)
        revise(desk, client, 1, now=NOW)
        leave_as_it_was(desk, client, now=NOW)
        assert (desk.history[0].review_id, desk.claim and desk.claim.revising) == (1, False)
        assert client.skipped == {1: "Left as it was"}


class TestTakenUpAgain:
    """The server has no desk of this tab any more; the browser names the item on its screen."""

    def test_what_went_to_a_colleague_stays_and_is_sent_as_a_further_answer(self) -> None:
        client = FakeClient(went_to_a_colleague=(3, 2), drafts={3: AnswerIn(comment="half")})
        desk = DeskState(queue_id=1)
        take_up_again(desk, client, "3-2", now=NOW)
        assert (desk.item_key, desk.answer.comment) == ("3-2", "half")
        assert isinstance(desk.problem, LeaseLost)
        change_answer(desk, comment="half and the rest")
        save_if_changed(desk, client)
        assert client.drafts[3].comment == "half"  # it is not theirs to save
        finish_one(desk, client)
        assert client.submitted[3].comment == "half and the rest"
        assert (desk.item_key, desk.problem) == ("2-1", None)

    @pytest.mark.parametrize("item", ["", "1-1", "9-9", "x", "-", "3-2-1", "\u00b2-1", "none"])
    def test_else_their_own_item_comes(self, item: str) -> None:
        client = FakeClient(went_to_a_colleague=(3, 2))
        desk = DeskState(queue_id=1)
        take_up_again(desk, client, item, now=NOW)
        assert (desk.item_key, desk.problem) == ("1-1", None)

    def test_an_error_is_said(self) -> None:
        away = ServerUnavailable("No longer.")
        desk = DeskState(queue_id=1)
        take_up_again(desk, FakeClient(fail={"lapsed": away, "claim": away}), "3-2", now=NOW)
        assert (desk.screen, desk.problem) == (Screen.ERROR, away)


class TestSecondWindow:
    """The item was submitted in another window; `words`: something was written only here."""

    def gone(self, client: FakeClient, *, words: bool) -> DeskState:
        desk = open_desk(client)
        client.submitted[1] = AnswerIn(ratings={"faithful": "yes"})
        rate(desk, "faithful", "no")
        if words:
            change_answer(desk, comment="only here")
        client.fail["save_draft"] = Conflict("You have submitted this item already.")
        save_if_changed(desk, client)
        assert desk.gone is not None
        client.fail.clear()
        return desk

    def test_without_words_the_next_item_comes(self) -> None:
        client = FakeClient()
        desk = self.gone(client, words=False)
        lead_on(desk, client, words=has_words(desk, RUBRIC), now=NOW)
        assert (desk.item_key, desk.gone) == ("2-1", None)
        assert desk.note == "You have submitted this item already. This is what comes next."

    def test_words_become_a_change_to_that_answer(self) -> None:
        client = FakeClient()
        desk = self.gone(client, words=True)
        lead_on(desk, client, words=has_words(desk, RUBRIC), now=NOW)
        assert (desk.item_key, desk.answer.comment) == ("1-2", "only here")
        assert client.drafts[1].comment == "only here"
        assert not unsaved(desk)

    def test_words_that_nothing_takes_stay_on_the_page(self) -> None:
        client = FakeClient(revisable=False)
        desk = self.gone(client, words=True)
        lead_on(desk, client, words=has_words(desk, RUBRIC), now=NOW)
        assert (desk.item_key, desk.answer.comment) == ("1-1", "only here")
        assert desk.problem is not None
        take_next(desk, client, now=NOW)
        assert (desk.item_key, desk.problem) == ("2-1", None)

    def test_an_item_that_is_still_held_stays(self) -> None:
        client = FakeClient()
        desk = open_desk(client)
        change_answer(desk, comment="only here")
        client.fail["save_draft"] = Conflict("Somebody else did this in the same moment.")
        save_if_changed(desk, client)
        lead_on(desk, client, words=has_words(desk, RUBRIC), now=NOW)
        assert (desk.item_key, desk.answer.comment, desk.gone) == ("1-1", "only here", None)
        assert desk.save_problem is not None


class TestGold:
    def test_feedback_comes_before_the_next_item(self) -> None:
        client = FakeClient(receipt={"gold": GOLD})
        desk = open_desk(client)
        finish_one(desk, client)
        assert (desk.screen, desk.feedback, desk.claim) == (Screen.FEEDBACK, GOLD, None)
        go_on_after_feedback(desk, client, now=NOW)
        assert (desk.screen, desk.item_key) == (Screen.ITEM, "2-1")

    def test_contesting_needs_words(self) -> None:
        client = FakeClient(receipt={"gold": GOLD})
        desk = open_desk(client)
        finish_one(desk, client)
        contest(desk, client, " ")
        assert (client.contested, desk.contested, bool(desk.note)) == ({}, False, True)
        contest(desk, client, "the price is there")
        assert (client.contested, desk.contested) == ({4: "the price is there"}, True)


class TestAdjudication:
    def test_a_disagreement_is_put_on_the_desk(self) -> None:
        view = AdjudicationView(answers=[])
        client = FakeClient(items=[single_item()], adjudication=view)
        desk = open_desk(client)
        take_adjudication(desk, client, now=NOW)
        assert desk.claim is not None
        assert desk.claim.adjudication == view

    @pytest.mark.parametrize("error", [None, ServerUnavailable("away")])
    def test_none_or_an_error_is_said_and_the_screen_stays(self, error: StropError | None) -> None:
        client = FakeClient(items=[], fail={"claim_adjudication": error} if error else {})
        desk = open_desk(client)
        take_adjudication(desk, client, now=NOW)
        assert desk.screen == Screen.FINISHED
        assert desk.note


class TestNothing:
    @pytest.mark.parametrize(
        ("reason", "screen"),
        [
            ("finished", Screen.FINISHED),
            ("others_at_work", Screen.EMPTY),
            ("share_reached", Screen.SHARE),
            ("paused", Screen.PAUSED),
            ("closed", Screen.CLOSED),
        ],
    )
    def test_each_reason_has_its_screen(self, reason: str, screen: Screen) -> None:
        desk = open_desk(FakeClient(items=[], reason=reason, message="in words"))
        assert (desk.screen, desk.message) == (screen, "in words")


class TestLinks:
    LINK = LinkOut(start=0, end=3, supported=True, reason="")

    def test_they_are_asked_for_once(self) -> None:
        client = FakeClient(linked=[self.LINK])
        desk = open_desk(client)
        fetch_links(desk, client)
        client.fail["links"] = NotAuthenticated("must not be asked again")
        fetch_links(desk, client)
        assert desk.links == [self.LINK]

    def test_an_error_is_kept_in_words(self) -> None:
        client = FakeClient(fail={"links": ServerUnavailable("away")})
        desk = open_desk(client)
        fetch_links(desk, client)
        assert (desk.links, desk.links_problem) == ([], "away")


class TestTime:
    def test_the_clock_of_the_browser_stands_and_never_runs_backwards(self) -> None:
        desk = open_desk(FakeClient())
        tick(desk, now=NOW + timedelta(seconds=20))
        take_time(desk, 7.5, {"quality": 3.0})
        tick(desk, now=NOW + timedelta(seconds=50))
        assert desk.active_seconds == 7.5
        take_time(desk, 2.0, {})
        assert desk.active_seconds == 7.5

    def test_it_is_sent_with_the_answer(self) -> None:
        client: Any = FakeClient()
        desk = open_desk(client)
        take_time(desk, 7.5, {"quality": 3.0})
        change_answer(desk, comment="x")
        finish_one(desk, client)
        sent = client.submitted[1]
        assert (sent.active_seconds, sent.seconds_by_criterion) == (7.5, {"quality": 3.0})
