"""Scenario `failures`: a second round that is fed by 150 outputs which failed review.

The first adapter's summaries are reviewed until 150 have failed. Both second rounds go on from the
first adapter and see the same 150 failures: one learns the corrections alone, the other learns to
prefer each correction to the output that failed (DPO: the failures are negative examples).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from sqlalchemy import select

from backend.cli.demo import steps
from backend.cli.demo.scenarios.claims import ScenarioClaim, ScenarioOutcome, claim_of
from backend.cli.demo.scenarios.steps import describe_arms, review_outputs
from backend.cli.demo.steps import Demo, import_examples
from backend.errors import CannotCompute

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

BAR = """
name: failures
baseline: first
alpha: 0.05
lines:
  - {metric: invented, direction: lower, margin: 0.0}
  - {metric: rougeL, margin: -0.02}
"""
DATASET = "calls"
MADE_WITH = ("--task", "summary", "--old-form", "--n")
FRACTIONS = (0.75, 0.05, 0.2)
LEARNING_RATE = 3e-4
METRICS = ("invented", "grounding", "rougeL")
QUEUE = "reviews of first"
DPO: dict[str, Any] = {"method": "dpo", "epochs": 2, "batch_size": 8}


@dataclass(frozen=True, slots=True)
class FailureSizes:
    """Calls made in all, references of the first set, outputs reviewed at most, failures used."""

    calls: int = 800
    first: int = 60
    reviewed: int = 500
    failures: int = 150


def play(demo: Demo, sizes: FailureSizes = FailureSizes()) -> ScenarioOutcome:
    """The first adapter, the two second rounds, and all of them on the same examples."""
    import_examples(
        demo, name=DATASET, made_with=[*MADE_WITH, str(sizes.calls)], fractions=FRACTIONS
    )
    references = {"dataset": DATASET, "references": {"count": sizes.first}, "seed": steps.SEED}
    steps.freeze(demo, "first", references)
    steps.train(demo, "first", "first", learning_rate=LEARNING_RATE)
    fresh = steps.untrained_examples(demo, dataset=DATASET, limit=sizes.reviewed)
    review_outputs(demo, QUEUE, "first", fresh, dataset=DATASET)
    failed = failed_reviews(demo, QUEUE, limit=sizes.failures)
    typer.echo(f"{len(failed)} failures, each with a correction (simulated reviews).")
    steps.freeze(demo, "corrections", {"reviews": failed})
    steps.train(demo, "corrections", "corrections", start="first", learning_rate=LEARNING_RATE)
    pairs = {"reviews": failed, "corrected": False, "dpo_corrections": True}
    steps.freeze(demo, "negatives", pairs)
    steps.train(demo, "negatives", "negatives", start="first", learning_rate=LEARNING_RATE, **DPO)
    models = ["base", "first", "corrections", "negatives"]
    run_id = steps.generate_and_score(demo, models, "test", METRICS, dataset=DATASET)
    return _outcome(demo, run_id, sizes)


def failed_reviews(demo: Demo, queue_name: str, *, limit: int) -> list[int]:
    """Reviews that failed an output and corrected it, the earliest first.

    Raises:
        CannotCompute: there are fewer than `limit`.
    """
    with demo.installation.sessions() as session:
        found = _failed(session, demo.project_id, queue_name)
    if len(found) < limit:
        raise CannotCompute(
            f"Only {len(found)} outputs failed in {queue_name!r}, and {limit} are needed.",
            hint="Review more outputs, or start from an adapter that was trained less.",
        )
    return found[:limit]


def _failed(session: Session, project_id: int, queue_name: str) -> list[int]:
    from backend.services.review import find_queue, stands
    from backend.tables.review import Correction, Rating, Review, ReviewItem

    queue = find_queue(session, project_id, queue_name)
    query = (
        select(Review.id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(Rating, Rating.review_id == Review.id)
        .join(Correction, Correction.review_id == Review.id)
        .where(ReviewItem.queue_id == queue.id, *stands())
        .where(Rating.criterion == "faithful", Rating.value == "no")
    )
    return list(session.scalars(query.order_by(Review.id)))


def _outcome(demo: Demo, run_id: int, sizes: FailureSizes) -> ScenarioOutcome:
    from backend.db import reading
    from backend.services.models.versions import find_model
    from backend.services.runs import scoring
    from backend.services.runs.figures import paired_figure

    with reading(demo.installation.sessions) as session:
        score_run = scoring.list_score_runs(session, run_id)[-1].id

        def change(old: str, new: str) -> ScenarioClaim:
            ids = [find_model(session, demo.project_id, name).id for name in (old, new)]
            found = paired_figure(session, score_run, ids[0], ids[1], "invented")
            text = f"share of summaries with an invented fact, {new} minus {old}"
            return claim_of(found, text, aim=0.0, at_least=False)

        about = {
            "base": "nothing of this desk",
            "first": f"{sizes.first} references",
            "corrections": f"first, then the corrections of its {sizes.failures} failures (SFT)",
            "negatives": f"first, then the corrections over the {sizes.failures} failures (DPO)",
        }
        arms = describe_arms(session, demo.project_id, about)
        claims = (
            change("first", "negatives"),
            change("first", "corrections"),
            change("corrections", "negatives"),
        )
        return ScenarioOutcome(run_id, arms, claims)
