"""Gaps between groups: equal to fairlearn's, covered all at once, and never called fair."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.fairness.measures import RatedMeasure, ScoredMeasure
from evaluators.fairness.parity import APART, BEYOND, REST, UNTOLD, WITHIN, compare_groups
from evaluators.fairness.rates import equalised_odds, label_measures
from evaluators.metric import Metric
from evaluators.registry import resolve_metrics
from evaluators.results import Parity
from evaluators.types import Sample, Score
from tests.benchmarks.parity import Setting, simulate

HIT = Metric("hit", 1, lambda samples: [])


def compared(
    values: dict[str, Sequence[float]], *, scale: float | None = 1.0, margin: float | None = None
) -> Parity:
    metric = Metric("m", 1, lambda samples: [], scale=scale)
    scores = [Score(value) for found in values.values() for value in found]
    groups = [name for name, found in values.items() for _ in found]
    measure = ScoredMeasure(metric, scores, [None] * len(scores), seed=1)
    [parity] = compare_groups([measure], {"key": groups}, margin=margin)
    return parity


def rate(hits: int, n: int) -> list[float]:
    return [1.0] * hits + [0.0] * (n - hits)


def test_every_pair_and_each_against_the_others() -> None:
    found = compared({"a": rate(90, 100), "b": rate(70, 100), "c": rate(80, 100)})
    assert [(gap.group, gap.other) for gap in found.gaps] == [
        *(("a", "b"), ("a", "c"), ("b", "c")),
        *(("a", REST), ("b", REST), ("c", REST)),
    ]
    assert found.gaps[0].value == pytest.approx(0.2)
    assert found.gaps[3].value == pytest.approx(0.9 - 0.75)
    assert found.largest == pytest.approx(0.2)
    assert found.between == ("a", "b")
    assert found.gaps[0].said == found.said == APART


def test_two_groups_are_one_gap_at_the_plain_level() -> None:
    found = compared({"a": rate(90, 100), "b": rate(70, 100)})
    assert (found.family, found.each) == (1, 0.95)
    # Newcombe's hybrid score interval of 90/100 and 70/100, a little wider by Student's quantile
    assert found.low == pytest.approx(0.0899, abs=0.003)
    assert found.high == pytest.approx(0.3058, abs=0.003)


def test_a_family_costs_more_than_one_and_at_most_bonferroni() -> None:
    found = compared({name: rate(80, 100) for name in "abcd"})
    assert found.family == 10
    assert 0.95 < found.each < 1 - 0.05 / 10


def test_a_small_group_stays_and_cannot_be_told() -> None:
    found = compared({"many": rate(450, 500), "two": rate(2, 2)})
    assert [group.n for group in found.groups] == [500, 2]
    assert found.said == UNTOLD
    assert found.high is not None
    assert found.high > 0.3  # nobody may say that the two are alike


def test_a_single_example_is_told_nothing_of() -> None:
    found = compared({"many": rate(450, 500), "one": [1.0]}, margin=0.2)
    assert found.said == UNTOLD
    assert found.high is not None
    assert found.high > 0.5


def test_values_without_a_bound_that_are_alike_have_no_interval() -> None:
    found = compared({"a": [3.0] * 30, "b": [1.0, 2.0, 4.0] * 10}, scale=None)
    [gap] = found.gaps
    assert gap.value == pytest.approx(3 - 7 / 3)
    assert (gap.low, gap.high, gap.said, found.high) == (None, None, UNTOLD, None)


@pytest.mark.parametrize(
    ("a", "b", "n", "margin", "said"),
    [
        (0.9, 0.9, 4000, 0.05, WITHIN),
        (0.9, 0.7, 4000, 0.05, BEYOND),
        (0.9, 0.84, 4000, 0.06, APART),  # apart, and it is not clear whether by more than allowed
        (0.9, 0.9, 60, 0.05, UNTOLD),
    ],
)
def test_a_margin_says_what_is_of_no_account(
    a: float, b: float, n: int, margin: float, said: str
) -> None:
    found = compared({"a": rate(round(a * n), n), "b": rate(round(b * n), n)}, margin=margin)
    assert found.said == said


def test_a_group_of_which_nothing_was_scored_leaves_the_largest_gap_open() -> None:
    scores = [*(Score(1.0) for _ in range(50)), *(Score(None, error="no answer") for _ in range(9))]
    measure = ScoredMeasure(HIT, scores, [None] * 59)
    [found] = compare_groups([measure], {"key": ["a"] * 25 + ["b"] * 25 + ["c"] * 9})
    assert found.high is None  # though that of a and b is known
    assert found.groups[2].error is not None
    assert "no answer" in found.groups[2].error
    assert found.said == UNTOLD


def test_units_that_say_no_group_are_counted_and_left_out() -> None:
    measure = ScoredMeasure(HIT, [Score(1.0), Score(0.0)] * 30, [None] * 60)
    [found] = compare_groups([measure], {"key": [None, None, *(["a", "b"] * 29)]})
    assert (found.n, found.unnamed) == (58, 2)


def test_clusters_widen_and_shared_clusters_narrow() -> None:
    rng = np.random.default_rng(3)
    level = np.repeat(rng.random(60), 4)  # four outputs of a patient go together
    scores = [Score(float(value)) for value in level + rng.normal(0, 0.02, 240)]
    metric = Metric("m", 1, lambda samples: [], scale=None)
    patients = [f"p{i // 4}" for i in range(240)]

    def width(clusters: list[str | None], groups: list[str]) -> float:
        [found] = compare_groups([ScoredMeasure(metric, scores, clusters)], {"k": groups})
        gap = found.gaps[0]
        assert gap.low is not None
        assert gap.high is not None
        return gap.high - gap.low

    by_patient = ["ab"[(i // 4) % 2] for i in range(240)]
    within = ["ab"[i % 2] for i in range(240)]
    assert width(patients, by_patient) > 1.5 * width([None] * 240, by_patient)
    assert width(patients, within) < 0.3 * width(patients, by_patient)


def test_ratings_count_by_the_weights_of_the_design() -> None:
    # In group a half of the bad ones were reviewed and a tenth of the good ones.
    ratings: list[float | None] = [0.0] * 40 + [None] * 40 + [1.0] * 8 + [None] * 72
    chances = [0.5] * 80 + [0.1] * 80
    ratings += [1.0, 0.0] * 40
    chances += [1.0] * 80
    groups = ["a"] * 160 + ["b"] * 80
    measure = RatedMeasure("good", ratings, chances, [None] * 240, rate=True, scale=1.0)
    [found] = compare_groups([measure], {"k": groups})
    assert found.groups[0].value == pytest.approx(0.5)  # unweighted it would be 1 in 6
    assert found.groups[0].n == 48
    assert found.said == UNTOLD


def test_what_a_rating_adds_to_the_error_goes_by_its_weight() -> None:
    measure = RatedMeasure("good", [1.0, 0.0, None], [0.25, 0.5, 1.0], [None] * 3, rate=True)
    # weights 4 and 2, so that the mean is 2 in 3
    wanted = [4 / 6 * (1 - 2 / 3), 2 / 6 * (0 - 2 / 3), 0.0]
    assert measure.influence(np.array([True] * 3)).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("values", [["a"] * 4, [None] * 4])
def test_fewer_than_two_groups_are_no_parity(values: list[str | None]) -> None:
    measure = ScoredMeasure(HIT, [Score(1.0)] * 4, [None] * 4)
    with pytest.raises(UndefinedFigure, match="no two groups"):
        compare_groups([measure], {"key": values})


def test_a_key_of_many_values_names_examples() -> None:
    measure = ScoredMeasure(HIT, [Score(1.0)] * 40, [None] * 40)
    with pytest.raises(InvalidValues, match="40 values"):
        compare_groups([measure], {"id": [str(i) for i in range(40)]})


def _labelled(n: int = 400) -> tuple[list[Score], list[str], list[str], list[str]]:
    rng = np.random.default_rng(5)
    true = rng.choice(["yes", "no"], n).tolist()
    sex = rng.choice(["f", "m", "x"], n, p=[0.45, 0.45, 0.1]).tolist()
    wrong = rng.random(n) < np.where(np.array(sex) == "f", 0.3, 0.1)
    flip = {"yes": "no", "no": "yes"}
    predicted = [flip[t] if w else t for t, w in zip(true, wrong, strict=True)]
    samples = [
        Sample(str(i), p, (t,)) for i, (p, t) in enumerate(zip(predicted, true, strict=True))
    ]
    return resolve_metrics(["f1"])[0].score(samples), true, predicted, sex


def test_gaps_of_rates_are_those_of_fairlearn() -> None:
    from fairlearn import metrics as fairlearn

    scores, true, predicted, sex = _labelled()
    measures = label_measures(scores, [None] * len(scores), labels=["yes"])
    found = compare_groups(measures, {"sex": sex}, across_metrics=True)
    y, p = ([int(v == "yes") for v in values] for values in (true, predicted))
    how = {"sensitive_features": sex}
    by = {one.metric: one.largest for one in found}
    assert by["selection:yes"] == pytest.approx(
        fairlearn.demographic_parity_difference(y, p, **how)
    )
    assert by["tpr:yes"] == pytest.approx(fairlearn.equal_opportunity_difference(y, p, **how))
    [odds] = equalised_odds(found)
    assert odds.value == pytest.approx(fairlearn.equalized_odds_difference(y, p, **how))
    frame = fairlearn.MetricFrame(metrics=fairlearn.false_positive_rate, y_true=y, y_pred=p, **how)
    fpr = next(one for one in found if one.metric == "fpr:yes")
    assert {g.group: g.value for g in fpr.groups} == pytest.approx(frame.by_group.to_dict())


def test_figures_of_groups_are_those_of_the_metric_itself() -> None:
    from sklearn.metrics import f1_score

    scores, true, predicted, sex = _labelled()
    [metric] = resolve_metrics(["f1"])
    measure = ScoredMeasure(metric, scores, [None] * len(scores))
    [found] = compare_groups([measure], {"sex": sex})
    for group in found.groups:
        mine = [i for i, s in enumerate(sex) if s == group.group]
        wanted = f1_score([true[i] for i in mine], [predicted[i] for i in mine], average="macro")
        assert group.value == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("labels", "message"), [(["maybe"], "'maybe' does not occur"), ([], "There are 30 labels")]
)
def test_labels_that_cannot_be_compared(labels: list[str], message: str) -> None:
    samples = [Sample(str(i), f"c{i % 30}", (f"c{i % 30}",)) for i in range(60)]
    scores = resolve_metrics(["f1"])[0].score(samples)
    with pytest.raises(UndefinedFigure, match=message):
        label_measures(scores, [None] * 60, labels=labels)


@pytest.mark.parametrize(
    "setting",
    [
        Setting("four groups, one of ten", (150, 60, 30, 10), (0.8,) * 4),
        Setting("clusters of four", (120, 80, 40), (0.9, 0.7, 0.8), cluster=4),
    ],
)
def test_all_gaps_are_covered_at_once(setting: Setting) -> None:
    reps = 120
    found = simulate(setting, reps=reps, seed=11)
    allowed = 0.95 - 2.6 * math.sqrt(0.95 * 0.05 / reps)
    assert found.all_gaps >= allowed
    assert found.largest >= allowed
