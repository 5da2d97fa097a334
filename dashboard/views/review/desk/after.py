"""What an expert does beside answering: look back, revise, contest, settle, ask for the links.

Transitions as in `state`: they talk to the API, and an error becomes words on the desk.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from backend.errors import LeaseLost, NotAuthenticated, StropError
from backend.schemas.review.desk import ClaimAnswer, OwnReview
from dashboard.views.review.desk.past import Past
from dashboard.views.review.desk.sending import LONGEST_HISTORY
from dashboard.views.review.desk.state import (
    DeskState,
    clear_desk,
    lose_item,
    receive_claim,
    save_if_changed,
    take_next,
    unsaved,
)

if TYPE_CHECKING:
    from backend.client import StropClient

LEFT_AS_IT_WAS = "Left as it was"
CHANGED_ELSEWHERE = (
    "You have submitted this item in another window. What you wrote here is saved as a change to "
    "that answer: submit it, or leave the answer as it was."
)


def load_history(desk: DeskState, client: StropClient) -> None:
    """Fetch the own answers once; afterwards each submit adds its own."""
    if desk.history_loaded:
        return
    desk.history_loaded = True
    try:
        found = client.desk.reviews(desk.queue_id, limit=LONGEST_HISTORY)
        results = client.desk.gold_results(desk.queue_id)
    except StropError as error:
        desk.note = f"Your history could not be read. {error}"
        return
    desk.upheld = [one for one in results if one.resolution == "upheld"][:LONGEST_HISTORY]
    desk.history = [past_of(one) for one in found]


def past_of(one: OwnReview) -> Past:
    """An own answer as the history shows it."""
    return Past(
        review_id=one.review_id,
        at=one.submitted_at,
        answer=one.answer,
        skip_reason=one.skip_reason,
        may_revise=one.revisable_until is not None,
        why=one.why,
        extra=one.extra,
        risk=one.item.risk,
    )


def fetch_links(desk: DeskState, client: StropClient) -> None:
    """Ask once for an item where its source supports its output; an error is kept in words."""
    if desk.claim is None or desk.links is not None:
        return
    try:
        desk.links = client.desk.links(desk.claim.slot_id)
    except StropError as error:
        desk.links, desk.links_problem = [], str(error)


def ask_for_links_again(desk: DeskState) -> None:
    """Forget that there were none; the next drawing fetches them."""
    desk.links = desk.links_problem = None


def go_on_after_feedback(desk: DeskState, client: StropClient, *, now: datetime) -> None:
    """Leave the feedback for the item that came with it."""
    waiting = desk.waiting
    if waiting is None:
        take_next(desk, client, now=now)
        return
    clear_desk(desk, now)
    receive_claim(desk, waiting)


def contest(desk: DeskState, client: StropClient, reason: str) -> None:
    """Say that the known answer is wrong; a reason is needed."""
    if desk.feedback is None:
        return
    if not reason.strip():
        desk.note = "Say what is wrong with the known answer; a few words are enough."
        return
    try:
        client.desk.contest_gold(desk.feedback.result_id, reason.strip())
    except StropError as error:
        desk.note = str(error)
        return
    desk.contested, desk.note = True, None


def revise(desk: DeskState, client: StropClient, review_id: int, *, now: datetime) -> None:
    """Take one's own answer back to the desk; the item in hand keeps its draft and waits."""
    save_if_changed(desk, client)
    if unsaved(desk) and desk.claim is not None:
        desk.note = "What is on screen is not saved yet, so it stays here."
        return
    try:
        taken = client.desk.revise(review_id)
    except StropError as error:
        desk.note = str(error)
        return
    last = next((past for past in desk.history if past.review_id == review_id), None)
    desk.history = [past for past in desk.history if past.review_id != review_id]
    clear_desk(desk, now)
    receive_claim(desk, taken)
    desk.revised = last


def leave_as_it_was(desk: DeskState, client: StropClient, *, now: datetime) -> None:
    """End a revision: the answer that was given stands, and what comes next comes."""
    if desk.claim is None:
        return
    kept = desk.revised
    try:
        receipt = client.desk.skip(
            desk.claim.slot_id, desk.claim.version, LEFT_AS_IT_WAS, next=True
        )
    except StropError as error:
        lose_item(desk, error)
        desk.note = str(error)
        return
    if kept is not None:
        desk.history = [kept, *desk.history][:LONGEST_HISTORY]
    clear_desk(desk, now)
    if receipt.next is None:
        take_next(desk, client, now=now)
    else:
        receive_claim(desk, receipt.next)


def take_up_again(desk: DeskState, client: StropClient, item: str, *, now: datetime) -> None:
    """Begin with the item that the browser still has on screen, though the desk before is gone.

    Where it went to somebody else meanwhile, it stays on screen with all that was entered, which
    can be sent as a further answer; else the person has it still, or gets their next one.

    Args:
        item: `item_key` of what was on screen, as the page's address has it.
    """
    slot_id, _, version = item.partition("-")
    if slot_id.isdecimal() and version.isdecimal():
        with suppress(StropError):  # `take_next` says what is wrong, where something is
            lapsed = client.desk.lapsed(desk.queue_id, int(slot_id), int(version))
            clear_desk(desk, now)
            receive_claim(desk, lapsed)
            desk.problem = LeaseLost("This item was given to a colleague meanwhile.")
            return
    take_next(desk, client, now=now)


def lead_on(desk: DeskState, client: StropClient, *, words: bool, now: datetime) -> None:
    """The item on screen was finished in another window: show what is next.

    Words that only this window has are first kept on the server, as a change to the answer that was
    given there; the person then submits it or leaves the answer as it was.

    Args:
        words: whether something was written here that the server does not have.
    """
    gone, claim, answer = desk.gone, desk.claim, desk.answer
    assert gone is not None
    assert claim is not None
    desk.gone = None
    try:
        if words and (done := _finished_elsewhere(client, desk)) is not None:
            taken = client.desk.revise(done.review_id)
            if taken.claim is not None:
                client.desk.save_draft(taken.claim.slot_id, taken.claim.version, answer)
                clear_desk(desk, now)
                receive_claim(desk, taken)
                desk.answer = desk.saved = answer
                desk.correcting = answer.correction is not None
                desk.revised, desk.note = past_of(done), CHANGED_ELSEWHERE
                return
        taken = client.desk.claim(desk.queue_id)
    except NotAuthenticated:
        desk.gone, desk.signed_out = gone, True
        return
    except StropError as error:
        desk.problem, desk.note = gone, str(error)
        return
    _show_what_is_next(desk, taken, gone, words=words, now=now)


def _show_what_is_next(
    desk: DeskState, taken: ClaimAnswer, gone: StropError, *, words: bool, now: datetime
) -> None:
    held = desk.claim
    if (
        held
        and taken.claim
        and (taken.claim.slot_id, taken.claim.version)
        == (
            held.slot_id,
            held.version,
        )
    ):
        desk.save_problem = str(gone)  # it is still the person's: only this act was refused
    elif words:
        desk.problem = gone  # nothing takes these words: they stay until the person leaves them
    else:
        clear_desk(desk, now)
        receive_claim(desk, taken)
        desk.note = f"{gone.message} This is what comes next."


def _finished_elsewhere(client: StropClient, desk: DeskState) -> OwnReview | None:
    """The own answer that was given to the item on screen, when it can still be changed."""
    assert desk.claim is not None
    found = client.desk.reviews(desk.queue_id, limit=LONGEST_HISTORY)
    mine = (past for past in found if past.slot_id == desk.claim.slot_id)
    return next((past for past in mine if past.revisable_until is not None), None)


def take_adjudication(desk: DeskState, client: StropClient, *, now: datetime) -> None:
    """Take a disagreement to settle; where there is none, that is said and the screen stays."""
    try:
        taken = client.desk.claim_adjudication(desk.queue_id)
    except StropError as error:
        desk.note = str(error)
        return
    if taken.claim is None:
        desk.note = taken.message or "There is no disagreement that you could settle."
        return
    clear_desk(desk, now)
    receive_claim(desk, taken)
