"""What was spent, as shown; see `backend.services.costs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backend.schemas.common import ResponseBody
from backend.schemas.review.reports import Measured

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class CostTotal:
    """What `n` of `n_all` parts took together; it is counted in full, so that it has no interval.

    Attributes:
        value: None where no part is recorded; `error` then says why.
        unit: tokens, seconds, minutes, or a currency; empty for money whose currency is not named.
        at_least: something is not in it, so that the whole is more; `note` says what.
    """

    value: float | None = None
    unit: str = ""
    n: int = 0
    n_all: int = 0
    at_least: bool = False
    note: str = ""
    error: str | None = None

    @property
    def words(self) -> str:
        """For example `at least 12,000 tokens (n=8 of 9)`; `unknown` where nothing is recorded."""
        if self.value is None:
            return "unknown"
        few = "at least " if self.at_least else ""
        of = f" of {self.n_all}" if self.n_all != self.n else ""
        unit = self.unit and f" {_SHORT.get(self.unit, self.unit)}"
        return f"{few}{_number(self.value, self.unit)}{unit} (n={self.n}{of})"


_SHORT = {"seconds": "s"}


def _number(value: float, unit: str) -> str:
    """Whole tokens, two digits after the point else, and what is below 1 with three that count."""
    if unit == "tokens":
        return f"{value:,.0f}"
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{value:.3g}"


class Prices(ResponseBody):
    """What a lead has stated; None where nothing is stated, and then there is no money figure.

    Attributes:
        bar: the version of the bar from which the prices of tokens come.
        prompt, completion: a million tokens read, and written, in `currency`.
        training_hour: an hour of the training machine, for trainings to come; those that have
            ended keep the price of their time.
    """

    bar: str | None
    prompt: float | None
    completion: float | None
    currency: str | None
    training_hour: float | None

    @property
    def sentences(self) -> tuple[str, str]:
        """What is stated, and where it would be where nothing is."""
        tokens = (
            "No price of tokens is stated: price in the bar, strop manifest set."
            if self.prompt is None or self.completion is None
            else f"A million tokens cost {self.prompt:g} {self.currency} read and "
            f"{self.completion:g} {self.currency} written, by the bar {self.bar}."
        )
        hour = (
            "No price of an hour of training is stated: STROP_PRICE_PER_HOUR."
            if self.training_hour is None
            else f"An hour of the training machine costs {self.training_hour:g} from now on, in "
            "the currency of STROP_PRICE_PER_HOUR, which is not named."
        )
        return tokens, hour


class RunCost(ResponseBody):
    """What a run took. `failed` of its `answers` are errors.

    Attributes:
        generating, scoring: seconds by the clock of its jobs; several workers may have shared one.
        processor, gpu: seconds of the workers that generated and scored it; of servers none.
        money: tokens at the price of the bar.
    """

    run_id: int
    dataset: str
    split: str
    engine: str
    models: tuple[str, ...]
    answers: int
    failed: int
    prompt_tokens: CostTotal
    completion_tokens: CostTotal
    generating: CostTotal
    scoring: CostTotal
    processor: CostTotal
    gpu: CostTotal
    money: CostTotal


class TrainingCost(ResponseBody):
    """What a training took, by its own ledger: work of killed starts and all trials included.

    Attributes:
        clock, processor, gpu: seconds; of the GPUs as many times the clock as there are.
        money: at the `price_per_hour` that was stated then, in the currency of that.
    """

    training_run_id: int
    adapter: str
    starts: int | None
    clock: CostTotal
    processor: CostTotal
    gpu: CostTotal
    tokens: CostTotal
    money: CostTotal


class RoundCost(ResponseBody):
    """What a round took so far. A review that taught two rounds is in both.

    Attributes:
        runs: how many runs are in it: the evaluation and the replays.
        clock: seconds of jobs and of the trainer by the clock; a round's own waiting is no work.
        processor, gpu: seconds of the training and of the workers that wrote and scored its runs.
        tokens: read and written by its runs, n is of answers; `trained_tokens` by its training.
        minutes: active ones, of the reviews behind its rows and of its votes; n is of reviews.
        money: one sum for each currency in which a price was stated.
        unpriced: why something is in none of these sums.
    """

    round_id: int
    number: int
    state: str
    adapter: str
    runs: int
    n_simulated: int
    clock: CostTotal
    processor: CostTotal
    gpu: CostTotal
    tokens: CostTotal
    trained_tokens: CostTotal
    minutes: CostTotal
    money: tuple[CostTotal, ...]
    unpriced: tuple[str, ...]


class ReviewCost(ResponseBody):
    """What the reviews of a queue took, gold items, skips and adjudications included.

    Attributes:
        n_simulated: of the `reviews`, by a script; its seconds are no person's.
        minutes_per_item, money_per_item: of an item that was judged, with interval; see
            `review.reports.progress.review_time`.
    """

    queue_id: int
    name: str
    kind: str
    reviews: int
    n_simulated: int
    minutes: CostTotal
    money: CostTotal
    minutes_per_item: Measured
    money_per_item: Measured


class CostReport(ResponseBody):
    """What things took, the newest first of each kind; `limit` is the most that is shown of one."""

    prices: Prices
    limit: int
    runs: list[RunCost]
    trainings: list[TrainingCost]
    rounds: list[RoundCost]
    reviews: list[ReviewCost]
    notes: tuple[str, ...]

    @property
    def reasons(self) -> list[str]:
        """Why figures are unknown or lower bounds, each with the things of which it is said."""
        found: dict[str, list[str]] = {}
        for name, thing in self._named():
            for value in thing.__dict__.values():
                for spent in value if isinstance(value, tuple) else (value,):
                    said = isinstance(spent, CostTotal) and (spent.error or spent.note)
                    if said and name not in found.setdefault(said, []):
                        found[said].append(name)
            for said in getattr(thing, "unpriced", ()):
                if name not in found.setdefault(said, []):
                    found[said].append(name)
        return [f"{_listed(names)}: {said}" for said, names in found.items()]

    def _named(self) -> Iterator[tuple[str, ResponseBody]]:
        yield from ((f"run {one.run_id}", one) for one in self.runs)
        yield from ((f"training {one.training_run_id}", one) for one in self.trainings)
        yield from ((f"round {one.number}", one) for one in self.rounds)
        yield from ((f"queue {one.name}", one) for one in self.reviews)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
