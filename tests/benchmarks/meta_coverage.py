"""Coverage of the intervals of `strop meta`, simulated.

    python -m tests.benchmarks.meta_coverage [--out FILE.json] [--repeats 300]

Documents have an effect on score and rating alike, so that items of one are not independent. The
true value of each coefficient is that of a very large sample of the same law.
"""

from __future__ import annotations

import argparse
import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from evaluators.statistics.correlations import Rated
from evaluators.statistics.meta import meta_figures

PER_DOCUMENT = 4
COEFFICIENTS = ("pearson", "spearman", "kendall", "auroc")


def draw(rng: np.random.Generator, documents: int, *, labels: bool) -> Rated:
    """A score that follows a rating, with an effect of the document on both."""
    shared = rng.normal(0, 0.6, (documents, 1, 2))
    common = rng.normal(0, 1, (documents, PER_DOCUMENT, 1))
    both = (shared + common + rng.normal(0, 0.8, (documents, PER_DOCUMENT, 2))).reshape(-1, 2)
    ratings = (both[:, 0] > 0.4).astype(float) if labels else np.rint(both[:, 0] * 1.5)
    groups = tuple(f"d{i // PER_DOCUMENT}" for i in range(len(both)))
    return Rated(ratings, {"score": both[:, 1]}, groups)


@lru_cache(maxsize=1)
def truth() -> dict[str, float]:
    """Values at 4,000 documents."""
    rng = np.random.default_rng(12345)
    return {
        **_values(draw(rng, 4000, labels=False)),
        "auroc": _values(draw(rng, 4000, labels=True))["auroc"],
    }


def _values(rated: Rated) -> dict[str, float]:
    from evaluators.statistics.correlations import CORRELATIONS, area_under_roc

    x, y = rated.scores["score"], rated.ratings
    found = {name: measure(x, y) for name, measure in CORRELATIONS.items()}
    return {**found, "auroc": area_under_roc(x, y) if set(y) == {0.0, 1.0} else float("nan")}


def coverage(*, documents: int, simulations: int, resamples: int, seed: int) -> dict[str, float]:
    """Share of simulated intervals that hold the true value, by coefficient at sample level."""
    rng, known = np.random.default_rng(seed), truth()
    hits = dict.fromkeys(COEFFICIENTS, 0)
    for _ in range(simulations):
        for labels in (False, True):
            rated = draw(rng, documents, labels=labels)
            for figure in meta_figures(rated, resamples=resamples):
                wanted = figure.at == "sample" and (figure.coefficient == "auroc") == labels
                if wanted and figure.low is not None and figure.high is not None:
                    true = known[figure.coefficient]
                    hits[figure.coefficient] += figure.low <= true <= figure.high
    return {name: count / simulations for name, count in hits.items()}


def main() -> None:
    """Print the shares, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=300)
    args = parser.parse_args()
    rows = {}
    for size in (15, 40, 100):
        rows[size] = coverage(documents=size, simulations=args.repeats, resamples=400, seed=0)
        shown = "  ".join(f"{name} {share:.3f}" for name, share in rows[size].items())
        of = f"{size:4d} documents of {PER_DOCUMENT}"
        print(f"{of} (simulated, {args.repeats} times): {shown}", flush=True)
    if args.out is not None:
        args.out.write_text(json.dumps({"simulated": True, "coverage": rows}, indent=2))


if __name__ == "__main__":
    main()
