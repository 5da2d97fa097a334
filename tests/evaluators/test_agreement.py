"""Agreement against published figures, the krippendorff library, and undefined cases."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import krippendorff
import numpy as np
import pytest

from evaluators.errors import CannotCompute, InvalidValues, UnknownMetric
from evaluators.statistics.agreement import COEFFICIENTS, agreement
from evaluators.statistics.dawid_skene import dawid_skene
from evaluators.statistics.raters import pairwise_table, rater_table
from evaluators.statistics.ratings import Rating, RatingTable, Scale, tabulate

NAN = float("nan")


def table_of(rows: list[list[float | None]]) -> RatingTable:
    return tabulate(ratings_of(rows))


def ratings_of(rows: list[list[float | None]]) -> list[Rating]:
    return [
        Rating(f"i{i}", f"r{j}", value)
        for i, row in enumerate(rows)
        for j, value in enumerate(row)
        if value is not None
    ]


def random_rows(seed: int) -> list[list[float | None]]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 6, 25)
    rows = []
    for t in truth:
        given = [float(t) if rng.random() < 0.6 else float(rng.integers(1, 6)) for _ in range(4)]
        rows.append([None if rng.random() < 0.25 else v for v in given])
    return rows


@pytest.mark.parametrize("scale", Scale)
@pytest.mark.parametrize("seed", range(4))
def test_alpha_equals_the_library(scale: Scale, seed: int) -> None:
    rows = random_rows(seed)
    matrix = np.array([[NAN if v is None else v for v in row] for row in rows]).T
    expected = krippendorff.alpha(reliability_data=matrix, level_of_measurement=str(scale))
    figure = agreement("krippendorff_alpha", table_of(rows), scale=scale)
    assert figure.value == pytest.approx(expected, abs=1e-12)
    assert figure.low < figure.value < figure.high


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohen_equals_scikit_learn(weights: str | None) -> None:
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    one = rng.integers(1, 6, 80)
    two = np.where(rng.random(80) < 0.5, one, rng.integers(1, 6, 80))
    scale = {None: Scale.NOMINAL, "linear": Scale.ORDINAL, "quadratic": Scale.INTERVAL}[weights]
    rows = [[float(a), float(b)] for a, b in zip(one, two, strict=True)]
    ours = agreement("cohen_kappa", table_of(rows), scale=scale)
    assert ours.value == pytest.approx(cohen_kappa_score(one, two, weights=weights))


def test_fleiss_by_hand() -> None:
    # two items, three raters: agreement (1 + 1/3) / 2; shares 4/6 and 2/6
    table = table_of([[1.0, 1.0, 1.0], [1.0, 2.0, 2.0]])
    chance = (4 / 6) ** 2 + (2 / 6) ** 2
    expected = (2 / 3 - chance) / (1 - chance)
    assert agreement("fleiss_kappa", table).value == pytest.approx(expected)


def test_gwet_on_a_skewed_table() -> None:
    # Gwet 2008: 118 + 5 agreeing, 2 + 0 not; kappa falls where agreement is high, AC1 does not
    rows: list[list[float | None]] = [[1.0, 1.0]] * 118 + [[2.0, 2.0]] * 0 + [[1.0, 2.0]] * 5
    rows += [[2.0, 1.0]] * 2
    p, q = 118 / 125, (118 * 2 + 7) / 250
    chance = 2 * q * (1 - q)
    value = agreement("gwet_ac1", table_of(rows)).value
    assert value == pytest.approx((p - chance) / (1 - chance))
    assert agreement("cohen_kappa", table_of(rows)).value < 0


@pytest.mark.parametrize("name", [n for n in COEFFICIENTS if n not in ("percent",)])
def test_all_ratings_equal_is_undefined(name: str) -> None:
    with pytest.raises(CannotCompute, match="undefined: all ratings are equal"):
        agreement(name, table_of([[1.0, 1.0]] * 5))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[1.0], [2.0]], "one rater only"),
        ([[1.0, None], [None, 2.0]], "No item was rated by two"),
    ],
)
def test_no_pair_of_ratings(rows: list[list[float | None]], words: str) -> None:
    with pytest.raises(InvalidValues, match=words):
        agreement("percent", table_of(rows))


def test_cohen_is_for_two() -> None:
    with pytest.raises(CannotCompute, match="two raters, not 3"):
        agreement("cohen_kappa", table_of([[1.0, 2.0, 1.0], [2.0, 2.0, 1.0]]))


def test_unknown_coefficient_lists_the_nearest() -> None:
    with pytest.raises(UnknownMetric, match="nearest first: cohen_kappa"):
        agreement("kohen_kappa", table_of([[1.0, 2.0]]))


@pytest.mark.parametrize(
    ("ratings", "words"),
    [
        ([], "no ratings"),
        ([Rating("i", "r", NAN)], "is nan"),
        ([Rating("i", "r", 1.0), Rating("i", "s", "yes")], "some are texts"),
        ([Rating("i", "r", 1.0), Rating("i", "r", 2.0)], "'i' twice"),
        ([Rating("i", "r", 9.0)], "off the scale"),
    ],
)
def test_what_is_no_table(ratings: list[Rating], words: str) -> None:
    with pytest.raises(InvalidValues, match=words):
        tabulate(ratings, categories=[1.0, 2.0] if words == "off the scale" else None)


def test_texts_have_no_order() -> None:
    table = tabulate([Rating("i", "r", "yes"), Rating("i", "s", "no")])
    with pytest.raises(InvalidValues, match="texts, which have no order"):
        agreement("krippendorff_alpha", table, scale=Scale.ORDINAL)


def test_odd_raters_are_named() -> None:
    rng = np.random.default_rng(0)
    ratings = []
    for i in range(20):
        value = float(rng.integers(1, 4))
        ratings += [Rating(f"i{i}", who, value, 60.0) for who in ("ann", "ann's twin")]
        ratings += [Rating(f"i{i}", "constant", 2.0, 50.0)]
        ratings += [Rating(f"i{i}", "fast", float(rng.integers(1, 4)), 4.0)]
    rows = {row.rater: row for row in rater_table(tabulate(ratings), ratings)}
    assert rows["ann"].warnings == ("identical to ann's twin",)
    assert rows["constant"].warnings == ("gave one value only",)
    assert rows["fast"].warnings == ("median 4 s, others 55 s",)


def test_pairs_without_a_common_item_are_shown() -> None:
    rows = pairwise_table(table_of([[1.0, 2.0, None], [1.0, None, 2.0], [2.0, 2.0, None]]))
    assert [(r.first, r.second, r.n) for r in rows] == [
        ("r0", "r1", 2),
        ("r0", "r2", 1),
        ("r1", "r2", 0),
    ]
    assert rows[2].note == "no item in common"


def test_textbook_values(public_data: Path) -> None:
    cases = json.loads((public_data / "agreement/agreement_textbook.json").read_text())["cases"]
    names = {"observed": "percent", "krippendorff_alpha_nominal": "krippendorff_alpha"}
    checked = 0
    for case in cases:
        table = tabulate(ratings_of(case["ratings"]))
        for key, (expected, tolerance) in case["expected"].items():
            name = names.get(key, key)
            if name in COEFFICIENTS:
                value = agreement(name, table).value
                assert value == pytest.approx(expected, abs=tolerance), (case["name"], key)
                checked += 1
    assert checked >= 20


def test_anaesthetists(public_data: Path) -> None:
    with (public_data / "agreement/dawid_skene_anaesthetists.csv").open(newline="") as file:
        ratings = [Rating(r["item"], r["rater"], r["label"]) for r in csv.DictReader(file)]
    found = dawid_skene(ratings)
    assert found.marginals == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=0.005)
    assert found.posterior.sum(axis=1) == pytest.approx(np.ones(45))
    assert found.labels[0] == "1"


def test_dawid_skene_needs_two_classes() -> None:
    with pytest.raises(CannotCompute, match="nothing to infer"):
        dawid_skene([Rating("i", "r", "a"), Rating("i", "s", "a")])


def test_summeval_alpha(public_data: Path) -> None:
    lines = (public_data / "summeval_op/summeval-op-detailed.jsonl").read_text().splitlines()
    products = [json.loads(line) for line in lines]
    expected = {"fl": 0.277, "co": 0.264, "re": 0.409, "fa": 0.521, "ac": 0.604, "sc": 0.351}
    pooled = []
    for name in (*expected, "sp"):
        ratings = [
            Rating(f"{name} {p} {s}", str(rater), float(value))
            for p, product in enumerate(products)
            for s, values in enumerate(product[name])
            for rater, value in enumerate(values)
        ]
        figure = agreement("krippendorff_alpha", tabulate(ratings), scale=Scale.ORDINAL)
        assert figure.value == pytest.approx({**expected, "sp": 0.298}[name], abs=5e-4)
        pooled += ratings
    interval = agreement("krippendorff_alpha", tabulate(pooled), scale=Scale.INTERVAL)
    assert interval.value == pytest.approx(0.548, abs=5e-4)
    assert interval.n == 2912


def test_pandalm_kappas_and_judge(public_data: Path) -> None:
    from evaluators.aggregate import aggregate
    from evaluators.registry import METRICS
    from evaluators.types import Sample

    rows = json.loads((public_data / "pandalm/testset-v1.json").read_text())
    verdicts = json.loads((public_data / "pandalm/pandalm-7b-testset-v1.json").read_text())
    ratings = [
        Rating(str(row["idx"]), str(k), float(row[f"annotator{k}"]))
        for row in rows
        for k in (1, 2, 3)
    ]
    kappas = [row.kappa for row in pairwise_table(tabulate(ratings))]
    assert kappas == pytest.approx([0.852, 0.879, 0.862], abs=5e-4)
    labels = []
    for row in rows:
        given = [row[f"annotator{k}"] for k in (1, 2, 3)]
        labels.append(max(set(given), key=given.count))
    assert [labels.count(v) for v in (0, 1, 2)] == [105, 422, 472]
    samples = [
        Sample(str(row["idx"]), str(verdict["pandalm_result"]), references=(str(label),))
        for row, verdict, label in zip(rows, verdicts, labels, strict=True)
    ]
    for name, expected in (("accuracy", 0.6677), ("f1", 0.5743)):
        metric = METRICS[name]
        figure = aggregate(metric, metric.score(samples), [None] * len(samples))
        assert figure.value == pytest.approx(expected, abs=5e-5)


def test_summeval_means(public_data: Path) -> None:
    raw = (public_data / "summeval_op/summeval-op-detailed.jsonl").read_text().splitlines()
    means = (public_data / "summeval_op/summeval-op.jsonl").read_text().splitlines()
    keys = {"fl": "Flu", "co": "Coher", "re": "Rel", "fa": "Faith", "ac": "Aspect", "sc": "Sent"}
    keys["sp"] = "Spec"
    checked = 0
    for left, right in zip(map(json.loads, raw), map(json.loads, means), strict=True):
        for system, published in enumerate(right["summaries"].values()):
            for short, start in keys.items():
                [name] = [d for d in published["dimensions"] if d.lower().startswith(start.lower())]
                ours = float(np.mean(left[short][system]))
                assert ours == pytest.approx(published["dimensions"][name], abs=0.01)
                checked += 1
    assert checked == 2912
