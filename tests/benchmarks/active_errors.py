"""How many errors do a hundred reviews find, in the order of a risk, and in random order?

    python -m tests.benchmarks.active_errors [--data DIR] [--out FILE.json] [--repeats 1000]

Writes for each task and risk the curve of errors found over outputs reviewed, by risk and at
random, and their difference. Intervals are percentiles over replays in which groups are drawn with
replacement; both orders are of the same draw, so that the difference is paired. Ties of a risk are
in random order. At random is the mean over all orders of the draw.

expertqa: claims with evidence, an error where experts call the support incomplete or partial; risks
are 1 - overlap, invented, and the fitted risk out of fold (which sees experts' labels of other
questions). mts_dialog: summaries of validation and test, into one in five of which an error is
planted (simulated); the risk is 1 - grounding.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.checks.planting.plant import plant_errors
from evaluators.checks.risk.risk import fit_risk
from evaluators.types import Sample
from tests.benchmarks.evaluators_data import WITH_SOURCE, features, read_claims, read_dialogues

Floats = NDArray[np.float64]
PLANTED = 0.2
SHOWN = (10, 20, 50, 100, 200, 300)


@dataclass(frozen=True, slots=True)
class Task:
    """Outputs: which are wrong, their groups from 0 up, and risks by name."""

    wrong: NDArray[np.bool_]
    group: NDArray[np.int64]
    risks: Mapping[str, Floats]


def read_expertqa(folder: Path) -> Task:
    """All claims of ExpertQA with evidence."""
    samples: list[Sample] = []
    bad: list[bool] = []
    for half in (1, 2):
        found, labels, _ = read_claims(folder, half)
        samples += found
        bad += labels
    rows = features(samples, WITH_SOURCE)
    groups = [str(sample.group) for sample in samples]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(groups))}
    return Task(
        np.array(bad),
        np.array([numbers[name] for name in groups]),
        {
            "1 - overlap": np.array([1 - (row["overlap"] or 0.0) for row in rows]),
            "invented": np.array([row["invented"] or 0.0 for row in rows]),
            "fitted, out of fold": np.asarray(fit_risk(rows, bad, groups, seed=0).held_out),
        },
    )


def plant_dialogues(folder: Path, *, seed: int = 0) -> Task:
    """Summaries of dialogues, with an error planted into some, simulated."""
    rng = random.Random(seed)
    samples: list[Sample] = []
    wrong: list[bool] = []
    for i, (text, told) in enumerate(read_dialogues(folder, ["validation", "test"])):
        planted = plant_errors(text, told, seed=seed) if rng.random() < PLANTED else []
        shown = rng.choice(planted).text if planted else text
        samples.append(Sample(str(i), shown, (), told, ""))
        wrong.append(bool(planted))
    grounding = features(samples, ["grounding"])
    risk = np.array([1 - (1.0 if r["grounding"] is None else r["grounding"]) for r in grounding])
    return Task(np.array(wrong), np.arange(len(wrong)), {"1 - grounding": risk})


def curves(
    task: Task, risk: Floats, most: int, repeats: int, *, seed: int = 0
) -> tuple[Floats, Floats]:
    """Errors found after 1 to `most` reviews, by risk and at random; shape (repeats, most)."""
    rng = np.random.default_rng(seed)
    order = np.argsort(task.group, kind="stable")
    sizes = np.bincount(task.group)
    starts = np.cumsum(sizes) - sizes
    by_risk, at_random = np.zeros((repeats, most)), np.zeros((repeats, most))
    for k in range(repeats):
        drawn = rng.integers(len(sizes), size=len(sizes))
        places = np.concatenate([order[starts[g] : starts[g] + sizes[g]] for g in drawn])
        wrong = task.wrong[places]
        first = np.lexsort((rng.random(len(places)), -risk[places]))
        sums = np.cumsum(wrong[first])[:most]
        by_risk[k, : len(sums)], by_risk[k, len(sums) :] = sums, sums[-1]
        at_random[k] = np.minimum(np.arange(1, most + 1), len(places)) * wrong.mean()
    return by_risk, at_random


def table(task: Task, risk: Floats, *, repeats: int, shown: Sequence[int] = SHOWN) -> list[Any]:
    """Rows at some numbers of reviews: by risk, at random, the paired difference."""
    most = max(n for n in shown if n <= len(task.wrong))
    by_risk, at_random = curves(task, risk, most, repeats)
    return [
        {
            "reviews": n,
            "by risk": _interval(by_risk[:, n - 1]),
            "at random": _interval(at_random[:, n - 1]),
            "difference": _interval(by_risk[:, n - 1] - at_random[:, n - 1]),
        }
        for n in shown
        if n <= most
    ]


def _interval(values: Floats) -> list[float]:
    """Mean and the 2.5 and 97.5 percentiles."""
    low, high = np.quantile(values, [0.025, 0.975])
    return [round(float(x), 1) for x in (values.mean(), low, high)]


def main() -> None:
    """Run both tasks, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=1000)
    arguments = parser.parse_args()
    tasks = {
        "expertqa": read_expertqa(arguments.data),
        "mts_dialog, planted errors (simulated)": plant_dialogues(arguments.data),
    }
    found: dict[str, Any] = {}
    for name, task in tasks.items():
        found[name] = {"n": len(task.wrong), "wrong": int(task.wrong.sum())}
        print(name, json.dumps(found[name]), flush=True)
        for which, risk in task.risks.items():
            found[name][which] = table(task, risk, repeats=arguments.repeats)
            for row in found[name][which]:
                print(which, json.dumps(row), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
