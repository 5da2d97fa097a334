"""What masking finds of known identifiers, in made notes and on public data, and how fast.

    python tests/benchmarks/masking_recall.py [--notes 1000] [--data ../shared/data] [--sample 50]

An identifier counts as found when every letter and digit of it is covered. Intervals by kind are
Wilson's; those over all are of a mean over notes, since what one note holds is alike. The second
table is on names that were chosen to lie outside the lists. On public data nothing is known: what
is found is counted and a sample printed, to be looked at.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from backend.services.datasets.masking.documents import find_identifiers, mask_document
from backend.services.datasets.masking.identifiers.names import name_lists, tokens_of
from backend.services.datasets.masking.policy import parse_policy
from evaluators.statistics.intervals import rate_interval, wilson
from tests.benchmarks._masking_notes import Note, held_out_notes, make_notes, second_notes

POLICY = parse_policy("")


def covers(note: Note) -> tuple[list[tuple[str, bool, str]], list[tuple[str, str]]]:
    """Each known identifier as (kind, whether found, text), and findings that meet none."""
    day_first = note.language == "de"
    findings = find_identifiers(note.text, POLICY, day_first=day_first)
    covered = bytearray(len(note.text))
    for one in findings:
        covered[one.start : one.end] = b"\x01" * (one.end - one.start)
    rows = []
    known = bytearray(len(note.text))
    for gold in note.gold:
        known[gold.start : gold.end] = b"\x01" * (gold.end - gold.start)
        found = all(
            covered[place] for place in range(gold.start, gold.end) if note.text[place].isalnum()
        )
        rows.append((gold.kind, found, note.text[gold.start : gold.end]))
    false = [
        (one.kind, note.text[max(0, one.start - 20) : one.end + 10])
        for one in findings
        if not any(known[one.start : one.end])
    ]
    return rows, false


def tell(title: str, notes: Sequence[Note], *, missed: int = 0) -> None:
    """Recall by kind, over all, and false alarms."""
    by_kind: dict[str, Counter[bool]] = defaultdict(Counter)
    by_noise: dict[str, Counter[bool]] = defaultdict(Counter)
    sums, falses, misses, alarms = [], [], [], []
    for note in notes:
        rows, false = covers(note)
        for kind, found, text in rows:
            by_kind[kind][found] += 1
            by_noise[note.noise][found] += 1
            if not found:
                misses.append((kind, note.noise, text, note.text))
        sums.append((sum(found for _, found, _ in rows), len(rows)))
        falses.append((len(false), len(note.text.split())))
        alarms += false
    print(f"\n{title}: {len(notes)} notes")
    overall, n = rate_interval(np.asarray(sums, float)), sum(n for _, n in sums)
    rate = sum(found for found, _ in sums) / n
    print(f"  all              {rate:.4f} [{overall.low:.4f}, {overall.high:.4f}]  n={n}")
    for name, counts in [*sorted(by_kind.items()), *sorted(by_noise.items())]:
        n = counts.total()
        low, high = wilson(counts[True], n)
        print(f"  {name:<16} {counts[True] / n:.4f} [{low:.4f}, {high:.4f}]  n={n}")
    interval = rate_interval(np.asarray(falses, float))
    words = sum(w for _, w in falses)
    rate = 1000 * sum(false for false, _ in falses) / words
    low, high = 1000 * interval.low, 1000 * interval.high
    print(f"  false alarms per 1,000 words {rate:.2f} [{low:.2f}, {high:.2f}]  words={words}")
    for kind, where in alarms[:missed]:
        print("  false", kind, repr(where))
    for kind, noise, text, whole in misses[:missed]:
        at = whole.find(text)
        print("  missed", kind, noise, repr(text), "in", repr(whole[max(0, at - 30) : at + 50]))


def share_in_lists(notes: Sequence[Note]) -> float:
    """The share of words of known names that the shipped lists hold."""
    lists = name_lists(POLICY.languages)
    words = [
        token.folded
        for note in notes
        for gold in note.gold
        if gold.kind == "PERSON"
        for token in tokens_of(note.text[gold.start : gold.end])
    ]
    return sum(w in lists.given or w in lists.family for w in words) / len(words)


def public_texts(data: Path) -> dict[str, list[str]]:
    """Texts of the public data sets, by their names."""
    csv.field_size_limit(10**7)
    found: dict[str, list[str]] = {}
    for name, column in (("mts_dialog", "section_text"), ("mts_dialog", "dialogue")):
        with (data / name / "test.csv").open(encoding="utf-8") as stream:
            found[f"{name} {column}"] = [row[column] for row in csv.DictReader(stream)]
    with (data / "medec" / "validation.csv").open(encoding="utf-8") as stream:
        found["medec"] = [row["Text"] for row in csv.DictReader(stream) if row.get("Text")]
    with (data / "banking77" / "test.csv").open(encoding="utf-8") as stream:
        found["banking77"] = [row["text"] for row in csv.DictReader(stream)]
    return found


def tell_public(data: Path, sample: int) -> None:
    """What is found in texts of which nothing is known, and some of it to be looked at."""
    everything = []
    for name, texts in public_texts(data).items():
        counts: Counter[str] = Counter()
        began, words = time.perf_counter(), 0
        for text in texts:
            words += len(text.split())
            for one in find_identifiers(text, POLICY, day_first=False):
                counts[one.kind] += 1
                around = text[max(0, one.start - 25) : one.end + 20].replace("\n", " ")
                everything.append((name, one.kind, text[one.start : one.end], around))
        took = time.perf_counter() - began
        print(f"\n{name}: {len(texts)} texts, {words} words, {took:.1f} s: {dict(counts)}")
    for row in random.Random(13).sample(everything, min(sample, len(everything))):
        print("  ", *map(repr, row))


def tell_speed(notes: Sequence[Note]) -> None:
    """Documents masked in a second, surrogates and all, on one core."""
    began = time.process_time()
    for note in notes:
        mask_document({"input": note.text}, POLICY, key=b"k" * 32, scope=note.text.encode())
    took = time.process_time() - began
    size = sum(len(note.text) for note in notes) / len(notes)
    print(f"\n{len(notes) / took:.0f} documents a second of {size:.0f} characters (one core)")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sample", type=int, default=50)
    parser.add_argument(
        "--missed", type=int, default=0, help="misses to print, never of unseen notes"
    )
    parser.add_argument("--only", default="", help="tables whose title holds this")
    asked = parser.parse_args()
    n, seed = asked.notes, asked.seed
    common = list(make_notes(n, seed=seed, listed=True))
    lots = {
        "Common names": common,
        "Other names": list(make_notes(n, seed=seed + 1, listed=False)),
        "Held-out notes, common names": list(held_out_notes(n, seed=seed + 2, listed=True)),
        "Held-out notes, other names": list(held_out_notes(n, seed=seed + 3, listed=False)),
        "Second notes, common names": list(
            second_notes("looked_at", n, seed=seed + 4, listed=True)
        ),
        "Second notes, other names": list(
            second_notes("looked_at", n, seed=seed + 5, listed=False)
        ),
        "Unseen notes, common names": list(second_notes("unseen", n, seed=seed + 6, listed=True)),
        "Unseen notes, other names": list(second_notes("unseen", n, seed=seed + 7, listed=False)),
    }
    for title, notes in lots.items():
        if asked.only in title:
            missed = 0 if title.startswith(("Unseen", "Held")) else asked.missed
            tell(f"{title} ({share_in_lists(notes):.0%} in lists)", notes, missed=missed)
    tell_speed(common[:200])
    if asked.data:
        tell_public(asked.data, asked.sample)


if __name__ == "__main__":
    main()
