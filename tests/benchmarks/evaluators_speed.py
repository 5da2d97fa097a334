"""Speed of the evaluators beside the libraries they equal, both sides in one run.

    python -m tests.benchmarks.evaluators_speed [--data DIR] [--out FILE.json] [--outputs 100000]

Prints ratios; nothing here is a timed test. Both sides take turns; a ratio is the median over the
turns, with the least and the largest. Real text is mts_dialog: section texts as outputs, dialogues
and other section texts as references. Text that is made up here is called synthetic.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.checks.contradictions import polarity, roles
from evaluators.checks.facts import numerals, sources
from evaluators.checks.grounding import additions, grounding
from evaluators.checks.text import content, statements
from evaluators.metrics import rouge
from evaluators.metrics.edits import count_edits
from evaluators.metrics.sacre import statistic_rows
from evaluators.registry import METRICS, resolve_metrics
from evaluators.scoring import score_samples
from evaluators.statistics.bootstrap import forget_draws, resampled_figures
from evaluators.types import Sample
from tests.benchmarks._ratios import Ratio, keep, skip, take_turns
from tests.benchmarks.evaluators_many import score_many

ROUGE = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
GOALS = {
    "bootstrap, BLEU, draws made": 30,
    "bootstrap, chrF, draws made": 30,
    "bootstrap, BLEU and chrF, draws made once": 30,
    "grounding, cold": 1000,
    "invented, cold": 1000,
}
Row = dict[str, Any]


def compare_sides(ours: Callable[[], Any], library: Callable[[], Any], *, times: int) -> Row:
    """Processor seconds of both sides, turn by turn, and the ratio of each turn."""
    turns = take_turns({"ours": ours, "library": library}, times=times)
    ratio = turns.ratio("", "ours", "library")
    return {
        "ratio": ratio.median,
        "least": min(ratio.turns),
        "largest": max(ratio.turns),
        "turns": times,
        "ours_s": statistics.median(turns.seconds["ours"]),
        "library_s": statistics.median(turns.seconds["library"]),
        "figure": ratio,
    }


def read_pairs(folder: Path) -> list[tuple[str, str, str]]:
    """(section text, dialogue, another section text)."""
    rows = []
    for name in ("train", "validation", "test"):
        with (folder / f"mts_dialog/{name}.csv").open(newline="", encoding="utf-8-sig") as file:
            rows += [(row["section_text"], row["dialogue"]) for row in csv.DictReader(file)]
    texts = [text for text, _ in rows]
    return [(*row, texts[i - 1]) for i, row in enumerate(rows)]


def synthetic_texts(n: int, words: int, lines: int) -> list[Sample]:
    """Texts of words as frequent as in natural text (Zipf's law)."""
    rng = np.random.default_rng(0)
    chances = 1 / np.arange(1, 2001)

    def text() -> str:
        drawn = rng.choice(2000, words, p=chances / chances.sum())
        return "\n".join(" ".join(f"w{i}" for i in part) for part in np.array_split(drawn, lines))

    return [Sample(str(i), text(), references=(text(),)) for i in range(n)]


def compare_rouge(samples: list[Sample], *, stem: bool = False, times: int = 5) -> Row:
    """All four together, and the largest difference of any value."""
    from rouge_score.rouge_scorer import RougeScorer

    theirs = RougeScorer(ROUGE, use_stemmer=stem)
    names = [f"{name}_stem" for name in ROUGE] if stem else ROUGE
    metrics = resolve_metrics(names)
    values: list[Any] = [None, None]

    def ours() -> None:
        rouge.prepare.cache_clear()
        rouge._common_length.cache_clear()
        values[0] = score_samples(metrics, samples)

    def library() -> None:
        values[1] = [theirs.score(s.references[0], s.prediction) for s in samples]

    ours()  # imports are paid once
    row = compare_sides(ours, library, times=times)
    gap = max(
        abs(found[name].fmeasure - values[0][ours_name][i].value)
        for name, ours_name in zip(ROUGE, names, strict=True)
        for i, found in enumerate(values[1])
    )
    return {"n": len(samples), **row, "largest gap": gap}


def compare_generated(pairs: int) -> Row:
    """rouge-score's values and ours on pairs that hypothesis makes; no times."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
    from rouge_score.rouge_scorer import RougeScorer

    words = st.sampled_from([*"abcdefgh", "running", "runs", "Stone", "stones", "x-y", "Ünï", "\n"])
    texts = st.one_of(st.lists(words, max_size=40).map(" ".join), st.text(max_size=60))
    theirs = {stem: RougeScorer(ROUGE, use_stemmer=stem) for stem in (False, True)}
    gaps: list[float] = []

    @settings(
        max_examples=pairs,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(texts, texts, st.booleans())
    def check(prediction: str, reference: str, stem: bool) -> None:
        expected = theirs[stem].score(reference, prediction)
        words: rouge.Words = "stem" if stem else "plain"
        both = rouge.prepare(prediction, words), rouge.prepare(reference, words)
        found = {name: variant(*both)[0] for name, variant in rouge.VARIANTS.items()}
        gaps.append(max(abs(found[name] - expected[name].fmeasure) for name in ROUGE))

    check()
    return {"n": len(gaps), "largest gap": max(gaps)}


def compare_bootstrap(names: list[str], samples: list[Sample], *, fresh: bool = True) -> Row:
    """1,000 resamples of each metric: sacrebleu's own loop over the same statistics, and ours.

    Args:
        fresh: our draws are made within the time; else another metric made them before. The table
            that they are read from is made once a process, in some 3 ms, and is there before.
    """
    from sacrebleu.metrics import BLEU, CHRF
    from sacrebleu.significance import _bootstrap_resample

    engines = {"bleu": BLEU(), "chrf": CHRF(), "chrf++": CHRF(word_order=2)}
    rows = {name: statistic_rows(METRICS[name].score(samples)) for name in names}
    listed = {name: rows[name].tolist() for name in names}

    def ours() -> None:
        if fresh:
            forget_draws()
        for name in names:
            figure = METRICS[name].summary.figure
            resampled_figures(figure, [rows[name]], seed=0, resamples=1000)

    def library() -> None:
        for name in names:
            _bootstrap_resample(listed[name], engines[name], 1000)

    ours()
    gap = max(_resample_gap(METRICS[name], rows[name], engines[name]) for name in names)
    row = compare_sides(ours, library, times=9)
    return {"n": len(samples), **row, "largest gap": gap}


def _resample_gap(metric: Any, rows: np.ndarray, engine: Any) -> float:
    """The largest difference of a figure from sacrebleu's on the same 50 resamples."""
    drawn = np.random.default_rng(0).integers(0, len(rows), size=(50, len(rows)))
    sums = rows[drawn].sum(axis=1)
    theirs = [engine._compute_score_from_stats(list(s)).score for s in sums]
    return float(np.abs(metric.summary.figure(sums) - theirs).max())


def compare_ter(samples: list[Sample]) -> Row:
    """Edits of pairs of texts, sacrebleu's and ours."""
    from sacrebleu.metrics.lib_ter import translation_edit_rate

    pairs = [(s.prediction.split(), s.references[0].split()) for s in samples]
    values: list[list[int]] = [[], []]

    def ours() -> None:
        values[0] = [count_edits(*pair) for pair in pairs]

    def library() -> None:
        values[1] = [translation_edit_rate(*pair)[0] for pair in pairs]

    ours()
    row = compare_sides(ours, library, times=3)
    gap = max(abs(a - b) for a, b in zip(*values, strict=True))
    return {"n": len(samples), **row, "largest gap": float(gap)}


def rate_of(name: str, samples: list[Sample], *, times: int = 5) -> Row:
    """Outputs a processor second on one core, with every source met for the first time."""
    metrics = resolve_metrics([name])

    def score() -> None:
        forget_texts()
        score_samples(metrics, samples)

    score()  # imports, and what is remembered of words, are paid once
    rate = take_turns({name: score}, times=times).rate(name, name, len(samples))
    words = [len(text.split()) for s in samples for text in (s.prediction, s.context or "")]
    return {
        "n": len(samples),
        "words of an output": statistics.mean(words[::2]),
        "words of a source": statistics.mean(words[1::2]),
        "turns": times,
        "per s": rate.median,
        "least": min(rate.turns),
        "largest": max(rate.turns),
        "figure": rate,
    }


def forget_texts() -> None:
    """Empty all that the checks remember of whole texts."""
    for module in (additions, content, grounding, numerals, polarity, roles, sources, statements):
        for kept in vars(module).values():
            if hasattr(kept, "cache_clear"):
                kept.cache_clear()


def figures(table: Mapping[str, Row]) -> list[Ratio]:
    """Every ratio and rate of the table with its goal."""
    return [
        replace(row["figure"], name=name, at_least=GOALS.get(name))
        for name, row in table.items()
        if "figure" in row
    ]


def without_figures(table: Mapping[str, Row]) -> dict[str, Row]:
    """The table as it is written: plain numbers."""
    return {
        name: {key: value for key, value in row.items() if key != "figure"}
        for name, row in table.items()
    }


def edited(text: str, rng: random.Random) -> str:
    """A text as a model might have written it: words dropped, repeated and moved (synthetic)."""
    words = text.split()
    for _ in range(1 + len(words) // 12):
        i, j = rng.randrange(len(words)), rng.randrange(len(words))
        words[i], words[j] = words[j], words[i] if rng.random() < 0.5 else words[j]
    return " ".join(words)


def study_speed(data: Path, outputs: int) -> dict[str, Row]:
    """All rows of the table."""
    from threadpoolctl import threadpool_limits

    pairs = read_pairs(data)
    rng = random.Random(0)
    to_dialogue = [Sample(str(i), p[0], references=(p[1],)) for i, p in enumerate(pairs)]
    to_source = [Sample(str(i), p[0], context=p[1]) for i, p in enumerate(pairs)]
    to_section = [Sample(str(i), p[0], references=(p[2],)) for i, p in enumerate(pairs)]
    to_edited = [Sample(str(i), edited(p[0], rng), references=(p[0],)) for i, p in enumerate(pairs)]
    with threadpool_limits(1):
        table = {
            "ROUGE, mts_dialog, dialogue as reference": compare_rouge(to_dialogue),
            "ROUGE, mts_dialog, section text as reference": compare_rouge(to_section, times=9),
            "ROUGE with stems, mts_dialog": compare_rouge(to_section, stem=True),
            "ROUGE, synthetic, 300 words in 15 lines": compare_rouge(synthetic_texts(60, 300, 15)),
            "ROUGE, synthetic, 600 words in 1 line": compare_rouge(
                synthetic_texts(15, 600, 1), times=3
            ),
            "ROUGE, pairs made by hypothesis": compare_generated(10_000),
            "bootstrap, BLEU, draws made": compare_bootstrap(["bleu"], to_section),
            "bootstrap, chrF, draws made": compare_bootstrap(["chrf"], to_section),
            "bootstrap, BLEU and chrF, draws made once": compare_bootstrap(
                ["bleu", "chrf"], to_section
            ),
            "bootstrap, BLEU, chrF and chrF++, draws made once": compare_bootstrap(
                ["bleu", "chrf", "chrf++"], to_section
            ),
            "bootstrap, BLEU, draws at hand": compare_bootstrap(["bleu"], to_section, fresh=False),
            "bootstrap, chrF, draws at hand": compare_bootstrap(["chrf"], to_section, fresh=False),
            "TER, edited section texts (synthetic)": compare_ter(to_edited[:300]),
            "TER, other section texts": compare_ter(to_section[:60]),
            **{f"{name}, cold": rate_of(name, to_source) for name in ("grounding", "invented")},
        }
    if outputs:
        rows = [(edited(p[0], rng), p[0], p[1]) for p in (pairs * (outputs // len(pairs) + 1))]
        table["all text metrics, one command"] = score_many(rows[:outputs])
    return table


def main() -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--outputs", type=int, default=100_000)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        reason = f"no public data at {arguments.data}; name its folder with --data"
        skip(arguments.out, "speed of the evaluators", reason)
        return
    measured = study_speed(arguments.data, arguments.outputs)
    table = without_figures(measured)
    print(json.dumps(table, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    keep(arguments.out, figures(measured))


if __name__ == "__main__":
    main()
