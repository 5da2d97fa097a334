"""Scenario `invented-facts`: two rounds of corrected summaries, and what is left of invented facts.

An adapter is trained on few references, as a team starts. Twice the simulated expert then corrects
what the newest adapter writes, and a round of the product freezes the corrections, trains, checks,
compares on the held-out customers and decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.cli import demo_steps as steps
from backend.cli.demo_data import import_examples
from backend.cli.demo_steps import Demo
from backend.cli.scenarios.claims import Claim, Outcome, claim_cut
from backend.cli.scenarios.steps import describe_arms, play_round, review_outputs

BAR = """
name: invented facts
baseline: base
alpha: 0.05
lines:
  - {metric: invented, direction: lower, margin: 0.2}
  - {metric: rougeL, margin: -0.02}
"""
DATASET = "calls"
ROWS = 800
FRACTIONS = (0.75, 0.05, 0.2)
FIRST_REFERENCES = 180
REVIEWS_A_ROUND = 120
METRICS = ("invented", "grounding", "rougeL")
APPROVED = {"criterion": "faithful", "equals": "yes"}
CUT = 0.75


def play(demo: Demo) -> Outcome:
    """First adapter, two rounds, and the figures of all four models on the same examples."""
    made_with = ["--task", "summary", "--n", str(ROWS)]
    import_examples(demo, name=DATASET, made_with=made_with, fractions=FRACTIONS)
    references = {"dataset": DATASET, "references": {"count": FIRST_REFERENCES}, "seed": steps.SEED}
    steps.freeze(demo, "first", references)
    steps.train(demo, "first", "v1")
    fresh = steps.untrained_examples(demo, dataset=DATASET, limit=2 * REVIEWS_A_ROUND)
    run_id = 0
    writers = ["v1", "round1"]
    queues: list[str] = []
    for number, writer in enumerate(writers, start=1):
        queues.append(f"reviews of {writer}")
        part = fresh[(number - 1) * REVIEWS_A_ROUND : number * REVIEWS_A_ROUND]
        review_outputs(demo, queues[-1], writer, part, dataset=DATASET)
        recipe = {**references, "queues": list(queues), "approved": APPROVED}
        run_id = play_round(demo, number, _plan(demo, number, recipe, also=writers[:number]))
    return _outcome(demo, run_id)


def _plan(
    demo: Demo, number: int, recipe: dict[str, Any], *, also: Sequence[str]
) -> dict[str, Any]:
    return {
        "adapter": f"round{number}",
        "recipe": recipe,
        "config": steps.training_config(demo.installation.settings),
        "dataset": DATASET,
        "metrics": list(METRICS),
        "also": list(also),
        "max_tokens": 160,
    }


def _outcome(demo: Demo, run_id: int) -> Outcome:
    from backend.db import reading
    from backend.services import scoring
    from backend.services.model_versions import find_model

    with reading(demo.installation.sessions) as session:
        score_run = scoring.list_score_runs(session, run_id)[-1].id
        last = find_model(session, demo.project_id, "round2")

        def cut_from(name: str) -> Claim:
            return claim_cut(
                session,
                score_run,
                "invented",
                old=find_model(session, demo.project_id, name),
                new=last,
                text=f"share of {name}'s summaries with an invented fact that round2 has not",
                aim=CUT,
            )

        arms = describe_arms(
            session,
            demo.project_id,
            {
                "base": "nothing of this desk",
                "v1": f"{FIRST_REFERENCES} references",
                "round1": "those, and what was approved or corrected of v1",
                "round2": "those, and what was approved or corrected of round1",
            },
        )
        return Outcome(run_id, arms, (cut_from("base"), cut_from("v1")))
