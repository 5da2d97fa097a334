"""What a small language model adds to checks by rules: `support:` and a checker on the same rows.

    python -m tests.benchmarks.model_checks --base FOLDER [--checker ADAPTER] [--data DIR]
        [--only sentences|risk] [--most N] [--out FILE.json]

sentences: right sentences of clinicians' summaries of mts_dialog (validation and test) and the same
with a planted error, each with its dialogue: the area under the ROC curve of every check, and its
difference to that of the checker (without one: of `support`), on the same sentences.

risk: what `strop calibrate` learns of the checks that need no model, each half of the documents by
the other, with `support` among the features and without; the difference is paired.

Intervals draw documents anew. Planted errors are simulated. One process, the engine `local`.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from backend.engines.base import ServedModel
from backend.engines.local.engine import LocalEngine
from backend.services.checks.asker import EngineAsker
from evaluators.checks.checker.checker import CheckerForm, judge_sentences
from evaluators.checks.checker.lessons import RightText, teach
from evaluators.checks.models.source_gain import score_support
from evaluators.checks.risk.risk import fit_risk, risk_of
from evaluators.registry import METRICS, resolve_metrics
from evaluators.statistics.correlations import Rated
from evaluators.statistics.meta import meta_differences, meta_figures
from evaluators.types import Sample
from tests.benchmarks._ratios import skip
from tests.benchmarks.check_proof import DATA, SETS, halve

SEED = 7
RULES = ("invented", "grounding", "overlap", "overlap_pairs", "novel_words", "length")
SHORT = 450  # characters of a dialogue, so that one processor reads some hundreds of them
MOST_SOURCE = 6_000  # characters of a source that is read in the study of the risk
Values = np.ndarray[Any, np.dtype[np.float64]]


def read_sentences(folder: Path, most: int) -> tuple[list[Sample], list[bool], list[str]]:
    """Sentences with their dialogues, whether each is wrong, and the kind of its error."""
    texts = []
    for place, split in enumerate(("validation", "test")):
        with (folder / f"mts_dialog/{split}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for i, row in enumerate(rows):
            source, text = row["dialogue"].strip(), row["section_text"].strip()
            if 60 <= len(source) <= SHORT and 40 <= len(text) <= 600:
                texts.append(RightText(i + place * 10_000, f"{split}{i}", source, text))
    of = {one.key: one for one in texts}
    lessons = teach(texts, [], most=most, seed=SEED)
    samples = [
        Sample(str(i), one.sentence, context=of[one.key].source, group=of[one.key].group)
        for i, one in enumerate(lessons)
    ]
    return samples, [not one.supported for one in lessons], [one.kind or "" for one in lessons]


def by_rule(name: str, samples: Sequence[Sample]) -> Values:
    """A registered check, larger worse; what it does not apply to is as good as can be."""
    metric = METRICS[name]
    sign = -1.0 if metric.higher_is_better else 1.0
    found = [score.value for score in metric.score(samples)]
    return np.array([-1e6 if value is None else sign * value for value in found])


def by_support(samples: Sequence[Sample], asker: EngineAsker) -> Values:
    """The share of surprise that the source takes away, turned; NaN where it cannot be read."""
    found = [score.value for score in score_support(samples, asker)]
    return np.array([np.nan if value is None else -value for value in found])


def by_checker(samples: Sequence[Sample], asker: EngineAsker) -> Values:
    """One less the probability that a sentence is supported."""
    asked = [(sample.context or "", sample.prediction) for sample in samples]
    told = judge_sentences(asked, asker, CheckerForm("yes", "no"))
    return np.array([np.nan if value is None else 1 - value for value, _ in told])


Askers = Mapping[str, EngineAsker]


@contextmanager
def asked_models(base: Path, checker: Path | None) -> Iterator[Askers]:
    """`base`, and where there is one `checker`, on one engine `local` of one thread."""
    models = {"base": ServedModel("base", str(base))}
    if checker is not None:
        models["checker"] = ServedModel("checker", str(base), checker)
    with LocalEngine(batch_size=8, threads=1) as engine:
        engine.load(list(models.values()))
        yield {name: EngineAsker(engine, model) for name, model in models.items()}


def study_sentences(folder: Path, most: int, askers: Askers) -> dict[str, Any]:
    """Every check on the same sentences."""
    samples, wrong, kinds = read_sentences(folder, most)
    scores = {}
    if "checker" in askers:
        scores["checker"] = by_checker(samples, askers["checker"])
    scores["support"] = by_support(samples, askers["base"])
    scores |= {name: by_rule(name, samples) for name in RULES}
    groups = [str(sample.group) for sample in samples]
    found = compare_scores(scores, wrong, groups, against=next(iter(scores)))
    return {
        **found,
        "by kind": {name: recall(values, wrong, kinds) for name, values in scores.items()},
    }


def recall(values: Values, wrong: Sequence[bool], kinds: Sequence[str]) -> dict[str, Any]:
    """By kind the chance that a sentence with it scores worse than a right one, and how many."""
    right = values[[not one for one in wrong]]
    return {
        kind: [
            float(np.mean([((v > right) + (v == right) / 2).mean() for v in own])),
            len(own),
        ]
        for kind in sorted(set(kinds) - {""})
        if len(own := values[[one == kind for one in kinds]])
    }


def compare_scores(
    scores: Mapping[str, Values], wrong: Sequence[bool], groups: Sequence[str], *, against: str
) -> dict[str, Any]:
    """The area of each score, and its paired difference to one of them."""
    rated = Rated(np.array(wrong, dtype=np.float64), scores, tuple(groups))
    areas = [one for one in meta_figures(rated) if one.coefficient == "auroc"]
    apart = meta_differences(rated, coefficients=[("auroc", "sample")], against=against)
    return {
        "n": len(wrong),
        "wrong": sum(wrong),
        "documents": len(set(groups)),
        "areas": [asdict(one) for one in areas],
        "differences": [asdict(one) for one in apart],
    }


def study_risk(name: str, folder: Path, most: int, askers: Askers) -> dict[str, Any]:
    """The risk of the checks that need no model, with `support` and without."""
    data = SETS[name](folder, most)
    kept = one_a_document(data.samples, most)
    samples, wrong = [data.samples[i] for i in kept], [data.wrong[i] for i in kept]
    metrics = resolve_metrics(["checks"])
    columns = {one.name: [score.value for score in one.score(samples)] for one in metrics}
    gain = -by_support(samples, askers["base"])
    plain = [{key: column[i] for key, column in columns.items()} for i in range(len(samples))]
    more = [
        {**row, "support": None if np.isnan(v) else float(v)}
        for row, v in zip(plain, gain, strict=True)
    ]
    halves, groups = halve(samples), [str(sample.group) for sample in samples]
    scores = {"risk with support": crossed(more, wrong, groups, halves)}
    scores["risk without"] = crossed(plain, wrong, groups, halves)
    scores["support"] = np.where(np.isnan(gain), -1.0, -gain)
    scores["length"] = np.array([float(len(sample.prediction)) for sample in samples])
    return {"set": name, **compare_scores(scores, wrong, groups, against="risk without")}


def one_a_document(samples: Sequence[Sample], most: int) -> list[int]:
    """Places of the first output of each document whose source is not too long, `most` of them."""
    first: dict[str, int] = {}
    for i, sample in enumerate(samples):
        if len(sample.context or "") <= MOST_SOURCE:
            first.setdefault(str(sample.group), i)
    return list(first.values())[:most]


def crossed(
    rows: Sequence[Mapping[str, float | None]],
    wrong: Sequence[bool],
    groups: Sequence[str],
    halves: Sequence[int],
) -> Values:
    """The risk of each half by a model of the other."""
    risk = np.zeros(len(rows))
    for half in (1, 2):
        own = [i for i, one in enumerate(halves) if one == half]
        other = [i for i, one in enumerate(halves) if one != half]
        picked = [[column[i] for i in other] for column in (rows, wrong, groups)]
        risk[own] = risk_of(fit_risk(*picked).model, [rows[i] for i in own])  # type: ignore[arg-type]
    return risk


def show(title: str, found: Mapping[str, Any]) -> None:
    """Print a study."""
    print(f"\n{title}: {found['n']} rows, {found['wrong']} wrong, {found['documents']} documents")
    for one in (*found["areas"], *found["differences"]):
        name = one["metric"] + (f" less {one['other']}" if "other" in one else "")
        bounds = "" if one["low"] is None else f" [{one['low']:.3f}, {one['high']:.3f}]"
        print(f"  {name:36} {one['value']:.3f}{bounds} n {one['n']}", flush=True)


def main() -> None:
    """Run what is asked for, print and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--checker", type=Path)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--only", choices=["sentences", *SETS])
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.base is None:
        skip(args.out, "checks by a model", "no base named: --base FOLDER")
        return
    found: dict[str, Any] = {}
    with asked_models(args.base, args.checker) as askers:
        if args.only in (None, "sentences"):
            found["sentences"] = study_sentences(args.data, args.most, askers)
            show("sentences (simulated)", found["sentences"])
        for name in SETS if args.only is None else set(SETS) & {args.only}:
            found[name] = study_risk(name, args.data, args.most, askers)
            show(name, found[name])
    found["processor_s"] = time.process_time()
    if args.out is not None:
        args.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
