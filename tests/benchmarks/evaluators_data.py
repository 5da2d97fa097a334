"""What grounding and risk reach on public data with experts' labels, against naive baselines.

    python tests/benchmarks/evaluators_data.py [--data DIR] [--out FILE.json]

expertqa: claims with evidence, bad when the expert calls the support incomplete or partial. The
even questions are there to improve grounding by; all figures are of the odd ones. medec: clinical
texts with or without an error, and no source; as a bound, wrong sentences against the corrected
text as source.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.checks.risk import fit_risk
from evaluators.checks.risk_report import risk_figures
from evaluators.checks.triage import triage
from evaluators.errors import EvaluatorError
from evaluators.registry import METRICS
from evaluators.statistics.intervals import wilson
from evaluators.types import Sample

BAD = frozenset({"Incomplete", "Partial"})


def read_claims(folder: Path) -> list[tuple[Sample, bool, int]]:
    """(claim with its evidence as context, whether bad, number of the question)."""
    found = []
    lines = (folder / "expertqa/rand_val.jsonl").read_text(encoding="utf-8").splitlines()
    for number, row in enumerate(map(json.loads, lines)):
        for answer in row["answers"].values():
            for i, claim in enumerate(answer["claims"]):
                evidence = "\n".join(claim["evidence"] or [])
                if claim["support"] in (*BAD, "Complete") and evidence.strip():
                    text = re.sub(r"\s*\[\d+\]", "", claim["claim_string"])
                    name = f"{number}-{i}"
                    sample = Sample(name, text, context=evidence, group=str(number))
                    found.append((sample, claim["support"] in BAD, number))
    return found


def features(samples: list[Sample]) -> list[dict[str, float | None]]:
    """Values of the checks that need no model."""
    columns: dict[str, list[float | None]] = {}
    for name in ("grounding", "invented", "length"):
        columns[name] = [score.value for score in METRICS[name].score(samples)]
    against = [Sample(s.id, s.prediction, references=(s.context or "",)) for s in samples]
    for name in ("rouge1", "rouge2", "rougeL"):
        scores = METRICS[name].score(against)
        columns[f"{name}_precision"] = [float(s.stats[0]) if s.stats else None for s in scores]
    return [{name: column[i] for name, column in columns.items()} for i in range(len(samples))]


def report_labelled(
    rows: list[dict[str, float | None]], bad: list[bool], groups: list[str | None]
) -> dict[str, Any]:
    """Figures of risk (held out), of grounding alone, and of the baselines."""
    figures = []
    out: dict[str, Any] = {"n": len(bad), "bad": sum(bad), "groups": len(set(groups))}
    try:
        fitted = fit_risk(rows, bad, groups)
        figures += risk_figures("risk, held out", fitted.held_out, bad, groups)
        out["model"] = fitted.model.kind
        out["triage"] = asdict(triage(list(fitted.held_out), bad, epsilon=0.1, delta=0.1))
    except EvaluatorError as error:
        out["risk"] = str(error)
    majority = [float(np.mean(bad) >= 0.5)] * len(bad)
    figures += risk_figures("majority", majority, bad, groups)
    for name, flip in (("invented", False), ("rougeL_precision", True)):
        if name in rows[0]:
            values = [row[name] or 0.0 for row in rows]
            risk = [1 - v for v in values] if flip else values
            metrics = ["auroc"] if flip else ["auroc", "balanced_accuracy"]
            figures += risk_figures(name, risk, bad, groups, metrics=metrics)
    out["figures"] = [asdict(figure) for figure in figures]
    return out


def study_expertqa(folder: Path) -> dict[str, Any]:
    claims = read_claims(folder)
    kept = [(sample, bad) for sample, bad, number in claims if number % 2]
    samples = [sample for sample, _ in kept]
    return report_labelled(features(samples), [b for _, b in kept], [s.group for s in samples])


def study_medec(folder: Path) -> dict[str, Any]:
    with (folder / "medec/validation.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    samples = [Sample(row["Text ID"], row["Text"]) for row in rows]
    refused = sum(s.error is not None for s in METRICS["grounding"].score(samples))
    columns = {
        name: [s.value for s in METRICS[name].score(samples)] for name in ("length", "repetition")
    }
    table = [{name: column[i] for name, column in columns.items()} for i in range(len(rows))]
    bad = [row["Error Flag"] == "1" for row in rows]
    out = {"grounding without a source is an error": refused}
    out |= report_labelled(table, bad, [None] * len(bad))
    wrong = [row for row in rows if row["Error Flag"] == "1"]
    pairs = {"wrong": "Error Sentence", "corrected": "Corrected Sentence"}
    for name, column in pairs.items():
        against = [Sample("x", row[column], context=row["Corrected Text"]) for row in wrong]
        hits = sum(s.value == 1.0 for s in METRICS["invented"].score(against))
        low, high = wilson(hits, len(wrong))
        share = {"flagged": hits, "n": len(wrong), "rate": hits / len(wrong)}
        out[f"{name} sentence against the corrected text"] = {**share, "low": low, "high": high}
    return out


def main() -> None:
    """Print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        print(f"skipped: no public data at {arguments.data}; name its folder with --data")
        return
    tables = {"expertqa": study_expertqa(arguments.data), "medec": study_medec(arguments.data)}
    print(json.dumps(tables, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
