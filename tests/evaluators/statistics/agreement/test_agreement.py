"""Agreement against published figures and the definitions, and undefined cases."""

from __future__ import annotations

import csv
import json
from collections import Counter
from itertools import permutations
from pathlib import Path
from typing import assert_never

import numpy as np
import pytest

from evaluators.errors import InvalidValues, UndefinedFigure, UnknownMetric
from evaluators.statistics.agreement.coefficients import (
    COEFFICIENTS,
    RATES,
    KappaWeights,
    agreement,
)
from evaluators.statistics.agreement.dawid_skene import dawid_skene
from evaluators.statistics.agreement.raters import pairwise_table, rater_table
from evaluators.statistics.agreement.ratings import ItemRating, RatingTable, Scale, tabulate
from evaluators.types import Figure

NAN = float("nan")


def table_of(rows: list[list[float | None]]) -> RatingTable:
    return tabulate(ratings_of(rows))


def ratings_of(rows: list[list[float | None]]) -> list[ItemRating]:
    return [
        ItemRating(f"i{i}", f"r{j}", value)
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


def alpha_by_definition(rows: list[list[float | None]], scale: Scale) -> float:
    """Krippendorff 2004, ch. 11: every pair of ratings within items, and every pair at all."""
    units = [[v for v in row if v is not None] for row in rows]
    units = [unit for unit in units if len(unit) > 1]
    values = [v for unit in units for v in unit]
    often = Counter(values)

    def apart(a: float, b: float) -> float:
        low, high = sorted((a, b))
        match scale:
            case Scale.NOMINAL:
                return float(a != b)
            case Scale.ORDINAL:
                between = sum(n for v, n in often.items() if low <= v <= high)
                return (between - (often[a] + often[b]) / 2) ** 2
            case Scale.INTERVAL:
                return (a - b) ** 2
            case Scale.RATIO:
                return ((a - b) / (a + b)) ** 2
            case _:
                assert_never(scale)

    observed = sum(
        apart(a, b) / (len(unit) - 1) for unit in units for a, b in permutations(unit, 2)
    ) / len(values)
    pairs = [apart(a, b) for a, b in permutations(values, 2)]
    return 1 - observed / (sum(pairs) / len(pairs))


@pytest.mark.parametrize("scale", Scale)
@pytest.mark.parametrize("seed", range(4))
def test_alpha_is_what_its_definition_says(scale: Scale, seed: int) -> None:
    rows = random_rows(seed)
    figure = agreement("krippendorff_alpha", table_of(rows), scale=scale)
    assert figure.value == pytest.approx(alpha_by_definition(rows, scale), abs=1e-12)
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low < figure.value < figure.high
    assert f"|distance:{scale}|" in figure.signature


# The table of four raters and twelve units with gaps that Krippendorff 2011 (Computing
# Krippendorff's alpha-reliability, sec. E) and Gwet 2014 (raw4) both work through.
N = None
FOUR_RATERS: list[list[float | None]] = [
    [1, 1, N, 1],
    [2, 2, 3, 2],
    [3, 3, 3, 3],
    [3, 3, 3, 3],
    [2, 2, 2, 2],
    [1, 2, 3, 4],
    [4, 4, 4, 4],
    [1, 1, 2, 1],
    [2, 2, 2, 2],
    [N, 5, 5, 5],
    [N, N, 1, 1],
    [N, N, 3, N],
]


@pytest.mark.parametrize(
    ("scale", "published"),
    [
        (Scale.NOMINAL, 0.743),
        (Scale.ORDINAL, 0.815),
        (Scale.INTERVAL, 0.849),
        (Scale.RATIO, 0.797),
    ],
)
def test_alpha_as_krippendorff_publishes_it(scale: Scale, published: float) -> None:
    figure = agreement("krippendorff_alpha", table_of(FOUR_RATERS), scale=scale)
    assert figure.value == pytest.approx(published, abs=5e-4)


# Gwet's figures of the same table by his irrCAC, to the five digits that it prints.
GWET = {
    "observed_agreement": (0.81818, 0.93939, 0.96818, 0.97538),
    "fleiss_kappa": (0.76117, 0.81794, 0.85021, 0.86494),
    "gwet_ac2": (0.77544, 0.85874, 0.89894, 0.91400),
    "bennett_s": (0.77273, 0.84848, 0.88636, 0.90152),
}
WEIGHTS = (KappaWeights.IDENTITY, KappaWeights.LINEAR, KappaWeights.ORDINAL, KappaWeights.QUADRATIC)


@pytest.mark.parametrize("name", GWET)
@pytest.mark.parametrize("k", range(4), ids=WEIGHTS)
def test_gaps_and_weights_as_gwet_publishes_them(name: str, k: int) -> None:
    figure = agreement(name, table_of(FOUR_RATERS), weights=WEIGHTS[k])
    assert figure.value == pytest.approx(GWET[name][k], abs=1e-5)
    assert (figure.n, figure.failed) == (11, 1)
    assert f"|weights:{WEIGHTS[k]}|" in figure.signature


@pytest.mark.parametrize("scale", Scale)
@pytest.mark.parametrize("weights", [None, *KappaWeights])
def test_percent_and_ac1_are_exact_on_every_scale(
    scale: Scale, weights: KappaWeights | None
) -> None:
    percent, ac1 = (
        agreement(name, table_of(FOUR_RATERS), scale=scale, weights=weights)
        for name in ("percent", "gwet_ac1")
    )
    assert percent.value == pytest.approx(0.8, abs=5e-4)  # Krippendorff 2004, p. 230
    assert ac1.value == pytest.approx(0.77544, abs=1e-5)
    assert "|weights:identity|" in percent.signature


def test_nobody_agrees_is_nought_percent() -> None:
    shifted = [[float(1 + i % 4), float(2 + i % 4)] for i in range(40)]
    figure = agreement("percent", table_of(shifted), scale=Scale.ORDINAL)
    assert (figure.value, figure.low) == (0.0, 0.0)
    assert figure.high == pytest.approx(0.0876, abs=1e-3)  # Wilson, 0 of 40
    assert pairwise_table(table_of(shifted), scale=Scale.ORDINAL)[0].percent == 0.0


@pytest.mark.parametrize(
    ("columns", "weights", "cohen", "scott"),
    [  # two of the four raters: Conger's and Fleiss' kappa by irrCAC
        ((2, 3), KappaWeights.IDENTITY, 0.62187, 0.60548),
        ((2, 3), KappaWeights.QUADRATIC, 0.89417, 0.89294),
        ((0, 2), KappaWeights.IDENTITY, 0.51151, 0.5),
        ((0, 2), KappaWeights.QUADRATIC, 0.70536, 0.73529),
    ],
)
def test_two_raters_with_gaps(
    columns: tuple[int, int], weights: KappaWeights, cohen: float, scott: float
) -> None:
    rows = [[row[k] for k in columns] for row in FOUR_RATERS]
    categories = sorted({v for row in rows for v in row if v is not None})
    table = tabulate(ratings_of(rows), categories=categories)
    for name, expected in (("cohen_kappa", cohen), ("scott_pi", scott)):
        value = agreement(name, table, weights=weights).value
        assert value == pytest.approx(expected, abs=1e-5), name


@pytest.mark.parametrize(
    ("scale", "default"),
    [
        (Scale.NOMINAL, "identity"),
        (Scale.ORDINAL, "quadratic-ranks"),
        (Scale.INTERVAL, "quadratic"),
        (Scale.RATIO, "quadratic"),
    ],
)
def test_the_weights_of_a_scale_are_named(scale: Scale, default: str) -> None:
    uneven = table_of([[1.0, 2.0], [2.0, 10.0], [10.0, 10.0], [1.0, 1.0], [10.0, 2.0]])
    named = f"|scale:{scale}|weights:{default}|"
    assert named in agreement("cohen_kappa", uneven, scale=scale).signature
    assert named in pairwise_table(uneven, scale=scale)[0].signature
    [row] = pairwise_table(uneven, scale=scale, weights=KappaWeights.LINEAR)
    assert "|weights:linear|" in row.signature


def test_values_and_ranks_are_told_apart() -> None:
    uneven = table_of([[1.0, 2.0], [2.0, 10.0], [10.0, 10.0], [1.0, 1.0], [10.0, 2.0]])
    ranked = table_of([[1.0, 2.0], [2.0, 3.0], [3.0, 3.0], [1.0, 1.0], [3.0, 2.0]])

    def kappa(table: RatingTable, weights: KappaWeights) -> float:
        return agreement("fleiss_kappa", table, weights=weights).value

    for value, rank in (
        (KappaWeights.LINEAR, KappaWeights.LINEAR_RANKS),
        (KappaWeights.QUADRATIC, KappaWeights.QUADRATIC_RANKS),
    ):
        assert kappa(uneven, rank) == pytest.approx(kappa(ranked, value))
        assert kappa(uneven, value) != pytest.approx(kappa(ranked, value))
    assert kappa(uneven, KappaWeights.ORDINAL) == pytest.approx(kappa(ranked, KappaWeights.ORDINAL))


WORDS = [("low", "high"), ("medium", "medium"), ("high", "high"), ("low", "low"), ("medium", "low")]


def words_table(order: list[str] | None) -> RatingTable:
    pairs = [(str(i), zip(("ann", "bob"), row, strict=True)) for i, row in enumerate(WORDS)]
    ratings = [ItemRating(item, rater, word) for item, said in pairs for rater, word in said]
    return tabulate(ratings, categories=order)


@pytest.mark.parametrize(
    ("name", "weights", "expected"),
    [
        ("krippendorff_alpha", None, 0.332653),
        ("cohen_kappa", None, 0.285714),
        ("cohen_kappa", KappaWeights.QUADRATIC, 0.285714),
        ("cohen_kappa", KappaWeights.QUADRATIC_RANKS, 0.285714),
        ("cohen_kappa", KappaWeights.LINEAR, 0.347826),
        ("cohen_kappa", KappaWeights.IDENTITY, 0.411765),
    ],
)
def test_words_in_order_have_ranks(
    name: str, weights: KappaWeights | None, expected: float
) -> None:
    table = words_table(["low", "medium", "high"])
    figure = agreement(name, table, scale=Scale.ORDINAL, weights=weights)
    assert figure.value == pytest.approx(expected, abs=1e-5)
    if weights is KappaWeights.QUADRATIC:
        assert "|weights:quadratic-ranks|" in figure.signature


@pytest.mark.parametrize(
    ("order", "scale", "weights", "words"),
    [
        (None, Scale.ORDINAL, None, "texts, which have no order"),
        (None, Scale.NOMINAL, KappaWeights.QUADRATIC, "texts, which have no order"),
        (["low", "medium", "high"], Scale.INTERVAL, None, "an order but no distances"),
    ],
)
def test_words_without_an_order_or_a_distance(
    order: list[str] | None, scale: Scale, weights: KappaWeights | None, words: str
) -> None:
    name = "krippendorff_alpha" if weights is None else "fleiss_kappa"
    with pytest.raises(InvalidValues, match=words):
        agreement(name, words_table(order), scale=scale, weights=weights)


def test_items_of_one_group_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    easy = np.repeat(rng.random(12) < 0.6, 10)  # whole documents are easy or hard to agree on
    one = rng.integers(0, 2, 120)
    two = np.where(easy, one, rng.integers(0, 2, 120))

    def figure(grouped: bool) -> Figure:
        ratings = [
            ItemRating(str(i), rater, float(values[i]), group=str(i // 10) if grouped else None)
            for i in range(120)
            for rater, values in (("a", one), ("b", two))
        ]
        return agreement("cohen_kappa", tabulate(ratings))

    alone, together = figure(grouped=False), figure(grouped=True)
    assert (alone.value, alone.clusters) == (pytest.approx(together.value), 120)
    assert (together.clusters, together.rough) == (12, True)
    assert together.low is not None
    assert alone.low is not None
    assert together.low < alone.low


def test_the_interval_makes_up_for_few_groups() -> None:
    shares = np.linspace(0.2, 0.8, 8)
    ratings = [
        ItemRating(f"{d}-{i}", rater, float(rater == "b" and i >= 20 * share), group=str(d))
        for d, share in enumerate(shares)
        for i in range(20)
        for rater in "ab"
    ]
    found = agreement("percent", tabulate(ratings))
    assert found.low is not None
    assert found.high is not None
    normal = 2 * 1.96 * float(np.std(shares)) / 8**0.5
    assert 1.2 < (found.high - found.low) / normal < 1.4  # Student's 2.36 for 1.96, sqrt(8 / 7)
    assert "|level:0.95|resamples:1000|seed:0" in found.signature


def test_an_item_has_one_group() -> None:
    with pytest.raises(InvalidValues, match="in the groups 'g' and 'h'"):
        tabulate([ItemRating("i", "r", 1.0, group="g"), ItemRating("i", "s", 1.0, group="h")])


@pytest.mark.parametrize("groups", [None, "pairs"])
@pytest.mark.parametrize("name", [*COEFFICIENTS])
def test_perfect_agreement_is_not_certain(name: str, groups: str | None) -> None:
    ratings = [
        ItemRating(str(i), rater, float(i % 2), group=None if groups is None else str(i // 2))
        for i in range(12)
        for rater in "ab"
    ]
    found = agreement(name, tabulate(ratings))
    assert found.value == pytest.approx(1.0)
    if name in RATES:
        units = 12 if groups is None else 6  # of six, the lower end is .610
        assert found.low == pytest.approx(units / (units + 1.959964**2), abs=1e-5)
    else:
        assert (found.low, found.high, found.method) == (None, None, "none")
        assert "perfect agreement" in found.note


@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, 1.0], [1.0, 2.0]],
        [[1.0, 1.0], [1.0, 2.0], [1.0, 1.0]],
        [[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [2.0, 1.0]],
        [[1.0, None], [None, 2.0], [2.0, None], [1.0, 1.0], [2.0, 2.0], [1.0, 2.0]],
    ],
)
@pytest.mark.parametrize("name", COEFFICIENTS)
def test_no_interval_is_a_point(name: str, rows: list[list[float | None]]) -> None:
    found = agreement(name, table_of(rows))
    assert found.low is None or found.high is None or found.low < found.high


def test_half_agreement_on_every_item_is_not_certain() -> None:
    rows: list[list[float | None]] = [[1.0, 1.0, 2.0], [2.0, 2.0, 1.0]] * 5
    for name in set(COEFFICIENTS) - {"cohen_kappa", "scott_pi"}:
        found = agreement(name, table_of(rows))
        if name in RATES:
            assert found.low is not None
            assert found.low < 0.15
            assert 0.5 < (found.high or 0) < 1
        else:
            assert (found.low, found.high) == (None, None), name
            assert "the same agreement on every item" in found.note


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohen_equals_scikit_learn(weights: str | None) -> None:
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    one = rng.integers(1, 6, 80)
    two = np.where(rng.random(80) < 0.5, one, rng.integers(1, 6, 80))
    rows = [[float(a), float(b)] for a, b in zip(one, two, strict=True)]
    ours = agreement("cohen_kappa", table_of(rows), weights=KappaWeights(weights or "identity"))
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


@pytest.mark.parametrize("name", [n for n in COEFFICIENTS if n not in RATES])
def test_all_ratings_equal_is_undefined(name: str) -> None:
    with pytest.raises(UndefinedFigure, match="undefined: all ratings are equal"):
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
    with pytest.raises(UndefinedFigure, match="two raters, not 3"):
        agreement("cohen_kappa", table_of([[1.0, 2.0, 1.0], [2.0, 2.0, 1.0]]))


def test_unknown_coefficient_lists_the_nearest() -> None:
    with pytest.raises(UnknownMetric, match="nearest first: cohen_kappa"):
        agreement("kohen_kappa", table_of([[1.0, 2.0]]))


@pytest.mark.parametrize(
    ("ratings", "words"),
    [
        ([], "no ratings"),
        ([ItemRating("i", "r", NAN)], "is nan"),
        ([ItemRating("i", "r", 1.0), ItemRating("i", "s", "yes")], "some are texts"),
        ([ItemRating("i", "r", 1.0), ItemRating("i", "r", 2.0)], "'i' twice"),
        ([ItemRating("i", "r", 9.0)], "off the scale"),
    ],
)
def test_what_is_no_table(ratings: list[ItemRating], words: str) -> None:
    with pytest.raises(InvalidValues, match=words):
        tabulate(ratings, categories=[1.0, 2.0] if words == "off the scale" else None)


def test_texts_have_no_order() -> None:
    table = tabulate([ItemRating("i", "r", "yes"), ItemRating("i", "s", "no")])
    with pytest.raises(InvalidValues, match="texts, which have no order"):
        agreement("krippendorff_alpha", table, scale=Scale.ORDINAL)


def test_odd_raters_are_named() -> None:
    rng = np.random.default_rng(0)
    ratings = []
    for i in range(20):
        value = float(rng.integers(1, 4))
        ratings += [ItemRating(f"i{i}", who, value, 60.0) for who in ("ann", "ann's twin")]
        ratings += [ItemRating(f"i{i}", "constant", 2.0, 50.0)]
        ratings += [ItemRating(f"i{i}", "fast", float(rng.integers(1, 4)), 4.0)]
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
        ratings = [ItemRating(r["item"], r["rater"], r["label"]) for r in csv.DictReader(file)]
    found = dawid_skene(ratings)
    assert found.marginals == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=0.005)
    assert found.posterior.sum(axis=1) == pytest.approx(np.ones(45))
    assert found.labels[0] == "1"


def test_dawid_skene_needs_two_classes() -> None:
    with pytest.raises(UndefinedFigure, match="nothing to infer"):
        dawid_skene([ItemRating("i", "r", "a"), ItemRating("i", "s", "a")])


def test_summeval_alpha(public_data: Path) -> None:
    lines = (public_data / "summeval_op/summeval-op-detailed.jsonl").read_text().splitlines()
    products = [json.loads(line) for line in lines]
    expected = {"fl": 0.277, "co": 0.264, "re": 0.409, "fa": 0.521, "ac": 0.604, "sc": 0.351}
    pooled = []
    for name in (*expected, "sp"):
        ratings = [
            ItemRating(f"{name} {p} {s}", str(rater), float(value))
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
        ItemRating(str(row["idx"]), str(k), float(row[f"annotator{k}"]))
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
