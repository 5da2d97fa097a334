"""The bench of checks: what a check that knows, one that always shouts and one that fails get."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from evaluators.checks.planting.bench import build_bench, run_bench
from evaluators.checks.planting.figures import Bench, choose_threshold
from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.metric import Metric
from evaluators.registry import resolve_metrics
from evaluators.types import Sample, Score, Span

NAMES = ("Anna", "Laura", "Julia", "Emma", "Lena", "Sarah", "Karen", "Linda", "Susan", "Maria")


def _samples(n: int = 60) -> list[Sample]:
    """Outputs that their sources support word for word, three to a group."""
    found = []
    for i in range(n):
        text = (
            f"Mrs. {NAMES[i % 10]} Brown paid {200 + i} EUR on Friday. The order {4000 + i} "
            f"was late. She has not received the {('lamp', 'sofa', 'desk')[i % 3]}, and the price "
            "was higher."
        )
        found.append(Sample(f"s{i}", text, context=f"Agent: {text}", group=f"g{i // 3}"))
    return found


@pytest.fixture(scope="module")
def bench() -> Bench:
    return build_bench(_samples(), seed=3)


def _metric(
    name: str, score: Callable[[Sample], Score], *, better: bool = False, scale: float | None = 1.0
) -> Metric:
    def all_of(samples: Sequence[Sample]) -> list[Score]:
        return [score(sample) for sample in samples]

    return Metric(name, 1, all_of, higher_is_better=better, scale=scale)


def _knows(sample: Sample) -> Score:
    wrong = sample.prediction not in (sample.context or "")
    return Score(float(wrong), spans=(Span(0, len(sample.prediction), "all", "x"),) * wrong)


def test_a_check_that_knows_finds_all_and_nothing_else(bench: Bench) -> None:
    [check] = run_bench(bench, [_metric("knows", _knows)]).checks
    assert check.false_alarms is not None
    assert check.false_alarms.value == 0
    assert check.false_alarms.n == 60
    for kind in check.kinds:
        if kind.kind != "omission":
            assert (kind.recall.value, kind.worse.value) == (1, 1)
            assert kind.located is not None
            assert kind.located.value == 1
        assert kind.recall.low is not None
        assert kind.recall.low < 1
    assert "yes or no" in check.reading
    assert check.threshold is None


def test_a_check_that_always_shouts_is_seen_through(bench: Bench) -> None:
    [check] = run_bench(bench, [_metric("shouts", lambda s: Score(1.0))]).checks
    assert check.false_alarms is not None
    assert check.recall is not None
    assert (check.false_alarms.value, check.recall.value) == (1, 1)
    assert {kind.worse.value for kind in check.kinds} == {0.5}
    assert check.kinds[0].located is None


@pytest.mark.parametrize("better", [True, False])
def test_a_continuous_check_is_read_at_a_threshold_of_the_other_half(
    bench: Bench, better: bool
) -> None:
    sign = -1.0 if better else 1.0

    def score(sample: Sample) -> Score:
        own = int(sample.id.split("#")[0][1:]) / 1000
        return Score(sign * (own + (0.5 if "#" in sample.id else 0)))

    [check] = run_bench(bench, [_metric("graded", score, better=better, scale=None)]).checks
    assert check.threshold is not None
    assert 0.05 < sign * check.threshold < 0.5
    assert check.false_alarms is not None
    assert check.false_alarms.n == 30  # the half that did not choose
    assert check.false_alarms.value <= 0.2
    assert check.recall is not None
    assert check.recall.value == 1
    assert "one half" in check.reading
    assert ("at most -" in check.reading) == better


def test_an_output_at_the_threshold_raises_an_alarm(bench: Bench) -> None:
    def score(sample: Sample) -> Score:
        applies = sample.id == "s0" or "#" in sample.id
        return Score(0.7) if applies else Score(None, not_applicable=True)

    [check] = run_bench(bench, [_metric("at", score, scale=None)]).checks
    assert check.threshold == 0.7
    assert check.recall is not None
    assert check.recall.value == 1


def test_a_check_whose_worst_value_is_common_raises_no_alarm(bench: Bench) -> None:
    def score(sample: Sample) -> Score:
        return Score(0.0 if int(sample.id.split("#")[0][1:]) % 3 else 0.7)

    [check] = run_bench(bench, [_metric("flat", score, better=True)]).checks
    assert check.threshold is None
    assert check.recall is not None
    assert check.recall.value == 0
    assert "raises no alarm" in check.reading


def test_what_could_not_be_scored_is_counted_and_never_an_alarm(bench: Bench) -> None:
    def score(sample: Sample) -> Score:
        return Score(None, error="no") if sample.id.startswith("s1") else _knows(sample)

    [check] = run_bench(bench, [_metric("fails", score)]).checks
    assert check.false_alarms is not None
    assert check.false_alarms.failed == 11
    assert check.false_alarms.n == 49
    [broken] = run_bench(bench, [_metric("broken", lambda s: Score(None, error="no GPU"))]).checks
    assert broken.problem == "no GPU"
    assert broken.recall is None


def test_what_a_check_does_not_apply_to_is_no_alarm(bench: Bench) -> None:
    silent = _metric("silent", lambda s: Score(None, not_applicable=True))
    [check] = run_bench(bench, [silent]).checks
    assert "none of the outputs" in check.problem

    def only_planted(sample: Sample) -> Score:
        return Score(1.0) if "#" in sample.id else Score(None, not_applicable=True)

    [check] = run_bench(bench, [_metric("some", only_planted)]).checks
    assert check.false_alarms is not None
    assert check.false_alarms.value == 0
    assert {kind.worse.value for kind in check.kinds} == {1.0}


def test_our_own_checks_find_numbers_and_stay_silent_on_what_is_right(bench: Bench) -> None:
    [check] = run_bench(bench, resolve_metrics(["invented"])).checks
    assert check.false_alarms is not None
    assert check.false_alarms.value == 0
    recall = {kind.kind: kind.recall.value for kind in check.kinds}
    assert recall["number"] == 1
    assert recall["date"] == 1
    assert recall["omission"] == 0  # what is left is true


def test_kinds_are_planted_in_shares_that_are_said() -> None:
    thanks = Sample("t", "She was glad of it.", context="She said that she was glad of it.")
    report = run_bench(build_bench([*_samples(), thanks]), [_metric("knows", _knows)])
    shares = {figure.metric: figure.value for figure in report.plantable}
    assert shares["plantable:number"] == pytest.approx(60 / 61)
    assert shares["plantable:negation"] == 1
    assert all(figure.n == 61 and "simulated" in figure.signature for figure in report.plantable)
    assert report.groups == 21
    assert "simulated" in report.as_dict()["note"]


def test_intervals_know_of_groups() -> None:
    alone = [Sample(s.id, s.prediction, context=s.context) for s in _samples()]

    def by_group(sample: Sample) -> Score:
        number = int(sample.id.split("#")[0][1:])
        return Score(float((number // 3) % 2))

    metric = _metric("by_group", by_group)
    widths = []
    for samples in (_samples(), alone):
        [check] = run_bench(build_bench(samples, seed=3), [metric]).checks
        figure = check.false_alarms
        assert figure is not None
        assert figure.high is not None
        assert figure.low is not None
        widths.append(figure.high - figure.low)
    assert widths[0] > 1.4 * widths[1]


THRESHOLDS = [
    ([0.1, 0.2, 0.3, 0.4], 4, 0.25, 0.35),
    ([0.1, 0.2, 0.4, 0.4], 4, 0.25, 0.4),  # the two worst are alike: none may raise one
    ([0.0] * 99 + [1.0], 100, 0.05, 0.5),
    ([0.5, 0.5], 40, 0.05, 0.5),  # most do not apply: all that do may raise one
]


@pytest.mark.parametrize(("values", "n", "allowed", "threshold"), THRESHOLDS)
def test_the_threshold_allows_so_many(
    values: list[float], n: int, allowed: float, threshold: float
) -> None:
    found = choose_threshold(values, n, allowed)
    assert found == pytest.approx(threshold, abs=1e-6)
    assert sum(value >= found for value in values) <= allowed * n


UNUSABLE = [
    ([], "there is none"),
    ([Sample("a", "It was late.")], "no source: 1"),
    ([Sample("a", " ", context="x")], "empty output: 1"),
    ([Sample("a", "膝が痛い。", context="膝が痛いと言った。")], "can be planted in 1 outputs"),
]


@pytest.mark.parametrize(("samples", "said"), UNUSABLE)
def test_unusable_files_say_why(samples: list[Sample], said: str) -> None:
    with pytest.raises(UndefinedFigure, match=said):
        build_bench(samples)


def test_what_cannot_be_used_is_counted() -> None:
    bench = build_bench([*_samples(6), Sample("x", "It was late."), Sample("y", "", context="z")])
    assert bench.left_out == {"no source": 1, "empty output": 1}
    assert len(bench.unedited) == 6


def test_checks_that_ask_a_model_are_refused_by_name(bench: Bench) -> None:
    with pytest.raises(InvalidValues, match="support:base"):
        run_bench(bench, resolve_metrics(["invented", "support:base"]))


def test_one_seed_gives_one_bench() -> None:
    one, same, other = (build_bench(_samples(9), seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.planted != other.planted


def test_donors_are_of_other_groups() -> None:
    """A sentence of the same document would be no error."""
    text = "He came by train on the first of the month."
    other = "The garden of the house was sold to a baker."
    samples = [
        Sample("a", text, context="He said that he came by train.", group="g"),
        Sample("b", "The cat of the child was ill with a cold.", context="The cat was.", group="g"),
        Sample("c", other, context="The garden was sold.", group="h"),
    ]
    for seed in range(6):
        bench = build_bench(samples, kinds=["insertion"], seed=seed)
        texts = {p.sample.id: p.sample.prediction for p in bench.planted}
        assert "cat" not in texts["a#insertion"]
        assert other in texts["a#insertion"]
