"""A judge is no person: through no door are its ratings and verdicts counted as somebody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy.orm import Session

from backend.schemas.projects import Manifest, ManifestLine
from backend.services import review
from backend.services.checks.judges.judges import add_judge
from backend.services.checks.judges.licences import license_judge
from backend.services.projects import manifest_digest
from backend.services.review.reports.agreement import agreement_report
from backend.services.review.reports.estimates import queue_estimates
from backend.services.review.reports.progress import queue_report
from backend.services.review.reports.reviewers import reviewer_quality
from backend.services.verdicts.verdict import Evidence, Verdict, judge_line
from backend.tables.checks.judges import JudgeVerdict
from backend.tables.review import ReviewItem, ReviewQueue
from tests.backend.services.checks.judges.test_licences import good, judged, reviewed, right
from tests.fixtures_judges import judged_desk
from tests.fixtures_review import NOW, Desk

DOORS: dict[str, Callable[[Session, ReviewQueue], Any]] = {
    "agreement": lambda s, q: agreement_report(s, q.id, worst=10),
    "reviewers": lambda s, q: reviewer_quality(s, q.id),
    "progress": lambda s, q: queue_report(s, q.id, now=NOW),
    "votes": lambda s, q: review.queue_votes(s, q.id),
    "reviews of estimates": lambda s, q: [
        (row.criterion, row.plain.value, row.plain.low, row.plain.n, row.n_reviews)
        for row in queue_estimates(s, q.id)
    ],
}


def judge_everything(session: Session, desk: Desk) -> None:
    judge = add_judge(session, desk.project.id, "strict", model="base", criterion="faithful")
    judged(session, desk, judge, good)
    pairs = add_judge(session, desk.project.id, "pairs", model="base", kind="comparer")
    queue = session.query(ReviewQueue).filter_by(name="pairs").one()
    for item in session.query(ReviewItem).filter_by(queue_id=queue.id):
        session.add(
            JudgeVerdict(
                judge_id=pairs.id,
                generation_a_id=min(item.generation_a_id, item.generation_b_id),
                generation_b_id=max(item.generation_a_id, item.generation_b_id),
                forward="a",
                backward="a",
                winner="a",
                reason="",
            )
        )
    session.flush()
    single = session.query(ReviewQueue).filter_by(name="q").one()
    license_judge(session, judge, single)


@pytest.mark.parametrize("kind", ["q", "pairs"])
@pytest.mark.parametrize("door", DOORS)
def test_what_people_said_is_the_same_before_and_after(
    session: Session, door: str, kind: str
) -> None:
    desk = judged_desk(session, 40)
    queues = {
        "q": reviewed(session, desk, "q", right),
        "pairs": desk.open(session, "pairs", kind="pair"),
    }
    before = DOORS[door](session, queues[kind])
    judge_everything(session, desk)
    assert DOORS[door](session, queues[kind]) == before


def test_an_estimate_says_that_a_judge_narrows_it_and_what_it_may(session: Session) -> None:
    desk = judged_desk(session, 60)
    judge = add_judge(session, desk.project.id, "strict", model="base", criterion="faithful")
    judged(session, desk, judge, good)
    queue = reviewed(session, desk, "q", right, n_items=40)

    def note() -> str:
        rows = [row for row in queue_estimates(session, queue.id) if row.criterion == "faithful"]
        assert rows[0].method == "ppi++"
        assert rows[0].metric == "judge:strict@1"
        return rows[0].figure.note

    assert "narrowed by ratings of a judge, judge:strict@1, not licensed on faithful" in note()
    assert "only people are counted" in note()
    license_judge(session, judge, queue)
    assert "judge:strict@1, licensed on faithful 20" in note()


def line(**given: Any) -> ManifestLine:
    return ManifestLine(**{"threshold": 0.5, **given})


@pytest.mark.parametrize(
    ("metric", "who"), [("judge:strict@1", "a judge"), ("rouge1", "a program")]
)
def test_a_line_by_people_takes_no_metric(metric: str, who: str) -> None:
    with pytest.raises(ValidationError, match=f"it is by {who}, not by people"):
        line(metric=metric, by="people")


def test_a_line_says_whom_it_is_by() -> None:
    assert line(metric="judge:strict@1").title == "judge:strict@1 by a judge at least 0.5"
    assert line(metric="win_rate", by="people").title == "win_rate by people at least 0.5"
    assert line(metric="win_rate").title == "win_rate at least 0.5"
    with pytest.raises(ValidationError):
        line(metric="win_rate", by="judges")


def test_bars_of_before_keep_their_digest() -> None:
    before = Manifest(name="b", lines=(line(metric="win_rate"),))
    assert "by" not in before.model_dump(mode="json")["lines"][0]
    people = Manifest(name="b", lines=(line(metric="win_rate", by="people"),))
    assert people.model_dump(mode="json")["lines"][0]["by"] == "people"
    assert manifest_digest(people) != manifest_digest(before)


def test_the_verdict_says_that_it_is_by_a_judge() -> None:
    evidence = Evidence(0.8, 0.7, 0.9, 40, 0, "s")
    assert judge_line(line(metric="judge:strict@1"), evidence).reason == (
        "by a judge: 0.800 [0.700, 0.900], n=40 clears 0.5"
    )


def test_simulated_votes_leave_a_line_by_people_open() -> None:
    votes = Evidence(0.8, 0.7, 0.9, 40, 0, "s", unit="votes", n_votes=40, n_simulated=3)
    assert judge_line(line(metric="win_rate"), votes).verdict == Verdict.PASS
    found = judge_line(line(metric="win_rate", by="people"), votes)
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "demands votes by people" in found.reason
    real = Evidence(0.8, 0.7, 0.9, 40, 0, "s", unit="votes", n_votes=40)
    assert judge_line(line(metric="win_rate", by="people"), real).verdict == Verdict.PASS
