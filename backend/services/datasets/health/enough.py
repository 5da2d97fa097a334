"""Whether there is enough: slices too small for the bar, and what more rows would bring.

The learning curve is that of a stand-in, a linear classifier on words, for references that are
classes. It is cheap, and what it says of a language model is a hint and no forecast of it; the
curve of candidates that were trained here is `strop yield --forecast`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.errors import CannotCompute
from backend.schemas.health import Gain
from backend.services.datasets.health.findings import (
    BarLine,
    FindingSeverity,
    HealthMaterial,
    KindFindings,
    Task,
)
from backend.services.datasets.health.labels import classifier, word_features
from backend.services.datasets.versions import ExampleRow
from backend.tables.datasets import Split
from evaluators.statistics.intervals import wilson

LARGEST = 1_000_000
CHANGED = 0.2
DOUBT = 1 / 3
PARTS = (8, 4, 2, 1)
REPEATS = 3
HELD_OUT = 0.2
RESAMPLES = 400
LEAST_CURVE = 400
LAW = "error = a * n ** -b, b from 0 on"


def find_small_slices(material: HealthMaterial) -> KindFindings:
    """Lines of the bar that the test split of this size cannot settle.

    Raises:
        CannotCompute: there is no bar, none of its lines is of a bounded metric, or no test split.
    """
    lines = [line for line in material.bar if line.scale and line.scale > 0]
    tested = [row for row in material.rows if row.split == Split.TEST]
    if not lines:
        raise CannotCompute(
            "There is no bar with a line on a bounded metric to hold the sizes against.",
            hint="strop manifest set FILE, or --bar FILE.",
        )
    if not tested:
        raise CannotCompute("No row is of the test split.", hint="Name it: train=FILE test=FILE.")
    details = [_line(line, tested) for line in lines]
    small = [one for one in details if one["problem"]]
    severity = None if not small else FindingSeverity.WARNING
    if any(one["never"] for one in small):
        severity = FindingSeverity.SEVERE
    needed = max((one["needed"] or 0 for one in small), default=0)
    gain = Gain("Every line of the bar can be settled by a test split of this size.")
    if small:
        gain = Gain(
            f"{len(small)} of {len(details)} lines cannot be settled; the greediest takes "
            f"{needed or f'more than {LARGEST}'} test rows of its slice.",
            "test rows of the slice that is the greediest",
            float(needed) if needed else None,
            n=len(tested),
        )
    return KindFindings((), len(tested), gain, severity=severity, details=tuple(details))


def _line(line: BarLine, tested: Sequence[ExampleRow]) -> dict[str, Any]:
    """How wide an interval this slice gives, and whether that is enough for the line."""
    scale = float(line.scale or 1)
    wanted = line.slice.items()
    chosen = [r for r in tested if all(str(r.slices.get(key)) == value for key, value in wanted)]
    n = len(chosen)
    groups = len({row.group for row in chosen if row.group is not None})
    groups += sum(row.group is None for row in chosen)
    at = line.threshold / scale if line.threshold is not None else 0.5
    said: dict[str, Any] = {
        "metric": line.metric,
        "slice": ", ".join(f"{k}={v}" for k, v in wanted),
        "n": n,
        "groups": groups,
        "asks": _asks(line),
        "half_width": _half_width(at, groups) * scale if groups else None,
        "needed": None,
        "never": False,
        "problem": "",
    }
    if not n:
        return {**said, "problem": "no test row is of this slice", "never": True, "needed": 1}
    if line.threshold is not None:
        return {**said, **_against_threshold(at, groups, line.higher_is_better)}
    return {**said, **_against_margin((line.margin or 0) / scale, groups)}


def _asks(line: BarLine) -> str:
    if line.threshold is not None:
        return f"{'at least' if line.higher_is_better else 'at most'} {line.threshold:g}"
    return f"margin {line.margin:g}" if line.margin is not None else ""


def _half_width(rate: float, n: int) -> float:
    """Half of Wilson's interval of 95% at a rate; a mean of bounded values has no wider one."""
    rate = min(max(rate, 0.0), 1.0)
    low, high = wilson(rate * n, n)
    return (high - low) / 2


def _against_threshold(at: float, n: int, higher: bool) -> dict[str, Any]:
    """Whether even a perfect figure could clear the threshold."""

    def clears(size: int) -> bool:
        low, high = wilson(size if higher else 0, size)
        return low >= at if higher else high <= at

    if clears(n):
        return {}
    needed = _smallest(clears)
    return {
        "never": True,
        "needed": needed,
        "problem": "even if every row of it were right, the interval would reach across the "
        "threshold" + (f"; {needed} rows are the least" if needed else "; no size is enough"),
    }


def _against_margin(margin: float, n: int) -> dict[str, Any]:
    """Whether a difference of the margin shows: at most as wide as 95% of one in ten discordant."""
    margin = abs(margin)
    if margin == 0:
        return {}

    def shows(size: int) -> bool:
        return paired_half_width(size) <= margin

    if shows(n):
        return {}
    needed = _smallest(shows)
    return {
        "needed": needed,
        "problem": f"the interval of a difference is about ±{paired_half_width(n):.3f} where one "
        "row in five changes sides, wider than the margin"
        + (f"; {needed} rows are about enough" if needed else ""),
    }


def paired_half_width(n: int) -> float:
    """Half of the interval of 95% of a paired difference of rates, of which CHANGED rows change."""
    return float(1.96 * (CHANGED / n) ** 0.5)


def _smallest(enough: Any) -> int | None:
    """The least number for which it holds; None beyond LARGEST."""
    low, high = 0, 1
    while not enough(high):
        low, high = high, high * 2
        if high > LARGEST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class ProxyCurve:
    """What a linear classifier on words comes to with more rows, and where that goes.

    Attributes:
        points: accuracy out of fold at each size, with its interval over groups and draws.
        target: the size that `value` is told of, with `low` and `high`.
        n: held-out rows, over all draws.
    """

    points: tuple[Mapping[str, Any], ...]
    target: int
    value: float
    low: float
    high: float
    n: int
    signature: str


def find_curve(material: HealthMaterial) -> KindFindings:
    """What twice as many rows would bring a stand-in; flags no row.

    Raises:
        CannotCompute: the references are no classes, or too few rows.
    """
    curve = proxy_curve(material)
    now = curve.points[-1]
    sentence = (
        f"A linear classifier on words comes to {now['value']:.1%} with {now['rows']} rows to "
        f"learn from ({now['low']:.1%} to {now['high']:.1%}), and is told to come to "
        f"{curve.value:.1%} ({curve.low:.1%} to {curve.high:.1%}) with {curve.target}. It stands "
        "in for a model: where its curve is flat, look at the labels before you add rows."
    )
    figure = f"accuracy of a stand-in with {curve.target} rows"
    gain = Gain(sentence, figure, curve.value, curve.low, curve.high, curve.n)
    notes = (curve.signature, "of candidates trained on several sizes: strop yield --forecast")
    return KindFindings((), curve.n, gain, details=curve.points, notes=notes)


def proxy_curve(material: HealthMaterial, *, target: int | None = None) -> ProxyCurve:
    """The stand-in's accuracy at n/8 to n rows, and its forecast for `target`, twice n by default.

    Three times a fifth of the groups is held out and the classifier learns from parts of the rest,
    each within the next. The forecast is a power law fitted to all sizes; its interval resamples
    draws and held-out groups.

    Raises:
        CannotCompute: the references are no classes, or too few rows.
    """
    if material.task is not Task.CLASSES:
        raise CannotCompute(
            "A stand-in's curve is of classes; these references are texts.",
            hint="Train candidates on several sizes: strop yield --forecast N.",
        )
    numbers = [
        n
        for n, row in enumerate(material.rows)
        if row.references and row.split in (None, Split.TRAIN, Split.VALIDATION)
    ]
    if len(numbers) < LEAST_CURVE:
        raise CannotCompute(
            f"A curve takes {LEAST_CURVE} rows to learn from; there are {len(numbers)}."
        )
    features = word_features([material.prompts[n] for n in numbers])
    names = [material.rows[n].references[0].strip() for n in numbers]
    labels = np.unique(np.array(names), return_inverse=True)[1]
    groups = np.unique(np.array([material.clusters[n] for n in numbers]), return_inverse=True)[1]
    draws = [_draw(features, labels, groups, material.seed + i) for i in range(REPEATS)]
    sizes = [round(sum(d.sizes[i] for d in draws) / len(draws)) for i in range(len(PARTS))]
    return _curve(draws, sizes, target or 2 * sizes[-1], material.seed)


@dataclass(frozen=True, slots=True)
class _Draw:
    """Right answers of one held-out part by group: shape (groups, sizes + 1), the last is rows."""

    sizes: tuple[int, ...]
    sums: np.ndarray


def _draw(features: Any, labels: np.ndarray, groups: np.ndarray, seed: int) -> _Draw:
    rng = np.random.default_rng(seed)
    order = rng.permutation(int(groups.max()) + 1)
    held = np.isin(groups, order[: max(1, round(HELD_OUT * len(order)))])
    hold = np.flatnonzero(held)
    place = np.argsort(order)  # groups in random order: a part is whole groups, too
    learn = np.flatnonzero(~held)
    learn = learn[np.argsort(place[groups[learn]], kind="stable")]
    members = np.unique(groups[hold], return_inverse=True)[1]
    columns, sizes = [], []
    for part in PARTS:
        some = learn[: len(learn) // part]
        fitted = classifier(seed, len(some)).fit(features[some], labels[some])
        right = fitted.predict(features[hold]) == labels[hold]
        columns.append(np.bincount(members, weights=right))
        sizes.append(len(some))
    columns.append(np.bincount(members))
    return _Draw(tuple(sizes), np.stack(columns, axis=1))


def _curve(draws: Sequence[_Draw], sizes: Sequence[int], target: int, seed: int) -> ProxyCurve:
    whole = _accuracies([draw.sums for draw in draws])
    rng = np.random.default_rng(seed)
    resampled = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, len(draws), len(draws))
        sums = [draws[i].sums for i in chosen]
        resampled.append(_accuracies([s[rng.integers(0, len(s), len(s))] for s in sums]))
    spread = np.array(resampled)
    told = np.array([extrapolate(one, sizes, target) for one in spread])
    value = extrapolate(whole, sizes, target)
    bounds = np.percentile(spread, [2.5, 97.5], axis=0)
    points = tuple(
        {"rows": size, "value": float(v), "low": float(lo), "high": float(hi)}
        for size, v, lo, hi in zip(sizes, whole, *bounds, strict=True)
    )
    ends = np.percentile(told, [2.5, 97.5])
    low, high = widen(value, float(ends[0]), float(ends[1]), float(whole[-1]))
    n = int(sum(draw.sums[:, -1].sum() for draw in draws))
    signature = f"proxy-curve|v1|words|{LAW}|repeats:{REPEATS}|bootstrap:{RESAMPLES}|seed:{seed}"
    return ProxyCurve(points, target, float(value), low, high, n, signature)


def _accuracies(sums: Sequence[np.ndarray]) -> np.ndarray:
    total = np.sum([one.sum(axis=0) for one in sums], axis=0)
    accuracies: np.ndarray = total[:-1] / total[-1]
    return accuracies


def extrapolate(accuracies: np.ndarray, sizes: Sequence[int], target: int) -> float:
    """Accuracy at a target size by the power law of the error, through all sizes."""
    errors = np.log(np.maximum(1 - np.asarray(accuracies), 1e-4))
    rows = np.log(np.asarray(sizes, dtype=float))
    apart = rows - rows.mean()
    power = max(0.0, -float(apart @ errors) / float(apart @ apart))
    return float(1 - np.exp(errors[-1]) * (target / sizes[-1]) ** -power)


def widen(value: float, low: float, high: float, now: float) -> tuple[float, float]:
    """The interval with the doubt of the law itself: a third of the promised gain to each side.

    Resampling knows nothing of a curve that bends; with it alone 95% covered far less on data that
    was held back (see the guide).
    """
    doubt = DOUBT * abs(value - now)
    return max(0.0, low - doubt), min(1.0, high + doubt)
