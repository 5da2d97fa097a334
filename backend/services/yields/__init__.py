"""Correction yield: what became of the reviewed prompts of a set once an adapter was trained on it.

    reviewed    the reviewed prompts of a set, taught or held back, and what models before the
                candidate had been taught; the candidate answers them once more
    outcomes    when such an answer counts as right; each correction: fixed or still wrong; each
                approved output: kept or newly broken
    reports     shares with intervals: trained on, held back, by error type, by reviewer hour;
                whether more ratings or more training is what is lacking
    curves      the yield of a round, of all rounds, and what was right before elsewhere
    forecast    what more training rows would bring

Replays are runs on the train split, so that nothing of them enters a figure of a held-out split.
"""

from backend.services.yields.curves import (
    broken_elsewhere,
    candidate_of_round,
    candidate_yield,
    round_of_candidate,
    yield_curve,
)
from backend.services.yields.forecast import forecast_curve
from backend.services.yields.outcomes import (
    ReplayOutcome,
    ReviewOutcome,
    State,
    replay_outcomes,
    states_of_review,
)
from backend.services.yields.reports import Bottleneck, diagnose, yield_report
from backend.services.yields.reviewed import (
    Reviewed,
    candidate_set,
    replays_of,
    reviewed_prompts,
    start_replays,
)

__all__ = [
    "Bottleneck",
    "ReplayOutcome",
    "ReviewOutcome",
    "Reviewed",
    "State",
    "broken_elsewhere",
    "candidate_of_round",
    "candidate_set",
    "candidate_yield",
    "diagnose",
    "forecast_curve",
    "replay_outcomes",
    "replays_of",
    "reviewed_prompts",
    "round_of_candidate",
    "start_replays",
    "states_of_review",
    "yield_curve",
    "yield_report",
]
