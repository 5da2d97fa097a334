"""The checker computes what the evaluators compute, from codes and numbers alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from backend.services.dossier.check_dossier import judged, of_scores, of_votes, same, student
from backend.services.dossier.inputs import _fault, _statistics, summary_of
from evaluators.aggregate import aggregate, paired_difference
from evaluators.metric import Metric
from evaluators.registry import METRICS
from evaluators.statistics.intervals import student_quantile
from evaluators.statistics.sequential import batch_sizes, clustered_sequence
from evaluators.types import Sample, Score

WORDS = ("the", "plan", "costs", "EUR 39.90", "a", "month", "and", "ends", "on", "3 May", "Bremen")
LABELS = ("billing", "outage", "a, b", "moving")
OF_LABELS = (
    "exact_match",
    "f1",
    "f1_micro",
    "f1_weighted",
    "balanced_accuracy",
    "precision",
    "recall",
    "multilabel_f1",
)
OF_TEXTS = ["rougeL", "length", "bleu", "chrf", "ter"]


def _samples(metric: str, n: int, rng: random.Random) -> tuple[list[Sample], list[Sample]]:
    """What a worse and a better model write."""

    def text() -> str:
        if metric in OF_LABELS:
            return rng.choice(LABELS)
        return " ".join(rng.choices(WORDS, k=rng.randint(4, 12)))

    old = [Sample(str(i), text(), (text(),)) for i in range(n)]
    new = [
        Sample(s.id, s.references[0] if rng.random() < 0.4 else text(), s.references) for s in old
    ]
    return old, new


def _recomputed(
    metric: Metric, sides: Sequence[Sequence[Score]], groups: Sequence[str | None], level: float
) -> dict[str, Any]:
    summary = summary_of(metric)
    assert summary is not None
    every = [score for side in sides for score in side]
    numbers = iter(_statistics(metric, summary, every))
    rows = [
        [f"m{model}", f"e{i:04d}", 0, score.value, _fault(score), *next(numbers)]
        for model, side in enumerate(sides)
        for i, score in enumerate(side)
    ]
    places = {f"e{i:04d}": [group, {}] for i, group in enumerate(groups)}
    recipe = {"level": level, "seed": 3, "resamples": 1000, "scale": metric.scale}
    models = [f"m{model}" for model in range(len(sides))]
    entry = {"recipe": recipe, "summary": summary, "models": models, "slice": {}}
    return of_scores(entry, rows, places)


def _hold(found: dict[str, Any], said: dict[str, Any]) -> None:
    wrong = {key: (value, said[key]) for key, value in found.items() if not same(value, said[key])}
    assert not wrong, said["method"]


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("name", [*OF_LABELS, *OF_TEXTS])
def test_figures_and_differences_are_those_of_the_evaluators(name: str, grouped: bool) -> None:
    rng, metric = random.Random(name), METRICS[name]
    for n in (3, 30, 230):
        old, new = (list(metric.score(side)) for side in _samples(name, n, rng))
        old[0] = Score(None, error="broken")
        groups = [f"g{rng.randrange(n // 3)}" if grouped and n > 3 else None for _ in range(n)]
        for level in (0.95, 0.9):
            figure = aggregate(metric, new, groups, seed=3, level=level).as_dict()
            _hold(_recomputed(metric, [new], groups, level), {**figure, "p": None})
            paired = paired_difference(metric, old, new, groups, seed=3, level=level).as_dict()
            _hold(_recomputed(metric, [old, new], groups, level), paired)


@pytest.mark.parametrize("name", ["exact_match", "rougeL", "bleu", "f1", "length"])
def test_what_does_not_vary_is_recomputed_too(name: str) -> None:
    metric = METRICS[name]
    side = metric.score([Sample(str(i), "billing", ("billing",)) for i in range(12)])
    groups = [f"g{i % 5}" for i in range(12)]
    figure = aggregate(metric, side, groups, seed=3).as_dict()
    _hold(_recomputed(metric, [side], groups, 0.95), {**figure, "p": None})
    paired = paired_difference(metric, side, side, groups, seed=3).as_dict()
    _hold(_recomputed(metric, [side, side], groups, 0.95), paired)


def test_every_metric_has_a_summary_that_the_checker_knows() -> None:
    assert [name for name, metric in METRICS.items() if summary_of(metric) is None] == []


def test_bounds_of_votes_are_those_of_the_sequence() -> None:
    for seed in range(40):
        rng = random.Random(seed)
        n, size, rate = rng.randint(1, 120), rng.choice([1, 2, 8, 40]), rng.random()
        clusters = [f"g{rng.randrange(max(1, n // size) + 1)}" for _ in range(n)]
        points: list[float | None] = [float(rng.random() < rate) for _ in range(n)]
        points[1:] = [rng.choice([None, 0.5]) if rng.random() < 0.2 else p for p in points[1:]]
        plan = dict.fromkeys(sorted(set(clusters)), size)
        sequence = clustered_sequence(points, clusters, planned=plan, alpha=0.05)
        votes = list(zip(points, clusters, strict=True))
        entry = {
            "plan": plan,
            "recipe": {"level": 0.95, "batches": batch_sizes(plan)},
            "cast": votes,
            "stand": [vote for vote in votes if vote[0] is not None],
            "turned": False,
        }
        found = of_votes(entry)
        expected = [sequence.mean[-1], sequence.low[-1], sequence.high[-1]]
        assert [found[k] for k in ("value", "low", "high")] == pytest.approx(expected, abs=1e-9)
        turned = of_votes({**entry, "turned": True})
        mirrored = [1 - found["value"], 1 - found["high"], 1 - found["low"]]
        assert [turned[k] for k in ("value", "low", "high")] == pytest.approx(mirrored, abs=1e-12)


@pytest.mark.parametrize("freedom", [1, 2, 3, 10, 199, 5000])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_students_quantile(freedom: int, level: float) -> None:
    assert student(level, freedom) == pytest.approx(student_quantile(level, freedom), rel=1e-9)


@pytest.mark.parametrize(
    ("line", "low", "high", "verdict"),
    [
        ({"threshold": 0.8}, 0.8, 0.9, "PASS"),
        ({"threshold": 0.8}, 0.7, 0.79, "FAIL"),
        ({"threshold": 0.8}, 0.7, 0.9, "INCONCLUSIVE"),
        ({"threshold": 0.2, "direction": "lower"}, 0.1, 0.2, "PASS"),
        ({"margin": 0.1, "direction": "lower"}, -0.3, -0.1, "PASS"),
        ({"margin": 0.1, "direction": "lower"}, -0.3, -0.05, "INCONCLUSIVE"),
        ({"guardrail": 0.05}, -0.05, 0.2, "PASS"),
        ({"guardrail": 0.05}, -0.2, -0.06, "FAIL"),
        ({"threshold": 0.5, "by": "people"}, 0.6, 0.9, "INCONCLUSIVE"),
    ],
)
def test_a_line_is_judged_by_its_interval(
    line: dict[str, Any], low: float, high: float, verdict: str
) -> None:
    said = {"low": low, "high": high, "n_simulated": 1}
    whole = {"direction": "higher", "threshold": None, "margin": None, **line, "evidence": said}
    assert judged(whole) == verdict
    assert judged({**whole, "evidence": None}) == "INCONCLUSIVE"
