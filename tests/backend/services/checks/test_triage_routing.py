"""What may skip review: certified on labels, routed, audited, withdrawn, put up anew."""

from __future__ import annotations

import math

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput
from backend.services import review
from backend.services.review import Answer, queue_progress
from backend.services.review.desk.revise import revise, withdraw_review
from backend.services.review.reports.estimates import queue_estimates
from backend.services.review.routing import (
    find_routing,
    note_audit,
    return_skipped,
    watch_routing,
)
from backend.tables.checks.triage import AUDIT, RoutingEvent, SkippedOutput
from backend.tables.review import Review, ReviewItem
from backend.tables.runs import Generation, Score
from tests.fixtures_review import BAD, NOW, submit
from tests.fixtures_triage import Risky, answer_all, build_risky


@pytest.fixture
def risky(session: Session) -> Risky:
    return build_risky(session)


class TestRouting:
    def test_what_skips_is_kept_and_an_audit_of_it_is_reviewed(
        self, session: Session, risky: Risky
    ) -> None:
        routing = risky.certify(session, audit=0.25)
        queue = risky.open(session, "routed", routing)
        items = session.scalars(select(ReviewItem).where(ReviewItem.queue_id == queue.id)).all()
        skipped = session.scalars(select(SkippedOutput)).all()
        low = {one.generation_id for one in skipped}
        expected = {
            one.generation_a_id: routing.skips(1 - risky.risk[one.generation_a_id]) for one in items
        }
        audited = [one for one in items if one.stratum == AUDIT]
        assert {i for i, skips in expected.items() if skips} == {
            one.generation_a_id for one in audited
        }
        assert {one.generation_id for one in skipped if one.audited} == {
            one.generation_a_id for one in audited
        }
        assert len(items) + len(skipped) - len(audited) == 60
        assert len(audited) == math.ceil(0.25 * len(low))
        assert {one.inclusion_probability for one in audited} == {len(audited) / len(low)}
        assert {one.inclusion_probability for one in items if one not in audited} == {1.0}
        progress = queue_progress(session, queue.id)
        assert (progress.skipped, progress.audited) == (len(low), len(audited))
        assert progress.skipping == f"{len(low)} skipped by risk, {len(audited)} of them audited."
        assert progress.total == len(items)

    def test_audited_items_come_in_no_place_of_their_own(
        self, session: Session, risky: Risky
    ) -> None:
        queue = risky.open(session, "routed", risky.certify(session, audit=0.3))
        query = select(ReviewItem.position, ReviewItem.stratum)
        rows = session.execute(query.where(ReviewItem.queue_id == queue.id)).all()
        places = [row.position for row in rows if row.stratum == AUDIT]
        assert min(places) < len(rows) / 3
        assert max(places) > 2 * len(rows) / 3

    def test_outputs_without_a_score_are_reviewed(self, session: Session, risky: Risky) -> None:
        routing = risky.certify(session)
        some = select(Score.id).where(Score.score_run_id == 2).order_by(Score.id).limit(20)
        session.execute(update(Score).where(Score.id.in_(some)).values(value=None, error="x"))
        queue = risky.open(session, "routed", routing)
        assert find_routing(session, queue.id).n_without == queue.design["routing"]["n_without"] > 0
        query = select(ReviewItem.generation_a_id).where(ReviewItem.queue_id == queue.id)
        there = set(session.scalars(query))
        without = select(Score.generation_id).where(Score.id.in_(some))
        first = [i for i in session.scalars(without) if i in risky.risk]
        models = {risky.desk.models[0].id}
        mine = [i for i in first if session.get_one(Generation, i).model_version_id in models]
        assert set(mine) <= there

    def test_pairs_are_not_routed(self, session: Session, risky: Risky) -> None:
        with pytest.raises(InvalidInput, match="single outputs"):
            risky.open(session, "pairs", risky.certify(session), kind="pair")

    def test_a_queue_that_is_not_routed_draws_as_before(
        self, session: Session, risky: Risky
    ) -> None:
        queue = risky.desk.open(session, "plain", n_items=20)
        assert "routing" not in queue.design
        with pytest.raises(Conflict):
            watch_routing(session, queue.id)
        with pytest.raises(Conflict):
            return_skipped(session, queue.id, user_id=None, now=NOW)
        assert queue_progress(session, queue.id).skipping == ""


class TestWatch:
    def test_an_audit_without_errors_keeps_the_guarantee(
        self, session: Session, risky: Risky
    ) -> None:
        queue = risky.open(session, "routed", risky.certify(session, audit=0.4))
        answer_all(session, queue, risky.desk.experts[0], dict.fromkeys(risky.wrong, False))
        watched = watch_routing(session, queue.id)
        assert watched.withdrawn is None
        assert watched.state is not None
        assert watched.state.n == watched.routing.n_audited
        assert watched.state.errors == 0

    def test_errors_in_the_audit_withdraw_it_once(self, session: Session, risky: Risky) -> None:
        queue = risky.open(session, "routed", risky.certify(session, audit=0.4))
        everything = dict.fromkeys(risky.wrong, True)
        answer_all(session, queue, risky.desk.experts[0], everything)
        watched = watch_routing(session, queue.id)
        assert watched.withdrawn is not None
        assert watched.withdrawn.n == watched.withdrawn.errors
        assert watched.withdrawn.n < watched.routing.n_audited  # it came early, and only once
        assert "withdrawn" in watched.withdrawn.sentence
        assert "guarantee is withdrawn" in queue_progress(session, queue.id).skipping
        assert note_audit(session, queue.id, NOW) is None
        assert len(session.scalars(select(RoutingEvent)).all()) == 1

    def test_errors_of_what_did_not_skip_are_no_matter(
        self, session: Session, risky: Risky
    ) -> None:
        queue = risky.open(session, "routed", risky.certify(session, audit=0.4))
        everything = dict.fromkeys(risky.wrong, True)
        answer_all(
            session,
            queue,
            risky.desk.experts[0],
            everything,
            only=lambda item: item.stratum != AUDIT,
        )
        watched = watch_routing(session, queue.id)
        assert watched.withdrawn is None
        assert sum(look.wrong for look in watched.looks) == 0

    def test_an_item_counts_once(self, session: Session, risky: Risky) -> None:
        """A second reviewer, a revised answer and a withdrawn one add no look."""
        routing = risky.certify(session, audit=0.4)
        queue = risky.open(session, "routed", routing, overlap=2, overlap_share=1.0)
        nothing = dict.fromkeys(risky.wrong, False)
        answer_all(session, queue, risky.desk.experts[0], nothing)
        answer_all(session, queue, risky.desk.experts[1], dict.fromkeys(risky.wrong, True))
        watched = watch_routing(session, queue.id)
        assert len(watched.looks) == watched.routing.n_audited
        assert sum(look.wrong for look in watched.looks) == 0  # what was said first
        assert watched.withdrawn is None
        assert watched.state is not None
        assert watched.state.n == watched.routing.n_audited

    def test_a_revised_answer_takes_the_place_of_the_first(
        self, session: Session, risky: Risky
    ) -> None:
        queue = risky.open(session, "routed", risky.certify(session, audit=0.4))
        expert = risky.desk.experts[0]
        answer_all(session, queue, expert, dict.fromkeys(risky.wrong, False))
        looks = watch_routing(session, queue.id).looks
        query = select(Review).where(Review.item_id == looks[0].item_id)
        claim = revise(session, session.scalars(query).one().id, expert.id, now=NOW)
        submit(session, claim, expert, Answer(BAD))
        after = watch_routing(session, queue.id)
        assert len(after.looks) == len(looks)
        assert sum(look.wrong for look in after.looks) == 1

    def test_withdrawn_reviews_cannot_steer_it(self, session: Session, risky: Risky) -> None:
        """Right answers that are taken out do not bring the alarm nearer; wrong ones delay it."""
        queue = risky.open(session, "routed", risky.certify(session, audit=1.0))
        expert = risky.desk.experts[0]
        answer_all(session, queue, expert, dict.fromkeys(risky.wrong, False))
        before = watch_routing(session, queue.id)
        for look in before.looks[2:]:
            query = select(Review).where(Review.item_id == look.item_id)
            withdraw_review(
                session,
                session.scalars(query).one().id,
                user_id=expert.id,
                reason="not needed",
                now=NOW,
            )
        after = watch_routing(session, queue.id)
        assert after.state is not None
        assert after.state.n == 2
        assert len(after.looks) == len(before.looks)
        two = [look.item_id for look in after.looks[:2]]
        for item_id in two:
            query = select(Review).where(Review.item_id == item_id, Review.superseded_at.is_(None))
            claim = revise(session, session.scalars(query).one().id, expert.id, now=NOW)
            submit(session, claim, expert, Answer(BAD))
        watched = watch_routing(session, queue.id)
        assert watched.state is not None
        assert watched.state.refuted  # two of two that stand
        assert watched.withdrawn is None  # two of all that were given

    def test_what_skipped_is_put_up_by_one_act(self, session: Session, risky: Risky) -> None:
        routing = risky.certify(session, audit=0.2)
        queue = risky.open(session, "routed", routing)
        expert = risky.desk.experts[0]
        answer_all(session, queue, expert, risky.wrong)
        assert queue.finished_at is not None
        event = return_skipped(session, queue.id, user_id=expert.id, now=NOW)
        session.refresh(queue)
        assert queue.finished_at is None
        left = find_routing(session, queue.id)
        assert event.sentence.startswith(f"{left.n_skipped - left.n_audited} outputs")
        with pytest.raises(Conflict, match="already"):
            return_skipped(session, queue.id, user_id=expert.id, now=NOW)
        assert answer_all(session, queue, expert, risky.wrong) == left.n_skipped - left.n_audited
        progress = queue_progress(session, queue.id)
        assert (progress.done, progress.open) == (60, 0)
        assert "up for review" in progress.skipping
        session.refresh(queue)
        assert queue.finished_at is not None

    def test_a_closed_queue_takes_nothing_back(self, session: Session, risky: Risky) -> None:
        queue = risky.open(session, "routed", risky.certify(session))
        review.close_queue(session, queue.id, now=NOW)
        with pytest.raises(Conflict, match="closed"):
            return_skipped(session, queue.id, user_id=None, now=NOW)


class TestEstimates:
    def test_a_part_that_skipped_is_known_to_the_estimates(self, session: Session) -> None:
        """Simulated: over many audits the mean of the estimates is the true rate."""
        risky = build_risky(session, wrong_of=lambda risk: risk > 0.7 or 0.2 < risk < 0.26)
        routing = risky.certify(session, audit=0.3, epsilon=0.25)
        mine = [g for g in risky.risk if g in self._first_model(session, risky)]
        truth = sum(not risky.wrong[g] for g in mine) / len(mine)
        found, naive = [], []
        for seed in range(10):
            queue = risky.open(session, f"routed {seed}", routing, seed=seed)
            answer_all(session, queue, risky.desk.experts[0], risky.wrong)
            shown = next(
                one for one in queue_estimates(session, queue.id) if one.criterion == "faithful"
            )
            assert shown.plain.value is not None
            found.append(shown.plain.value)
            query = select(ReviewItem.generation_a_id).where(ReviewItem.queue_id == queue.id)
            there = session.scalars(query).all()
            naive.append(sum(not risky.wrong[g] for g in there) / len(there))
        spread = (sum((x - truth) ** 2 for x in found) / len(found)) ** 0.5
        mean = sum(found) / len(found)
        assert abs(mean - truth) < 3 * spread / len(found) ** 0.5 + 1e-9
        assert abs(sum(naive) / len(naive) - truth) > 0.05  # what ignores the skipped is far off

    def _first_model(self, session: Session, risky: Risky) -> set[int]:
        query = select(Generation.id).where(
            Generation.run_id == risky.new_run.id,
            Generation.model_version_id == risky.desk.models[0].id,
        )
        return set(session.scalars(query))

    def test_a_class_that_is_half_reviewed_weighs_whole(
        self, session: Session, risky: Risky
    ) -> None:
        queue = risky.open(session, "routed", risky.certify(session, audit=0.2))
        expert = risky.desk.experts[0]
        answer_all(session, queue, expert, risky.wrong)
        before = queue_estimates(session, queue.id)[0].plain.value
        return_skipped(session, queue.id, user_id=expert.id, now=NOW)
        assert queue_estimates(session, queue.id)[0].plain.value == pytest.approx(before)
        answer_all(session, queue, expert, risky.wrong, most=10)
        after = queue_estimates(session, queue.id)[0].plain.value
        assert after == pytest.approx(before, abs=0.02)
        answer_all(session, queue, expert, risky.wrong)
        mine = self._first_model(session, risky)
        truth = sum(not risky.wrong[g] for g in mine) / len(mine)
        assert queue_estimates(session, queue.id)[0].plain.value == pytest.approx(truth)
