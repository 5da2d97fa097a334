"""The real model's table: figures, paired differences, the learning curve and its forecast.

The forecast is that of the product (`evaluators.forecast`), laid through the two smallest adapters.
Its interval comes from redrawing the
test rows, the same for both sizes; it holds no other doubt (other training rows, another seed, a
curve that is no power law), and so is too narrow. Held against what the larger adapters came to on
the same draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np

from evaluators.aggregate import aggregate, paired_difference
from evaluators.errors import EvaluatorError
from evaluators.forecast import extrapolate
from evaluators.metric import Metric
from evaluators.registry import resolve_metrics
from evaluators.statistics.bootstrap import percentile_interval, resampled_figures
from evaluators.types import Figure, Sample, Score
from tests.benchmarks._real_tasks import Task

Answers = Sequence[Mapping[str, Any]]
RESAMPLES = 2000


def scores_of(metric: Metric, answers: Answers) -> list[Score]:
    """The scores of one metric, in the order of the answers."""
    return list(metric.score([_sample(one) for one in answers]))


def _sample(one: Mapping[str, Any]) -> Sample:
    return Sample(one["id"], one["prediction"], (one["reference"],), one["context"])


def figure_of(name: str, answers: Answers) -> Figure:
    """A metric over all answers, with its interval."""
    metric = resolve_metrics([name])[0]
    return aggregate(metric, scores_of(metric, answers), [None] * len(answers))


def describe(
    task: Task,
    answers: Mapping[str, Answers],
    *,
    baseline: str,
    chosen_on: Mapping[str, Any],
    latency: Mapping[str, float],
    trained: Mapping[str, Mapping[str, Any]],
    seed: int,
) -> dict[str, Any]:
    """All that the table says, JSON-serialisable.

    Args:
        answers: of each candidate, on the same test rows in the same order.
        baseline: the candidate with the best prompt.
        chosen_on: what wordings and shots came to on the validation rows.
        trained: what the training of each adapter says of itself, smallest first.
    """
    metrics = resolve_metrics(list(task.metrics))
    sizes = dict(zip(task.sizes, trained, strict=True))
    return {
        "task": task.stated,
        "rows": {"train": len(task.train), "validation": len(task.validation)}
        | {"test": len(task.test)},
        "seed": seed,
        "baseline": baseline,
        "chosen_on": chosen_on,
        "candidates": {
            name: _candidate(metrics, found, answers[baseline], latency[name])
            for name, found in answers.items()
        },
        "trainings": {name: _training(one) for name, one in trained.items()},
        "forecasts": [forecast(metrics[0], answers, sizes, target) for target in task.sizes[2:]],
    }


def _candidate(
    metrics: Sequence[Metric], found: Answers, baseline: Answers, seconds: float
) -> dict[str, Any]:
    groups = [None] * len(found)
    figures: dict[str, Any] = {}
    for metric in metrics:
        new, old = scores_of(metric, found), scores_of(metric, baseline)
        figures[metric.name] = {"figure": aggregate(metric, new, groups).as_dict()}
        if found is not baseline:
            apart = paired_difference(metric, old, new, groups)
            figures[metric.name]["difference"] = apart.as_dict()
    return {
        "metrics": figures,
        "tokens_in": mean(one["tokens_in"] for one in found),
        "tokens_out": mean(one["tokens_out"] for one in found),
        "processor_seconds": mean(one["processor"] for one in found),
        "latency_alone": seconds,
    }


def _training(result: Mapping[str, Any]) -> dict[str, Any]:
    ledger = result["ledger"]
    return {
        "rows": result["train"]["rows"],
        "tokens": ledger["tokens"],
        "cpu_seconds": ledger["cpu_seconds"],
        "peak_memory_bytes": ledger["peak_memory_bytes"],
        "dtype": result["config"]["dtype"],
    }


def forecast(
    metric: Metric, answers: Mapping[str, Answers], sizes: Mapping[int, str], target: int
) -> dict[str, Any]:
    """What the two smallest sizes say of a larger one, and what that came to."""
    small, middle = sorted(sizes)[:2]
    scored = [scores_of(metric, answers[sizes[size]]) for size in (small, middle, target)]
    if any(score.value is None for scores in scored for score in scores):
        raise EvaluatorError("A forecast needs a score of every test row.")
    rows = metric.summary.rows([score for scores in scored for score in scores])
    dense = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
    sides = np.split(dense, 3)
    drawn = resampled_figures(metric.summary.figure, sides, seed=0, resamples=RESAMPLES)
    whole = [float(metric.summary.figure(side.sum(axis=0, keepdims=True))[0]) for side in sides]
    least = 0.5 / len(scored[0])
    told = extrapolate(np.array(whole[:2]), (small, middle), target, least=least)
    spread = extrapolate(np.stack(drawn[:2]), (small, middle), target, least=least)
    low, high = percentile_interval(spread, level=0.95)
    missed_low, missed_high = percentile_interval(drawn[2] - spread, level=0.95)
    return {
        "metric": metric.name,
        "from": [small, middle],
        "to": target,
        "value": float(told),
        "low": float(low),
        "high": float(high),
        "came_to": whole[2],
        "missed_by": whole[2] - float(told),
        "missed_low": float(missed_low),
        "missed_high": float(missed_high),
    }


def as_markdown(found: Mapping[str, Any]) -> str:
    """The tables, for people."""
    rows = found["rows"]
    names = list(next(iter(found["candidates"].values()))["metrics"])
    head = [*names, *(f"{name} over {found['baseline']}" for name in names)]
    head += ["tokens in", "tokens out", "processor s", "latency s"]
    lines = [
        f"{found['task']}; {rows['train']} rows to train on and to take shots from, "
        f"{rows['validation']} to choose on, {rows['test']} to test; seed {found['seed']}, "
        f"{found['machine']}.",
        "",
        "| candidate | " + " | ".join(head) + " |",
        "|" + "---|" * (len(head) + 1),
        *(_line(name, one, names) for name, one in found["candidates"].items()),
        "",
        *(_told(one) for one in found["forecasts"]),
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, one: Mapping[str, Any], names: Sequence[str]) -> str:
    figures = [_shown(one["metrics"][metric]["figure"]) for metric in names]
    apart = [_shown(one["metrics"][metric].get("difference"), signed=True) for metric in names]
    taken = [f"{one['tokens_in']:.0f}", f"{one['tokens_out']:.1f}"]
    taken += [f"{one['processor_seconds']:.2f}", f"{one['latency_alone']:.2f}"]
    return f"| {name} | " + " | ".join([*figures, *apart, *taken]) + " |"


def _shown(found: Mapping[str, Any] | None, *, signed: bool = False) -> str:
    if found is None:
        return ""
    form = "+.3f" if signed else ".3f"
    if found["low"] is None:
        return f"{found['value']:{form}} ({found['note']})"
    return f"{found['value']:{form}} [{found['low']:{form}}, {found['high']:{form}}]"


def _told(one: Mapping[str, Any]) -> str:
    return (
        f"{one['metric']} from {one['from'][0]} and {one['from'][1]} rows to {one['to']}: forecast "
        f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}], came to {one['came_to']:.3f}; "
        f"missed by {one['missed_by']:+.3f} [{one['missed_low']:+.3f}, {one['missed_high']:+.3f}]."
    )
