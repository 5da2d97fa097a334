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

from backend.services.yields.curves import broken_elsewhere as broken_elsewhere
from backend.services.yields.curves import candidate_of_round as candidate_of_round
from backend.services.yields.curves import candidate_yield as candidate_yield
from backend.services.yields.curves import round_of_candidate as round_of_candidate
from backend.services.yields.curves import yield_curve as yield_curve
from backend.services.yields.forecast import forecast_curve as forecast_curve
from backend.services.yields.outcomes import ReviewOutcome as ReviewOutcome
from backend.services.yields.outcomes import State as State
from backend.services.yields.outcomes import states_of_review as states_of_review
from backend.services.yields.reports import diagnose as diagnose
from backend.services.yields.reports import yield_report as yield_report
from backend.services.yields.reviewed import candidate_set as candidate_set
from backend.services.yields.reviewed import replays_of as replays_of
from backend.services.yields.reviewed import reviewed_prompts as reviewed_prompts
from backend.services.yields.reviewed import start_replays as start_replays
