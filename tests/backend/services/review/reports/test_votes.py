"""Votes in terms of models, with intervals, ties and sides."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import CannotCompute, NotFound
from backend.services import review
from backend.services.review import Answer, PairVote
from backend.services.review.reports.votes import preference_summary, rate_of
from backend.tables.models import ModelVersion
from backend.tables.review import Review, ReviewItem, Winner
from backend.tables.runs import Generation
from tests.fixtures_review import GOOD, NOW, build_desk, review_next, run_over


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: nothing here depends on the backend."""
    with sqlite_sessions() as session:
        yield session


def vote(n: int, winner_id: int | None, cluster: str | None = None) -> PairVote:
    winner = Winner.TIE if winner_id is None else (Winner.A, Winner.B)[winner_id - 1]
    left = None if winner_id is None else True
    return PairVote(n, n, (1, 2), winner, winner_id, left, cluster or str(n), "r", False)


def test_win_rate_is_wilsons_interval_of_decided_votes() -> None:
    votes = [vote(n, 2) for n in range(8)] + [vote(n, 1) for n in range(8, 10)]
    rate = rate_of([*votes, vote(11, None)], 2)
    assert (rate.value, rate.n, rate.failed) == (0.8, 10, 1)
    assert rate.low == pytest.approx(0.490, abs=0.001)
    assert rate.high == pytest.approx(0.943, abs=0.001)
    assert rate_of(votes, 1).value == pytest.approx(0.2)


def test_votes_of_one_cluster_count_less() -> None:
    alone = rate_of([vote(n, 1 + n % 2) for n in range(20)], 2)
    together = rate_of([vote(n, 1 + n % 2, str(n % 2)) for n in range(20)], 2)
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_a_sweep_by_one_cluster_proves_little() -> None:
    rate = rate_of([vote(n, 2, "one customer") for n in range(50)], 2)
    assert rate.value == 1.0
    assert rate.low < 0.25


@pytest.mark.parametrize("votes", [[], [vote(1, None)]])
def test_no_decided_vote_is_an_error(votes: list[PairVote]) -> None:
    with pytest.raises(CannotCompute):
        rate_of(votes, 1)


def test_votes_are_counted_by_model_not_by_side(session: Session) -> None:
    desk = build_desk(session, splits={"train": 6})
    queue = desk.open(session, kind="pair")
    expert = desk.experts[0]
    for n in range(6):
        claim = review.claim_review_item(session, queue.id, expert.id, now=NOW)
        assert claim is not None
        shown = review.item_view(session, claim.slot_id, expert.id)
        assert shown.left is not None
        of_v1 = "left" if shown.left.text.startswith("v1") else "right"
        winner = ["tie", "both_bad", "cannot_judge", of_v1, of_v1, of_v1][n]
        review_next(session, queue, expert, Answer(winner=winner), now=NOW + timedelta(seconds=n))
    [summary] = review.preference_summary(session, queue.id)
    assert (summary.model_a, summary.model_b) == ("base", "base:v1@1")
    assert (summary.wins_a, summary.wins_b) == (0, 3)
    assert (summary.ties, summary.both_bad, summary.cannot_judge) == (1, 1, 1)
    assert summary.left_wins + summary.right_wins == 3
    assert summary.n_votes == 6
    assert summary.win_rate is not None
    assert summary.win_rate.value == 1.0
    v1 = desk.models[1].id
    assert rate_of(review.queue_votes(session, queue.id), v1) == summary.win_rate
    assert review.models_of_queue(session, queue.id) == [model.id for model in desk.models]


def test_left_wins_follow_the_recorded_side(session: Session) -> None:
    desk = build_desk(session, splits={"train": 4})
    queue = desk.open(session, kind="pair")
    for _ in range(4):
        review_next(session, queue, desk.experts[0], Answer(winner="left"))
    [summary] = review.preference_summary(session, queue.id)
    assert (summary.left_wins, summary.right_wins) == (4, 0)
    assert (summary.wins_a, summary.wins_b) == (2, 2)
    sides = session.scalars(select(ReviewItem.a_is_left).order_by(ReviewItem.position)).all()
    assert sorted(sides) == [False, False, True, True]


def test_a_withdrawn_vote_does_not_count(session: Session) -> None:
    desk = build_desk(session, splits={"train": 2})
    queue = desk.open(session, kind="pair")
    for _ in range(2):
        review_next(session, queue, desk.experts[0], Answer(winner="left"))
    session.scalars(select(Review).order_by(Review.id)).first().withdrawn_at = NOW  # type: ignore[union-attr]
    session.flush()
    [summary] = review.preference_summary(session, queue.id)
    assert summary.n_votes == 1


def test_a_queue_without_votes_says_why_there_is_no_rate(session: Session) -> None:
    desk = build_desk(session, splits={"train": 2})
    queue = desk.open(session, kind="pair")
    [summary] = review.preference_summary(session, queue.id)
    assert summary.win_rate is None
    assert "No vote" in (summary.error or "")


def test_a_queue_of_single_outputs_has_no_pairs(session: Session) -> None:
    desk = build_desk(session, splits={"train": 1})
    queue = desk.open(session)
    review_next(session, queue, desk.experts[0], Answer(GOOD))
    with pytest.raises(NotFound, match="pairs"):
        review.preference_summary(session, queue.id)


@pytest.mark.parametrize("kept", [True, False])
def test_each_pair_counts_its_own_identical_texts(session: Session, kept: bool) -> None:
    """Queues of before kept only the sum of all pairs."""
    desk = build_desk(session, splits={"test": 6})
    third = ModelVersion(
        project_id=desk.project.id,
        name="v2",
        revision=1,
        base_model="tiny",
        adapter_path="v2",
        **dict.fromkeys(("base_sha256", "tokenizer_sha256", "template_sha256"), "0"),
    )
    session.add(third)
    session.flush()
    desk.models.append(third)
    run = run_over(session, desk, desk.version, split="test")
    written = list(session.scalars(select(Generation).where(Generation.run_id == run.id)))
    for output in written:
        alike = {"base": range(2), "v1": range(2), "v2": range(1)}[output.model_version.name]
        number = int(output.example.external_id.partition("-")[2])
        if number in alike:
            output.text = "the same"
    session.flush()
    queue = desk.open(session, kind="pair", generation_run_id=run.id)
    assert queue.design["n_identical"] == 4
    if not kept:
        queue.design = {k: v for k, v in queue.design.items() if k != "identical"}
        session.flush()
    found = {
        (p.model_a_id, p.model_b_id): p.n_identical for p in preference_summary(session, queue.id)
    }
    base, v1, v2 = (model.id for model in desk.models)
    assert found == {(base, v1): 2, (base, v2): 1, (v1, v2): 1}
