"""Figures of a review queue for tests of a lead's pages; names and texts try to be markup."""

from __future__ import annotations

from datetime import date
from typing import Any

from backend.schemas.review_reports import (
    AgreementReportShown,
    DesignShown,
    EffectShown,
    Measured,
    QueueReportShown,
    ReviewerQualityShown,
    WatchShown,
)


def measured(value: float, *, n: int = 20, spread: float = 0.1, unit: str = "") -> Measured:
    """A number with an interval of `spread` on each side."""
    return Measured(value=value, low=value - spread, high=value + spread, n=n, unit=unit)


def unknown(reason: str) -> Measured:
    """No number, with the reason why."""
    return Measured(error=reason)


def queue_report(**changed: Any) -> QueueReportShown:
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
    return QueueReportShown.model_validate(report | changed)


def agreement_report(hostile: str) -> AgreementReportShown:
    """Two questions, one of them without a figure, and two reviewers."""
    pair = {
        "first": "E-7", "second": "E-8", "n": 20, "percent": 0.8, "kappa": 0.62,
        "kappa_low": 0.4, "kappa_high": 0.81, "note": "",
    }  # fmt: skip
    return AgreementReportShown.model_validate(
        {
            "coefficients": [
                {"criterion": "faithful", "coefficient": "krippendorff_alpha",
                 "figure": measured(0.61)},
                {"criterion": hostile, "coefficient": "percent",
                 "figure": unknown("Everybody gave the same answer.")},
            ],
            "raters": [
                {"criterion": "faithful", **pair},
                {"criterion": hostile, **pair, "kappa": None, "kappa_low": None,
                 "kappa_high": None, "note": "no variation"},
            ],
            "worst": [{"item_id": 1, "position": 4, "disagreement": 0.75, "reason": hostile,
                       "n_reviews": 2, "adjudicated": True}],
        }
    )  # fmt: skip


def reviewers(hostile: str) -> list[ReviewerQualityShown]:
    """One who works, simulated, and one who is paused and oddly quick."""
    shared: dict[str, Any] = {"submitted": 12, "skipped": 1}
    return [
        ReviewerQualityShown(
            pseudonym="E-7", simulated=True, minutes=measured(1.5, unit="minutes"),
            agreement=measured(0.8), gold=measured(0.9, n=8), paused=False, pause_reason=None,
            warnings=[], **shared,
        ),
        ReviewerQualityShown(
            pseudonym="E-8", simulated=False, minutes=measured(0.2, unit="minutes", spread=0.05),
            agreement=unknown("No item was shared."), gold=measured(0.4, n=8), paused=True,
            pause_reason=hostile, warnings=[f"Gives the same answer to all. {hostile}"], **shared,
        ),
    ]  # fmt: skip


def effects(hostile: str) -> list[EffectShown]:
    """A side effect, and a length effect that cannot be computed."""
    return [
        EffectShown(
            name="side", subject="votes", figure=measured(0.58, unit="share"), p=0.0004,
            sentence="The left text won 58% of the decided votes.",
        ),
        EffectShown(
            name="length", subject=hostile, figure=unknown("All pairs are of one length."), p=None,
            sentence="Cannot be said.",
        ),
    ]  # fmt: skip


def watch(**changed: Any) -> WatchShown:
    """An A/B that is not decided after six votes."""
    series = [{"votes": n, "value": 0.6, "low": 0.1, "high": 0.95} for n in range(1, 7)]
    found: dict[str, Any] = {
        "model_a_id": 1, "model_b_id": 2, "model_a": "base", "model_b": "v1", "margin": 0.0,
        "figure": measured(0.6, n=6, spread=0.3), "decision": "undecided",
        "sentence": "Six votes do not settle it.", "votes": 6, "planned": 120, "more": 80,
        "more_low": 40, "more_high": None, "more_limit": 2000, "n_simulated": 2,
        "series": series,
    }  # fmt: skip
    return WatchShown.model_validate(found | changed)


def design(hostile: str) -> DesignShown:
    """An anchor and one targeted part."""
    return DesignShown.model_validate(
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


def figures_of_queues(hostile: str) -> dict[str, Any]:
    """All of it, by the name of the client's method."""
    return {
        "queue_report": queue_report(),
        "queue_agreement": agreement_report(hostile),
        "queue_reviewers": reviewers(hostile),
        "queue_effects": effects(hostile),
        "watch_queue": [watch()],
        "design": design(hostile),
    }
