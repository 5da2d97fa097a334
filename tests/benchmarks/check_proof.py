"""How well each check tells wrong outputs from right ones: balanced accuracy, AUROC, recall, speed.

    python -m tests.benchmarks.check_proof [--data DIR] [--out FILE] [--only SET ...] [--most N]

Every set is cut into two halves by document. The threshold of a single check, and a risk that is
fitted from all of them, come from the other half of each: no row is measured by what it chose.
AUROC needs no threshold; of a single check it is of all rows. Intervals draw documents anew. Beside
the checks stand two naive baselines: all outputs alike (one half by definition), and length, whose
AUROC is that of being longer.

A check is one line in CHECKS, a set one in SETS.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.checks.grounding.others import with_others
from evaluators.checks.grounding.relative import answered, relative_rows
from evaluators.checks.planting.bench import build_bench, run_bench
from evaluators.checks.planting.plant import plant_errors
from evaluators.checks.risk.report import risk_figures
from evaluators.checks.risk.risk import fit_risk, risk_of
from evaluators.errors import UndefinedFigure
from evaluators.registry import METRICS, resolve_metrics
from evaluators.statistics.correlations import choose_threshold, said_yes
from evaluators.types import Sample
from tests.benchmarks.evaluators_data import read_claims

DATA = Path(__file__).parents[3] / "shared/data"
SEED = 0
RESAMPLES = 500
SINGLE = ("invented", "grounding", "overlap", "overlap_pairs", "source_rouge", "novel_stretch")
WRONG_BELOW = 4.0  # mean faithfulness of three raters, of 1 to 5


@dataclass(frozen=True, slots=True)
class Set:
    """Outputs, which of them are wrong, and what is to be said of it."""

    samples: list[Sample]
    wrong: list[bool]
    note: str


def expertqa(folder: Path, most: int) -> Set:
    """Claims with their evidence; wrong where an expert calls the support incomplete or partial."""
    halves = [read_claims(folder, half) for half in (1, 2)]
    samples = [s for half in halves for s in half[0]]
    return Set(samples, [w for half in halves for w in half[1]], "labels of experts")


def mts_dialog(folder: Path, most: int) -> Set:
    """Clinicians' summaries of dialogues, half of them with one planted error: simulated.

    A dialogue gives one output, as it was or with the error: of two beside each other of which one
    is wrong for certain, relative features would tell which.
    """
    rows = _csv(folder / "mts_dialog/train.csv")
    random.Random(SEED).shuffle(rows)
    samples, wrong = [], []
    donors = [row["section_text"] for row in rows[-100:]]
    for row in rows[: 2 * most]:
        own = Sample(row["ID"], row["section_text"], context=row["dialogue"], group=row["ID"])
        planted = plant_errors(own.prediction, row["dialogue"], seed=SEED, donors=donors)
        misstated = [p for p in planted if p.kind != "omission"]
        if not misstated:
            continue
        rng = random.Random(row["ID"])
        chosen, bad = rng.choice(misstated), rng.random() < 0.5
        samples.append(replace(own, prediction=chosen.text) if bad else own)
        wrong.append(bad)
    return Set(samples, wrong, "SIMULATED: one planted error of a kind drawn at random")


def summeval_op(folder: Path, most: int) -> Set:
    """Summaries of product reviews by 13 systems; wrong where mean faithfulness is below 4."""
    lines = (folder / "summeval_op/summeval-op.jsonl").read_text(encoding="utf-8").splitlines()
    samples, wrong = [], []
    for number, row in enumerate(map(json.loads, lines)):
        source = "\n".join(row["reviews"].values())
        for system, made in row["summaries"].items():
            key = f"{number}:{system}"
            samples.append(Sample(key, made["summary"], context=source, group=str(number)))
            wrong.append(made["dimensions"]["Faithfulness"] < WRONG_BELOW)
    return Set(samples, wrong, f"wrong: mean faithfulness below {WRONG_BELOW:g}")


def medec(folder: Path, most: int) -> Set:
    """The wrong sentence and the corrected one, each against the rest of its text.

    The data hold no source. What the rest of a text does not say is not wrong for that, so checks
    of support are out of place here, and chance is what is to be expected of them.
    """
    samples, wrong = [], []
    for row in _csv(folder / "medec/validation.csv"):
        if row["Error Flag"] != "1" or row["Error Sentence"] not in row["Text"]:
            continue
        rest = row["Text"].replace(row["Error Sentence"], " ")
        for bad, column in ((True, "Error Sentence"), (False, "Corrected Sentence")):
            key = f"{row['Text ID']}#{column}"
            samples.append(Sample(key, row[column], context=rest, group=row["Text ID"]))
            wrong.append(bad)
    return Set(samples, wrong, "no source: the rest of the text stands for it")


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


SETS: Mapping[str, Callable[[Path, int], Set]] = {
    "expertqa": expertqa,
    "mts_dialog, planted": mts_dialog,
    "summeval_op": summeval_op,
    "medec": medec,
}

Values = np.ndarray[Any, np.dtype[np.float64]]
# Given a set and the half of each output: how bad each output is, and whether it is a probability
# that was fitted on the other half.
Check = Callable[[Set, Sequence[int]], Values]


def single(name: str, data: Set, halves: Sequence[int]) -> Values:
    """A registered metric, larger worse; what it does not apply to is as good as can be."""
    metric = METRICS[name]
    sign = -1.0 if metric.higher_is_better else 1.0
    found = [score.value for score in metric.score(data.samples)]
    return np.array([-1e6 if value is None else sign * value for value in found])


def alike(data: Set, halves: Sequence[int]) -> Values:
    """All outputs alike."""
    return np.zeros(len(data.samples))


def longer(data: Set, halves: Sequence[int]) -> Values:
    """The longer, the worse, or the other way about, as the other half has it."""
    return np.array([float(len(sample.prediction)) for sample in data.samples])


def fitted(data: Set, halves: Sequence[int], *, relative: bool) -> Values:
    """What `strop calibrate` fits of the metrics `checks`, each half by a model of the other."""
    samples = with_others(data.samples)
    columns = {m.name: [one.value for one in m.score(samples)] for m in resolve_metrics(["checks"])}
    rows: list[dict[str, float | None]] = [
        {name: column[i] for name, column in columns.items()} for i in range(len(data.samples))
    ]
    if relative:
        rows = relative_rows(rows, [answered(sample) for sample in data.samples])
    risk = np.zeros(len(rows))
    for half in (1, 2):
        own, other = _places(halves, half), _places(halves, 3 - half)
        groups = [data.samples[i].group for i in other]
        model = fit_risk([rows[i] for i in other], [data.wrong[i] for i in other], groups).model
        risk[own] = risk_of(model, [rows[i] for i in own])
    return risk


CHECKS: Mapping[str, Check] = {
    "all alike (naive)": alike,
    "length (naive)": longer,
    **{name: partial(single, name) for name in SINGLE},
    "risk": partial(fitted, relative=False),
    "risk, relative features": partial(fitted, relative=True),
}


def _places(halves: Sequence[int], half: int) -> list[int]:
    return [i for i, own in enumerate(halves) if own == half]


def halve(samples: Sequence[Sample]) -> list[int]:
    """1 or 2 for each sample, whole documents together."""
    documents = sorted({str(sample.group) for sample in samples})
    random.Random(SEED).shuffle(documents)
    first = set(documents[: len(documents) // 2])
    return [1 if str(sample.group) in first else 2 for sample in samples]


def measure(name: str, check: Check, data: Set, halves: Sequence[int]) -> dict[str, Any]:
    """Balanced accuracy at the other half's threshold, and AUROC, with intervals by document."""
    groups = [sample.group for sample in data.samples]
    try:
        values = check(data, halves)
        said = _said(values, data.wrong, halves)
    except UndefinedFigure as error:
        return {"check": name, "error": str(error)}
    options: dict[str, Any] = {"seed": SEED, "resamples": RESAMPLES}
    [accuracy] = risk_figures(
        name, said, data.wrong, groups, metrics=["balanced_accuracy"], threshold=0.5, **options
    )
    [area] = risk_figures(name, values, data.wrong, groups, metrics=["auroc"], **options)
    return {"check": name, "balanced_accuracy": asdict(accuracy), "auroc": asdict(area)}


def _said(values: Values, wrong: Sequence[bool], halves: Sequence[int]) -> list[float]:
    labels = np.array(wrong, dtype=np.float64)
    said = np.zeros(len(values))
    for half in (1, 2):
        own, other = _places(halves, half), _places(halves, 3 - half)
        if np.ptp(values[other]) > 0:
            said[own] = said_yes(values[own], choose_threshold(values[other], labels[other]))
    return [float(value) for value in said]


def study(name: str, folder: Path, most: int) -> dict[str, Any]:
    """All checks on one set."""
    data = SETS[name](folder, most)
    halves = halve(data.samples)
    return {
        "set": name,
        "note": data.note,
        "n": len(data.samples),
        "wrong": sum(data.wrong),
        "documents": len({sample.group for sample in data.samples}),
        "checks": [measure(check, run, data, halves) for check, run in CHECKS.items()],
    }


def recall_by_kind(folder: Path, most: int) -> dict[str, Any]:
    """The bench on clinicians' summaries that nothing above has seen: simulated."""
    rows = _csv(folder / "mts_dialog/train.csv")
    random.Random(SEED).shuffle(rows)
    samples = [
        Sample(row["ID"], row["section_text"], context=row["dialogue"], group=row["ID"])
        for row in rows[-most:]
    ]
    return run_bench(build_bench(samples, seed=SEED), resolve_metrics(SINGLE)).as_dict()


def speed(folder: Path, most: int) -> dict[str, float]:
    """Outputs a second of each check, each source new to it, one process."""
    rows = _csv(folder / "mts_dialog/train.csv")[:most]
    found = {}
    for name in (*SINGLE, "length"):
        mark = f" {name}."  # other texts, so that nothing is remembered of the check before
        samples = [
            Sample(row["ID"], row["section_text"] + mark, context=row["dialogue"] + mark)
            for row in rows
        ]
        start = time.perf_counter()
        METRICS[name].score(samples)
        found[name] = len(samples) / (time.perf_counter() - start)
    return found


def _bounds(figure: Mapping[str, Any]) -> str:
    if figure["low"] is None:
        return f"{figure['value']:.3f}               "
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def _print_study(found: Mapping[str, Any]) -> None:
    print(f"\n{found['set']}: {found['n']} outputs, {found['wrong']} wrong, "
          f"{found['documents']} documents; {found['note']}")  # fmt: skip
    print(f"  {'check':28} {'balanced accuracy':24} AUROC")
    for row in found["checks"]:
        if "error" in row:
            print(f"  {row['check']:28} {row['error']}")
            continue
        print(f"  {row['check']:28} {_bounds(row['balanced_accuracy']):24} {_bounds(row['auroc'])}",
              flush=True)  # fmt: skip


def _print_recall(report: Mapping[str, Any]) -> None:
    checks = [check for check in report["checks"] if not check["problem"]]
    names = [check["check"] for check in checks]
    print(f"\nRecall by kind, SIMULATED, {report['n']} clinicians' summaries (false alarms last)")
    print(f"  {'kind':12} {'planted in':>10} " + " ".join(f"{name:>14}" for name in names))
    for planted in report["plantable"]:
        kind = planted["metric"].partition(":")[2]
        cells = [next((k for k in c["kinds"] if k["kind"] == kind), None) for c in checks]
        shown = [f"{k['recall']['value']:14.3f}" if k else f"{'-':>14}" for k in cells]
        print(f"  {kind:12} {planted['value']:10.0%} " + " ".join(shown))
    alarms = " ".join(f"{check['false_alarms']['value']:14.3f}" for check in checks)
    print(f"  {'unedited':12} {'':10} {alarms}")


def main() -> None:
    """Print the tables, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", action="append", choices=[*SETS, "recall", "speed"])
    parser.add_argument("--most", type=int, default=300, help="Outputs of mts_dialog.")
    args = parser.parse_args()
    chosen = args.only or [*SETS, "recall", "speed"]
    found: dict[str, Any] = {"studies": []}
    for name in SETS:
        if name in chosen:
            found["studies"].append(study(name, args.data, args.most))
            _print_study(found["studies"][-1])
    if "recall" in chosen:
        found["recall"] = recall_by_kind(args.data, args.most)
        _print_recall(found["recall"])
    if "speed" in chosen:
        found["speed"] = speed(args.data, args.most)
        print("\nOutputs a second, one process (on a machine that others use, too)")
        print("  " + "  ".join(f"{name} {rate:,.0f}" for name, rate in found["speed"].items()))
    if args.out is not None:
        args.out.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
