"""What an expert does beside answering: look back, revise, contest, settle, ask for the links.

Transitions as in `desk_state`: they talk to the API, and an error becomes words on the desk.
"""

from __future__ import annotations

from datetime import datetime

from backend.errors import StropError
from dashboard.desk_api import DeskClient, Past
from dashboard.desk_sending import LONGEST_HISTORY
from dashboard.desk_state import Desk, clear_desk, receive_claim, save_if_changed, take_next


def load_history(desk: Desk, client: DeskClient) -> None:
    """Fetch the own answers once; afterwards each submit adds its own."""
    if desk.history_loaded:
        return
    desk.history_loaded = True
    try:
        found = client.my_reviews(desk.queue_id, limit=LONGEST_HISTORY)
        results = client.my_gold_results(desk.queue_id)
    except StropError as error:
        desk.note = f"Your history could not be read. {error}"
        return
    desk.upheld = [one for one in results if one.resolution == "upheld"][:LONGEST_HISTORY]
    desk.history = [
        Past(
            review_id=past.review_id,
            at=past.submitted_at,
            answer=past.answer,
            skip_reason=past.skip_reason,
            may_revise=past.revisable_until is not None,
            why=past.why,
            extra=past.extra,
        )
        for past in found
    ]


def fetch_links(desk: Desk, client: DeskClient) -> None:
    """Ask once for an item where its source supports its output; an error is kept in words."""
    if desk.claim is None or desk.links is not None:
        return
    try:
        desk.links = client.links(desk.claim.slot_id)
    except StropError as error:
        desk.links, desk.links_problem = [], str(error)


def ask_for_links_again(desk: Desk) -> None:
    """Forget that there were none; the next drawing fetches them."""
    desk.links = desk.links_problem = None


def go_on_after_feedback(desk: Desk, client: DeskClient, *, now: datetime) -> None:
    """Leave the feedback for the item that came with it."""
    waiting = desk.waiting
    if waiting is None:
        take_next(desk, client, now=now)
        return
    clear_desk(desk, now)
    receive_claim(desk, waiting)


def contest(desk: Desk, client: DeskClient, reason: str) -> None:
    """Say that the known answer is wrong; a reason is needed."""
    if desk.feedback is None:
        return
    if not reason.strip():
        desk.note = "Say what is wrong with the known answer; a few words are enough."
        return
    try:
        client.contest_gold(desk.feedback.result_id, reason.strip())
    except StropError as error:
        desk.note = str(error)
        return
    desk.contested, desk.note = True, None


def revise(desk: Desk, client: DeskClient, review_id: int, *, now: datetime) -> None:
    """Take one's own answer back to the desk; the item in hand keeps its draft and waits."""
    save_if_changed(desk, client)
    if desk.save_problem is not None:
        return
    try:
        taken = client.revise(review_id)
    except StropError as error:
        desk.note = str(error)
        return
    desk.history = [past for past in desk.history if past.review_id != review_id]
    clear_desk(desk, now)
    receive_claim(desk, taken)


def take_adjudication(desk: Desk, client: DeskClient, *, now: datetime) -> None:
    """Take a disagreement to settle; where there is none, that is said and the screen stays."""
    try:
        taken = client.claim_adjudication(desk.queue_id)
    except StropError as error:
        desk.note = str(error)
        return
    if taken.claim is None:
        desk.note = taken.message or "There is no disagreement that you could settle."
        return
    clear_desk(desk, now)
    receive_claim(desk, taken)
