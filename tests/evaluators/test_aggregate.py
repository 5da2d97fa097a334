"""Figures and paired differences: what is counted, what is refused, what the interval does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from evaluators.aggregate import aggregate, paired_difference
from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.registry import METRICS
from evaluators.statistics.draws import VERSION
from evaluators.types import Sample, Score

MEAN = METRICS["token_f1"]
FAILED = Score(None, error="no reference to compare with")
SILENT = Score(None, not_applicable=True)


def values(*numbers: float) -> list[Score]:
    return [Score(x) for x in numbers]


def test_counts_what_failed_and_what_does_not_apply() -> None:
    figure = aggregate(MEAN, [*values(0, 0.5, 1), FAILED, SILENT], [None] * 5)
    assert (figure.value, figure.n, figure.failed, figure.not_applicable) == (0.5, 3, 1, 1)
    assert figure.low < 0.5 < figure.high


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([], "0 samples"),
        ([FAILED], "no reference to compare with"),
        ([SILENT, SILENT], "does not apply"),
    ],
)
def test_no_value_is_an_error_with_its_reason(scores: list[Score], words: str) -> None:
    with pytest.raises(UndefinedFigure, match=words):
        aggregate(MEAN, scores, [None] * len(scores))


def test_lengths_must_agree() -> None:
    with pytest.raises(InvalidValues, match="2 scores, 1 groups"):
        aggregate(MEAN, values(0, 1), [None])


def test_same_seed_same_interval() -> None:
    scores = values(*np.random.default_rng(1).random(50))
    same = [aggregate(MEAN, scores, [None] * 50, seed=7) for _ in range(2)]
    other = aggregate(MEAN, scores, [None] * 50, seed=8)
    assert same[0] == same[1]
    assert other.low != same[0].low


def test_the_interval_of_a_difference_is_drawn_by_its_seed() -> None:
    old, new = np.random.default_rng(1).random((2, 50))
    one, two = (
        paired_difference(MEAN, values(*old), values(*old * new), [None] * 50, seed=seed)
        for seed in (7, 8)
    )
    assert one.low != two.low


def test_groups_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    numbers = np.clip(np.repeat(rng.random(40), 10) + 0.01 * rng.random(400), 0, 1)
    groups = [str(i // 10) for i in range(400)]
    alone = aggregate(MEAN, values(*numbers), [None] * 400)
    together = aggregate(MEAN, values(*numbers), groups)
    assert together.clusters == 40
    assert together.high - together.low > 2.5 * (alone.high - alone.low)


def test_a_figure_from_stored_scores_is_the_same() -> None:
    samples = [Sample(str(i), f"a b {i % 3}", references=("a b 1",)) for i in range(40)]
    metric = METRICS["bleu"]
    scores = metric.score(samples)
    stored = [Score(s.value, stats=tuple(json.loads(json.dumps(s.stats)))) for s in scores]
    assert aggregate(metric, scores, [None] * 40) == aggregate(metric, stored, [None] * 40)


def test_signature_has_the_recipe_of_the_interval() -> None:
    signature = aggregate(MEAN, values(0, 1, 0.3), [None] * 3, seed=5).signature
    assert "level:0.95" in signature
    assert "seed:5" in signature
    assert f"draws:{VERSION}" in signature
    assert "draws:" not in aggregate(MEAN, values(0, 1, 1), [None] * 3).signature  # Wilson's


def test_paired_difference_is_candidate_minus_baseline() -> None:
    old, new = values(0, 0.5, 1, 0.2), [*values(1, 0.5, 0.9), FAILED]
    difference = paired_difference(MEAN, old, new, [None] * 4)
    assert difference.value == pytest.approx(0.3)
    assert (difference.wins, difference.losses, difference.ties) == (1, 1, 1)
    assert (difference.n, difference.failed) == (3, 1)


def test_lower_is_a_win_where_lower_is_better() -> None:
    difference = paired_difference(METRICS["invented"], values(1, 1), values(0, 1), [None] * 2)
    assert (difference.wins, difference.losses, difference.better) == (1, 0, "lower")
    assert difference.value == -0.5


def test_paired_p_sees_a_difference_and_no_difference() -> None:
    rng = np.random.default_rng(3)
    base = rng.random(100) * 0.5
    same = paired_difference(MEAN, values(*base), values(*rng.permutation(base)), [None] * 100)
    better = paired_difference(MEAN, values(*base), values(*(base + 0.3)), [None] * 100)
    assert same.p > 0.05
    assert better.p < 0.01
    assert better.low > 0


def test_pairing_nothing_is_an_error() -> None:
    with pytest.raises(UndefinedFigure, match="both sides"):
        paired_difference(MEAN, [FAILED], values(1), [None])


@pytest.mark.parametrize("bad", [{"value": 1.0, "error": "x"}, {"value": None}])
def test_a_score_is_one_thing(bad: dict[str, object]) -> None:
    with pytest.raises(InvalidValues):
        Score(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_is_finite(value: float) -> None:
    with pytest.raises(InvalidValues, match="finite"):
        Score(value)


MEANS = sorted(name for name, metric in METRICS.items() if metric.summary.is_mean)


@pytest.mark.parametrize("groups", [[None] * 12, [str(i // 2) for i in range(12)]])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", MEANS)
def test_scores_all_alike_are_never_certain(
    name: str, value: float, groups: list[str | None]
) -> None:
    found = aggregate(METRICS[name], values(*[value] * 12), groups)
    assert found.value == pytest.approx(value)
    _assert_open(found.low, found.high, found.value, found.note)


@pytest.mark.parametrize("groups", [[None] * 12, [str(i // 2) for i in range(12)]])
@pytest.mark.parametrize(("old", "new"), [(0.4, 0.4), (0.0, 0.0), (0.2, 0.5), (1.0, 0.0), (0, 1)])
@pytest.mark.parametrize("name", MEANS)
def test_differences_all_alike_are_never_certain(
    name: str, old: float, new: float, groups: list[str | None]
) -> None:
    found = paired_difference(METRICS[name], values(*[old] * 12), values(*[new] * 12), groups)
    assert found.value == pytest.approx(new - old)
    _assert_open(found.low, found.high, found.value, found.note)


def _assert_open(low: float | None, high: float | None, value: float, note: str) -> None:
    """An interval of some width around the value, or none and the reason."""
    if low is None or high is None:
        assert (low, high) == (None, None)
        assert "alike" in note
    else:
        assert low - 1e-9 <= value <= high + 1e-9
        assert high - low > 0.1


@pytest.mark.parametrize("name", ["bleu", "f1", "chrf"])
def test_corpus_figures_of_equal_outputs_are_never_certain(name: str) -> None:
    metric = METRICS[name]
    samples = [Sample(str(i), "the same words here", ("the same words here",)) for i in range(12)]
    scores = metric.score(samples)
    found = aggregate(metric, scores, [None] * 12)
    difference = paired_difference(metric, scores, scores, [None] * 12)
    assert found.low is not None
    assert found.low < found.value
    assert difference.low is not None
    assert difference.high is not None
    assert difference.low < 0 < difference.high


def test_the_bound_of_equal_differences_is_that_of_a_rate() -> None:
    found = paired_difference(MEAN, values(*[0.4] * 20), values(*[0.5] * 20), [None] * 20)
    other = 1.959964**2 / (20 + 1.959964**2)  # Wilson's bound on how often they may differ
    assert found.low == pytest.approx((1 - other) * 0.1 - other, abs=1e-6)
    assert found.high == pytest.approx((1 - other) * 0.1 + other, abs=1e-6)


@pytest.mark.parametrize("value", [1234567.1, 1e9, 1e-9])
def test_equal_values_of_any_size_are_seen_as_equal(value: float) -> None:
    figure = aggregate(METRICS["latency"], values(*[value] * 30), [str(i // 3) for i in range(30)])
    assert (figure.low, figure.high) == (None, None)
