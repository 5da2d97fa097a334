"""Figures of a review queue for tests of a lead's pages; names and texts try to be markup."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from backend.rubrics import find_rubric
from backend.schemas.review.quality import (
    AdjudicationOut,
    AdjudicationProgressOut,
    ContestOut,
    GoldOut,
    GoldStandingOut,
    RubricOut,
    RubricSaved,
    SaidOut,
)
from backend.schemas.review.queues import DesignOut
from backend.schemas.review.reports import (
    AgreementReportOut,
    EffectOut,
    Measured,
    QueueReportOut,
    ReviewerQualityOut,
    WatchOut,
)


def measured(value: float, *, n: int = 20, spread: float = 0.1, unit: str = "") -> Measured:
    """A number with an interval of `spread` on each side."""
    return Measured(value=value, low=value - spread, high=value + spread, n=n, unit=unit)


def unknown(reason: str) -> Measured:
    """No number, with the reason why."""
    return Measured(error=reason)


def queue_report(**changed: Any) -> QueueReportOut:
    """A queue half done over three days, with a forecast."""
    days = [{"day": date(2026, 3, day), "reviews": 4, "minutes": 6.0} for day in (2, 3, 5)]
    report: dict[str, Any] = {
        "queue_id": 1, "total": 24, "done": 12, "leased": 2, "open": 9, "n_reviews": 14,
        "n_simulated": 3, "finished_at": None, "days": days,
        "forecast": {
            "remaining": 12, "active_days": 3, "per_active_day": measured(4.0, unit="reviews"),
            "finish_on": date(2026, 3, 9), "earliest": date(2026, 3, 7),
            "latest": date(2026, 3, 14), "minutes_left": measured(18.0, unit="minutes"),
            "sentence": "Done by 9 March at this pace, between 7 and 14 March.",
        },
        "time": {
            "minutes_per_review": measured(1.5, unit="minutes"),
            "minutes_per_verdict": measured(1.8, unit="minutes"),
            "cost_per_verdict": unknown("No cost per hour is set for this queue."),
            "currency": None, "total_minutes": 18.0, "gold_minutes": 2.0,
            "budget_minutes": 60.0,
            "by_criterion": [{"criterion": "faithful", "seconds": measured(20, unit="seconds")}],
        },
    }  # fmt: skip
    return QueueReportOut.model_validate(report | changed)


def agreement_report(hostile: str) -> AgreementReportOut:
    """Two questions, one of them without a figure, and two reviewers."""
    pair = {
        "first": "E-7", "second": "E-8", "n": 20, "percent": 0.8, "kappa": 0.62,
        "kappa_low": 0.4, "kappa_high": 0.81, "note": "",
    }  # fmt: skip
    return AgreementReportOut.model_validate(
        {
            "coefficients": [
                {"criterion": "faithful", "coefficient": "krippendorff_alpha",
                 "figure": measured(0.61)},
                {"criterion": hostile, "coefficient": "percent",
                 "figure": unknown("Everybody gave the same answer.")},
            ],
            "notes": [{"criterion": hostile, "sentence": "Nearly all answers are alike."}],
            "raters": [
                {"criterion": "faithful", **pair},
                {"criterion": hostile, **pair, "kappa": None, "kappa_low": None,
                 "kappa_high": None, "note": "no variation"},
            ],
            "worst": [{"item_id": 1, "position": 4, "disagreement": 0.75, "reason": hostile,
                       "n_reviews": 2, "adjudicated": True}],
        }
    )  # fmt: skip


def reviewers(hostile: str) -> list[ReviewerQualityOut]:
    """One who works, simulated, and one who is paused and oddly quick."""
    shared: dict[str, Any] = {"submitted": 12, "skipped": 1}
    return [
        ReviewerQualityOut(
            pseudonym="E-7", simulated=True, minutes=measured(1.5, unit="minutes"),
            agreement=measured(0.8), gold=measured(0.9, n=8), paused=False, pause_reason=None,
            warnings=[], **shared,
        ),
        ReviewerQualityOut(
            pseudonym="E-8", simulated=False, minutes=measured(0.2, unit="minutes", spread=0.05),
            agreement=unknown("No item was shared."), gold=measured(0.4, n=8), paused=True,
            pause_reason=hostile, warnings=[f"Gives the same answer to all. {hostile}"], **shared,
        ),
    ]  # fmt: skip


def effects(hostile: str) -> list[EffectOut]:
    """A side effect, and a length effect that cannot be computed."""
    return [
        EffectOut(
            name="side", subject="votes", figure=measured(0.58, unit="share"), p=0.0004,
            sentence="The left text won 58% of the decided votes.",
        ),
        EffectOut(
            name="length", subject=hostile, figure=unknown("All pairs are of one length."), p=None,
            sentence="Cannot be said.",
        ),
    ]  # fmt: skip


def watch(**changed: Any) -> WatchOut:
    """An A/B that is not decided after six votes."""
    series = [{"votes": n, "value": 0.6, "low": 0.1, "high": 0.95} for n in range(1, 7)]
    found: dict[str, Any] = {
        "model_a_id": 1, "model_b_id": 2, "model_a": "base", "model_b": "v1", "margin": 0.0,
        "figure": measured(0.6, n=6, spread=0.3), "decision": "undecided",
        "sentence": "Six votes do not settle it.", "votes": 6, "planned": 120, "more": 80,
        "more_low": 40, "more_high": None, "more_limit": 2000, "n_simulated": 2,
        "series": series,
    }  # fmt: skip
    return WatchOut.model_validate(found | changed)


def design(hostile: str) -> DesignOut:
    """An anchor and one targeted part."""
    return DesignOut.model_validate(
        {
            "kind": "active", "n_candidates": 200, "n_items": 49, "n_slots": 54,
            "strata": [
                {"name": "anchor", "why": "Drawn at random.", "n_frame": 200, "n_asked": 25,
                 "n_drawn": 25},
                {"name": "high_risk", "why": hostile, "n_frame": 50, "n_asked": 25, "n_drawn": 24,
                 "n_without": 3},
            ],
            "minutes": 81.0, "seconds_per_review": 90.0, "seconds_from": "12 earlier reviews",
            "giveaways": {hostile: 2},
        }
    )  # fmt: skip


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def known_answers(hostile: str) -> dict[str, Any]:
    """One known answer, contested by one person, and how both reviewers stand on it."""
    known = {"ratings": {"faithful": "no"}, "tolerance": {"quality": 1}}
    standing = {"error": None, "n_contested": 0, "paused_at": None, "pause_reason": None}
    return {
        "list_gold": [
            GoldOut(
                id=1, item_id=9, generation_ids=[1], models=["base"], example=hostile, answer=known,
                explanation=hostile, created_at=NOW, withdrawn_at=None, withdrawn_reason=None, n=3,
                met=1, contested=1,
            )
        ],
        "gold_standing": [
            GoldStandingOut(pseudonym="E-7", simulated=True, n=8, met=7, value=0.875, low=0.53,
                              high=0.98, **standing),
            GoldStandingOut(pseudonym="E-8", simulated=False, n=0, met=0, value=None, low=None,
                              high=None, **{**standing, "error": "No known answer was judged."}),
        ],
        "gold_contests": [
            ContestOut(
                result_id=5, gold_id=1, item_id=9, reviewer="E-8", simulated=True, reason=hostile,
                contested_at=NOW, said={"faithful": "yes"}, known=known, explanation=hostile,
            )
        ],
    }  # fmt: skip


def adjudications(hostile: str) -> dict[str, Any]:
    """One disagreement that waits, and one that is decided."""
    said = {"simulated": False, "ratings": {"faithful": "no"}, "winner": None, "correction": None,
            "comment": hostile}  # fmt: skip
    shared: dict[str, Any] = {
        "opened_at": NOW, "generation_ids": [1], "models": ["base"], "reason": hostile,
        "disagreement": 0.75,
    }  # fmt: skip
    answers = [
        SaidOut(review_id=1, reviewer="E-7", **said),
        SaidOut(review_id=2, reviewer="E-8", **{**said, "ratings": {"faithful": "yes"}}),
    ]
    verdict = SaidOut(review_id=3, reviewer="E-9", **{**said, "simulated": True})
    return {
        "adjudication_progress": AdjudicationProgressOut(opened=2, decided=1, held=0),
        "list_adjudications": [
            AdjudicationOut(id=2, item_id=2, state="open", decided_at=None, example=hostile,
                              answers=answers, verdict=None, **shared),
            AdjudicationOut(id=1, item_id=1, state="decided", decided_at=NOW, example="example-1",
                              answers=answers, verdict=verdict, **shared),
        ],
    }  # fmt: skip


def rubrics(source: str) -> dict[str, Any]:
    """A rubric of the project in its third version, and what came of saving another."""
    stored = RubricOut(
        id=1, name="our-own", version=3, digest="ab" * 32, created_at=NOW,
        rubric=find_rubric("telecom_desk"), source=source,
    )  # fmt: skip
    saved = RubricSaved(
        rubric=stored, is_new=True, changes=["asks anew tone"],
        staying=[{"queue_id": 1, "name": "pairs", "version": 2, "n_open": 4}],
        sentence="our-own is version 3 now. pairs stays on version 2, with 4 reviews to come.",
    )  # fmt: skip
    return {"list_rubrics": [stored], "rubric_versions": [stored], "save_rubric": saved}


def figures_of_queues(hostile: str) -> dict[str, Any]:
    """All of it, by the name of the client's method."""
    return {
        "queue_report": queue_report(),
        "queue_agreement": agreement_report(hostile),
        "queue_reviewers": reviewers(hostile),
        "queue_effects": effects(hostile),
        "watch_queue": [watch()],
        "design": design(hostile),
        **known_answers(hostile),
        **adjudications(hostile),
        **rubrics("name: our-own"),
    }
