"""What follows from an answer: known answers, one more reviewer, verdicts, webhooks, masks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import InvalidInput
from backend.services import review
from backend.services.review import Answer, Claim, Reason
from backend.services.review.blind import mask_text, names_that_tell, unmask_text
from backend.services.review.desk.history import left_for
from backend.services.review.quality import adjudication, gold
from backend.services.webhooks import hooks as webhooks
from backend.tables.accounts import User
from backend.tables.review import (
    Adjudication,
    Correction,
    GoldAnswer,
    QueueMember,
    Review,
    ReviewItem,
    ReviewSlot,
)
from backend.tables.webhooks import WebhookDelivery
from tests.fixtures_review import BAD, GOOD, NOW, SEAL, Desk, build_desk, submit

EXTRA = 1_000_000_000


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Any:
    with sqlite_sessions.begin() as opened:
        yield opened


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session, n_experts=4)


def open_queue(session: Session, desk: Desk, *, rules: dict[str, Any], **options: Any) -> int:
    queue = desk.open(session, **options)
    queue.rules = rules
    session.flush()
    return queue.id


def claim(session: Session, queue_id: int, user: User, *, now: datetime = NOW) -> Claim:
    found = review.claim_next(session, queue_id, user.id, now=now)
    assert isinstance(found, Claim), found
    return found


def answer_next(session: Session, queue_id: int, user: User, given: Answer) -> review.Submitted:
    return submit(session, claim(session, queue_id, user), user, given)


# one more reviewer


def test_people_who_agree_too_little_get_one_more(session: Session, desk: Desk) -> None:
    rules = {"extra_below": 0.9}
    queue_id = open_queue(session, desk, rules=rules, n_items=2, overlap=2, overlap_share=0.5)
    first, second, third, fourth = desk.experts
    answer_next(session, queue_id, first, Answer(GOOD))
    assert review.queue_progress(session, queue_id).total == 3
    answer_next(session, queue_id, second, Answer(BAD))
    progress = review.queue_progress(session, queue_id)
    assert (progress.total, progress.done, progress.open) == (4, 2, 2)
    extra = session.scalars(select(ReviewSlot).where(ReviewSlot.position >= EXTRA)).one()
    assert (extra.state, extra.purpose, extra.number) == ("open", "review", 2)
    plain = claim(session, queue_id, third)
    assert plain.slot_id != extra.id, "what the design asked for comes first"
    submit(session, plain, third, Answer(GOOD))
    assert not isinstance(review.claim_next(session, queue_id, first.id, now=NOW), Claim)
    further = claim(session, queue_id, fourth)
    assert further.slot_id == extra.id
    done = submit(session, further, fourth, Answer(BAD))
    assert not done.extra
    progress = review.queue_progress(session, queue_id)
    assert (progress.total, progress.done) == (4, 4)
    assert review.get_queue(session, queue_id).design["n_slots"] == 3
    session.refresh(queue := review.get_queue(session, queue_id))
    assert queue.finished_at == NOW
    assert len(session.scalars(select(ReviewSlot)).all()) == 4, "one more, and no further"


def test_a_revision_that_asks_for_one_more_opens_a_finished_queue_again(
    sessions: sessionmaker[Session],
) -> None:
    with sessions.begin() as session:
        desk = build_desk(session)
        rules = {"extra_below": 0.9}
        queue_id = open_queue(session, desk, rules=rules, n_items=1, overlap=2, overlap_share=1.0)
        first, second, third = desk.experts
        done = answer_next(session, queue_id, first, Answer(GOOD))
        answer_next(session, queue_id, second, Answer(GOOD))
        session.refresh(queue := review.get_queue(session, queue_id))
        assert queue.finished_at == NOW
        again = review.revise(session, done.review_id, first.id, now=NOW)
        submit(session, again, first, Answer(BAD))
        session.refresh(queue)
        assert queue.finished_at is None
        assert [left_for(session, queue_id, user.id, now=NOW) for user in desk.experts] == [0, 0, 1]
        later = NOW + timedelta(minutes=1)
        submit(session, claim(session, queue_id, third), third, Answer(GOOD), now=later)
        session.refresh(queue)
        assert queue.finished_at == later


def test_people_who_agree_get_nobody_more(session: Session, desk: Desk) -> None:
    queue_id = open_queue(
        session, desk, rules={"extra_below": 0.9}, n_items=1, overlap=2, overlap_share=1.0
    )
    for person in desk.experts[:2]:
        answer_next(session, queue_id, person, Answer(GOOD))
    assert len(session.scalars(select(ReviewSlot)).all()) == 2


def test_a_late_answer_asks_for_nobody_more(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={"extra_below": 0.9}, n_items=1)
    first, second = desk.experts[:2]
    later = NOW + timedelta(hours=1)
    late = claim(session, queue_id, first)
    held = claim(session, queue_id, second, now=later)
    submit(session, held, second, Answer(GOOD), now=later)
    assert submit(session, late, first, Answer(BAD), now=later).extra
    assert len(session.scalars(select(ReviewSlot)).all()) == 1


# verdicts


def disputed(session: Session, desk: Desk, **rules: Any) -> int:
    queue_id = open_queue(
        session,
        desk,
        rules={"adjudicate_above": 0.2, **rules},
        n_items=1,
        overlap=2,
        overlap_share=1.0,
    )
    answer_next(session, queue_id, desk.experts[0], Answer(GOOD))
    answer_next(session, queue_id, desk.experts[1], Answer(BAD))
    return queue_id


def verdict(session: Session, queue_id: int, user: User, **at: Any) -> review.Claim | review.NoItem:
    return review.claim_adjudication(session, queue_id, user.id, **{"now": NOW, **at})


def test_a_verdict_is_given_by_somebody_who_did_not_review_the_item(
    session: Session, desk: Desk
) -> None:
    queue_id = disputed(session, desk)
    for person in desk.experts[:2]:
        assert not isinstance(verdict(session, queue_id, person), Claim)
    held = verdict(session, queue_id, desk.experts[2])
    assert isinstance(held, Claim)
    assert held.purpose == "adjudication"
    assert not isinstance(verdict(session, queue_id, desk.experts[3]), Claim)
    again = verdict(session, queue_id, desk.experts[2])
    assert isinstance(again, Claim)
    assert (again.version, again.resumed) == (held.version, True)
    found = review.claim_next(session, queue_id, desk.experts[2].id, now=NOW)
    assert not isinstance(found, Claim), "a verdict is no ordinary item"
    assert found.reason is Reason.FINISHED
    before = review.queue_progress(session, queue_id)
    done = submit(session, held, desk.experts[2], Answer(BAD))
    assert session.scalars(select(Adjudication)).one().review_id == done.review_id
    assert review.queue_progress(session, queue_id) == before
    member = session.get_one(QueueMember, (queue_id, desk.experts[2].id), populate_existing=True)
    assert member.n_submitted == 0
    originals = session.scalars(select(Review).where(Review.purpose == "review")).all()
    assert all(one.superseded_at is None for one in originals)


def test_a_verdict_that_lapses_or_is_skipped_goes_to_somebody_else(
    session: Session, desk: Desk
) -> None:
    queue_id = disputed(session, desk, skip_policy="out")
    third, fourth = desk.experts[2:]
    held = verdict(session, queue_id, third)
    later = NOW + timedelta(hours=1)
    taken = verdict(session, queue_id, fourth, now=later)
    assert isinstance(held, Claim)
    assert isinstance(taken, Claim)
    assert taken.version == held.version + 1
    assert submit(session, held, third, Answer(GOOD), now=later).extra
    assert session.scalars(select(Adjudication)).one().decided_at is None
    token = {"slot_id": taken.slot_id, "version": taken.version, "user_id": fourth.id}
    review.skip_review(session, **token, reason="not my field", now=later)
    slot = session.get_one(ReviewSlot, taken.slot_id, populate_existing=True)
    assert slot.state == "open"


def test_another_opinion_comes_before_a_verdict(session: Session, desk: Desk) -> None:
    queue_id = disputed(session, desk, extra_below=0.9)
    assert session.scalars(select(Adjudication)).all() == []
    answer_next(session, queue_id, desk.experts[2], Answer(GOOD))
    assert adjudication.adjudication_progress(session, queue_id).opened == 1


# known answers


def add_gold(session: Session, queue_id: int, n: int = 1) -> list[int]:
    """Known answers to items of their own; how leads add them is known to `gold_items`."""
    items = session.scalars(select(ReviewItem).where(ReviewItem.queue_id == queue_id)).all()
    made = []
    for item in items[:n]:
        known = ReviewItem(
            queue_id=queue_id,
            position=EXTRA + item.position,
            generation_a_id=item.generation_a_id + 1_000_000,
            purpose="gold",
            required_reviews=0,
        )
        twin = session.get_one(ReviewItem, item.id).generation_a
        copy = type(twin)(
            run_id=twin.run_id,
            model_version_id=twin.model_version_id,
            example_id=twin.example_id,
            sample=9,
            text="A known text.",
        )
        session.add(copy)
        session.flush()
        known.generation_a_id = copy.id
        session.add(known)
        session.flush()
        session.add(
            GoldAnswer(item_id=known.id, answer={"ratings": {"faithful": "yes"}}, explanation="So.")
        )
        made.append(known.id)
    session.flush()
    return made


def test_known_answers_come_first_look_like_others_and_count_nowhere(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={"gold_onboarding": 1}, n_items=2)
    [known] = add_gold(session, queue_id)
    first, second = desk.experts[:2]
    before = review.queue_progress(session, queue_id)
    held = claim(session, queue_id, first)
    assert (held.item_id, held.purpose, held.version) == (known, "gold", 1)
    assert claim(session, queue_id, first).resumed
    assert claim(session, queue_id, second).item_id == known, "each person meets it"
    assert review.queue_progress(session, queue_id) == before
    done = submit(session, held, first, Answer(GOOD, active_seconds=30.0))
    feedback = gold.feedback(session, done.review_id)
    assert feedback is not None
    assert feedback.passed
    assert review.queue_progress(session, queue_id, user_id=first.id) == before
    following = claim(session, queue_id, first)
    assert following.purpose == "review"
    member = session.get_one(QueueMember, (queue_id, first.id), populate_existing=True)
    assert (member.n_gold, member.since_gold, member.n_submitted) == (1, 0, 0)
    submit(session, following, first, Answer(GOOD))
    session.refresh(member)
    assert (member.n_gold, member.since_gold, member.n_submitted) == (1, 1, 1)


def test_a_lapsed_known_answer_goes_to_nobody_else_and_a_skipped_one_is_out(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={"gold_onboarding": 1}, n_items=1)
    add_gold(session, queue_id)
    first = desk.experts[0]
    held = claim(session, queue_id, first)
    later = NOW + timedelta(hours=1)
    assert claim(session, queue_id, first, now=later).slot_id == held.slot_id
    token = {"slot_id": held.slot_id, "version": held.version, "user_id": first.id}
    review.skip_review(session, **token, reason="?", now=later)
    assert session.get_one(ReviewSlot, held.slot_id, populate_existing=True).state == "out"
    progress = review.queue_progress(session, queue_id)
    assert (progress.total, progress.done, progress.open) == (1, 0, 1)
    assert claim(session, queue_id, first, now=later).purpose == "review"


# webhooks


def test_webhooks_are_told_once_of_answers_and_of_the_end(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={}, n_items=1)
    webhooks.add_webhook(session, desk.project.id, "https://example.org/hook", seal=SEAL)
    held = claim(session, queue_id, desk.experts[0])
    for _ in range(2):
        submit(session, held, desk.experts[0], Answer(GOOD))
    told = session.scalars(select(WebhookDelivery.event).order_by(WebhookDelivery.id)).all()
    assert sorted(told) == ["queue.finished", "review.submitted"]


# masks


@pytest.mark.parametrize(
    ("text", "terms", "shown"),
    [
        ("Written by Qwen.", ["qwen"], "Written by ▇▇▇▇."),
        ("Qwens are birds", ["qwen"], "Qwens are birds"),
        ("a<|im_end|>b", ["<|im_end|>"], "a▇▇▇▇▇▇▇▇▇▇b"),
        ("legal-v2 and legal", ["legal-v2"], "▇▇▇▇▇▇▇▇ and legal"),
        ("😀 Qwen2.5-7B 😀", ["Qwen2.5", "Qwen2.5-7B"], "😀 ▇▇▇▇▇▇▇▇▇▇ 😀"),
        ("nothing", [], "nothing"),
    ],
)
def test_masked_texts_keep_their_length(text: str, terms: list[str], shown: str) -> None:
    assert mask_text(text, terms) == shown
    assert len(shown) == len(text)
    assert unmask_text(shown, [text], terms) == text


def test_names_that_can_be_words_are_not_masked_by_themselves() -> None:
    names = ["base", "legal", "v1", "clinic-notes", "Qwen/Qwen2.5-7B", "Qwen2.5-7B"]
    assert names_that_tell(names) == ["Qwen/Qwen2.5-7B", "Qwen2.5-7B", "clinic-notes"]


def test_a_correction_of_a_masked_output_is_stored_without_masks(
    session: Session, desk: Desk
) -> None:
    queue_id = open_queue(session, desk, rules={"mask": ["says"]}, n_items=1)
    person = desk.experts[0]
    held = claim(session, queue_id, person)
    shown = review.item_view(session, held.slot_id, person.id).output
    assert shown is not None
    assert shown.text.startswith("base ▇▇▇▇ train")
    with pytest.raises(InvalidInput, match="masked"):
        submit(session, held, person, Answer(GOOD, correction="▇▇ no"))
    submit(session, held, person, Answer(GOOD, correction="It ▇▇▇▇ nothing."))
    assert session.scalars(select(Correction.text)).one() == "It says nothing."


def test_both_sides_of_a_pair_are_masked(session: Session, desk: Desk) -> None:
    queue_id = open_queue(session, desk, rules={}, kind="pair", n_items=1)
    person = desk.experts[0]
    held = claim(session, queue_id, person)
    shown = review.item_view(session, held.slot_id, person.id)
    item = session.get_one(ReviewItem, held.item_id)
    assert item.generation_b is not None
    written = [item.generation_a.text, item.generation_b.text]
    review.get_queue(session, queue_id).rules = {"mask": [text or "" for text in written]}
    session.flush()
    masked = review.item_view(session, held.slot_id, person.id)
    for side, plain in ((masked.left, shown.left), (masked.right, shown.right)):
        assert side is not None
        assert plain is not None
        assert side.text == "▇" * len(plain.text)


def test_names_of_the_queues_models_are_masked(session: Session, desk: Desk) -> None:
    desk.models[0].base_model = "acme/train-0"
    queue_id = open_queue(session, desk, rules={}, n_items=6)
    texts = []
    person = desk.experts[0]
    for _ in range(6):
        held = claim(session, queue_id, person)
        texts.append(review.item_view(session, held.slot_id, person.id).output)
        submit(session, held, person, Answer(GOOD))
    assert sum("▇▇▇▇▇▇▇" in (shown.text if shown else "") for shown in texts) == 1
    session.execute(
        update(review.get_queue(session, queue_id).__class__).values(rules={"mask_models": False})
    )
    past = review.my_reviews(session, queue_id, person.id)
    assert not any("▇" in (one.item.output.text if one.item.output else "▇") for one in past)
