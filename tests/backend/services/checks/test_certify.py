"""What may skip review, certified on labels: how much, on which evidence, and when not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import CannotCompute, InvalidInput, UnknownName
from backend.services.checks.triage import is_lower_better, parse_skip_below
from backend.tables.review import Review, ReviewItem, ReviewQueue
from backend.tables.runs import Score, ScoreRun
from tests.fixtures_review import NOW, signature_id
from tests.fixtures_triage import Risky, build_risky, store_labels, teach


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: what is read here is read on both databases in test_triage_routing."""
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def risky(session: Session) -> Risky:
    return build_risky(session, n=120)


class TestCertify:
    def test_a_threshold_rests_on_labels(self, session: Session, risky: Risky) -> None:
        routing = risky.certify(session)
        assert routing.metric == "grounding"
        assert not routing.lower_is_better
        assert 0.2 < routing.threshold < 0.45
        evidence = routing.evidence
        assert evidence["labels"] == 120
        assert evidence["upper"] <= 0.1
        assert evidence["runs"] == [[risky.desk.run.id, 120]]
        assert "like those that were labelled" in evidence["assumes"]
        assert evidence["first"] == NOW.isoformat()

    @pytest.mark.parametrize("value", [0.0, 1.0, -0.1, math.nan, math.inf])
    @pytest.mark.parametrize("name", ["epsilon", "delta"])
    def test_shares_that_are_none_are_refused(
        self, session: Session, risky: Risky, name: str, value: float
    ) -> None:
        with pytest.raises(InvalidInput, match=f"no {name}"):
            risky.certify(session, **{name: value})

    @pytest.mark.parametrize("audit", [0.0, 1.5, math.nan])
    def test_an_audit_looks_at_something(
        self, session: Session, risky: Risky, audit: float
    ) -> None:
        with pytest.raises(InvalidInput, match="audit"):
            risky.certify(session, audit=audit)

    def test_no_labels_no_certificate(self, session: Session) -> None:
        risky = build_risky(session, n=4, review_all=False)
        with pytest.raises(CannotCompute, match="No output was reviewed"):
            risky.certify(session)

    def test_labels_of_those_who_saw_the_risk_first_do_not_count(
        self, session: Session, risky: Risky
    ) -> None:
        queue = session.scalars(select(ReviewQueue)).one()
        one = {**queue.design, "model_ids": [risky.desk.models[0].id]}
        queue.design = {**one, "kind": "random"}
        assert risky.certify(session).evidence["labels"] == 120
        queue.design = {**one, "kind": "active"}
        with pytest.raises(CannotCompute, match="saw the risk before they answered"):
            risky.certify(session)

    def test_few_labels_say_how_many_more(self, session: Session) -> None:
        risky = build_risky(session, n=12)
        with pytest.raises(CannotCompute) as caught:
            risky.certify(session)
        assert "12 labels" in str(caught.value)
        assert "About 10 more" in str(caught.value.hint)

    def test_a_risk_that_tells_nothing_is_refused(self, session: Session) -> None:
        risky = build_risky(session, n=60, wrong_of=lambda risk: int(risk * 1000) % 2 == 0)
        with pytest.raises(CannotCompute) as caught:
            risky.certify(session)
        assert "better risk" in str(caught.value.hint)

    def test_all_risks_alike_go_together(self, session: Session) -> None:
        risky = build_risky(session, n=40, wrong_of=lambda risk: False)
        session.execute(update(Score).values(value=0.5))
        session.expire_all()
        routing = risky.certify(session)
        assert routing.threshold == 0.5
        queue = risky.open(session, "all", routing)
        assert queue.design["routing"]["n_skipped"] == 40

    def test_one_group_is_one_label(self, session: Session, risky: Risky) -> None:
        for example in risky.desk.examples:
            example.group = "one"
        session.flush()
        with pytest.raises(CannotCompute, match="120 labels in 1 groups"):
            risky.certify(session)

    def test_what_was_never_scored_is_said(self, session: Session, risky: Risky) -> None:
        with pytest.raises(InvalidInput, match="not scored by 'invented'") as caught:
            risky.certify(session, metric="invented")
        assert "grounding" in str(caught.value.hint)
        with pytest.raises(InvalidInput, match="a risk model"):
            risky.certify(session, metric=None)

    def test_another_version_of_the_check_is_no_evidence(
        self, session: Session, risky: Risky
    ) -> None:
        old = select(Score.id).where(Score.score_run_id == 1)
        other = signature_id(session, "grounding|strop:1")
        session.execute(update(Score).where(Score.id.in_(old)).values(signature_id=other))
        with pytest.raises(CannotCompute, match="another version"):
            risky.certify(session)

    def test_outputs_that_have_drifted_are_refused(self, session: Session, risky: Risky) -> None:
        newest = select(Score.id).where(Score.score_run_id == 2)
        session.execute(update(Score).where(Score.id.in_(newest)).values(value=Score.value * 0.5))
        with pytest.raises(CannotCompute, match="unlike those that were labelled"):
            risky.certify(session)

    def test_scores_that_are_no_number_do_not_count(self, session: Session, risky: Risky) -> None:
        some = select(Score.id).where(Score.score_run_id == 1).order_by(Score.id).limit(10)
        session.execute(update(Score).where(Score.id.in_(some)).values(value=None, error="x"))
        evidence = risky.certify(session).evidence
        assert evidence["labels"] + evidence["n_unscored"] == 120
        assert evidence["n_unscored"] > 0

    def test_a_criterion_that_the_rubric_does_not_ask_is_refused(
        self, session: Session, risky: Risky
    ) -> None:
        with pytest.raises(UnknownName):
            risky.certify(session, wrong_when="verdict=fail")

    def test_simulated_labels_are_counted_apart(self, session: Session, risky: Risky) -> None:
        session.execute(update(Review).values(simulated=True))
        assert risky.certify(session).evidence["n_simulated"] == 120

    def test_uneven_chances_are_evened_out(self, session: Session, risky: Risky) -> None:
        some = select(ReviewItem.id).where(ReviewItem.position < 60)
        session.execute(
            update(ReviewItem).where(ReviewItem.id.in_(some)).values(inclusion_probability=0.25)
        )
        evidence = risky.certify(session).evidence
        assert 60 < evidence["labels"] < 90  # all with a chance of 1/4, and a quarter of the others
        assert evidence["labels"] + evidence["n_left_out"] == 120

    def test_a_risk_model_is_judged_by_labels_that_came_after_it(
        self, session: Session, risky: Risky
    ) -> None:
        session.execute(update(Score).values(metric="risk:2", value=1 - Score.value))
        for run in session.scalars(select(ScoreRun)):
            run.metrics = [{"metric": "risk:2", "slice": {}}]
            run.created_at = NOW
        session.flush()
        with pytest.raises(CannotCompute, match="may have learned from them"):
            risky.certify(session, metric=None)
        half = select(Review.id).order_by(Review.id).limit(80)
        later = NOW + timedelta(hours=1)
        session.execute(update(Review).where(Review.id.in_(half)).values(submitted_at=later))
        session.expire_all()
        routing = risky.certify(session, metric=None)
        assert (routing.metric, routing.lower_is_better) == ("risk:2", True)
        assert (routing.evidence["labels"], routing.evidence["n_learned"]) == (80, 40)
        assert routing.threshold < 0.75

    def test_a_second_review_does_not_make_a_learned_output_new(
        self, session: Session, risky: Risky
    ) -> None:
        session.execute(update(Score).values(metric="risk:2", value=1 - Score.value))
        for run in session.scalars(select(ScoreRun)):
            run.metrics = [{"metric": "risk:2", "slice": {}}]
            run.created_at = NOW
        again = risky.desk.open(session, "again")
        store_labels(session, again, risky.desk.experts[1], risky.wrong)
        later = NOW + timedelta(hours=1)
        items = select(ReviewItem.id).where(ReviewItem.queue_id == again.id)
        session.execute(update(Review).where(Review.item_id.in_(items)).values(submitted_at=later))
        session.expire_all()
        with pytest.raises(CannotCompute, match="may have learned from them"):
            risky.certify(session, metric=None)

    def test_a_checker_is_not_judged_by_examples_that_taught_it(
        self, session: Session, risky: Risky
    ) -> None:
        session.execute(update(Score).values(metric="check:facts@1"))
        for run in session.scalars(select(ScoreRun)):
            run.metrics = [{"metric": "check:facts@1", "slice": {}}]
        teach(session, risky.desk, risky.desk.examples[:30])
        routing = risky.certify(session, metric="check:facts@1")
        assert (routing.evidence["labels"], routing.evidence["n_learned"]) == (90, 30)
        teach(session, risky.desk, risky.desk.examples, revision=2)
        session.execute(update(Score).values(metric="check:facts@2"))
        for run in session.scalars(select(ScoreRun)):
            run.metrics = [{"metric": "check:facts@2", "slice": {}}]
        session.flush()
        with pytest.raises(CannotCompute, match="examples that taught check:facts@2"):
            risky.certify(session, metric="check:facts@2")


def test_directions_are_known() -> None:
    assert is_lower_better("risk:3")
    assert is_lower_better("invented") != is_lower_better("grounding")
    with pytest.raises(InvalidInput):
        is_lower_better("nonesuch")


@pytest.mark.parametrize("text", ["", ".05", ".05,.1,.2", "a,b", ".05;.1"])
def test_two_shares_are_two_numbers(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_skip_below(text)
    assert parse_skip_below(".05, .1") == (0.05, 0.1)
