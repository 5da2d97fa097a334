"""What counts as shown, and ratios of figures with their paired intervals."""

from __future__ import annotations

import pytest

from backend.cli.demo.scenarios.claims import ScenarioClaim
from backend.cli.demo.scenarios.ratios import resample_together, shares_of
from backend.errors import CannotCompute
from evaluators.registry import resolve_metrics
from evaluators.types import Sample, Score


def claim(
    value: float, low: float | None, high: float | None, *, at_least: bool = True
) -> ScenarioClaim:
    return ScenarioClaim("c", value, low, high, 100, 0.75, at_least, "made")


@pytest.mark.parametrize(
    ("found", "result"),
    [
        (claim(0.9, 0.8, 0.95), "shown"),
        (claim(0.9, 0.75, 0.95), "shown"),
        (claim(0.8, 0.7, 0.9), "seen, but the interval reaches beyond"),
        (claim(0.7, 0.6, 0.9), "not shown"),
        (claim(0.6, 0.5, 0.7, at_least=False), "shown"),
        (claim(0.7, 0.6, 0.8, at_least=False), "seen, but the interval reaches beyond"),
        (claim(0.8, 0.6, 0.9, at_least=False), "not shown"),
        (claim(0.8, None, None), "seen, but without an interval"),
        (claim(0.7, None, None), "not shown"),
    ],
)
def test_a_claim_is_shown_when_its_whole_interval_is(found: ScenarioClaim, result: str) -> None:
    assert found.result == result
    assert found.as_dict()["result"] == result


def _means(*values: float) -> list[Score]:
    return [Score(value) for value in values]


def test_all_models_are_drawn_together_by_group() -> None:
    (metric,) = resolve_metrics(["invented"])
    old = _means(1, 1, 0, 1, 1, 0)
    figures, drawn = resample_together(metric, [old, old], ["a", "a", "b", "c", "c", "d"], seed=1)
    assert figures == [pytest.approx(4 / 6)] * 2
    assert all(first == second for first, second in drawn)
    assert len({first for first, _ in drawn}) > 3


def test_one_group_has_no_spread() -> None:
    (metric,) = resolve_metrics(["invented"])
    _, drawn = resample_together(metric, [_means(1, 0), _means(0, 0)], ["a", "a"], seed=1)
    assert set(drawn) == {(0.5, 0.0)}


def test_corpus_figures_come_from_the_metrics_own_sums() -> None:
    (metric,) = resolve_metrics(["f1"])
    truth = ["a", "a", "b", "b", "c", "c"]
    said = [["a", "a", "b", "b", "c", "c"], ["a", "b", "b", "b", "c", "a"]]
    columns = [
        metric.score(
            [
                Sample(id=str(i), prediction=p, references=(t,))
                for i, (p, t) in enumerate(zip(answers, truth, strict=True))
            ]
        )
        for answers in said
    ]
    figures, _ = resample_together(metric, columns, list("uvwxyz"), seed=1)
    assert figures[0] == 1.0
    assert figures[1] == pytest.approx((0.5 + 0.8 + 2 / 3) / 3)


def test_a_share_of_nothing_is_an_error_and_no_draw_is_left_out() -> None:
    assert shares_of([(1.0, 2.0), (3.0, 4.0)]) == [0.5, 0.75]
    with pytest.raises(CannotCompute, match="1 of 2 resamples have no whole"):
        shares_of([(1.0, 2.0), (1.0, 0.0)])
