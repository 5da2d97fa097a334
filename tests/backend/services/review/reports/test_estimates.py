"""Estimates weigh by the stored chance, take help from scores, and say why they are not there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, NotFound
from backend.rubrics import parse_rubric
from backend.schemas.review.reports import EstimateOut
from backend.services import review
from backend.services.review import Answer, QueueRules
from backend.services.review.opening.design import DesignKind, SamplingDesign, Target
from backend.services.review.reports.estimates import queue_estimates
from backend.tables.checks.risk import RiskVersion
from backend.tables.review import Purpose, Review, ReviewItem, ReviewQueue
from backend.tables.runs import Generation, Score, ScoreRun
from evaluators.statistics.prediction_powered import estimate_mean
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, review_next, signature_id

N = 48


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: nothing here depends on the backend."""
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    """48 examples; the first 24 are right, and half of them are of the slice hard=yes."""
    desk = build_desk(session, splits={"train": N})
    for n, example in enumerate(desk.examples):
        example.slices = {"hard": "yes" if n >= 36 else "no"}
    session.flush()
    return desk


def number_of(desk: Desk, generation: Generation) -> int:
    return next(n for n, e in enumerate(desk.examples) if e.id == generation.example_id)


def is_good(n: int) -> bool:
    return n < 24


def review_all(
    session: Session, desk: Desk, queue: ReviewQueue, *, most: int = 999, user: int = 0
) -> None:
    """The truth about each item, by one expert, in the order of the queue."""
    for _ in range(most):
        claim = review.claim_review_item(session, queue.id, desk.experts[user].id, now=NOW)
        if claim is None:
            return
        item = session.get_one(ReviewItem, claim.item_id)
        truth = GOOD if is_good(number_of(desk, item.generation_a)) else BAD
        review.submit_review(
            session,
            slot_id=claim.slot_id,
            version=claim.version,
            user_id=desk.experts[user].id,
            answer=Answer(truth),
            now=NOW,
        )


def score(session: Session, desk: Desk, value: Callable[[int], float | None]) -> ScoreRun:
    run = ScoreRun(generation_run_id=desk.run.id, metrics=[{"metric": "grounding", "slice": {}}])
    session.add(run)
    session.flush()
    for output in session.scalars(select(Generation).order_by(Generation.id)):
        found = value(number_of(desk, output))
        session.add(
            Score(
                score_run_id=run.id,
                generation_id=output.id,
                metric="grounding",
                value=found,
                error=None if found is not None else "no claim",
                signature_id=signature_id(session, "grounding"),
            )
        )
    session.flush()
    return run


def by_name(rows: list[EstimateOut]) -> dict[tuple[str, str | None], EstimateOut]:
    return {(row.criterion, row.option): row for row in rows}


def test_a_whole_queue_is_the_plain_rate(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    review_all(session, desk, queue)
    found = by_name(queue_estimates(session, queue.id))
    faithful = found["faithful", None]
    assert faithful.figure.value == pytest.approx(0.5)
    assert faithful.figure.low is not None
    assert faithful.figure.low < 0.5 < (faithful.figure.high or 0)
    assert (faithful.n_items, faithful.n_drawn, faithful.n_reviewed, faithful.n_reviews) == (N,) * 4
    assert faithful.model == "base"
    assert found["quality", None].figure.value == pytest.approx(3.5)
    assert found["problem", "invented_fact"].figure.value == pytest.approx(0.5)
    assert "queue:" in (faithful.figure.signature or "")
    assert set(found) >= {("problem", "none"), ("quality", None)}


def test_targeted_items_weigh_by_the_inverse_of_their_chance(session: Session, desk: Desk) -> None:
    design = SamplingDesign(kind=DesignKind.ACTIVE, targets=(Target("slice:hard=yes", n=10),))
    queue = desk.open(session, design=design, n_items=22)
    review_all(session, desk, queue)
    items = session.scalars(select(ReviewItem).where(ReviewItem.queue_id == queue.id)).all()
    weights = [1 / item.inclusion_probability for item in items]
    rights = [is_good(number_of(desk, item.generation_a)) for item in items]
    expected = sum(w * r for w, r in zip(weights, rights, strict=True)) / sum(weights)
    plain = sum(rights) / len(rights)
    faithful = by_name(queue_estimates(session, queue.id))["faithful", None]
    assert faithful.figure.value == pytest.approx(expected)
    assert abs(expected - plain) > 0.1
    assert "chances:given" in (faithful.figure.signature or "")


def test_estimates_of_an_active_design_are_right_on_average(session: Session, desk: Desk) -> None:
    """Over queues of many seeds the weighted rate is near the truth, the unweighted one is not."""
    design = SamplingDesign(kind=DesignKind.ACTIVE, targets=(Target("slice:hard=yes", n=10),))
    weighted, unweighted = [], []
    for seed in range(40):
        queue = desk.open(session, f"q{seed}", design=design, n_items=22, seed=seed)
        items = session.scalars(select(ReviewItem).where(ReviewItem.queue_id == queue.id)).all()
        rights = [is_good(number_of(desk, item.generation_a)) for item in items]
        chances = [item.inclusion_probability for item in items]
        found = estimate_mean([float(r) for r in rights], [0.0] * len(items), probabilities=chances)
        weighted.append(found.value)
        unweighted.append(sum(rights) / len(rights))
    assert sum(weighted) / 40 == pytest.approx(0.5, abs=0.06)
    assert sum(unweighted) / 40 < 0.4


def test_scores_of_all_outputs_narrow_the_estimate(session: Session, desk: Desk) -> None:
    noise = random.Random(1)
    run = score(session, desk, lambda n: is_good(n) + noise.gauss(0, 0.2))
    queue = desk.open(session, score_run_id=run.id)
    review_all(session, desk, queue, most=24)
    faithful = by_name(queue_estimates(session, queue.id))["faithful", None]
    assert (faithful.method, faithful.metric) == ("ppi++", "grounding")
    assert (faithful.n_items, faithful.n_reviewed) == (N, 24)
    assert (faithful.correlation or 0) > 0.8
    assert width(faithful.figure) < 0.8 * width(faithful.plain)
    assert faithful.figure.value == pytest.approx(0.5, abs=0.08)


def width(figure: object) -> float:
    return figure.high - figure.low  # type: ignore[attr-defined, no-any-return]


def test_scores_that_tell_nothing_leave_the_plain_estimate(session: Session, desk: Desk) -> None:
    noise = random.Random(5)
    run = score(session, desk, lambda n: noise.random())
    queue = desk.open(session, score_run_id=run.id)
    review_all(session, desk, queue, most=24)
    faithful = by_name(queue_estimates(session, queue.id))["faithful", None]
    assert (faithful.method, faithful.metric) == ("plain", "grounding")
    assert faithful.figure == faithful.plain


def test_few_missing_scores_are_stood_in_for_and_many_are_not_used(
    session: Session, desk: Desk
) -> None:
    run = score(session, desk, lambda n: None if n % 16 == 3 else float(is_good(n)))
    queue = desk.open(session, score_run_id=run.id)
    review_all(session, desk, queue, most=20)
    found = by_name(queue_estimates(session, queue.id))["faithful", None]
    assert (found.metric, found.n_items) == ("grounding", N)
    gaps = score(session, desk, lambda n: None if n % 3 == 0 else float(is_good(n)))
    queue.score_run_id = gaps.id
    session.flush()
    assert by_name(queue_estimates(session, queue.id))["faithful", None].metric is None


def test_two_reviews_of_an_item_are_one_value(session: Session, desk: Desk) -> None:
    queue = desk.open(session, n_items=4, overlap=2, overlap_share=1.0)
    for _ in range(4):
        review_next(session, queue, desk.experts[0], Answer(GOOD))
        review_next(session, queue, desk.experts[1], Answer(BAD))
    found = by_name(queue_estimates(session, queue.id))["faithful", None]
    assert found.figure.value == pytest.approx(0.5)
    assert (found.figure.n, found.n_reviews) == (4, 8)


@pytest.mark.parametrize(
    "spoil",
    [
        {"purpose": Purpose.ADJUDICATION},
        {"purpose": Purpose.GOLD},
        {"extra": True},
        {"withdrawn_at": NOW},
        {"superseded_at": NOW},
    ],
)
def test_what_does_not_count_is_not_estimated_from(
    session: Session, desk: Desk, spoil: dict[str, object]
) -> None:
    queue = desk.open(session, n_items=6)
    for answer in [GOOD] * 5 + [BAD]:
        review_next(session, queue, desk.experts[0], Answer(answer))
    last = session.scalars(select(Review).order_by(Review.id.desc())).first()
    assert last is not None
    for name, value in spoil.items():
        setattr(last, name, value)
    session.flush()
    found = by_name(queue_estimates(session, queue.id))["faithful", None]
    assert (found.figure.n, found.figure.value) == (5, 1.0)


def test_too_few_reviews_are_a_reason_and_not_a_number(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    review_all(session, desk, queue, most=2)
    found = by_name(queue_estimates(session, queue.id))["faithful", None]
    assert found.figure.value is None
    assert "Too few independent items" in (found.figure.error or "")
    assert found.n_reviewed == 2


def test_every_model_has_its_own_estimate(session: Session, desk: Desk) -> None:
    queue = desk.open(session, model_ids=[model.id for model in desk.models])
    for _ in range(30):
        claim = review.claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)
        assert claim is not None
        item = session.get_one(ReviewItem, claim.item_id)
        of_base = item.generation_a.model_version_id == desk.models[0].id
        review.submit_review(
            session,
            slot_id=claim.slot_id,
            version=claim.version,
            user_id=desk.experts[0].id,
            answer=Answer(GOOD if of_base else BAD),
            now=NOW,
        )
    rows = [row for row in queue_estimates(session, queue.id) if row.criterion == "faithful"]
    assert {row.model: row.figure.value for row in rows} == {"base": 1.0, "base:v1@1": 0.0}
    assert sum(row.n_reviewed for row in rows) == 30


ALL_SCALES = """
name: all_scales
guidelines: Read.
criteria:
  - {name: verdict, question: "How?", scale: verdict}
  - name: problems
    question: Which?
    scale: multi
    required: false
    options: [{name: tone, label: Tone}, {name: fact, label: Fact}]
  - {name: minutes, question: "How long?", scale: number, min: 0, max: 10}
  - {name: note, question: "Why?", scale: text, required: false}
"""


def test_every_scale_is_read_in_its_own_way(session: Session, desk: Desk) -> None:
    version = review.save_rubric(session, desk.project.id, parse_rubric(ALL_SCALES))
    queue = desk.open(session, n_items=4, rubric_version_id=version.id)
    answers = [
        {"verdict": "pass", "problems": None, "minutes": 1},
        {"verdict": "pass", "problems": '["tone"]', "minutes": 2},
        {"verdict": "fail", "problems": '["tone", "fact"]', "minutes": 3},
        {"verdict": "critical_fail", "problems": '["fact"]', "minutes": 6},
    ]
    for answer in answers:
        review_next(session, queue, desk.experts[0], Answer(answer))
    found = {
        key: row.figure.value for key, row in by_name(queue_estimates(session, queue.id)).items()
    }
    assert found == {
        ("verdict", "pass"): pytest.approx(0.5),
        ("verdict", "fail"): pytest.approx(0.25),
        ("verdict", "critical_fail"): pytest.approx(0.25),
        ("problems", "tone"): pytest.approx(2 / 3),
        ("problems", "fact"): pytest.approx(2 / 3),
        ("minutes", None): pytest.approx(3.0),
    }


def test_pairs_have_estimates_of_their_questions(session: Session, desk: Desk) -> None:
    version = review.save_rubric(session, desk.project.id, parse_rubric(ALL_SCALES))
    queue = desk.open(session, kind="pair", n_items=5, rubric_version_id=version.id)
    for _ in range(5):
        answer = Answer({"verdict": "pass", "minutes": 1}, winner="left")
        review_next(session, queue, desk.experts[0], answer)
    found = by_name(queue_estimates(session, queue.id))["verdict", "pass"]
    assert (found.model, found.n_items, found.figure.n) == ("the pair", N, 5)


def test_an_unknown_metric_is_refused(session: Session, desk: Desk) -> None:
    queue = desk.open(session, rules=QueueRules())
    with pytest.raises(NotFound, match="no scores by 'grounding'"):
        queue_estimates(session, queue.id, metric="grounding")
    queue.score_run_id = score(session, desk, float).id
    session.flush()
    with pytest.raises(NotFound, match="grounding"):
        queue_estimates(session, queue.id, metric="bleu")


def test_a_risk_that_has_learned_from_the_reviews_helps_no_estimate_of_them(
    session: Session, desk: Desk
) -> None:
    queue = desk.open(session, n_items=24)
    review_all(session, desk, queue)
    run = score(session, desk, lambda n: float(is_good(n)))
    run.metrics = [{"metric": "risk:1", "slice": {}}]
    session.execute(update(Score).values(metric="risk:1"))
    fitted = RiskVersion(
        project_id=desk.project.id,
        version=1,
        content={},
        wrong_when="marked",
        splits=["train"],
        score_run_ids=[run.id],
        report={},
        n=24,
        positives=12,
        created_at=NOW - timedelta(days=1),
    )
    session.add(fitted)
    session.flush()
    assert {one.metric for one in queue_estimates(session, queue.id)} == {"risk:1"}
    fitted.created_at = NOW + timedelta(days=1)
    session.flush()
    assert {one.metric for one in queue_estimates(session, queue.id)} == {None}
    with pytest.raises(Conflict, match="has learned from outputs that were reviewed here"):
        queue_estimates(session, queue.id, metric="risk:1")
    fitted.splits = ["validation"]
    session.flush()
    assert queue_estimates(session, queue.id, metric="risk:1")
