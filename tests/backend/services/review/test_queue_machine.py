"""Any interleaving of what people do at the desk keeps its invariants (model-based)."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

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
from sqlalchemy import select

from backend.db import open_database, session_factory
from backend.errors import Conflict, LeaseLost, NotFound
from backend.services import review
from backend.services.review import Answer, Claim
from backend.tables.review import Rating, Review, ReviewItem, ReviewSlot
from tests.fixtures_review import BAD, GOOD, NOW, build_desk

PEOPLE = 3
LEASE = 600
people = st.integers(0, PEOPLE - 1)


class DeskMachine(RuleBasedStateMachine):
    """Two items, each for one to three people; three people; a clock."""

    template: Path

    @initialize(overlap=st.sampled_from([(1, 0.0), (2, 0.5), (3, 1.0)]))
    def open(self, overlap: tuple[int, float]) -> None:
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "desk.db"
        shutil.copy(self.template, path)
        self.engine = open_database(f"sqlite:///{path}")
        self.sessions = session_factory(self.engine)
        with self.sessions.begin() as session:
            desk = build_desk(session, splits={"train": 2}, n_experts=PEOPLE)
            n, share = overlap
            self.queue_id = desk.open(session, overlap=n, overlap_share=share).id
            self.users = [user.id for user in desk.experts]
        self.now: datetime = NOW
        self.claims: dict[int, list[Claim]] = {user: [] for user in self.users}
        self.answers: dict[tuple[int, int], str] = {}
        self.skipped: set[tuple[int, int]] = set()
        self.highest: dict[int, int] = {}
        self.until: dict[int, datetime] = {}

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.dispose()
            self.folder.cleanup()

    @rule(person=people)
    def claim(self, person: int) -> None:
        user = self.users[person]
        with self.sessions.begin() as session:
            got = review.claim_review_item(session, self.queue_id, user, now=self.now)
        if got is None:
            return
        assert (got.slot_id, got.version) not in self.answers
        assert (got.slot_id, got.version) not in self.skipped
        if got.resumed:
            assert self.highest[got.slot_id] == got.version
        else:
            assert got.version == self.highest.get(got.slot_id, 0) + 1
            assert self.until.get(got.slot_id, self.now) <= self.now, "a live lease was taken"
        self.highest[got.slot_id] = got.version
        self.until[got.slot_id] = got.lease_until
        self.claims[user].append(got)

    @rule(seconds=st.sampled_from([60, LEASE // 2, LEASE + 1]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(person=people, which=st.integers(0, 5), good=st.booleans())
    def submit(self, person: int, which: int, good: bool) -> None:
        """The newest claim or an older one: a resend, or what a dead tab sends late."""
        user = self.users[person]
        if not self.claims[user]:
            return
        held = self.claims[user][-1 - which % len(self.claims[user])]
        token = (held.slot_id, held.version)
        kind = "good" if good else "bad"
        before = self.answers.get(token)
        try:
            with self.sessions.begin() as session:
                done = review.submit_review(
                    session,
                    slot_id=held.slot_id,
                    version=held.version,
                    user_id=user,
                    answer=Answer(GOOD if good else BAD),
                    now=self.now,
                )
        except LeaseLost:
            assert before is None
            assert self.highest[held.slot_id] > held.version
        except Conflict:
            assert (before is not None and before != kind) or token in self.skipped
        else:
            assert done.repeated == (before is not None)
            assert before in (None, kind)
            assert self.highest[held.slot_id] == held.version
            self.answers[token] = kind

    @rule(person=people)
    def skip(self, person: int) -> None:
        user = self.users[person]
        if not self.claims[user]:
            return
        held = self.claims[user][-1]
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
        self.skipped.add((held.slot_id, held.version))
        self.until.pop(held.slot_id, None)

    @rule(person=people, other=people)
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
            slots = session.scalars(select(ReviewSlot)).all()
            reviews = session.scalars(select(Review)).all()
            items = {item.id: item for item in session.scalars(select(ReviewItem))}
            rated = {rating.review_id for rating in session.scalars(select(Rating))}
        submitted = [r for r in reviews if r.state == "submitted"]
        assert {(r.slot_id, r.slot_version) for r in submitted} == set(self.answers)
        assert {r.id for r in submitted} == rated
        assert len({r.slot_id for r in submitted}) == len(submitted)
        assert {s.id for s in slots if s.state == "done"} == {r.slot_id for r in submitted}
        finished = [(r.item_id, r.reviewer_id) for r in reviews if r.state != "draft"]
        assert len(set(finished)) == len(finished), "a person met an item twice"
        for item_id, item in items.items():
            n = sum(r.item_id == item_id for r in submitted)
            assert n <= item.required_reviews
        held = [s for s in slots if s.state == "leased"]
        assert len({s.owner_id for s in held}) == len(held), "a person holds two items"
        owned = [(s.item_id, s.owner_id) for s in slots if s.owner_id is not None]
        assert len(set(owned)) == len(owned), "a person has two slots of an item"


def test_any_interleaving_keeps_the_invariants(sqlite_template: Path) -> None:
    run_state_machine_as_test(
        type("Machine", (DeskMachine,), {"template": sqlite_template}),
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_queue_always_comes_to_an_end(sqlite_template: Path, tmp_path: Path) -> None:
    """With people who lapse now and then, everything is done in the end."""
    shutil.copy(sqlite_template, tmp_path / "desk.db")
    engine = open_database(f"sqlite:///{tmp_path / 'desk.db'}")
    sessions = session_factory(engine)
    now = NOW
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": 12}, n_experts=PEOPLE)
        queue_id = desk.open(session, overlap=2, overlap_share=0.5).id
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
    engine.dispose()
    assert progress.done == progress.total == 18


pytestmark = pytest.mark.timeout(300)
