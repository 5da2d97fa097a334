"""The risk on the desk: after the answer, and before it where it sways and measures nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.services import review
from backend.services.review.desk.history import my_reviews
from backend.services.review.desk.item_view import risk_after_answer
from backend.services.review.desk.risk import ACTIVE, BESIDE_OTHERS
from backend.services.review.opening.design import DesignKind, SamplingDesign, Target
from backend.services.review.opening.routing import Routing
from backend.services.review.reports.contents import ReviewFilter, each_item, queue_facts
from backend.services.review.rules import QueueRules
from backend.tables.review import ReviewQueue
from backend.tables.runs import Generation, Score, ScoreRun
from evaluators.registry import METRICS
from tests.fixtures_review import GOOD, NOW, Desk, build_desk, signature_id, submit
from tests.fixtures_triage import CERTIFIED

REASON = "raised by invented is 1 (usually 0.2)"


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: nothing here depends on the backend."""
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session, splits={"train": 4})


def risky(session: Session, desk: Desk) -> ScoreRun:
    """A score run with a risk, and words of one's own, of every output."""
    names: list[Any] = [{"metric": name, "slice": {}} for name in ("risk:1", "own_words")]
    run = ScoreRun(generation_run_id=desk.run.id, metrics=names)
    session.add(run)
    session.flush()
    for output in session.scalars(select(Generation)):
        for metric, reason in (("risk:1", "told by the risk"), ("own_words", "told by others")):
            flag = {"start": 0, "end": 4, "reason": reason, "kind": "k"}
            session.add(
                Score(
                    score_run_id=run.id,
                    generation_id=output.id,
                    metric=metric,
                    value=0.8125 if metric == "risk:1" else output.id / 1000,
                    explanation=REASON,
                    spans=[flag],
                    signature_id=signature_id(session, "s"),
                )
            )
    session.flush()
    return run


GOLD = QueueRules(gold_onboarding=1)
QUEUES: dict[str, tuple[bool, dict[str, Any]]] = {
    "one model": (True, {}),
    "a random sample of one model": (False, {"design": SamplingDesign(), "n_items": None}),
    "measured by gold": (False, {"rules": GOLD}),
    "measured by gold now and then": (False, {"rules": QueueRules(gold_every=3)}),
    "two models": (False, {"both": True}),
    "an audit of what skips": (False, {"skip": True}),
}


def skip_all(score_run_id: int) -> Routing:
    """A certificate by which everything skips, and all of it is audited."""
    return Routing("risk:1", score_run_id, 0.9, True, 0.1, 0.1, 1.0, "marked", CERTIFIED)


def open_risky(
    session: Session, desk: Desk, *, both: bool = False, skip: bool = False, **options: Any
) -> ReviewQueue:
    ids = [model.id for model in desk.models[: 2 if both else 1]]
    scored = risky(session, desk).id
    if skip:
        options["routing"] = skip_all(scored)
    aimed = SamplingDesign(
        kind=DesignKind.ACTIVE, targets=(Target("high_risk", n=2, metric="own_words"),)
    )
    return desk.open(
        session, score_run_id=scored, model_ids=ids, **{"design": aimed, "n_items": 4, **options}
    )


def test_what_is_told_of_a_risk_and_of_marks_is_masked(session: Session, desk: Desk) -> None:
    """A check quotes the output, and with it names that a blind queue hides."""
    queue = open_risky(session, desk, rules=QueueRules(mask=("invented", "told")))
    person = desk.experts[0]
    claim = review.claim_review_item(session, queue.id, person.id, now=NOW)
    assert claim is not None
    shown = review.item_view(session, claim.slot_id, person.id)
    submit(session, claim, person, review.Answer(GOOD))
    after = risk_after_answer(session, claim.item_id)
    assert shown.output is not None
    assert [flag.reason for flag in shown.output.flagged] == ["▇▇▇▇ by the risk"]
    for risk in (shown.risk, after):
        assert risk is not None
        assert risk.reason == REASON.replace("invented", "▇" * 8)
        assert [flag.reason for flag in risk.flagged] == ["▇▇▇▇ by the risk"]


@pytest.mark.parametrize("name", QUEUES)
def test_the_risk_is_told_before_the_answer_only_where_it_sways_and_measures_nothing(
    session: Session, desk: Desk, name: str
) -> None:
    told, options = QUEUES[name]
    queue = open_risky(session, desk, **options)
    person = desk.experts[0]
    claim = review.claim_review_item(session, queue.id, person.id, now=NOW)
    assert claim is not None
    before = review.item_view(session, claim.slot_id, person.id)
    said = json.dumps(before.model_dump(), default=str)
    for word in ("told by the risk", "raised by", "0.8125"):
        assert (word in said) == told, word
    assert "told by others" not in said  # no finding by itself
    submit(session, claim, person, review.Answer(GOOD))
    after = risk_after_answer(session, claim.item_id)
    assert after is not None
    assert (after.value, after.reason, after.metric) == (0.8125, REASON, "risk:1")
    assert [flag.reason for flag in after.flagged] == ["told by the risk"]
    (past,) = my_reviews(session, queue.id, person.id)
    assert past.item.risk == after


def test_a_blind_pair_is_told_none_before_or_after(session: Session, desk: Desk) -> None:
    queue = open_risky(session, desk, both=True, kind="pair", design=SamplingDesign(), n_items=None)
    person = desk.experts[0]
    claim = review.claim_review_item(session, queue.id, person.id, now=NOW)
    assert claim is not None
    view = review.item_view(session, claim.slot_id, person.id)
    assert "told by" not in json.dumps(view.model_dump(), default=str)
    submit(session, claim, person, review.Answer(winner="tie"))
    assert risk_after_answer(session, claim.item_id) is None


def test_who_skips_is_told_nothing(session: Session, desk: Desk) -> None:
    queue = open_risky(session, desk, rules=QueueRules(gold_every=3, skip_policy="me"))
    person = desk.experts[0]
    claim = review.claim_review_item(session, queue.id, person.id, now=NOW)
    assert claim is not None
    review.skip_review(
        session,
        slot_id=claim.slot_id,
        version=claim.version,
        user_id=person.id,
        reason="later",
        now=NOW,
    )
    (past,) = my_reviews(session, queue.id, person.id)
    assert past.item.risk is None


@pytest.mark.parametrize("name", QUEUES)
def test_other_tools_are_told_no_more_than_the_desk(
    session: Session, desk: Desk, name: str
) -> None:
    told, options = QUEUES[name]
    queue = open_risky(session, desk, **options)
    facts = queue_facts(session, queue.id)
    assert facts.tells_risk == told
    items = each_item(lambda: nullcontext(session), facts, ReviewFilter(checks=True))
    assert {score.metric for item in items for score in item.checks} == (
        {"risk:1", "own_words"} if told else set()
    )


def test_every_check_that_marks_words_beside_other_answers_is_kept_back() -> None:
    reads = {name for name, metric in METRICS.items() if metric.reads_others}
    assert reads - {"others_overlap"} == set(BESIDE_OTHERS)  # which marks nothing


def test_what_is_told_before_is_told_by_the_kind_of_the_design() -> None:
    assert ACTIVE == DesignKind.ACTIVE
