"""Speed of the evaluators beside the libraries they equal, both sides in one run.

    python tests/benchmarks/evaluators_speed.py [--data DIR] [--out FILE.json] [--outputs 100000]

Prints ratios; nothing here is a timed test. Each side runs three times and its best time counts.
Real text is mts_dialog: section texts as outputs, dialogues and other section texts as references.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.aggregate import aggregate
from evaluators.checks.sources import index_source
from evaluators.metrics import rouge
from evaluators.metrics.sacre import statistic_rows
from evaluators.registry import METRICS, resolve_metrics
from evaluators.scoring import score_samples
from evaluators.statistics.bootstrap import resampled_figures
from evaluators.types import Sample

ROUGE = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


def best_time(run: Callable[[], object], *, times: int = 3) -> float:
    """Least processor seconds of some runs."""
    found = []
    for _ in range(times):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


def read_pairs(folder: Path) -> list[tuple[str, str, str]]:
    """(section text, dialogue, another section text)."""
    rows = []
    for name in ("train", "validation", "test"):
        with (folder / f"mts_dialog/{name}.csv").open(newline="", encoding="utf-8-sig") as file:
            rows += [(row["section_text"], row["dialogue"]) for row in csv.DictReader(file)]
    texts = [text for text, _ in rows]
    return [(*row, texts[i - 1]) for i, row in enumerate(rows)]


def compare_rouge(samples: list[Sample]) -> dict[str, float]:
    """Seconds of both sides for all four, and the largest difference of any value."""
    from rouge_score.rouge_scorer import RougeScorer

    theirs = RougeScorer(ROUGE)
    metrics = resolve_metrics(ROUGE)
    values: list[Any] = []

    def ours() -> None:
        rouge.prepare.cache_clear()
        values[:1] = [score_samples(metrics, samples)]

    def library() -> None:
        values[1:] = [[theirs.score(s.references[0], s.prediction) for s in samples]]

    fast, slow = best_time(ours), best_time(library, times=2)
    apart = max(
        abs(row[name].fmeasure - values[0][name][i].value)
        for name in ROUGE
        for i, row in enumerate(values[1])
    )
    return {"ours_s": fast, "library_s": slow, "ratio": slow / fast, "largest_gap": apart}


def compare_bootstrap(name: str, samples: list[Sample], *, resamples: int) -> dict[str, float]:
    """1,000 resamples: sacrebleu's own loop over the same statistics, and ours."""
    from sacrebleu.metrics import BLEU, CHRF
    from sacrebleu.significance import _bootstrap_resample

    metric, engine = METRICS[name], BLEU() if name == "bleu" else CHRF()
    rows = statistic_rows(metric.score(samples))
    listed = [list(map(float, row)) for row in rows]
    fast = best_time(
        lambda: resampled_figures(metric.summary.figure, [rows], seed=0, resamples=resamples)
    )
    slow = best_time(lambda: _bootstrap_resample(listed, engine, resamples), times=1)
    draws = np.random.default_rng(0).integers(0, len(rows), size=(50, len(rows)))
    sums = rows[draws].sum(axis=1)
    ours = metric.summary.figure(sums)
    theirs = [engine._compute_score_from_stats(list(s)).score for s in sums]
    apart = float(np.abs(ours - theirs).max())
    return {"ours_s": fast, "library_s": slow, "ratio": slow / fast, "largest_gap": apart}


def score_cold(samples: list[Sample]) -> None:
    """Grounding with every source met for the first time."""
    index_source.cache_clear()
    METRICS["grounding"].score(samples)


def score_many(pairs: list[tuple[str, str, str]], n: int, processes: int) -> dict[str, float]:
    """All text metrics with clustered intervals for n outputs."""
    samples = [
        Sample(str(i), p[0], references=(p[2],), context=p[1], group=str(i // 5))
        for i, p in ((i, pairs[i % len(pairs)]) for i in range(n))
    ]
    names = [*ROUGE, "exact_match", "token_f1", "bleu", "chrf", "grounding", "invented", "length"]
    start = time.perf_counter()
    metrics = resolve_metrics(names)
    scores = score_samples(metrics, samples, processes=processes)
    for metric in metrics:
        aggregate(metric, scores[metric.name], [s.group for s in samples])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    seconds = time.perf_counter() - start
    return {"outputs": n, "wall_s": seconds, "per_s": n / seconds, "peak_gb": peak}


def main() -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--outputs", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        print(f"skipped: no public data at {arguments.data}; name its folder with --data")
        return
    pairs = read_pairs(arguments.data)
    to_dialogue = [Sample(str(i), p[0], references=(p[1],)) for i, p in enumerate(pairs)]
    to_section = [Sample(str(i), p[0], references=(p[2],)) for i, p in enumerate(pairs)]
    grounding = [Sample(str(i), p[0], context=p[1]) for i, p in enumerate(pairs)]
    table: dict[str, Any] = {
        "rouge, dialogue as reference": compare_rouge(to_dialogue),
        "rouge, section text as reference": compare_rouge(to_section),
        "bootstrap bleu": compare_bootstrap("bleu", to_section, resamples=1000),
        "bootstrap chrf": compare_bootstrap("chrf", to_section, resamples=1000),
        "grounding outputs per s": len(grounding) / best_time(lambda: score_cold(grounding)),
    }
    if arguments.outputs:
        table["all text metrics"] = score_many(pairs, arguments.outputs, arguments.processes)
    print(json.dumps(table, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
