"""What was spent, as shown; see `backend.services.costs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backend.schemas.common import ResponseBody
from backend.schemas.review.reports import Measured

MOST_NAMED = 5


class SpentOut(ResponseBody):
    """What `n` of `n_all` parts took together.

    Attributes:
        value: None where nothing is recorded; `error` then says why.
        unit: tokens, seconds, minutes, or a currency; empty for money whose currency is not named.
        at_least: something is not in it; `note` says what.
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


class PricesOut(ResponseBody):
    """What a lead has stated. `prompt` and `completion` are of a million tokens, by the bar."""

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


class RunCostOut(ResponseBody):
    """What a run took: tokens, seconds of its jobs and their workers, and tokens in money."""

    run_id: int
    dataset: str
    split: str
    engine: str
    models: tuple[str, ...]
    answers: int
    failed: int
    prompt_tokens: SpentOut
    completion_tokens: SpentOut
    generating: SpentOut
    scoring: SpentOut
    processor: SpentOut
    gpu: SpentOut
    money: SpentOut


class TrainingCostOut(ResponseBody):
    """What a training took by its ledger: seconds by the clock, of processors, and of GPUs."""

    training_run_id: int
    adapter: str
    starts: int | None
    clock: SpentOut
    processor: SpentOut
    gpu: SpentOut
    tokens: SpentOut
    money: SpentOut


class RoundCostOut(ResponseBody):
    """What a round took so far; `money` is a sum for each currency."""

    round_id: int
    number: int
    state: str
    adapter: str
    runs: int
    n_simulated: int
    clock: SpentOut
    processor: SpentOut
    gpu: SpentOut
    tokens: SpentOut
    trained_tokens: SpentOut
    minutes: SpentOut
    money: tuple[SpentOut, ...]
    unpriced: tuple[str, ...]


class ReviewCostOut(ResponseBody):
    """What the reviews of a queue took, in all and for each item that was judged."""

    queue_id: int
    name: str
    kind: str
    reviews: int
    n_simulated: int
    minutes: SpentOut
    money: SpentOut
    minutes_per_item: Measured
    money_per_item: Measured


class CostsOut(ResponseBody):
    """What the newest things of a project took, at most `limit` of each kind."""

    prices: PricesOut
    limit: int
    runs: list[RunCostOut]
    trainings: list[TrainingCostOut]
    rounds: list[RoundCostOut]
    reviews: list[ReviewCostOut]
    notes: tuple[str, ...]

    @property
    def reasons(self) -> list[str]:
        """Why figures are unknown or lower bounds, each with the things of which it is said."""
        found: dict[str, list[str]] = {}
        for name, thing in self._named():
            for value in thing.__dict__.values():
                for spent in value if isinstance(value, tuple) else (value,):
                    said = isinstance(spent, SpentOut) and (spent.error or spent.note)
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
