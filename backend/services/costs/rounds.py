"""What a round took: its training, its runs with their replays, and the reviews behind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from backend.schemas.costs import CostTotal, RoundCost, RunCost, TrainingCost
from backend.schemas.projects import Price
from backend.services.costs.people import MinutesOfQueue, minutes_by_queue
from backend.services.costs.totals import MINUTES, SECONDS, TOKENS, total
from backend.services.costs.work import run_costs, training_costs
from backend.services.review import stands
from backend.services.rounds.figures import replay_runs
from backend.tables.curation import TrainingSetRow
from backend.tables.review import Review, ReviewItem
from backend.tables.rounds import Round

NO_TRAINING = "It has no training."
NO_RUN = "It has no run."
NOTHING_DONE = f"{NO_TRAINING} {NO_RUN}"
NO_REVIEWS = "No review is behind it."


def round_costs(
    session: Session, rounds: Sequence[Round], *, price: Price | None
) -> list[RoundCost]:
    """What each of these rounds took, in their order."""
    return [_round_cost(session, row, price) for row in rounds]


def _round_cost(session: Session, row: Round, price: Price | None) -> RoundCost:
    named = [] if row.generation_run_id is None else [row.generation_run_id]
    run_ids = list(dict.fromkeys([*named, *replay_runs(session, row)]))
    runs = run_costs(session, run_ids, price=price)
    trained = [] if row.training_run_id is None else [row.training_run_id]
    trainings = training_costs(session, trained)
    work: list[RunCost | TrainingCost] = [*runs, *trainings]
    reviews = _reviews(session, row)
    # a run that was not scored has no clock of scoring
    clocks = [clock for run in runs for clock in (run.generating, run.scoring) if clock.n_all]
    clocks += [one.clock for one in trainings]
    money, unpriced = _by_currency([one.money for one in (*work, *reviews)])
    return RoundCost(
        round_id=row.id,
        number=row.number,
        state=row.state,
        adapter=str(row.plan.get("adapter", "")),
        runs=len(runs),
        n_simulated=sum(part.n_simulated for part in reviews),
        clock=total(clocks, SECONDS, nothing=NOTHING_DONE),
        processor=total([one.processor for one in work], SECONDS, nothing=NOTHING_DONE),
        gpu=total([one.gpu for one in work], SECONDS, nothing=NOTHING_DONE),
        tokens=total([_tokens(run) for run in runs], TOKENS, nothing=NO_RUN, each_is_one=False),
        trained_tokens=total([one.tokens for one in trainings], TOKENS, nothing=NO_TRAINING),
        minutes=total(
            [part.minutes for part in reviews], MINUTES, nothing=NO_REVIEWS, each_is_one=False
        ),
        money=money,
        unpriced=unpriced,
    )


def _tokens(run: RunCost) -> CostTotal:
    """Tokens read and written; `n` is of the answers of which both are known."""
    both = (run.prompt_tokens, run.completion_tokens)
    n = min(spent.n for spent in both)
    return replace(total(both, TOKENS, nothing=NO_RUN), n=n, n_all=run.answers)


def _reviews(session: Session, row: Round) -> list[MinutesOfQueue]:
    """The reviews behind its training rows and the votes that it was judged by, each once."""
    taught = select(TrainingSetRow.review_id).where(
        TrainingSetRow.training_set_id == row.training_set_id, TrainingSetRow.review_id.is_not(None)
    )
    votes = (
        select(Review.id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(ReviewItem.queue_id == row.review_queue_id, *stands())
    )
    return minutes_by_queue(session, Review.id.in_(union(taught, votes)))


def _by_currency(parts: Sequence[CostTotal]) -> tuple[tuple[CostTotal, ...], tuple[str, ...]]:
    """A sum for each currency, and why what has no figure of money has none."""
    known: dict[str, list[CostTotal]] = defaultdict(list)
    for part in parts:
        if part.value is not None:
            known[part.unit].append(part)
    sums = tuple(total(same, unit, nothing="") for unit, same in sorted(known.items()))
    reasons = dict.fromkeys(part.error for part in parts if part.value is None and part.error)
    return sums, tuple(reasons)
