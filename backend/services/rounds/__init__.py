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

from backend.services.rounds.advance import advance_rounds as advance_rounds
from backend.services.rounds.figures import round_outcome as round_outcome
from backend.services.rounds.plans import AcceptedLeaks as AcceptedLeaks
from backend.services.rounds.plans import RoundPlan as RoundPlan
from backend.services.rounds.plans import hold_back_in as hold_back_in
from backend.services.rounds.plans import parse_plan as parse_plan
from backend.services.rounds.turns import Signature as Signature
from backend.services.rounds.turns import cancel_round as cancel_round
from backend.services.rounds.turns import explain_round as explain_round
from backend.services.rounds.turns import find_round as find_round
from backend.services.rounds.turns import list_rounds as list_rounds
from backend.services.rounds.turns import pause_round as pause_round
from backend.services.rounds.turns import plan_signing as plan_signing
from backend.services.rounds.turns import sign_round as sign_round
from backend.services.rounds.turns import start_round as start_round
from backend.services.rounds.turns import take_up_round as take_up_round
