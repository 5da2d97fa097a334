"""The alternative annotator test: known tables, refusals, and simulated judges and people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluators.errors import InvalidValues
from evaluators.statistics.agreement.alternative_annotator import (
    EPSILON,
    Alignment,
    AlternativeAnnotator,
    Annotators,
    Item,
    _can_be_shuffled,
    _shuffle,
    alternative_annotator_test,
    benjamini_yekutieli,
)


def simulated(
    n: int, *, people: float, judge: float | None, seed: int, raters: int = 3, base: float = 0.5
) -> list[Item]:
    """Simulated labels: who is right how often; a judge of None tosses a coin."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < base
    said = {f"r{j}": truth ^ (rng.random(n) >= people) for j in range(raters)}
    coin = rng.random(n) < base
    judged = coin if judge is None else truth ^ (rng.random(n) >= judge)
    return [
        Item({name: str(row[i]) for name, row in said.items()}, str(judged[i])) for i in range(n)
    ]


def licensed(items: list[Item], **how: float) -> AlternativeAnnotator:
    return alternative_annotator_test(
        items,
        **{"alignment": Alignment.ACCURACY, "epsilon": 0.2, **how},  # type: ignore[arg-type]
    )


def test_a_judge_as_good_as_people_is_licensed() -> None:
    found = licensed(simulated(100, people=0.9, judge=0.9, seed=1))
    assert found.licensed
    assert found.winning_rate == 1.0
    assert found.control_p is not None
    assert found.control_p <= 0.0075
    assert found.agreement == pytest.approx(0.82, abs=0.05)
    assert found.advantage is not None
    assert found.advantage > 0.8
    assert [row.n for row in found.rows] == [100] * 3
    assert "epsilon:0.2" in found.signature


def test_a_coin_is_refused() -> None:
    found = licensed(simulated(100, people=0.9, judge=None, seed=1))
    assert not found.licensed
    assert found.winning_rate == 0.0
    assert "50% are needed" in found.reason


def test_a_coin_is_refused_where_people_toss_coins_too() -> None:
    """By the paper's test alone it would pass: no person is much better than it."""
    found = licensed(simulated(300, people=0.5, judge=None, seed=2))
    assert found.winning_rate == 1.0
    assert not found.licensed
    assert "shuffled" in found.reason


def test_a_coin_tossed_once_for_each_group_is_refused() -> None:
    """Simulated: with items shuffled one by one, 9 of 60 such coins would be licensed."""
    passed = 0
    for seed in range(60):
        wholes = simulated(30, people=0.6, judge=None, seed=seed)
        rng = np.random.default_rng(seed)
        passed += licensed(
            [
                Item(
                    {name: str((said == "True") ^ (rng.random() < 0.1)) for name, said in rated},
                    whole.judge,
                    group=str(i),
                )
                for i, whole in enumerate(wholes)
                for rated in [list(whole.ratings.items())] * 5
            ]
        ).licensed
    assert passed <= 2


def test_clusters_are_shuffled_whole_among_those_of_as_many_items() -> None:
    clusters = np.array([0, 1, 0, 2, 3, 2, 3, 4, 5, 5, 5])
    orders = _shuffle(clusters, 400, np.random.default_rng(0))
    assert (np.sort(orders, axis=1) == np.arange(11)).all()
    assert set(orders[:, 1]) == {1, 7}  # the items that are alone
    assert set(map(tuple, orders[:, [0, 2]])) == {(0, 2), (3, 5), (4, 6)}
    assert (orders[:, 8:] == [8, 9, 10]).all()  # no other cluster is of three


def test_groups_too_unlike_in_size_to_be_shuffled_are_the_reason() -> None:
    sizes = [g for g in range(1, 31) for _ in range(g)]
    items = simulated(len(sizes), people=0.9, judge=1.0, seed=3)
    found = licensed([replace(item, group=str(g)) for item, g in zip(items, sizes, strict=True)])
    assert (found.licensed, found.winning_rate, found.control_p) == (False, 1.0, 1.0)
    assert found.reason.endswith("cannot be shuffled: too few groups have as many items")
    alone = [Item({}, None) for _ in range(6)]
    assert _can_be_shuffled(alone)
    assert not _can_be_shuffled(alone[:5])  # 120 orders: one in them is more than the level


def test_a_judge_that_always_says_the_common_label_is_refused() -> None:
    items = simulated(300, people=0.97, judge=0.97, seed=3, base=0.95)
    constant = [Item(item.ratings, "True") for item in items]
    found = licensed(constant)
    assert found.winning_rate == 1.0
    assert found.control_p == 1.0
    assert not found.licensed


@pytest.mark.parametrize(("n", "raters", "missing"), [(18, 3, 12), (100, 2, 30), (0, 3, 30)])
def test_too_few_overlapping_reviews_say_how_many_are_missing(
    n: int, raters: int, missing: int
) -> None:
    found = licensed(simulated(n, people=0.9, judge=0.9, seed=1, raters=raters))
    assert not found.licensed
    assert found.missing == missing
    assert f"{missing} more independent items rated by 3 people" in found.reason
    assert found.winning_rate is None


def test_items_of_one_group_count_once() -> None:
    items = [
        Item(item.ratings, item.judge, group=f"g{i // 5}")
        for i, item in enumerate(simulated(100, people=0.9, judge=0.9, seed=1))
    ]
    found = licensed(items)
    assert found.missing == 10


def test_an_annotator_of_few_items_is_not_replaced_but_held_against() -> None:
    items = simulated(60, people=0.9, judge=0.9, seed=4)
    more = [
        Item({**item.ratings, "new": "True"}, item.judge) if i < 29 else item
        for i, item in enumerate(items)
    ]
    found = licensed(more)
    assert [row.annotator for row in found.rows] == ["r0", "r1", "r2"]
    assert found.rows != licensed(items).rows


def test_an_unusable_answer_is_farther_off_than_anybody() -> None:
    items = simulated(100, people=0.9, judge=0.9, seed=1)
    half = [Item(one.ratings, one.judge if i % 2 else None) for i, one in enumerate(items)]
    whole, found = licensed(items), licensed(half)
    assert found.unusable == 50
    assert not found.licensed
    assert found.advantage is not None
    assert whole.advantage is not None
    assert found.advantage < whole.advantage - 0.3


def test_numbers_are_compared_by_their_error() -> None:
    """Annotator c is far off; a and b agree with each other but for one step."""
    rows = [Item({"a": 4.0, "b": 5.0, "c": 1.0}, 4.0)] * 30
    found = alternative_annotator_test(rows, alignment=Alignment.RMSE, epsilon=0.2, span=4)
    by_name = {row.annotator: row for row in found.rows}
    # a is left out: the judge says what a says, so both are at least as close
    assert (by_name["a"].judge_advantage, by_name["a"].own_advantage) == (1.0, 1.0)
    # b is left out: of 4 and 5, 4 is closer to {4, 1}
    assert (by_name["b"].judge_advantage, by_name["b"].own_advantage) == (1.0, 0.0)
    assert found.agreement == pytest.approx(1 - (0 + 1 + 3) / 12)


def test_the_t_test_by_hand() -> None:
    """Of 40 items the judge is worse on 10: mean .25, spread .4385, t(39) = .721 against .2."""
    good = Item({"a": "x", "b": "x", "c": "x"}, "x")
    bad = Item({"a": "x", "b": "x", "c": "x"}, "y")
    found = licensed([good] * 30 + [bad] * 10)
    assert {round(row.p, 3) for row in found.rows} == {0.762}
    assert found.rows[0].judge_advantage == 0.75


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        ([0.001, 0.01, 0.02], [True, True, True]),
        ([0.05, 0.04, 0.03], [False, False, False]),
        ([0.009, 0.9, 0.9], [True, False, False]),
        ([0.02, 0.001, 0.9], [False, True, False]),
        ([0.018, 0.001, 0.9], [True, True, False]),
        ([], []),
    ],
)
def test_benjamini_yekutieli(p_values: list[float], rejected: list[bool]) -> None:
    """For three hypotheses at 5% the bars are .00909, .01818 and .02727."""
    bars = [0.05 * k / 3 / (1 + 1 / 2 + 1 / 3) for k in (1, 2, 3)]
    assert [round(bar, 5) for bar in bars] == [0.00909, 0.01818, 0.02727]
    assert benjamini_yekutieli(p_values, level=0.05) == rejected


def test_epsilon_of_the_paper() -> None:
    assert EPSILON == {Annotators.EXPERTS: 0.2, Annotators.SKILLED: 0.15, Annotators.CROWD: 0.1}


@pytest.mark.parametrize(
    "items", [[Item({"a": 1.0, "b": float("nan"), "c": 1.0}, 1.0)], [Item({"a": 1.0}, np.inf)]]
)
def test_a_rating_that_is_not_finite_is_refused(items: list[Item]) -> None:
    with pytest.raises(InvalidValues, match="finite"):
        alternative_annotator_test(items, alignment=Alignment.RMSE, epsilon=0.2)


@pytest.mark.parametrize(("epsilon", "span"), [(-0.1, 1), (1.5, 1), (0.2, 0), (0.2, float("nan"))])
def test_settings_out_of_range_are_refused(epsilon: float, span: float) -> None:
    with pytest.raises(InvalidValues):
        alternative_annotator_test([], alignment=Alignment.RMSE, epsilon=epsilon, span=span)


def test_simulated_coins_are_refused_and_good_judges_licensed() -> None:
    """60 of each, simulated; the benchmark makes 1,000."""
    coins = [licensed(simulated(60, people=0.7, judge=None, seed=s)).licensed for s in range(60)]
    good = [licensed(simulated(60, people=0.9, judge=0.9, seed=s)).licensed for s in range(60)]
    assert sum(coins) <= 2
    assert sum(good) >= 54
