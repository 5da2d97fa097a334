"""Scenario `invented-facts`: two rounds of corrected summaries, and what is left of invented facts.

Twice the simulated expert approves or corrects what the newest model writes, the base first, and a
round of the product freezes the answers, trains, checks, compares on held-out customers and
decides. The desk keeps an old form here, so that only keeping to the source is to be learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.cli.demo import steps
from backend.cli.demo.scenarios.claims import ScenarioClaim, ScenarioOutcome
from backend.cli.demo.scenarios.ratios import claim_cut
from backend.cli.demo.scenarios.steps import describe_arms, play_round, review_outputs
from backend.cli.demo.steps import Demo, import_examples

BAR = """
name: invented facts
baseline: base
alpha: 0.05
lines:
  - {metric: invented, direction: lower, margin: 0.2}
  - {metric: rougeL, margin: -0.02}
"""
DATASET = "calls"
MADE_WITH = ("--task", "summary", "--old-form", "--n")
FRACTIONS = (0.75, 0.05, 0.2)
LEARNING_RATE = 3e-4
METRICS = ("invented", "grounding", "rougeL")
APPROVED = {"criterion": "faithful", "equals": "yes"}
CUT = 0.75


@dataclass(frozen=True, slots=True)
class InventedFactSizes:
    """Calls made in all, and outputs that are reviewed before each round."""

    calls: int = 800
    reviews: int = 60


def play(demo: Demo, sizes: InventedFactSizes = InventedFactSizes()) -> ScenarioOutcome:
    """Two rounds, and the figures of all three models on the same examples."""
    import_examples(
        demo, name=DATASET, made_with=[*MADE_WITH, str(sizes.calls)], fractions=FRACTIONS
    )
    fresh = steps.untrained_examples(demo, dataset=DATASET, limit=2 * sizes.reviews)
    run_id = 0
    writers = ["base", "round1"]
    queues: list[str] = []
    for number, writer in enumerate(writers, start=1):
        queues.append(f"reviews of {writer}")
        part = fresh[(number - 1) * sizes.reviews : number * sizes.reviews]
        review_outputs(demo, queues[-1], writer, part, dataset=DATASET)
        recipe = {"queues": list(queues), "approved": APPROVED}
        run_id = play_round(demo, number, _plan(demo, number, recipe, also=writers[:number]))
    return _outcome(demo, run_id)


def _plan(
    demo: Demo, number: int, recipe: dict[str, Any], *, also: Sequence[str]
) -> dict[str, Any]:
    return {
        "adapter": f"round{number}",
        "recipe": recipe,
        "config": steps.training_config(demo.installation.settings, learning_rate=LEARNING_RATE),
        "dataset": DATASET,
        "metrics": list(METRICS),
        "also": list(also),
        "max_tokens": 160,
    }


def _outcome(demo: Demo, run_id: int) -> ScenarioOutcome:
    from backend.db import reading
    from backend.services.models.versions import find_model
    from backend.services.runs import scoring

    with reading(demo.installation.sessions) as session:
        score_run = scoring.list_score_runs(session, run_id)[-1].id

        def cut_from(name: str, *, aim: float) -> ScenarioClaim:
            models = [find_model(session, demo.project_id, m).id for m in (name, "round2")]
            text = f"share of {name}'s summaries with an invented fact that round2 is rid of"
            return claim_cut(session, score_run, "invented", models, text, aim=aim)

        arms = describe_arms(
            session,
            demo.project_id,
            {
                "base": "nothing of this desk",
                "round1": "what was approved or corrected of base",
                "round2": "the same, and what was approved or corrected of round1",
            },
        )
        return ScenarioOutcome(
            run_id, arms, (cut_from("base", aim=CUT), cut_from("round1", aim=0.0))
        )
