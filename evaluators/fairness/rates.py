"""Rates of a classifier by group: demographic parity, equal opportunity, equalised odds.

From scores that keep the pair of labels (f1 and its kin). For one label c that is of interest:

- `selection:c`: how often c is predicted (demographic parity; Dwork et al. 2012, ITCS)
- `tpr:c`: how often, where c is true (equal opportunity; Hardt, Price and Srebro 2016, NeurIPS)
- `fpr:c`: how often, where it is not; equalised odds ask both of the two (the same paper)

Gaps between groups are equal to those of fairlearn's MetricFrame (tests/evaluators/fairness).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaluators.errors import UndefinedFigure
from evaluators.fairness.measures import Measure, ScoredMeasure
from evaluators.metric import Metric
from evaluators.results import EqualisedOdds, Parity
from evaluators.types import Score

MOST_LABELS = 12
"""With more labels than this those of interest have to be named."""

Pair = tuple[str, str]  # predicted, true


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of the pairs that it speaks about."""

    about: Callable[[Pair, str], bool]
    description: str


RATES: dict[str, Rate] = {
    "selection": Rate(lambda pair, label: True, "demographic parity: how often it is predicted"),
    "tpr": Rate(lambda pair, label: pair[1] == label, "equal opportunity: how often where true"),
    "fpr": Rate(lambda pair, label: pair[1] != label, "how often where it is not true"),
}
ODDS = ("tpr", "fpr")


def label_measures(
    scores: Sequence[Score],
    groups: Sequence[str | None],
    *,
    labels: Sequence[str] = (),
    seed: int = 0,
) -> list[Measure]:
    """Every rate of every label as a measure of its own.

    Args:
        labels: of interest; by default all that occur, if they are at most MOST_LABELS.

    Raises:
        UndefinedFigure: no score keeps a pair of labels, a label does not occur, or none is named
            where there are too many.
    """
    pairs = [_pair(score) for score in scores]
    known = Counter(label for pair in pairs if pair is not None for label in pair)
    if not known:
        raise UndefinedFigure("No score keeps a pair of labels.", hint="Score with the metric f1.")
    if missing := [label for label in labels if label not in known]:
        raise UndefinedFigure(
            f"The label {missing[0]!r} does not occur.",
            hint=f"Some that do: {', '.join(label for label, _ in known.most_common(8))}.",
        )
    if not labels and len(known) > MOST_LABELS:
        raise UndefinedFigure(
            f"There are {len(known)} labels, and rates of each in each group would share one "
            "level until nothing can be told.",
            hint="Name the labels whose prediction matters to a person: --labels a,b.",
        )
    return [
        _measure(name, label, scores, pairs, groups, seed)
        for label in (labels or sorted(known))
        for name in RATES
    ]


def _pair(score: Score) -> Pair | None:
    """Two texts; two counts, which other metrics keep, are no labels."""
    if score.value is None or len(score.stats) != 2:
        return None
    said, meant = score.stats
    return (said, meant) if isinstance(said, str) and isinstance(meant, str) else None


def _measure(
    name: str,
    label: str,
    scores: Sequence[Score],
    pairs: Sequence[Pair | None],
    groups: Sequence[str | None],
    seed: int,
) -> Measure:
    rate = RATES[name]
    found = []
    for score, pair in zip(scores, pairs, strict=True):
        if pair is None:
            found.append(Score(None, error=score.error or "no pair of labels"))
        elif rate.about(pair, label):
            found.append(Score(float(pair[0] == label)))
        else:
            found.append(Score(None, not_applicable=True))
    metric = Metric(f"{name}:{label}", 1, _never, description=rate.description)
    return ScoredMeasure(metric, found, groups, seed)


def _never(samples: Sequence[object]) -> list[Score]:
    raise UndefinedFigure("A rate of labels is made of scores that are there already.")


def equalised_odds(parities: Sequence[Parity]) -> list[EqualisedOdds]:
    """Of each label and key whose two rates were compared in one family."""
    by: dict[tuple[str, str], list[Parity]] = {}
    for one in parities:
        name, _, label = one.metric.partition(":")
        if name in ODDS:
            by.setdefault((label, one.key), []).append(one)
    return [
        EqualisedOdds(
            label,
            key,
            _largest([one.largest for one in both]),
            _largest([one.low for one in both]),
            _largest([one.high for one in both]),
            max(one.n for one in both),
        )
        for (label, key), both in by.items()
        if len(both) == len(ODDS)
    ]


def _largest(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None
