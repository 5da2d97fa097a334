"""How many wrong labels the examination of data finds on banking77, against random.

    python -m tests.benchmarks.health_label_errors [--seeds 3] [--rows 10003] [--encoder FOLDER]
    python -m tests.benchmarks.health_label_errors --curve 10        the forecast, held against more

Labels are made wrong at a known rate, at random or to the class that is most like (by the cosine of
their mean texts). Precision: of the flagged, how many were made wrong; recall: of those made wrong,
how many are flagged; at random: the precision of flagging as many by lot, which is the rate.
Of several seeds: the median and the range; of one: Wilson's interval of 95% over its rows.
banking77 has wrong labels of its own, which count here as false alarms.

What mending is worth: accuracy on the clean test split of the same linear classifier, trained on
the labels as they are, without the flagged rows, and with the flagged rows put right.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from backend.services.datasets.health.enough import proxy_curve
from backend.services.datasets.health.findings import HealthMaterial, Task
from backend.services.datasets.health.kinds import look_for
from backend.services.datasets.health.labels import classifier, word_features
from backend.services.datasets.versions import ExampleRow
from evaluators.statistics.intervals import wilson
from tests.conftest import DATA

RATES = ((0.0, "none"), (0.05, "random"), (0.2, "random"), (0.2, "nearest"))
CURVE_SIZES = (1250, 2500)


@dataclass(frozen=True)
class Outcome:
    """What one examination found of what was made wrong; accuracy on clean test rows."""

    rows: int
    wrong: int
    flagged: int
    hits: int
    as_is: float
    without: float
    mended: float


def read_rows(path: Path, split: str) -> list[ExampleRow]:
    """banking77 as examples; a row can hold line breaks."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            ExampleRow(f"{split}-{n}", row["text"], None, (row["category"],), split=split)
            for n, row in enumerate(csv.DictReader(file))
        ]


def nearest_labels(rows: Sequence[ExampleRow]) -> dict[str, str]:
    """Of each label the one of which the texts are most like its own."""
    names = sorted({row.references[0] for row in rows})
    place = {name: n for n, name in enumerate(names)}
    members = np.eye(len(names))[[place[row.references[0]] for row in rows]].T
    means = members @ word_features([row.input for row in rows])
    means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-12
    likeness = means @ means.T
    np.fill_diagonal(likeness, -1.0)
    return {name: names[int(likeness[n].argmax())] for n, name in enumerate(names)}


def corrupt(
    rows: Sequence[ExampleRow], rate: float, how: str, seed: int
) -> tuple[list[ExampleRow], set[str]]:
    """The rows with exactly this share of the labels made wrong, and the ids of those."""
    rng = random.Random(seed)
    names = sorted({row.references[0] for row in rows})
    nearest = nearest_labels(rows) if how == "nearest" else {}
    chosen = set(rng.sample(range(len(rows)), round(rate * len(rows))))

    def other(label: str) -> str:
        return nearest.get(label) or rng.choice([name for name in names if name != label])

    made = [
        replace(row, references=(other(row.references[0]),)) if n in chosen else row
        for n, row in enumerate(rows)
    ]
    return made, {rows[n].external_id for n in chosen}


def play(
    train: Sequence[ExampleRow],
    test: Sequence[ExampleRow],
    rate: float,
    how: str,
    seed: int,
    encoder: str | None = None,
) -> Outcome:
    """Make labels wrong, look for them, and mend what was flagged."""
    rows, wrong = corrupt(train, rate, how, seed)
    material = HealthMaterial(rows, seed=seed, task_given=Task.CLASSES, encoder=encoder)
    report = look_for("label_errors", material)
    assert report.found is not None, report.problem
    flagged = {row.id for row in report.found.rows}
    truth = {row.external_id: row for row in train}
    mended = [truth[row.external_id] if row.external_id in flagged else row for row in rows]
    kept = [row for row in rows if row.external_id not in flagged]
    accuracies = [accuracy(part, test, seed) for part in (rows, kept, mended)]
    return Outcome(len(rows), len(wrong), len(flagged), len(flagged & wrong), *accuracies)


def accuracy(rows: Sequence[ExampleRow], test: Sequence[ExampleRow], seed: int) -> float:
    """Of the linear classifier on words, on clean test rows."""
    features = word_features([row.input for row in [*rows, *test]])
    labels = np.array([row.references[0] for row in [*rows, *test]])
    n = len(rows)
    fitted = classifier(seed, n).fit(features[:n], labels[:n])
    return float((fitted.predict(features[n:]) == labels[n:]).mean())


def share(hits: int, n: int) -> str:
    """`.953 (.941 to .962)`; a dash where there is nothing to divide by."""
    if not n:
        return "–"
    low, high = wilson(hits, n)
    return f"{hits / n:.3f} ({low:.3f} to {high:.3f})"


HEAD = (
    "| wrong labels | flagged | precision | recall | at random | accuracy as it is "
    "| flagged left out | flagged put right | rows | seeds |\n" + "|---" * 10 + "|"
)


def over_seeds(shares: Sequence[tuple[int, int]]) -> str:
    """Of one seed with Wilson's interval, of several the median and how far they lie apart."""
    if len(shares) == 1:
        return share(*shares[0])
    return "–" if not all(n for _, n in shares) else spread([hits / n for hits, n in shares])


def spread(values: Sequence[float]) -> str:
    """`0.877 (0.868 to 0.904)`: the median, and between which values all lie."""
    middle = f"{np.median(values):.3f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.3f} to {max(values):.3f})"


def label_line(rate: float, how: str, found: Sequence[Outcome]) -> str:
    """One rate: what was found, and what leaving out and mending bring."""
    wrong = sum(one.wrong for one in found)
    alarms = over_seeds([(one.flagged, one.rows) for one in found])
    precision = over_seeds([(one.hits, one.flagged) for one in found])
    recall = over_seeds([(one.hits, one.wrong) for one in found])
    accuracies = [
        spread([getattr(one, name) for one in found]) for name in ("as_is", "without", "mended")
    ]
    return (
        f"| {rate:.0%}, {how} | {np.median([one.flagged for one in found]):.0f} "
        f"| {precision if wrong else f'false alarms {alarms}'} | {recall} | {rate:.2f} "
        f"| {' | '.join(accuracies)} | {found[0].rows} | {len(found)} |"
    )


def curve_table(rows: Sequence[ExampleRow], repeats: int) -> Iterator[str]:
    """The forecast from few rows, held against the accuracy of as many as it spoke of."""
    yield "| examined | told of | covered | mean error | mean half width | n |"
    yield "|---|---|---|---|---|---|"
    for size in CURVE_SIZES:
        for times in (2, 4):
            told = [_forecast(rows, size, times, seed) for seed in range(repeats)]
            inside = sum(low <= seen <= high for _, low, high, seen in told)
            off = np.mean([value - seen for value, _, _, seen in told])
            half = np.mean([(high - low) / 2 for _, low, high, _ in told])
            yield (
                f"| {size} rows | {times} times | {share(inside, len(told))} | {off:+.3f} "
                f"| {half:.3f} | {len(told)} |"
            )


def _forecast(
    rows: Sequence[ExampleRow], size: int, times: int, seed: int
) -> tuple[float, float, float, float]:
    rng = random.Random(seed)
    drawn = rng.sample(range(len(rows)), len(rows))
    held, pool = drawn[:3000], drawn[3000:]
    part = [replace(rows[n], split=None) for n in pool[:size]]
    material = HealthMaterial(part, seed=seed, task_given=Task.CLASSES)
    base = proxy_curve(material).points[-1]["rows"]
    curve = proxy_curve(material, target=base * times)
    seen = accuracy([rows[n] for n in pool[: base * times]], [rows[n] for n in held], seed)
    return curve.value, curve.low, curve.high, seen


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=10_003)
    parser.add_argument("--encoder", default=None)
    parser.add_argument("--curve", type=int, default=0)
    asked = parser.parse_args()
    train = read_rows(DATA / "banking77/train.csv", "train")
    test = read_rows(DATA / "banking77/test.csv", "test")
    if asked.curve:
        print("\n".join(curve_table([*train, *test], asked.curve)))
        return
    train = random.Random(0).sample(train, min(asked.rows, len(train)))
    print(HEAD, flush=True)
    for rate, how in RATES:
        found = [play(train, test, rate, how, seed, asked.encoder) for seed in range(asked.seeds)]
        print(label_line(rate, how, found), flush=True)


if __name__ == "__main__":
    main()
