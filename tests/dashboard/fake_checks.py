"""What the fake client answers about checks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from backend.schemas.checks.judges import JudgedPairs, JudgedRate, JudgeOut, LicenceOut
from backend.schemas.checks.triage import RoutingOut
from backend.schemas.review.reports import Measured

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class FakeChecks:
    """Judges, from `project["judges"]` and `project["judged_pairs"]`."""

    project: dict[str, Any]

    def judges_list(self, project_id: int) -> list[JudgeOut]:
        return list(self.project.get("judges", []))

    def checks_routings(self, project_id: int) -> list[RoutingOut]:
        return list(self.project.get("routings", []))

    def judges_pairs(self, judge_id: int) -> list[JudgedPairs]:
        return list(self.project.get("judged_pairs", []))


def licence(**changed: Any) -> LicenceOut:
    """A licence that stands, with an audit."""
    values: dict[str, Any] = {
        "id": 1,
        "criterion": "faithful",
        "queue": "q",
        "state": "licensed",
        "recorded": True,
        "reason": "at least as close to the others as 67% of the people, by epsilon",
        "evidence": {
            "winning_rate": 2 / 3,
            "advantage": 0.87,
            "epsilon": 0.2,
            "n_items": 60,
            "unusable": 1,
        },
        "attempts": 1,
        "audit": Measured(value=0.85, low=0.7, high=0.95, n=120),
        "bar": 0.75,
        "created_at": NOW,
    }
    return LicenceOut(**{**values, **changed})


def judge(**changed: Any) -> JudgeOut:
    """A rater on a criterion."""
    values: dict[str, Any] = {
        "id": 1,
        "label": "strict@1",
        "metric": "judge:strict@1",
        "kind": "rater",
        "model": "base",
        "criterion": "faithful",
        "answers": ["no", "yes"],
        "prompt": "Is it? {prediction}",
        "digest": "a" * 64,
        "max_tokens": 256,
        "licences": [licence()],
        "created_at": NOW,
    }
    return JudgeOut(**{**values, **changed})


def judged(**changed: Any) -> JudgedPairs:
    """What a comparer said of a run."""
    won = Measured(value=0.7, low=0.6, high=0.8, n=40, note="by a judge")
    values: dict[str, Any] = {
        "judge": "pairs@1",
        "run_id": 3,
        "models": ["base", "v1"],
        "n": 40,
        "failed": 2,
        "identical": 1,
        "missing": 0,
        "rates": [JudgedRate(model="base", against=None, figure=won)],
        "strengths": [],
        "no_strengths": "every vote is a tie",
        "biases": {
            "flipped": Measured(value=0.25, low=0.14, high=0.4, n=40),
            "own_wins_by_people": Measured(error="No person voted on these pairs."),
        },
        "said": ["pairs@1 is base itself: it judges its own outputs."],
    }
    return JudgedPairs(**{**values, **changed})
