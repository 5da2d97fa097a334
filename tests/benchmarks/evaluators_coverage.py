"""Do the intervals and tests keep their promise? Everything here is simulated, with seeds.

    python -m tests.benchmarks.evaluators_coverage [--out FILE.json] [--repeats 4000] [--part NAME]

Parts: rates, means, clustered, paired, sequential, prediction_powered. Coverage of a 95% interval
should lie between .935 and .965; its Monte-Carlo error stands beside it (.0034 at 4,000 repeats,
none for rates, which are summed exactly). The plain bootstrap, which ignores clusters, is shown
failing.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.statistics.bootstrap import percentile_interval, resampled_figures
from evaluators.statistics.intervals import (
    Interval,
    mean_interval,
    paired_rate_interval,
    rate_interval,
)
from evaluators.statistics.prediction_powered import estimate_mean
from evaluators.statistics.sequential import log_capital

Table = dict[str, dict[str, float]]
RESAMPLES = 600


def columns(values: np.ndarray) -> np.ndarray:
    return np.column_stack([values, np.ones(len(values))])


def count(
    repeats: int, truth: float, draw: Callable[[np.random.Generator], Interval], seed: int
) -> dict[str, float]:
    """Coverage, its standard error, mean width, and how often the interval calls itself rough."""
    rng = np.random.default_rng(seed)
    found = [draw(rng) for _ in range(repeats)]
    return {
        **_share(sum(i.low <= truth <= i.high for i in found), repeats),
        "width": sum(i.high - i.low for i in found) / repeats,
        "rough": sum(i.rough for i in found) / repeats,
        "repeats": repeats,
    }


def _share(hits: int, repeats: int) -> dict[str, float]:
    """Coverage and its Monte-Carlo standard error."""
    share = hits / repeats
    return {"coverage": share, "error": math.sqrt(share * (1 - share) / repeats)}


def study_rates(repeats: int) -> Table:
    """Exact: the binomial distribution is summed, nothing is drawn."""
    from scipy.stats import binom

    table: Table = {}
    for n in (30, 100, 1000):
        for p in (0.1, 0.5, 0.9):
            hits, width, rough = 0.0, 0.0, 0.0
            for x in range(n + 1):
                chance = float(binom.pmf(x, n, p))
                if chance < 1e-9:
                    continue
                interval = rate_interval(columns(np.arange(n) < x).astype(float))
                hits += chance * (interval.low <= p <= interval.high)
                width += chance * (interval.high - interval.low)
                rough += chance * interval.rough
            table[f"rate {p}, n {n}"] = {"coverage": hits, "width": width, "rough": rough}
    return table


SCORES: dict[str, tuple[float, Callable[[np.random.Generator, int], np.ndarray]]] = {
    "symmetric, beta(5, 5)": (0.5, lambda rng, n: rng.beta(5, 5, n)),
    "skewed, beta(1, 5)": (1 / 6, lambda rng, n: rng.beta(1, 5, n)),
    "skewed, exponential": (1.0, lambda rng, n: rng.exponential(1, n)),
}


def study_means(repeats: int) -> Table:
    table: Table = {}
    for name, (truth, draw) in SCORES.items():
        for n in (30, 100, 1000):

            def interval(rng: np.random.Generator, n: int = n, draw: Any = draw) -> Interval:
                sums = columns(draw(rng, n))
                seed = int(rng.integers(2**31))
                return mean_interval(sums, scale=None, seed=seed, resamples=RESAMPLES)

            table[f"{name}, n {n}"] = count(repeats, truth, interval, n)
    return table


def draw_clusters(rng: np.random.Generator, groups: int, size: int, kind: str) -> np.ndarray:
    """Totals and counts of groups of unequal size; the groups differ in their means."""
    counts = np.maximum(1, rng.poisson(size, groups))
    centres = {
        "symmetric": lambda: rng.normal(0.5, 0.1, groups),
        "skewed": lambda: rng.exponential(0.2, groups),
        "rate": lambda: rng.beta(1.5, 1.5, groups),
    }[kind]()
    totals = [
        rng.binomial(k, m) if kind == "rate" else (m + rng.normal(0, 0.1, k)).sum()
        for m, k in zip(centres, counts, strict=True)
    ]
    return np.column_stack([totals, counts]).astype(float)


def study_clustered(repeats: int) -> Table:
    table: Table = {}
    truth = {"symmetric": 0.5, "skewed": 0.2, "rate": 0.5}
    for kind in truth:
        for groups, size in ((10, 3), (30, 5), (100, 5), (300, 5)):

            def interval(
                rng: np.random.Generator, groups: int = groups, size: int = size, kind: str = kind
            ) -> Interval:
                sums = draw_clusters(rng, groups, size, kind)
                if kind == "rate":
                    return rate_interval(sums)
                seed = int(rng.integers(2**31))
                return mean_interval(sums, scale=None, seed=seed, resamples=RESAMPLES)

            name = f"{kind}, {groups} groups of about {size}"
            table[name] = count(repeats, truth[kind], interval, groups)
    table["PLAIN BOOTSTRAP (ignores groups), symmetric, 30 groups of about 5"] = count(
        repeats, 0.5, _plain_bootstrap, 1
    )
    return table


def _plain_bootstrap(rng: np.random.Generator) -> Interval:
    """What one gets by ignoring the groups: single values are resampled."""
    counts = np.maximum(1, rng.poisson(5, 30))
    values = np.repeat(rng.normal(0.5, 0.1, 30), counts) + rng.normal(0, 0.1, counts.sum())
    [drawn] = resampled_figures(
        lambda s: s[..., 0] / s[..., 1],
        [columns(values)],
        seed=int(rng.integers(2**31)),
        resamples=400,
    )
    return Interval(*percentile_interval(drawn, level=0.95), "percentile")


def study_paired(repeats: int) -> Table:
    table: Table = {}
    for n in (30, 100, 1000):

        def rates(rng: np.random.Generator, n: int = n) -> Interval:
            cell = rng.choice(4, n, p=[0.25, 0.1, 0.45, 0.2])
            return paired_rate_interval(
                np.column_stack([cell == 0, cell == 1, np.ones(n)]).astype(float)
            )

        def means(rng: np.random.Generator, n: int = n) -> Interval:
            shared = rng.beta(2, 2, n)
            change = columns(0.3 * rng.beta(1, 4, n) + 0.1 * shared * rng.normal(0, 1, n))
            seed = int(rng.integers(2**31))
            return mean_interval(change, scale=None, seed=seed, resamples=RESAMPLES)

        table[f"difference of rates, n {n}"] = count(repeats, 0.15, rates, n)
        table[f"difference of means, n {n}"] = count(repeats, 0.06, means, n)
    return table


def study_sequential(repeats: int) -> Table:
    """False alarms when looking after every one of 2,000 votes, beside the naive test."""
    rng = np.random.default_rng(0)
    alarms = naive = 0
    for _ in range(0, repeats, 100):
        votes = rng.choice([0.0, 0.5, 1.0], size=(100, 2000), p=[0.4, 0.2, 0.4])
        capital = log_capital(votes, 0.5, alpha=0.05).max(axis=1)
        alarms += int((capital >= math.log(20)).sum())
        seen = np.arange(1, 2001)
        mean = np.cumsum(votes, axis=1) / seen
        spread = np.sqrt(np.maximum(np.cumsum(votes**2, axis=1) / seen - mean**2, 1e-12) / seen)
        naive += int(((np.abs(mean - 0.5) / spread)[:, 9:].max(axis=1) > 1.96).sum())
    n = math.ceil(repeats / 100) * 100
    found = {"false alarms": alarms / n, "naive": naive / n, "repeats": n}
    return {"2,000 votes, one look after each": found}


def study_prediction_powered(repeats: int) -> Table:
    table: Table = {}
    total, share = 20_000, 0.015
    for rho in (0.3, 0.6, 0.9):
        for unequal in (False, True):
            rng = np.random.default_rng(int(rho * 10) + unequal)
            found = []
            for _ in range(repeats):
                scores = rng.normal(0, 1, total)
                truth = rho * scores + math.sqrt(1 - rho**2) * rng.normal(0, 1, total)
                chance = rng.uniform(0.5, 1.5, total) * share if unequal else np.full(total, share)
                rated = rng.random(total) < chance
                ratings = [float(y) if r else None for y, r in zip(truth, rated, strict=True)]
                found.append(estimate_mean(ratings, scores, probabilities=chance))
            wide = sum(e.high - e.low for e in found)
            ratio = wide / sum(e.plain_high - e.plain_low for e in found)
            table[f"rho {rho}, {'unequal' if unequal else 'equal'} chances"] = {
                **_share(sum(e.low <= 0 <= e.high for e in found), repeats),
                "repeats": repeats,
                "width ratio": ratio,
                "theory": math.sqrt(1 - rho**2),
                "off by": ratio / math.sqrt(1 - rho**2) - 1,
            }
    return table


PARTS: dict[str, Callable[[int], Table]] = {
    "rates": study_rates,
    "means": study_means,
    "clustered": study_clustered,
    "paired": study_paired,
    "sequential": study_sequential,
    "prediction_powered": study_prediction_powered,
}


def main() -> None:
    """Run the parts, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=4000)
    parser.add_argument("--part", choices=PARTS, action="append")
    arguments = parser.parse_args()
    tables: dict[str, Any] = {"simulated": True, "repeats": arguments.repeats}
    for name in arguments.part or PARTS:
        tables[name] = PARTS[name](arguments.repeats)
        print(json.dumps({name: tables[name]}, indent=1), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
