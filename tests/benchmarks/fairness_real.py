"""Fairness on public data: what can be exchanged in real texts, and gaps by length where no
demographics are known.

    python -m tests.benchmarks.fairness_real --data ../shared/data [--show 5]

MTS-Dialog (doctor and patient, English) and banking77 (a bank's customers, English) name no groups
of persons, so gaps are by length of the text: a stand-in that shows the method, and says nothing of
people. The classifier is logistic regression on words.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

from evaluators.fairness.gendered_en import Unsafe
from evaluators.fairness.lexicon import shipped_lexicon
from evaluators.fairness.measures import ScoredMeasure
from evaluators.fairness.parity import compare_groups
from evaluators.fairness.swap import KINDS, RowTexts, make_pair
from evaluators.registry import resolve_metrics
from evaluators.types import Sample
from tests.benchmarks._ratios import skip

BANDS = ((8, "up to 8 words"), (14, "9 to 14 words"), (10_000, "15 words and more"))


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def exchanged(rows: list[tuple[str, str, str]], show: int) -> None:
    """Count what can be exchanged of (id, prompt, answer), and print some of it."""
    lexicon = shipped_lexicon("en")
    for kind in KINDS:
        reasons: Counter[str] = Counter()
        made = []
        for key, prompt, answer in rows:
            try:
                pair, _ = make_pair(RowTexts(key, (prompt,), (answer,)), kind, lexicon, seed=7)
                made.append((prompt, pair))
            except Unsafe as reason:
                reasons[str(reason).partition(":")[0]] += 1
        print(f"  {kind}: {len(made)} of {len(rows)}; left out: {dict(reasons.most_common(5))}")
        for prompt, pair in made[:show]:
            print(f"    {pair.direction}: {' '.join(prompt.split())[:220]}")
            print(f"      -> {' '.join(pair.prompt[0].split())[:220]}")


def by_length(data: Path) -> None:
    """Accuracy of a classifier of banking77 by length of the message."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, test = (read(data / "banking77" / f"{name}.csv") for name in ("train", "test"))
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=300))
    model.fit([row["text"] for row in train], [row["category"] for row in train])
    predicted = model.predict([row["text"] for row in test])
    samples = [
        Sample(str(i), str(label), (row["category"],))
        for i, (label, row) in enumerate(zip(predicted, test, strict=True))
    ]
    sizes = [len(row["text"].split()) for row in test]
    groups = [next(name for most, name in BANDS if size <= most) for size in sizes]
    metrics = resolve_metrics(["accuracy", "f1"])
    measures = [ScoredMeasure(m, m.score(samples), [None] * len(samples)) for m in metrics]
    for found in compare_groups(measures, {"length": groups}, across_metrics=True):
        told = "; ".join(
            f"{g.group} {g.value:.3f} [{g.low:.3f}, {g.high:.3f}], n={g.n}" for g in found.groups
        )
        print(f"  {found.metric}: {told}")
        print(
            f"    largest gap {found.largest:.3f} [{found.low:.3f}, {found.high:.3f}], "
            f"{' over '.join(found.between or ())}, {found.family} gaps at once: {found.said}"
        )


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if not asked.data.is_dir():
        skip(asked.out, "swaps on public texts", f"no data at {asked.data}; name it with --data")
        return
    dialogues = read(asked.data / "mts_dialog" / "train.csv")
    print(f"MTS-Dialog, {len(dialogues)} dialogues")
    rows = [(row["ID"], row["dialogue"], row["section_text"]) for row in dialogues]
    exchanged(rows, asked.show)
    messages = read(asked.data / "banking77" / "test.csv")
    print(f"banking77, {len(messages)} messages")
    exchanged([(str(i), row["text"], "") for i, row in enumerate(messages)], asked.show)
    print("banking77 by length of the message (no demographics are known)")
    by_length(asked.data)


if __name__ == "__main__":
    main()
