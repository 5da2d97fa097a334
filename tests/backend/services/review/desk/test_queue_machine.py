"""Any interleaving of what people do at the desk keeps its invariants (model-based)."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, update

from backend.db import open_database, session_factory
from backend.errors import Conflict, NotFound
from backend.services import review
from backend.services.review import Answer, Claim, NoItem, Reason
from backend.services.review.rules import most_of_one_person
from backend.tables.review import (
    Adjudication,
    QueueMember,
    Rating,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewSlot,
)
from tests.fixtures_review import BAD, GOOD, NOW, build_desk

PEOPLE = 4
LEASE = 600
people = st.integers(0, PEOPLE - 1)
Token = tuple[int, int]
WAITS = (60, LEASE // 2, LEASE + 1, LEASE + 1)
ACTS = (
    *["claim"] * 5,
    *["submit"] * 5,
    *["wait", "skip", "revise"] * 2,
    *["verdict", "withdraw", "beat"],
)


class DeskMachine(RuleBasedStateMachine):
    """Three items, each for one to three people; four people; a clock; rules of every kind."""

    template: Path

    @initialize(
        overlap=st.sampled_from([(1, 0.0), (2, 0.67), (3, 1.0)]),
        policy=st.sampled_from(["others", "me", "out"]),
        share=st.sampled_from([None, None, 0.3, 0.5]),
        extra=st.sampled_from([None, 0.9]),
    )
    def open(
        self, overlap: tuple[int, float], policy: str, share: float | None, extra: float | None
    ) -> None:
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "desk.db"
        shutil.copy(self.template, path)
        self.engine = open_database(f"sqlite:///{path}")
        self.sessions = session_factory(self.engine)
        self.rules = {"skip_policy": policy, "max_share": share, "extra_below": extra}
        with self.sessions.begin() as session:
            desk = build_desk(session, splits={"train": 3}, n_experts=PEOPLE)
            n, part = overlap
            queue = desk.open(session, overlap=n, overlap_share=part)
            queue.rules = {**self.rules, "adjudicate_above": 0.5, "revise_minutes": 600}
            self.queue_id, self.n_slots = queue.id, int(queue.design["n_slots"])
            self.users = [user.id for user in desk.experts]
        self.now: datetime = NOW
        self.claims: dict[int, list[Claim]] = {user: [] for user in self.users}
        self.said: dict[tuple[int, int], str] = {}  # (item, person) -> what stands
        self.before: dict[tuple[int, int], set[str]] = {}  # the same -> all that they ever said
        self.tokens: dict[Token, str] = {}  # what was answered under a token
        self.skipped: set[Token] = set()
        self.highest: dict[int, int] = {}
        self.until: dict[int, datetime] = {}
        self.finished_at: datetime | None = None

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.dispose()
            self.folder.cleanup()

    @rule(
        act=st.sampled_from(ACTS),
        person=people,
        other=people,
        which=st.integers(0, 3),
        good=st.booleans(),
    )
    def act(self, act: str, person: int, other: int, which: int, good: bool) -> None:
        """One rule for all, since rules of their own would be switched off for whole runs."""
        match act:
            case "claim":
                self.claim(person)
            case "verdict":
                self.claim_verdict(person)
            case "wait":
                self.wait(which)
            case "submit":
                self.submit(person, which if other == 0 else 0, good)
            case "skip":
                self.skip(person, which)
            case "revise":
                self.revise(person, which)
            case "withdraw":
                self.withdraw(person)
            case "beat":
                self.beat(person, other)

    def claim(self, person: int) -> None:
        user = self.users[person]
        with self.sessions.begin() as session:
            got = review.claim_next(session, self.queue_id, user, now=self.now)
        if isinstance(got, NoItem):
            assert got.reason in {Reason.FINISHED, Reason.OTHERS_AT_WORK, Reason.SHARE_REACHED}
            return
        self._note(user, got)

    def claim_verdict(self, person: int) -> None:
        user = self.users[person]
        with self.sessions.begin() as session:
            got = review.claim_adjudication(session, self.queue_id, user, now=self.now)
        if isinstance(got, Claim):
            self._note(user, got)

    def _note(self, user: int, got: Claim) -> None:
        assert (got.slot_id, got.version) not in self.tokens
        assert (got.slot_id, got.version) not in self.skipped
        if got.resumed:
            assert self.highest[got.slot_id] == got.version
        else:
            assert (got.item_id, user) not in self.said, "a person met an item twice"
            assert got.version == self.highest.get(got.slot_id, 0) + 1
            assert self.until.get(got.slot_id, self.now) <= self.now, "a live lease was taken"
        self.highest[got.slot_id] = got.version
        self.until[got.slot_id] = got.lease_until
        self.claims[user].append(got)

    def wait(self, which: int) -> None:
        self.now += timedelta(seconds=WAITS[which])

    def submit(self, person: int, which: int, good: bool) -> None:
        """The newest claim or an older one: a resend, or what a dead tab sends late."""
        user = self.users[person]
        if not self.claims[user]:
            return
        held = self.claims[user][-1 - which % len(self.claims[user])]
        token = (held.slot_id, held.version)
        kind = "good" if good else "bad"
        known = self.tokens.get(token)
        said = self.before.setdefault((held.item_id, user), set())
        try:
            with self.sessions.begin() as session:
                done = review.submit_review(
                    session,
                    slot_id=held.slot_id,
                    version=held.version,
                    user_id=user,
                    answer=Answer(GOOD if good else BAD, active_seconds=60.0),
                    now=self.now,
                )
        except Conflict:
            if token in self.skipped:
                return
            if held.revising and known is None:
                assert self._has_verdict(held.item_id), "a revision was refused"
                return
            assert kind not in said, "a resend was refused"
            assert said, "an answer was lost"
            return
        assert token not in self.skipped
        assert done.repeated == bool(said) or held.revising
        if done.repeated:
            assert kind in said
        else:
            assert known is None, "an answer was stored twice"
            self.said[held.item_id, user] = kind
            said.add(kind)
        if done.extra and not done.repeated:
            assert self.highest[held.slot_id] > held.version, "an answer in time is no extra"
        self.tokens[token] = kind

    def _has_verdict(self, item_id: int) -> bool:
        """A revision that comes after the verdict is refused, also one that says the same again.

        It is no resend, and nothing is lost: the first answer stands beside the verdict
        (`why_it_stands`), and the guide lets it be changed "for a while".
        """
        decided = select(Adjudication.id).where(
            Adjudication.item_id == item_id, Adjudication.decided_at.is_not(None)
        )
        with self.sessions() as session:
            return session.scalar(decided) is not None

    def skip(self, person: int, which: int) -> None:
        user = self.users[person]
        if not self.claims[user]:
            return
        held = self.claims[user][-1 - which % len(self.claims[user])]
        try:
            with self.sessions.begin() as session:
                review.skip_review(
                    session,
                    slot_id=held.slot_id,
                    version=held.version,
                    user_id=user,
                    reason="unsure",
                    now=self.now,
                )
        except Conflict:  # LeaseLost is one
            return
        assert (held.slot_id, held.version) not in self.tokens
        self.skipped.add((held.slot_id, held.version))
        self.until.pop(held.slot_id, None)

    def revise(self, person: int, which: int) -> None:
        user = self.users[person]
        with self.sessions.begin() as session:
            mine = select(Review.id).where(Review.reviewer_id == user, Review.state == "submitted")
            ids = list(session.scalars(mine.order_by(Review.id.desc())))
        if not ids:
            return
        try:
            with self.sessions.begin() as session:
                got = review.revise(session, ids[which % len(ids)], user, now=self.now)
        except Conflict:
            return
        assert got.version >= self.highest[got.slot_id]
        self.highest[got.slot_id] = got.version
        self.until.pop(got.slot_id, None)
        self.claims[user].append(got)

    def withdraw(self, person: int) -> None:
        """As a lead does: the row stays, and counts no more."""
        with self.sessions.begin() as session:
            query = select(Review).where(
                Review.reviewer_id == self.users[person],
                Review.state == "submitted",
                Review.withdrawn_at.is_(None),
            )
            found = session.scalars(query.order_by(Review.id)).first()
            if found is not None:
                found.withdrawn_at = self.now

    def beat(self, person: int, other: int) -> None:
        """A sign of life with one's own token, or with somebody else's."""
        user, owner = self.users[person], self.users[other]
        if not self.claims[owner]:
            return
        held = self.claims[owner][-1]
        try:
            with self.sessions.begin() as session:
                until = review.heartbeat(session, held.slot_id, held.version, user, now=self.now)
        except (NotFound, Conflict):
            return
        assert user == owner
        assert self.highest[held.slot_id] == held.version
        self.until[held.slot_id] = until

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "sessions"):
            return
        with self.sessions() as session:
            self.slots = list(session.scalars(select(ReviewSlot)))
            self.reviews = list(session.scalars(select(Review)))
            self.items = {item.id: item for item in session.scalars(select(ReviewItem))}
            self.members = list(session.scalars(select(QueueMember)))
            rated = {rating.review_id for rating in session.scalars(select(Rating))}
            self.progress = review.queue_progress(session, self.queue_id)
            finished_at = session.scalar(select(ReviewQueue.finished_at))
        self._nothing_is_lost(rated)
        self._nobody_twice()
        self._never_too_many()
        self._progress_is_true()
        if finished_at is not None:  # one more reviewer, asked for by a revision, opens it again
            assert self.finished_at in (None, finished_at), "finished twice"
        left = [s for s in self.slots if s.purpose == "review" and self._is_waiting(s)]
        assert (finished_at is not None) == (not left)
        self.finished_at = finished_at

    def _is_waiting(self, slot: ReviewSlot) -> bool:
        return slot.state == "open" or (slot.state == "leased" and slot.lease_until is not None)

    def _nothing_is_lost(self, rated: set[int]) -> None:
        submitted = [r for r in self.reviews if r.state == "submitted"]
        assert {r.id for r in submitted} == rated
        standing = {(r.item_id, r.reviewer_id) for r in submitted if r.superseded_at is None}
        assert standing == set(self.said)

    def _nobody_twice(self) -> None:
        submitted = [r for r in self.reviews if r.state == "submitted" and r.superseded_at is None]
        pairs = Counter((r.item_id, r.reviewer_id) for r in submitted)
        assert max(pairs.values(), default=0) <= 1, "a person's answer counts twice"
        held = [s for s in self.slots if s.state == "leased" and s.lease_until is not None]
        kinds = Counter((s.owner_id, s.purpose) for s in held)
        assert max(kinds.values(), default=0) <= 1, "a person holds two items"
        owned = Counter((s.item_id, s.owner_id) for s in self.slots if s.owner_id is not None)
        assert max(owned.values(), default=0) <= 1, "a person has two slots of an item"

    def _never_too_many(self) -> None:
        further = 0 if self.rules["extra_below"] is None else 1
        for item_id, item in self.items.items():
            counted = [
                r
                for r in self.reviews
                if r.item_id == item_id
                and (r.state, r.purpose, r.extra) == ("submitted", "review", False)
                and r.superseded_at is None
            ]
            slots = [s for s in self.slots if s.item_id == item_id and s.purpose == "review"]
            assert len(slots) <= item.required_reviews + further
            assert len(counted) <= len(slots)
        share = self.rules["max_share"]
        if isinstance(share, float):
            most = most_of_one_person(share, self.n_slots)
            assert all(m.n_submitted <= most for m in self.members), "more than a person's share"

    def _progress_is_true(self) -> None:
        required = [s for s in self.slots if s.purpose == "review"]
        states = Counter(
            "done" if s.state == "leased" and s.lease_until is None else s.state for s in required
        )
        shown = (self.progress.done, self.progress.leased, self.progress.open)
        assert shown == (states["done"], states["leased"], states["open"])
        assert self.progress.total == len(required) - states["out"]


def run(template: Path, **chosen: Any) -> None:
    run_state_machine_as_test(
        type("Machine", (DeskMachine,), {"template": template}),
        settings=settings(
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            **chosen,
        ),
    )


def test_any_interleaving_keeps_the_invariants(sqlite_template: Path) -> None:
    run(sqlite_template, max_examples=10, stateful_step_count=40)


@pytest.mark.timeout(1800)
def test_many_interleavings_keep_the_invariants(sqlite_template: Path) -> None:
    run(sqlite_template, max_examples=100, stateful_step_count=60)


def test_the_queue_always_comes_to_an_end(sqlite_template: Path, tmp_path: Path) -> None:
    """With people who lapse now and then, everything is done in the end."""
    shutil.copy(sqlite_template, tmp_path / "desk.db")
    engine = open_database(f"sqlite:///{tmp_path / 'desk.db'}")
    sessions = session_factory(engine)
    now = NOW
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": 12}, n_experts=PEOPLE)
        queue_id = desk.open(session, overlap=2, overlap_share=0.5).id
        session.execute(update(ReviewQueue).values(rules={"extra_below": 0.9}))
    for turn in range(200):
        user = desk.experts[turn % PEOPLE].id
        with sessions.begin() as session:
            held = review.claim_review_item(session, queue_id, user, now=now)
            if held is None or turn % 5 == 0:
                now += timedelta(seconds=LEASE // 2 + 1)
                continue
            review.submit_review(
                session,
                slot_id=held.slot_id,
                version=held.version,
                user_id=user,
                answer=Answer(GOOD),
                now=now,
            )
    with sessions() as session:
        progress = review.queue_progress(session, queue_id)
        finished = session.scalar(select(ReviewQueue.finished_at))
    engine.dispose()
    assert progress.done == progress.total == 18
    assert finished is not None


pytestmark = pytest.mark.timeout(300)
