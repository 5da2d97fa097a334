"""What was spent: by a run, a training, a round, and a reviewed item.

    totals      a sum that says what it is over, and what it lacks
    work        runs and trainings: tokens, the clock of their jobs, processor and GPU seconds
    people      queues: active minutes, for each item and in all
    rounds      a round: what its training, its runs and its reviews took together
    report      all of it, with the prices

Only what was recorded is told: what lacks is unknown, never 0, and waiting for a worker is no work.
Everything is summed in the database; no text is read. A figure of money needs a price that a lead
has stated: `price` of the bar, STROP_PRICE_PER_HOUR, `cost_per_hour` of a queue.
"""

from backend.services.costs.people import review_costs
from backend.services.costs.report import project_costs
from backend.services.costs.rounds import round_costs
from backend.services.costs.work import run_costs, training_costs

__all__ = ["project_costs", "review_costs", "round_costs", "run_costs", "training_costs"]
