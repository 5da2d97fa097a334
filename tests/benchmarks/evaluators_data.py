"""What grounding and risk reach on public data with experts' labels, against naive baselines.

    python -m tests.benchmarks.evaluators_data [--data DIR] [--out FILE.json]

Writes the figures as JSON and, beside it, as a Markdown table; each with its n and an interval over
groups (questions, texts). Nothing here is timed but the speed of grounding, and nothing is a test.

expertqa: claims with evidence, bad when the expert calls the support incomplete or partial. The 217
questions are split into two halves by a seeded hash of the question; the rules of grounding and the
features of risk were chosen by looking at half one alone, the risk is fitted on half one, and all
figures are of half two. medec: clinical texts with an error against their corrections, no source;
also each wrong and each corrected sentence with the rest of its text as the source. mts_dialog:
false alarms, found and missed flips on clinicians' summaries of dialogues; the flips are simulated.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluators.checks.grounding.grounding import find_claims
from evaluators.checks.risk.report import METRICS as METRICS_OF_RISK
from evaluators.checks.risk.report import naive_risks, reliability_curve, risk_figures
from evaluators.checks.risk.risk import fit_risk, risk_of
from evaluators.checks.risk.triage import triage
from evaluators.errors import EvaluatorError
from evaluators.registry import METRICS
from evaluators.results import RiskFigure
from evaluators.statistics.intervals import wilson
from evaluators.types import Sample
from tests.benchmarks.evaluators_speed import rate_of

SEED = 0
BAD = frozenset({"Incomplete", "Partial"})
WITH_SOURCE = ("grounding", "invented", "overlap", "overlap_pairs", "input_overlap", "source_rouge")
WITHOUT_SOURCE = ("length", "repetition")
UNCALIBRATED = {"invented": ("auroc", "balanced_accuracy"), "1 - overlap": ("auroc",)}
Rows = list[dict[str, float | None]]


def half_of(question: str, *, seed: int = SEED) -> int:
    """1 or 2 by a seeded hash of the question."""
    return 1 + hashlib.sha256(f"{seed}:{question}".encode()).digest()[-1] % 2


def read_claims(folder: Path, half: int) -> tuple[list[Sample], list[bool], dict[str, int]]:
    """Claims with their evidence as context, whether bad, and how many are left out and why."""
    samples, bad = [], []
    left_out = {"without evidence: not applicable": 0, "without a label of support": 0}
    lines = (folder / "expertqa/rand_val.jsonl").read_text(encoding="utf-8").splitlines()
    for number, row in enumerate(map(json.loads, lines)):
        claims = [c for answer in row["answers"].values() for c in answer["claims"]]
        for i, claim in enumerate(claims if half_of(row["question"]) == half else ()):
            evidence = "\n".join(re.sub(r"^\[\d+\]\s*\S+\s*", "", e) for e in claim["evidence"])
            if not evidence.strip():
                left_out["without evidence: not applicable"] += 1
            elif claim["support"] not in (*BAD, "Complete"):
                left_out["without a label of support"] += 1
            else:
                text = re.sub(r"\s*\[\d+\]", "", claim["claim_string"])
                group = str(number)
                samples.append(
                    Sample(f"{number}-{i}", text, (), evidence, row["question"], group=group)
                )
                bad.append(claim["support"] in BAD)
    return samples, bad, left_out


def features(samples: Sequence[Sample], names: Sequence[str]) -> Rows:
    """Values of checks that need no model; nothing where a check does not apply."""
    columns = {name: [score.value for score in METRICS[name].score(samples)] for name in names}
    return [{name: column[i] for name, column in columns.items()} for i in range(len(samples))]


def figures_of(
    predictors: Mapping[str, Any],
    bad: Sequence[bool],
    groups: Sequence[str | None],
    threshold: float | None,
) -> list[RiskFigure]:
    """All figures of each predictor; of findings and shares, those that need no probability."""
    found = []
    for name, risk in predictors.items():
        metrics = UNCALIBRATED.get(name, tuple(METRICS_OF_RISK))
        at = 0.5 if name in UNCALIBRATED else threshold
        found += risk_figures(
            name, risk, bad, groups, metrics=metrics, seed=SEED, resamples=1000, threshold=at
        )
    return found


def report(
    predictors: Mapping[str, Any],
    bad: Sequence[bool],
    groups: Sequence[str | None],
    *,
    threshold: float | None = None,
) -> dict[str, Any]:
    """Figures, reliability of the risk, and what may skip review.

    Args:
        threshold: the rate of bad outputs where the risk was fitted, if that was elsewhere.
    """
    out: dict[str, Any] = {"n": len(bad), "bad": sum(bad), "groups": len(set(groups))}
    out["figures"] = [asdict(figure) for figure in figures_of(predictors, bad, groups, threshold)]
    if "risk" in predictors:
        risk = predictors["risk"]
        out["reliability"] = [asdict(b) for b in reliability_curve(risk, bad, groups)]
        out["triage"] = asdict(triage(list(risk), bad, groups, epsilon=0.1, delta=0.1))
    return out


def study_expertqa(folder: Path) -> dict[str, Any]:
    """Half two, by a risk and baselines that were fitted on half one."""
    first, bad_first, _ = read_claims(folder, 1)
    second, bad, left_out = read_claims(folder, 2)
    rows_first, rows = features(first, WITH_SOURCE), features(second, WITH_SOURCE)
    groups_first = [s.group for s in first]
    fitted = fit_risk(rows_first, bad_first, groups_first, seed=SEED).model
    rouge = [{"source_rouge": row["source_rouge"]} for row in rows]
    rouge_first = [{"source_rouge": row["source_rouge"]} for row in rows_first]
    naive = fit_risk(rouge_first, bad_first, groups_first, seed=SEED).model
    rate = sum(bad_first) / len(bad_first)
    predictors = {
        "risk": risk_of(fitted, rows),
        "invented": [row["invented"] for row in rows],
        "1 - overlap": [1 - (row["overlap"] or 0.0) for row in rows],
        "majority": [rate] * len(bad),
        "source_rouge": risk_of(naive, rouge),
    }
    out = report(predictors, bad, [s.group for s in second], threshold=rate)
    return out | {"model": fitted.kind, "fitted on": len(bad_first), "left out": left_out}


def fitted_here(
    rows: Rows, bad: Sequence[bool], groups: Sequence[str | None]
) -> tuple[dict[str, Any], str]:
    """Risk and baselines out of fold, and what kind the risk is or why there is none."""
    rouge = [row.get("source_rouge") for row in rows]
    predictors: dict[str, Any] = dict(naive_risks(bad, groups, rouge, seed=SEED))
    try:
        fitted = fit_risk(rows, bad, groups, seed=SEED)
    except EvaluatorError as error:
        return predictors, str(error)
    return {"risk": fitted.held_out, **predictors}, fitted.model.kind


def read_medec(folder: Path) -> list[tuple[dict[str, str], str]]:
    """Rows with an error, and the group of each: texts of one case share their first words."""
    with (folder / "medec/validation.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.DictReader(file) if row["Error Flag"] == "1"]
    return [(row, " ".join(row["Text"].split()[:12])) for row in rows]


def study_medec_texts(folder: Path) -> dict[str, Any]:
    """The whole text with its error against its correction; there is no source."""
    samples, bad, groups = [], [], []
    for row, group in read_medec(folder):
        for column, wrong in (("Text", True), ("Corrected Text", False)):
            samples.append(Sample(row["Text ID"], row[column]))
            bad.append(wrong)
            groups.append(group)
    refused = sum(s.error is not None for s in METRICS["grounding"].score(samples))
    predictors, kind = fitted_here(features(samples, WITHOUT_SOURCE), bad, groups)
    out = report(predictors, bad, groups)
    return out | {"model": kind, "grounding says there is no source": refused}


def study_medec_sentences(folder: Path) -> dict[str, Any]:
    """The wrong and the corrected sentence, each with the rest of its text as the source."""
    samples, bad, groups = [], [], []
    for row, group in read_medec(folder):
        rest = " ".join(row["Text"].replace(row["Error Sentence"].strip(), " ").split())
        for column, wrong in (("Error Sentence", True), ("Corrected Sentence", False)):
            samples.append(Sample(row["Text ID"], row[column], context=rest))
            bad.append(wrong)
            groups.append(group)
    names = [name for name in WITH_SOURCE if name != "input_overlap"]
    rows = features(samples, names)
    predictors, kind = fitted_here(rows, bad, groups)
    predictors["invented"] = [row["invented"] for row in rows]
    return report(predictors, bad, groups) | {"model": kind}


def study_medec_bound(folder: Path) -> dict[str, Any]:
    """How often grounding flags each sentence when the corrected text is the source: a bound."""
    out = {}
    for name, column in (("wrong", "Error Sentence"), ("corrected", "Corrected Sentence")):
        samples = [
            Sample(row["Text ID"], row[column], context=row["Corrected Text"])
            for row, _ in read_medec(folder)
        ]
        hits = sum(score.value == 1.0 for score in METRICS["invented"].score(samples))
        out[name] = _share(hits, len(samples))
    return out


def _share(hits: int, n: int) -> dict[str, float]:
    low, high = wilson(hits, n)
    return {"value": hits / n, "low": low, "high": high, "n": n, "hits": hits}


def read_dialogues(folder: Path, names: Sequence[str]) -> list[tuple[str, str]]:
    """(summary, dialogue) pairs."""
    rows = []
    for name in names:
        with (folder / f"mts_dialog/{name}.csv").open(newline="", encoding="utf-8-sig") as file:
            rows += [(row["section_text"], row["dialogue"]) for row in csv.DictReader(file)]
    return rows


def study_dialogues(folder: Path) -> dict[str, Any]:
    """Flags on what clinicians wrote, and how many simulated flips are found.

    The rules were written by reading the training part; validation and test are the others. A flip
    is made where a summary denies what its dialogue denies: the output then states the same words.
    """
    out: dict[str, Any] = {}
    for part, names in (("train, seen", ["train"]), ("held out", ["validation", "test"])):
        pairs = read_dialogues(folder, names)
        found = [(text, told, find_claims(text, told)) for text, told in pairs]
        flagged = sum(any(c.problem and c.kind in _TURNED for c in claims) for *_, claims in found)
        flips = [
            (flipped, told)
            for text, told, claims in found
            for c in claims
            if c.kind == "negation" and c.problem is None
            if (flipped := _flip(text[c.start : c.end])) is not None
        ]
        hits = sum(_finds_flip(*flip) for flip in flips)
        out[f"summaries flagged for negation or role, {part}"] = _share(flagged, len(pairs))
        out[f"simulated flips found, {part}"] = _share(hits, len(flips))
    return out


def _finds_flip(text: str, told: str) -> bool:
    return any(c.problem and c.kind == "negation" for c in find_claims(text, told))


_TURNED = frozenset({"negation", "role"})


def _flip(denial: str) -> str | None:
    """`No fever` or `denies chest pain` as a statement; None for other forms of denial."""
    found = re.fullmatch(r"(?i)(?:no|denies|denied|without)\s+(?:any\s+)?([\w\s-]+)", denial)
    return f"The patient has {found[1]}." if found else None


def measure_speed(folder: Path, *, times: int = 3) -> dict[str, float]:
    """Outputs a second of grounding in one process, every source met for the first time."""
    pairs = read_dialogues(folder, ["train", "validation", "test"])
    samples = [Sample(str(i), text, context=told) for i, (text, told) in enumerate(pairs)]
    rate = rate_of("grounding", samples, times=times)
    return {"outputs_per_s": rate["per s"], "n": len(samples), "median_of": times}


def as_markdown(tables: Mapping[str, Any]) -> str:
    """The tables for a reader."""
    lines = ["# Grounding and risk on public data", ""]
    for name, table in tables.items():
        lines += [f"## {name}", ""]
        if "figures" in table:
            lines += [f"n = {table['n']}, bad = {table['bad']}, groups = {table['groups']}.", ""]
            lines += ["| predictor | metric | value | 95% interval | n |", "|---|---|---|---|---|"]
            lines += [
                f"| {f['predictor']} | {f['metric']} | {f['value']:.3f} "
                f"| {f['low']:.3f} to {f['high']:.3f} | {f['n']} |"
                for f in table["figures"]
            ]
        rest = {k: v for k, v in table.items() if k not in ("figures", "n", "bad", "groups")}
        lines += ["", *(f"- {key}: {_said(value)}" for key, value in rest.items()), ""]
    return "\n".join(lines)


def _said(value: Any) -> str:
    if isinstance(value, dict) and "hits" in value:
        share = f"{value['hits']} of {value['n']}: {value['value']:.1%}"
        return f"{share} ({value['low']:.1%} to {value['high']:.1%})"
    if isinstance(value, dict) and "signature" in value:
        return value["note"] or f"{value['share']:.0%} may skip ({value['signature']})"
    if isinstance(value, list):
        return "; ".join(f"{b['risk']:.2f} -> {b['rate']:.2f} (n {b['n']})" for b in value)
    return f"{value:.0f}" if isinstance(value, float) else str(value)


STUDIES = {
    "expertqa, half two": study_expertqa,
    "medec, text against its correction, no source": study_medec_texts,
    "medec, sentence with the rest of its text as source": study_medec_sentences,
    "medec, share flagged against the corrected text": study_medec_bound,
    "mts_dialog": study_dialogues,
    "speed of grounding on mts_dialog": measure_speed,
}


def main() -> None:
    """Print and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        print(f"skipped: no public data at {arguments.data}; name its folder with --data")
        return
    tables = {name: study(arguments.data) for name, study in STUDIES.items()}
    print(as_markdown(tables))
    if arguments.out:
        arguments.out.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")
        arguments.out.with_suffix(".md").write_text(as_markdown(tables) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
