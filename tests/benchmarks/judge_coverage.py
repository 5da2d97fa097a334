"""Do estimates that a judge narrows cover what people say? Simulated, and on MT-Bench votes.

    python -m tests.benchmarks.judge_coverage [--out FILE.json] [--repeats 1000]

MT-Bench (Zheng et al. 2023): people's votes on pairs of answers are the truth, GPT-4's verdicts on
the same pairs the judge. Of the votes in which a model takes part a tenth is drawn, over and over;
from these and the judge's verdicts on all of them comes the win rate with its 95% interval.

- finite: the tenth is drawn without putting back, and what is to be covered is the win rate of
  exactly these votes. The interval is one for an endless population: it allows for votes that
  might have been others, and so covers more than 95% here; `expected` says how much more, by the
  correlation of judge and votes. `corrected` is narrowed by the square root of 9/10, which is all
  of it where the judge tells nothing.
- endless: the votes of each study are drawn with putting back out of all of them, a tenth is
  rated, and what is to be covered is the win rate over all votes: an endless population.

Simulated: a rate of .6 and steps of 1 to 5 over 1,000 items, a tenth rated, and a judge that tells
nothing or correlates by .6. Coverage should lie between .935 and .965.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluators.statistics.intervals import normal_quantile, wilson
from evaluators.statistics.prediction_powered import estimate_mean

DATA = Path(__file__).parents[3] / "shared/data/mtbench_human"
SHARE = 0.1
Floats = NDArray[np.float64]


class Votes(NamedTuple):
    """Votes in which a model takes part: what people, and what the judge gave it (1, 1/2, 0)."""

    model: str
    people: Floats
    judge: Floats


class Covered(NamedTuple):
    """Studies whose interval held the truth, and mean widths of it and of the ratings alone."""

    hits: int
    corrected: int
    n: int
    width: float
    plain: float


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    pair = sorted((row["model_a"], row["model_b"]))
    return row["question_id"], row["turn"], *pair


def _points(row: dict[str, Any], model: str) -> float:
    if row["winner"].startswith("tie"):
        return 0.5
    return float(row[row["winner"]] == model)


def read_votes(folder: Path) -> list[Votes]:
    """For each model the votes of people on pairs of which the judge said something."""
    with (folder / "human.jsonl").open() as lines:
        people = [json.loads(line) for line in lines]
    with (folder / "gpt4_pair.jsonl").open() as lines:
        judged = {_key(row): row for row in map(json.loads, lines)}
    models = sorted({row["model_a"] for row in people} | {row["model_b"] for row in people})
    found = []
    for model in models:
        mine = [r for r in people if model in (r["model_a"], r["model_b"]) and _key(r) in judged]
        said = [_points(row, model) for row in mine]
        found.append(
            Votes(model, np.array(said), np.array([_points(judged[_key(r)], model) for r in mine]))
        )
    return found


def cover(votes: Votes, *, repeats: int, endless: bool, seed: int = 3) -> Covered:
    """Coverage over studies that rate a tenth of the votes."""
    rng = np.random.default_rng(seed)
    truth, total = float(votes.people.mean()), len(votes.people)
    rated = max(3, round(SHARE * total))
    shrunk = math.sqrt(1 - rated / total)
    hits = corrected = 0
    widths, plain = [], []
    for _ in range(repeats):
        rows = rng.integers(total, size=total) if endless else np.arange(total)
        chosen = set(rng.choice(total, rated, replace=False).tolist())
        ratings = [float(votes.people[r]) if i in chosen else None for i, r in enumerate(rows)]
        found = estimate_mean(ratings, votes.judge[rows], rate=False)
        if found.low is None or found.high is None:
            continue  # counts as a miss
        hits += found.low <= truth <= found.high
        low = found.value - shrunk * (found.value - found.low)
        high = found.value + shrunk * (found.high - found.value)
        corrected += low <= truth <= high
        widths.append(found.high - found.low)
        if found.plain_low is not None and found.plain_high is not None:
            plain.append(found.plain_high - found.plain_low)
    return Covered(hits, corrected, repeats, float(np.mean(widths)), float(np.mean(plain)))


def expected_finite(votes: Votes) -> float:
    """Share of studies whose interval holds the win rate of exactly these votes, by theory.

    With a share k of the votes' variance told by the judge, n of N rated: the interval goes by
    (1 - k) / n + k / N, and the estimate varies about these votes by (1 - k) (1 / n - 1 / N).
    """
    told = float(np.corrcoef(votes.people, votes.judge)[0, 1]) ** 2
    wide = (1 - told) * (1 / SHARE) + told
    return math.erf(normal_quantile(0.95) * math.sqrt(wide / ((1 - told) * (1 / SHARE - 1) * 2)))


def simulated(kind: str, correlation: float, *, repeats: int, seed: int = 4) -> Covered:
    """Coverage of a simulated mean over 1,000 items, a tenth of which are rated."""
    rng = np.random.default_rng(seed)
    hits, widths, plain = 0, [], []
    cuts = {"rate": [-0.2533], "steps": [-1.2, -0.5, 0.2, 0.9]}[kind]
    truth = _mean_of(cuts)
    for _ in range(repeats):
        latent, noise = rng.normal(size=1000), rng.normal(size=1000)
        said = np.digitize(latent, cuts) + (1.0 if kind == "steps" else 0.0)
        judge = np.digitize(correlation * latent + math.sqrt(1 - correlation**2) * noise, cuts)
        rated = set(rng.choice(1000, 100, replace=False).tolist())
        found = estimate_mean(
            [float(said[i]) if i in rated else None for i in range(1000)],
            judge.astype(np.float64),
            rate=kind == "rate",
        )
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
        widths.append(found.high - found.low)
        plain.append((found.plain_high or 0.0) - (found.plain_low or 0.0))
    return Covered(hits, hits, repeats, float(np.mean(widths)), float(np.mean(plain)))


def _mean_of(cuts: list[float]) -> float:
    above = sum(0.5 * math.erfc(cut / math.sqrt(2)) for cut in cuts)
    return above if len(cuts) == 1 else 1 + above


def table(repeats: int) -> Iterator[dict[str, Any]]:
    """All rows."""
    for kind in ("rate", "steps"):
        for correlation in (0.0, 0.6):
            found = simulated(kind, correlation, repeats=repeats)
            yield _row(f"simulated: {kind}, judge correlates by {correlation:g}", found)
    if not DATA.is_dir():
        print(f"no MT-Bench votes at {DATA}")
        return
    for endless, name in ((False, "finite"), (True, "endless")):
        every = [cover(votes, repeats=repeats, endless=endless) for votes in read_votes(DATA)]
        for votes, found in zip(read_votes(DATA), every, strict=True):
            row = _row(f"MT-Bench, {name}: {votes.model}, {len(votes.people)} votes", found)
            yield row if endless else {**row, "expected": expected_finite(votes)}
        whole = Covered(
            sum(one.hits for one in every),
            sum(one.corrected for one in every),
            sum(one.n for one in every),
            float(np.mean([one.width for one in every])),
            float(np.mean([one.plain for one in every])),
        )
        yield _row(f"MT-Bench, {name}: all {len(every)} models", whole)


def _row(name: str, found: Covered) -> dict[str, Any]:
    low, high = wilson(found.hits, found.n)
    return {
        "what": name,
        "coverage": found.hits / found.n,
        "low": low,
        "high": high,
        "n": found.n,
        "corrected": found.corrected / found.n,
        "width": found.width,
        "width of the votes alone": found.plain,
    }


def main() -> None:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=1000)
    args = parser.parse_args()
    rows = []
    for row in table(args.repeats):
        rows.append(row)
        print(
            f"{row['what']}: coverage {row['coverage']:.3f} [{row['low']:.3f}, {row['high']:.3f}], "
            f"n={row['n']}, corrected {row['corrected']:.3f}, width {row['width']:.3f} "
            f"against {row['width of the votes alone']:.3f} of the votes alone",
            flush=True,
        )
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
