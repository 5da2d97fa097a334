"""Is the watched A/B wrong as seldom as it says, however one looks and in whatever order?

    python -m tests.benchmarks.watched_ab [--out FILE.json] [--repeats 2000] [--part NAME]

Parts: alarms (of 1, 2, 5, 20 and unequal votes a cluster), rewriting, withdrawals, standing, power.
Everything is simulated, with seeds, and goes through what the service uses (`reports.ab._judge`).
`alarms` looks after every vote of a queue in which neither model is better and counts decisions;
the upper end of their exact 95% interval should lie under .055. `rewriting` is the way of before,
in which a cluster's mean stood in the place of its first vote. `standing` looks at every prefix
anew: no decision is ever taken back or moved.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from backend.executors.spread import spreading
from backend.services.review.reports.ab import PairVotes, _judge
from backend.services.review.reports.votes import PairVote
from backend.settings import load_settings
from backend.tables.review import Winner
from evaluators.spread import cut
from evaluators.statistics.sequential import log_capital
from tests.fixtures_review import NOW

A, B, ALPHA = 1, 2, 0.05
ORDERS = ("rounds", "random", "cluster by cluster")
# How much the votes of a cluster have in common: rates of clusters, symmetric about the mean.
KINDS = ("rho 0", "rho 0.5", "rho 1", "unlike items, ties")
Floats = np.ndarray[Any, np.dtype[np.float64]]


def draw_rates(rng: np.random.Generator, kind: str, clusters: int, mean: float) -> Floats:
    """The rate at which each cluster's votes prefer b."""
    if kind == "rho 0":
        return np.full(clusters, mean)
    if kind == "rho 0.5":
        return rng.beta(mean, 1 - mean, clusters)
    if kind == "rho 1":
        return (rng.random(clusters) < mean).astype(float)
    reach = min(mean, 1 - mean)
    return mean + rng.choice([-1.0, 1.0], clusters) * rng.uniform(0.2, 1, clusters) * reach


def draw_order(rng: np.random.Generator, sizes: Sequence[int], order: str) -> list[int]:
    """The cluster of each vote, in the order in which votes come."""
    clusters = [g for g, size in enumerate(sizes) for _ in range(size)]
    if order == "random":
        return [int(g) for g in rng.permutation(clusters)]
    if order == "rounds":
        return [g for k in range(max(sizes)) for g, size in enumerate(sizes) if k < size]
    return clusters


def draw_votes(
    rng: np.random.Generator, sizes: Sequence[int], kind: str, order: str, *, mean: float = 0.5
) -> list[PairVote]:
    """The votes of a queue; with probability 1/5 a tie where the kind says so."""
    rates = draw_rates(rng, kind, len(sizes), mean)
    ties = 0.2 if kind.endswith("ties") else 0.0
    return [
        make_vote(i, g, None if rng.random() < ties else B if rng.random() < rates[g] else A)
        for i, g in enumerate(draw_order(rng, sizes, order))
    ]


def make_vote(number: int, cluster: int, winner_id: int | None) -> PairVote:
    winner = Winner.TIE if winner_id is None else (Winner.A, Winner.B)[winner_id - 1]
    at = NOW + timedelta(minutes=number)
    left = None if winner_id is None else True
    name = str(cluster)
    return PairVote(number, number, (A, B), winner, winner_id, left, name, "r", True, cast_at=at)


def plan_of(sizes: Sequence[int]) -> dict[str, int]:
    return {str(g): size for g, size in enumerate(sizes)}


def decided(votes: Sequence[PairVote], sizes: Sequence[int]) -> tuple[str, int | None]:
    pair = PairVotes((A, B), [*votes], [], Counter(plan_of(sizes)))
    state = _judge(pair, threshold=0.5, alpha=ALPHA)
    return ("undecided", None) if state is None else (state.decision, state.decided_at)


def rewriting_decided(votes: Sequence[PairVote]) -> int | None:
    """After how many votes the way of before had decided at some look; None: never."""
    means: dict[str, list[float]] = {}
    for n, vote in enumerate(votes, start=1):
        won = 0.5 if vote.winner_id is None else float(vote.winner_id == B)
        means.setdefault(vote.cluster, []).append(won)
        values = [sum(points) / len(points) for points in means.values()]
        if (log_capital(values, 0.5, alpha=ALPHA) >= math.log(1 / ALPHA)).any():
            return n
    return None


def share(hits: int, n: int) -> dict[str, float]:
    """A rate with its exact interval (Clopper and Pearson 1934)."""
    from scipy.stats import binomtest

    found = binomtest(hits, n).proportion_ci(confidence_level=0.95, method="exact")
    return {"rate": hits / n, "low": float(found.low), "high": float(found.high), "repeats": n}


DESIGNS = {
    "1": [1] * 60,
    "2": [2] * 60,
    "5": [5] * 60,
    "20": [20] * 30,
    "1 to 20": [1, 2, 5, 20] * 12,
}


def study_alarms(repeats: int, design: str) -> dict[str, Any]:
    """False alarms of a queue with so many planned votes a cluster."""
    table, sizes = {}, DESIGNS[design]
    alike = max(sizes) == 1  # then order and correlation are nothing
    for kind in KINDS[:1] if alike else KINDS:
        for order in ORDERS[:1] if alike else ORDERS:
            rng = np.random.default_rng([KINDS.index(kind), ORDERS.index(order), *sizes])
            hits = 0
            for _ in range(repeats):
                votes = draw_votes(rng, sizes, kind, order)
                hits += decided(votes, sizes)[0] != "undecided"
            table[f"{len(sizes)} clusters of {design}, {kind}, {order}"] = share(hits, repeats)
    return table


def study_rewriting(repeats: int) -> dict[str, Any]:
    """False alarms of the way of before, for comparison; a tenth of the repeats."""
    table, sizes = {}, DESIGNS["5"]
    for kind in KINDS[:2]:
        for order in ORDERS[:2]:
            rng = np.random.default_rng(5)
            drawn = [draw_votes(rng, sizes, kind, order) for _ in range(max(1, repeats // 10))]
            hits = sum(rewriting_decided(votes) is not None for votes in drawn)
            table[f"60 clusters of 5, {kind}, {order}"] = share(hits, len(drawn))
    return table


def study_withdrawals(repeats: int) -> dict[str, Any]:
    """False alarms where somebody withdraws, after 20, 40, 60 and 80 votes, all against b."""
    sizes, table = [3] * 40, {}
    for kind in KINDS[:3]:
        rng, hits = np.random.default_rng([7, KINDS.index(kind)]), 0
        for _ in range(repeats):
            votes = draw_votes(rng, sizes, kind, "random")
            for end in (20, 40, 60, 80):
                when = NOW + timedelta(minutes=end, seconds=-30)
                for i in range(end):
                    if votes[i].winner_id == A and votes[i].withdrawn_at is None:
                        votes[i] = replace(votes[i], withdrawn_at=when)
            hits += decided(votes, sizes)[0] != "undecided"
        table[f"40 clusters of 3, {kind}"] = share(hits, repeats)
    return table


def study_standing(repeats: int) -> dict[str, Any]:
    """Decisions that a later look takes back or moves, over every prefix; with withdrawals."""
    table = {}
    for kind in KINDS:
        rng, sizes = np.random.default_rng([9, KINDS.index(kind)]), [1, 2, 5] * 12
        moved = made = 0
        for _ in range(max(1, repeats // 20)):
            votes = draw_votes(rng, sizes, kind, "random", mean=float(rng.choice([0.3, 0.5, 0.7])))
            changes, stands = looks(rng, votes, sizes)
            moved, made = moved + changes, made + stands
        table[kind] = {"decisions": made, "taken back or moved": moved}
    return table


def looks(
    rng: np.random.Generator, votes: Sequence[PairVote], sizes: Sequence[int]
) -> tuple[int, bool]:
    """Look after each vote at what was known then: changes of a decision, and was one made?"""
    seen: tuple[str, int | None] = ("undecided", None)
    ledger: list[PairVote] = []
    changes = 0
    for n, vote in enumerate(votes):
        ledger.append(vote)
        if rng.random() < 0.05:
            i = int(rng.integers(len(ledger)))
            if ledger[i].withdrawn_at is None:
                when = NOW + timedelta(minutes=n, seconds=20)
                ledger[i] = replace(ledger[i], withdrawn_at=when)
        now = decided(ledger, sizes)
        changes += seen[0] != "undecided" and now != seen
        seen = now
    return changes, seen[0] != "undecided"


def study_power(repeats: int) -> dict[str, Any]:
    """Votes until decided at a true rate of .7; 10%, 50% and 90% quantiles, and how many decide."""
    table = {}
    for name, sizes in (
        ("200 clusters of 1", [1] * 200),
        ("200 clusters of 3", [3] * 200),
        ("60 clusters of 5", [5] * 60),
        ("30 clusters of 20", [20] * 30),
    ):
        for kind in KINDS[:1] if max(sizes) == 1 else KINDS[:2]:
            for order in ORDERS[:1] if max(sizes) == 1 else ORDERS:
                rng = np.random.default_rng([11, len(sizes), KINDS.index(kind)])
                took = []
                for _ in range(max(1, repeats // 10)):
                    votes = draw_votes(rng, sizes, kind, order, mean=0.7)
                    side, at = decided(votes, sizes)
                    took.append(math.inf if side != "better" or at is None else float(at))
                low, middle, high = np.quantile(took, [0.1, 0.5, 0.9], method="higher")
                table[f"{name}, {kind}, {order}"] = {
                    "votes": [f"{low:.0f}", f"{middle:.0f}", f"{high:.0f}"],
                    "decided": float(np.isfinite(took).mean()),
                    "repeats": len(took),
                    "planned": sum(sizes),
                }
    return table


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {
    **{f"alarms {name}": partial(study_alarms, design=name) for name in DESIGNS},
    "rewriting": study_rewriting,
    "withdrawals": study_withdrawals,
    "standing": study_standing,
    "power": study_power,
}


def _studies(repeats: int, names: Sequence[str]) -> list[dict[str, Any]]:
    return [PARTS[name](repeats) for name in names]


def main() -> None:
    """Run the parts, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--part", choices=PARTS, action="append")
    arguments = parser.parse_args()
    tables: dict[str, Any] = {"simulated": True, "repeats": arguments.repeats}
    names = list(arguments.part or PARTS)
    with spreading(load_settings()) as spread:
        found = chain.from_iterable(spread(partial(_studies, arguments.repeats), cut(names, 1)))
        for name, table in zip(names, found, strict=True):
            tables[name] = table
            print(json.dumps({name: table}, indent=1), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    from tests.benchmarks import watched_ab  # other processes know the work by this name

    watched_ab.main()
