"""Whether a score agrees with people: held against scipy, degenerate data, coverage."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.statistics.correlations import Rated, Threshold, balanced_accuracy, choose_threshold
from evaluators.statistics.intervals import Interval
from evaluators.statistics.meta import (
    MOST_LEFT_OUT,
    MetaFigure,
    _tested,
    _without_each,
    meta_differences,
    meta_figures,
)


def _rated(seed: int = 0, documents: int = 12, systems: int = 6, **scores: Any) -> Rated:
    """Ratings 1 to 5 of some systems on some documents, and a score that follows them loosely."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(0, 1, systems)
    hardness = rng.normal(0, 1, documents)
    true = (quality[None, :] + hardness[:, None] + rng.normal(0, 0.5, (documents, systems))).ravel()
    columns = scores or {
        "good": true + rng.normal(0, 0.6, len(true)),
        "noise": rng.normal(size=len(true)),
    }
    return Rated(
        np.clip(np.rint(3 + true), 1, 5),
        columns,
        tuple(f"d{i // systems}" for i in range(len(true))),
        tuple(f"s{i % systems}" for i in range(len(true))),
    )


def _by_place(figures: list[MetaFigure]) -> dict[tuple[str, str, str], MetaFigure]:
    return {(f.metric, f.coefficient, f.at): f for f in figures}


FEW = 10  # resamples, where no bound is looked at
SCIPY = {
    "pearson": lambda x, y: stats.pearsonr(x, y).statistic,
    "spearman": lambda x, y: stats.spearmanr(x, y).statistic,
    "kendall": lambda x, y: stats.kendalltau(x, y).statistic,
}


@lru_cache
def _values_of(seed: int) -> dict[tuple[str, str, str], MetaFigure]:
    return _by_place(meta_figures(_rated(seed), resamples=FEW))


@pytest.mark.parametrize("coefficient", SCIPY)
@pytest.mark.parametrize("seed", range(4))
def test_values_are_scipys_at_every_level(coefficient: str, seed: int) -> None:
    rated, found = _rated(seed), _values_of(seed)
    x, y, measure = rated.scores["good"], rated.ratings, SCIPY[coefficient]
    sample = found["good", coefficient, "sample"]
    assert sample.value == pytest.approx(measure(x, y), abs=1e-12)
    assert (sample.n, sample.documents, sample.failed) == (72, 12, 0)
    grid_x, grid_y = x.reshape(12, 6), y.reshape(12, 6)
    system = found["good", coefficient, "system"]
    assert system.value == pytest.approx(measure(grid_x.mean(0), grid_y.mean(0)), abs=1e-12)
    assert system.n == 6
    inner = [measure(a, b) for a, b in zip(grid_x, grid_y, strict=True) if np.ptp(b)]
    document = found["good", coefficient, "document"]
    assert document.value == pytest.approx(np.mean(inner), abs=1e-12)
    assert document.n == len(inner)


def test_labels_have_a_roc_as_sklearn_has_it_and_accuracy_at_the_stated_threshold() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 80).astype(float)
    x = np.round(y + rng.normal(0, 1, 80), 1)
    rated = Rated(y, {"x": x}, tuple(f"d{i // 2}" for i in range(80)))
    stated = Threshold(0.5, words="as stated")
    found = _by_place(meta_figures(rated, thresholds={"x": stated}, resamples=200))
    auroc = found["x", "auroc", "sample"]
    assert auroc.value == pytest.approx(roc_auc_score(y, x), abs=1e-12)
    accuracy = found["x", "balanced_accuracy", "sample"]
    assert accuracy.value == pytest.approx(balanced_accuracy_score(y, x >= 0.5), abs=1e-12)
    assert "as stated" in accuracy.note
    assert auroc.low is not None
    assert auroc.high is not None
    assert auroc.low < auroc.value < auroc.high
    assert ("x", "balanced_accuracy", "sample") not in _by_place(meta_figures(rated, resamples=FEW))


def test_ratings_that_are_no_labels_have_no_roc() -> None:
    found = _by_place(meta_figures(_rated(), thresholds={"good": Threshold(0.0)}, resamples=FEW))
    assert not {key[1] for key in found} & {"auroc", "balanced_accuracy"}


GROUPS = tuple(f"d{i}" for i in range(6))
DEGENERATE = [
    ([1, 0, 1, 0, 1, 0], [2.0] * 6, "sample", "all scores are alike"),
    ([1, 1, 1, 1, 1, 1], [1, 2, 3, 4, 5, 6], "sample", "all ratings are alike"),
    ([1, 0, 1, 0, 1, 0], [1, 2, 3, 4, 5, 6], "system", "none is named"),
    ([1, 0, 1, 0, 1, 0], [float("nan")] * 6, "sample", "no rated item has this score"),
    ([1, 0, 1, 0, 1, 0], [1, 2, 3, 4, 5, 6], "document", "no document has two items"),
    ([1, 2, 3, 1, 2, 3], [1, 1 + 1e-17, 1, 1, 1, 1], "sample", "alike"),
]


@pytest.mark.parametrize(("ratings", "scores", "at", "said"), DEGENERATE)
def test_degenerate_columns_say_why(
    ratings: list[float], scores: list[float], at: str, said: str
) -> None:
    rated = Rated(np.array(ratings, float), {"x": np.array(scores, float)}, GROUPS)
    found = _by_place(meta_figures(rated, resamples=FEW))["x", "kendall", at]
    assert (found.value, found.low, found.high) == (None, None, None)
    assert said in found.error


def test_one_label_only_has_no_roc() -> None:
    rated = Rated(np.ones(6), {"x": np.arange(6.0)}, GROUPS)
    found = _by_place(meta_figures(rated, thresholds={"x": Threshold(1.0)}, resamples=FEW))
    assert "both are needed" in found["x", "auroc", "sample"].error
    assert "both are needed" in found["x", "balanced_accuracy", "sample"].error


def test_two_systems_agree_on_nothing_and_few_are_said_to_be_few() -> None:
    two = _by_place(meta_figures(_rated(systems=2), resamples=FEW))["good", "kendall", "system"]
    assert two.value is None
    assert "there are 2" in two.error
    few = _by_place(meta_figures(_rated(systems=4), resamples=FEW))["good", "kendall", "system"]
    assert few.n == 4
    assert few.rough
    assert "of these 4 systems alone" in few.note


def test_one_document_has_no_interval() -> None:
    rated = _rated(documents=1, systems=8)
    found = _by_place(meta_figures(rated, resamples=FEW))["good", "kendall", "sample"]
    assert found.value is not None
    assert (found.low, found.high) == (None, None)
    assert "one document" in found.note


def test_what_many_resamples_do_not_define_has_no_interval() -> None:
    ratings = np.array([1, 1] + [0] * 10, float)  # the other label is in one document of six
    rated = Rated(ratings, {"x": np.arange(12.0) % 5}, tuple(f"d{i // 2}" for i in range(12)))
    found = _by_place(meta_figures(rated, resamples=100))["x", "auroc", "sample"]
    assert found.value is not None
    assert (found.low, found.high) == (None, None)
    assert found.note == "not defined in 40% of the resamples"


def test_what_has_no_score_is_counted() -> None:
    rated = _rated()
    rated.scores["good"][:5] = np.nan
    found = _by_place(meta_figures(rated, resamples=FEW))["good", "pearson", "sample"]
    assert (found.n, found.failed) == (67, 5)


def test_documents_are_clusters() -> None:
    """The same rows as one document each are thought to be better known."""
    rng = np.random.default_rng(5)
    document = np.repeat(rng.normal(size=(2, 20)), 8, axis=1)
    x, y = document + rng.normal(0, 0.1, (2, 160))
    grouped = Rated(y, {"x": x}, tuple(f"d{i // 8}" for i in range(160)))
    alone = Rated(y, {"x": x}, (None,) * 160)
    widths = []
    for rated in (grouped, alone):
        f = _by_place(meta_figures(rated, resamples=300))["x", "pearson", "sample"]
        assert f.low is not None
        assert f.high is not None
        widths.append(f.high - f.low)
    assert widths[0] > 1.8 * widths[1]


def test_a_better_score_is_told_from_noise_and_a_score_from_itself_is_not() -> None:
    rated = _rated(3, documents=30)
    copy = rated.scores["good"].copy()
    rated = Rated(rated.ratings, {**rated.scores, "copy": copy}, rated.groups, rated.systems)
    found = {(d.metric, d.other): d for d in meta_differences(rated, resamples=300)}
    noise = found["good", "noise"]
    assert noise.low is not None
    assert noise.p is not None
    assert noise.low > 0.2
    assert noise.p < 0.02
    assert noise.value == pytest.approx(
        SCIPY["kendall"](rated.scores["good"], rated.ratings)
        - SCIPY["kendall"](rated.scores["noise"], rated.ratings)
    )
    same = found["good", "copy"]
    assert same.value == 0
    assert same.low is None
    assert "alike" in same.note


def test_p_and_an_interval_that_lacks_the_value_say_the_same_of_0() -> None:
    around, beyond = (Interval(low, 3.0, "bootstrap-bca", False) for low in (-1.0, 1.0))
    drawn = np.ones(99)
    assert _tested(5.0, around, drawn, 0.95) == (around, 1 - 0.95)
    assert _tested(5.0, beyond, drawn, 0.95) == (beyond, 0.02)


def test_each_score_is_compared_with_one_alone() -> None:
    y = np.linspace(0, 1, 24)
    scores = {"a": y, "b": -y, "c": y**2, "d": np.cos(9 * y)}
    rated = Rated(y, scores, tuple(f"d{i // 2}" for i in range(24)))
    found = meta_differences(rated, against="b", resamples=FEW)
    assert [(d.metric, d.other) for d in found] == [("a", "b"), ("c", "b"), ("d", "b")]
    all_pairs = {(d.metric, d.other): d for d in meta_differences(rated, resamples=FEW)}
    assert found[0] == all_pairs["a", "b"]
    with pytest.raises(UndefinedFigure, match="no score 'e'; there are a, b, c, d"):
        meta_differences(rated, against="e")


def test_a_score_of_which_lower_is_better_is_turned_round() -> None:
    rated = _rated(3, documents=30)
    scores = {"good": rated.scores["good"], "bad": -rated.scores["good"]}
    rated = Rated(rated.ratings, scores, rated.groups)
    [plain] = meta_differences(rated, resamples=FEW)
    [turned] = meta_differences(rated, turned=["bad"], resamples=FEW)
    assert plain.value is not None
    assert plain.value > 0.5
    assert turned.value == 0


def test_a_threshold_is_chosen_where_accuracy_is_highest_and_on_its_side() -> None:
    y = np.array([0, 0, 0, 1, 1, 1.0])
    above = choose_threshold(np.array([1, 2, 3, 7, 8, 9.0]), y)
    assert (above.value, above.below) == (5, False)
    below = choose_threshold(np.array([9, 8, 7, 3, 2, 1.0]), y)
    assert (below.value, below.below) == (5, True)
    assert balanced_accuracy(np.array([9, 8, 7, 3, 2, 1.0]), y, below) == 1


@pytest.mark.parametrize(
    ("x", "y"), [([1, 2, 3], [1, 1, 1]), ([2, 2, 2], [0, 1, 0]), ([1, 2, 3], [1, 2, 3])]
)
def test_no_threshold_without_two_labels_and_two_scores(x: list[float], y: list[float]) -> None:
    with pytest.raises(UndefinedFigure):
        choose_threshold(np.array(x, float), np.array(y, float))


@pytest.mark.parametrize("seed", range(20))
def test_the_chosen_threshold_is_the_best_there_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.array([0, 1, *rng.integers(0, 2, 12)], float)
    x = np.round(rng.normal(size=14) + y * rng.choice([-1, 1]), 1)
    chosen = choose_threshold(x, y)
    tried = [
        balanced_accuracy(x, y, Threshold(float(v), below))
        for v in (*x, x.max() + 1)
        for below in (False, True)
    ]
    assert balanced_accuracy(x, y, chosen) == pytest.approx(max(tried))


def test_broken_columns_are_refused() -> None:
    with pytest.raises(UndefinedFigure):
        meta_figures(Rated(np.array([]), {}, ()))
    with pytest.raises(InvalidValues):
        meta_figures(Rated(np.ones(2), {"x": np.ones(3)}, (None, None)))
    with pytest.raises(InvalidValues):
        meta_figures(Rated(np.array([1.0, np.inf]), {"x": np.ones(2)}, (None, None)))
    with pytest.raises(UndefinedFigure):
        meta_figures(Rated(np.ones(2), {}, (None, None)))


def test_intervals_hold_their_level_in_a_simulation() -> None:
    """Kendall and AUROC on 20 documents of 4 items; the long run is in tests/benchmarks."""
    from tests.benchmarks.meta_coverage import coverage

    found = coverage(documents=20, simulations=16, resamples=60, seed=1)
    for name, share in found.items():
        assert share >= 0.8, (name, share)


def test_many_documents_are_left_out_in_blocks_and_few_one_by_one() -> None:
    """Each alone would take the square of the rows: 8 TB of a million."""
    rows = np.arange(3000)
    blocks = list(_without_each((None,) * 3000, rows))
    assert len(blocks) == MOST_LEFT_OUT
    left_out = np.concatenate([np.setdiff1d(rows, kept) for kept in blocks])
    assert sorted(left_out.tolist()) == rows.tolist()
    pairs = list(_without_each([f"d{i // 2}" for i in range(10)], np.arange(1, 10)))
    assert [len(kept) for kept in pairs] == [8, 7, 7, 7, 7]
