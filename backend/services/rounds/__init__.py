"""Rounds: one durable turn of the loop, from the corrections to the signed promotion.

    plans     what a round is asked to do (RoundPlan)
    turns     start, pause, take up, cancel, sign; explain
    steps     what each phase does, and how long it waits
    figures   what a round came to, for its timeline
    advance   move a round by one step, in one transaction

What waits for people is a row, not a stack frame: a worker looks at the active rounds every few
seconds, and a step either commits whole, with the id of what it made, or has not happened. Nothing
is kept in a process, so that a killed worker loses nothing and trains nothing twice.
"""

from backend.services.rounds.advance import advance_round, advance_rounds
from backend.services.rounds.figures import round_outcome
from backend.services.rounds.plans import (
    AcceptedLeaks,
    ReviewPlan,
    RoundPlan,
    hold_back_in,
    parse_plan,
)
from backend.services.rounds.turns import (
    Explanation,
    Signature,
    cancel_round,
    explain_round,
    find_round,
    list_rounds,
    pause_round,
    plan_signing,
    sign_round,
    start_round,
    take_up_round,
)

__all__ = [
    "AcceptedLeaks",
    "Explanation",
    "ReviewPlan",
    "RoundPlan",
    "Signature",
    "advance_round",
    "advance_rounds",
    "cancel_round",
    "explain_round",
    "find_round",
    "hold_back_in",
    "list_rounds",
    "parse_plan",
    "pause_round",
    "plan_signing",
    "round_outcome",
    "sign_round",
    "start_round",
    "take_up_round",
]
