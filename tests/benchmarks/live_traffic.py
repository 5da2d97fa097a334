"""What 100 million live requests a month would take, simulated: servers, rows, bytes, cores, money.

    python -m tests.benchmarks.live_traffic [--out FILE] [--seeds 5] [--data DIR] [--set NAME=X]

Nothing is run at that size and no server is asked: Strop has no live requests. Everything said here
is *simulated* or multiplied from the figures of `Plan`, of which each says whether it was measured
here or is assumed; `--set` takes other ones. Plan, tables and prices: dashboard/guides/scale.md.

Arrivals are Poisson with a rate that follows the hour and the day of the week. A server has `batch`
places. A request waits, first come first served over all servers, for a place, and holds it for as
long as it would take beside a full batch: its own tokens at a full batch's pace, and the reading of
everybody's prompt that comes in meanwhile (Yu et al. 2022, continuous batching by iteration). So
the throughput is that of full servers, and an answer's own time is an upper bound.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import io
import json
import math
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(os.environ.get("STROP_TEST_DATA") or Path(__file__).parents[3] / "shared/data")
HOUR, DAYS = 3600.0, 30
WEEK = (1.15, 1.15, 1.15, 1.15, 1.15, 0.7, 0.55)  # Monday first; 7 in all
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is assumed, and what was measured here. Lengths are means of lognormal draws.

    Attributes:
        month: requests in 30 days.
        day_swing: the rate over a day is 1 + swing * cosine, largest at 14:00 (assumed).
        burst: coefficient of variation of a gamma factor drawn for each minute (assumed).
        prompt, answer: tokens (assumed); `spread`: sigma of their logarithm (assumed).
        batch: requests that a server answers at once (assumed).
        step_alone, step_full: seconds of one token of one request, and of each of a full batch: a
            model of 8 billion weights in 16 bits on one GPU of 80 GB or more (assumed).
        prefill: prompt tokens a second that a server reads (assumed).
        wait_bound: seconds below which 95% of the requests of the busiest hour must wait.
        spare: servers that may be out without that bound being missed.
        scored: share of the answers that is scored (assumed).
        grounding, invented: outputs a second that one loaded core scores, by
            `tests.benchmarks.evaluators_speed` (measured here).
        token_bytes: bytes of text a token; row_bytes: of a row of numbers and its share of indexes;
            score_bytes: the same of a score (assumed).
        packed: text bytes for one in Parquet, zstd (measured where --data has texts).
        hot_days: days of rows kept in PostgreSQL (assumed).
        reviewed, review_minutes: items for experts a month, active minutes each (assumed).
        gpu_hour, core_hour, gb_month, expert_hour: prices, in one currency (assumed).
    """

    month: float = 100e6
    day_swing: float = 0.8
    burst: float = 0.0
    prompt: float = 800.0
    answer: float = 200.0
    spread: float = 0.7
    batch: int = 64
    step_alone: float = 0.009
    step_full: float = 0.02
    prefill: float = 20_000.0
    wait_bound: float = 0.5
    spare: int = 1
    scored: float = 1.0
    grounding: float = 722.0
    invented: float = 640.0
    token_bytes: float = 4.0
    row_bytes: float = 300.0
    score_bytes: float = 150.0
    packed: float = 3.0
    hot_days: int = 30
    reviewed: float = 2_000.0
    review_minutes: float = 2.0
    gpu_hour: float = 2.5
    core_hour: float = 0.05
    gb_month: float = 0.023
    expert_hour: float = 60.0

    @property
    def mean_rate(self) -> float:
        """Requests a second over the month."""
        return self.month / (DAYS * 24 * HOUR)

    @property
    def peak_factor(self) -> float:
        """How many times the mean the busiest moment of the week is."""
        return max(WEEK) * (1 + self.day_swing)

    @property
    def held(self) -> float:
        """Mean seconds for which a request holds its place in a full batch."""
        return self.answer * self.step_full + self.batch * self.prompt / self.prefill

    @property
    def full_rate(self) -> float:
        """Requests a second of one full server."""
        return self.batch / self.held


def rate_at(plan: Plan, seconds: Array) -> Array:
    """Requests a second at times since Monday 00:00, a week over and over."""
    hours = seconds / HOUR
    swing = 1 + plan.day_swing * np.cos(2 * math.pi * (hours - 14) / 24)
    week = np.asarray(WEEK)[(hours // 24).astype(int) % 7]
    return np.asarray(plan.mean_rate * week * swing)


def draw_arrivals(plan: Plan, start: float, end: float, rng: np.random.Generator) -> Array:
    """Times of a Poisson process with the plan's rate, by thinning (Lewis and Shedler 1979)."""
    minutes = math.ceil((end - start) / 60)
    bursts = np.ones(minutes)
    if plan.burst > 0:
        shape = plan.burst**-2
        bursts = rng.gamma(shape, 1 / shape, minutes)
    top = plan.mean_rate * plan.peak_factor * bursts.max()
    times = start + np.cumsum(rng.exponential(1 / top, int((end - start) * top * 1.2) + 1000))
    times = times[times < end]
    wanted = rate_at(plan, times) * bursts[((times - start) // 60).astype(int)]
    return np.asarray(times[rng.random(len(times)) * top < wanted])


def draw_held(plan: Plan, n: int, rng: np.random.Generator) -> Array:
    """Seconds for which each of `n` requests holds its place."""
    prompt, answer = (
        rng.lognormal(math.log(mean) - plan.spread**2 / 2, plan.spread, n)
        for mean in (plan.prompt, plan.answer)
    )
    return np.asarray(answer * plan.step_full + plan.batch * prompt / plan.prefill)


def waits_of(arrivals: Sequence[float], held: Sequence[float], places: int) -> Array:
    """Seconds that each request waits for one of `places`, first come first served.

    The recursion of Kiefer and Wolfowitz (1955): a request takes the place that is free first.
    """
    free = [-math.inf] * places
    waits = np.empty(len(arrivals))
    for n, (at, seconds) in enumerate(zip(arrivals, held, strict=True)):
        begins = max(at, free[0])
        heapq.heapreplace(free, begins + seconds)
        waits[n] = begins - at
    return waits


def erlang_c(places: int, offered: float) -> float:
    """Probability that a request of an M/M/k queue waits (Erlang 1917).

    Args:
        offered: mean number of places that are in use; below `places`.
    """
    blocked = 1.0
    for n in range(1, places + 1):  # Erlang's B, by its recursion
        blocked = offered * blocked / (n + offered * blocked)
    return blocked / (1 - offered / places * (1 - blocked))


@dataclass(frozen=True, slots=True)
class Busiest:
    """The busiest hour of one simulated week with so many servers."""

    servers: int
    requests: int
    waited: float
    p95_wait: float
    p95_held: float


def busiest_hour(plan: Plan, servers: int, seed: int) -> Busiest:
    """Simulate the busiest hour, after an hour and a half that fill the servers."""
    rng = np.random.default_rng(seed)
    first = 13.5 * HOUR  # of a Monday; the largest rate is in its middle
    arrivals = draw_arrivals(plan, first - 1.5 * HOUR, first + HOUR, rng)
    held = draw_held(plan, len(arrivals), rng)
    waits = waits_of(arrivals.tolist(), held.tolist(), servers * plan.batch)
    inside = arrivals >= first
    return Busiest(
        servers,
        int(inside.sum()),
        float((waits[inside] > 0).mean()),
        float(np.quantile(waits[inside], 0.95)),
        float(np.quantile((waits + held)[inside], 0.95)),
    )


def fewest_servers(plan: Plan, seeds: Sequence[int]) -> tuple[int, list[Busiest]]:
    """The fewest servers with which the bound is kept under every seed, without the spare ones."""
    servers = max(1, math.floor(plan.mean_rate * plan.peak_factor / plan.full_rate) - 1)
    while True:
        found = [busiest_hour(plan, servers, seed) for seed in seeds]
        if all(one.p95_wait < plan.wait_bound for one in found):
            return servers, found
        servers += 1


def servers_by_hour(plan: Plan, needed: int) -> list[int]:
    """Servers of each hour of a week where they are switched on and off by the known rate.

    In each hour as full as the needed ones are in the busiest, and the spare ones.
    """
    hours = (np.arange(24 * 7) + 0.5) * HOUR
    share = rate_at(plan, hours) / (plan.mean_rate * plan.peak_factor)
    return [max(1, math.ceil(needed * one)) + plan.spare for one in share]


def storage(plan: Plan) -> dict[str, float]:
    """Rows and bytes: a row of numbers in PostgreSQL, texts in Parquet on object storage."""
    busiest_day = plan.month / DAYS * max(WEEK)
    texts = (plan.prompt + plan.answer) * plan.token_bytes
    row = plan.row_bytes + 2 * plan.scored * plan.score_bytes
    peak = plan.mean_rate * plan.peak_factor
    return {
        "requests of the busiest day": busiest_day,
        "rows written a second at the peak": peak * (1 + 2 * plan.scored),
        "bytes of a request in PostgreSQL": row,
        "GB of the busiest day's partition": busiest_day * row / 1e9,
        "GB in PostgreSQL": plan.month / DAYS * plan.hot_days * row / 1e9,
        "text bytes of a request": texts,
        "MB of text a second at the peak": peak * texts / 1e6,
        "GB of Parquet a month": plan.month * texts / plan.packed / 1e9,
    }


def scoring_cores(plan: Plan) -> dict[str, float]:
    """Cores that score with grounding and invented, by what one loaded core did here."""
    seconds = 1 / plan.grounding + 1 / plan.invented
    mean = plan.mean_rate * plan.scored * seconds
    return {
        "processor seconds an answer": seconds,
        "cores on average": mean,
        "cores at the peak": mean * plan.peak_factor,
        "core hours a month": mean * DAYS * 24,
    }


def money(plan: Plan, needed: int) -> dict[str, float]:
    """A month in the currency of the prices; database machines, network and people apart."""
    by_hour = servers_by_hour(plan, needed)
    gpu_always = (needed + plan.spare) * DAYS * 24 * plan.gpu_hour
    gpu_by_hour = statistics.fmean(by_hour) * DAYS * 24 * plan.gpu_hour
    return {
        "servers, always on": gpu_always,
        "servers, by the hour": gpu_by_hour,
        "scoring": scoring_cores(plan)["core hours a month"] * plan.core_hour,
        "Parquet, a month's texts for a month": storage(plan)["GB of Parquet a month"]
        * plan.gb_month,
        "experts": plan.reviewed * plan.review_minutes / 60 * plan.expert_hour,
        "servers a million requests, always on": gpu_always / (plan.month / 1e6),
    }


def packed_by_parquet(folder: Path) -> float | None:
    """Bytes of real dialogues and notes for one byte in Parquet (zstd); None without the data."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = folder / "mts_dialog/train.csv"
    if not file.exists():
        return None
    with file.open(newline="", encoding="utf-8-sig") as opened:
        rows = list(csv.DictReader(opened))
    texts = {name: [row[name] for row in rows] for name in ("dialogue", "section_text")}
    sink = io.BytesIO()
    pq.write_table(pa.table(texts), sink, compression="zstd")
    return sum(len(t.encode()) for some in texts.values() for t in some) / len(sink.getvalue())


VARIANTS: dict[str, Callable[[Plan], Plan]] = {
    "as planned": lambda plan: plan,
    "bursts: each minute's rate varies by 30%": lambda plan: replace(plan, burst=0.3),
    "answers twice as long": lambda plan: replace(plan, answer=2 * plan.answer),
    "prompts four times as long": lambda plan: replace(plan, prompt=4 * plan.prompt),
    "a token takes half the time": lambda plan: replace(plan, step_full=plan.step_full / 2),
}


def measure(plan: Plan, seeds: Sequence[int]) -> dict[str, Any]:
    """All figures of the plan, and the servers of each variant of it."""
    found = {}
    for name, change in VARIANTS.items():
        changed = change(plan)
        servers, hours = fewest_servers(changed, seeds)
        found[name] = {
            "peak_rate": changed.mean_rate * changed.peak_factor,
            "full_rate": changed.full_rate,
            "needed": servers,
            "with_spare": servers + changed.spare,
            "hours": [asdict(one) for one in hours],
        }
        print(line_of(name, found[name]), flush=True)
    needed = found["as planned"]["needed"]
    told = {"storage": storage(plan), "scoring": scoring_cores(plan), "money": money(plan, needed)}
    return {"simulated": True, "plan": asdict(plan), "variants": found, **told}


def line_of(name: str, found: dict[str, Any]) -> str:
    """One variant in words, with n, median and range over the seeds."""
    hours = found["hours"]
    waits = [one["p95_wait"] for one in hours]
    whole = [one["p95_held"] for one in hours]
    return (
        f"simulated, {name}: {found['peak_rate']:.1f} requests/s at the peak, "
        f"{found['full_rate']:.1f} a full server, {found['needed']} servers "
        f"(+ spare: {found['with_spare']}); busiest hour, n={len(hours)} seeds of "
        f"{statistics.median(one['requests'] for one in hours):,.0f} requests: p95 of waiting "
        f"{statistics.median(waits):.3f} s [{min(waits):.3f}, {max(waits):.3f}], p95 of waiting "
        f"and answering {statistics.median(whole):.1f} s [{min(whole):.1f}, {max(whole):.1f}]"
    )


def plan_with(given: Sequence[str]) -> Plan:
    """The plan with `NAME=NUMBER` changes.

    Raises:
        ValueError: no such name, or a value that is no number above 0.
    """
    kinds = {one.name: type(one.default) for one in fields(Plan)}
    changes: dict[str, Any] = {}
    for one in given:
        name, _, value = one.partition("=")
        if name not in kinds:
            raise ValueError(f"no figure is named {name!r}; there are {', '.join(kinds)}")
        number = kinds[name](value)
        if not math.isfinite(number) or number < 0 or (number == 0 and name not in MAY_BE_0):
            raise ValueError(f"{name} is a number above 0, not {value}")
        changes[name] = number
    return replace(Plan(), **changes)


MAY_BE_0 = frozenset({"day_swing", "burst", "spare", "scored", "spread", "reviewed"})


def main() -> None:
    """Simulate, print, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=X", dest="changes")
    args = parser.parse_args()
    plan = plan_with(args.changes)
    if packed := packed_by_parquet(args.data):
        plan = replace(plan, packed=packed)
    said = "measured" if packed else "assumed, its data are not here"
    print(f"texts for one byte in Parquet: {plan.packed:.2f} ({said})")
    found = measure(plan, range(args.seeds))
    for part in ("storage", "scoring", "money"):
        for name, value in found[part].items():
            print(
                f"{part}, {name}: {value:,.4g}" if value < 10 else f"{part}, {name}: {value:,.0f}"
            )
    if args.out:
        args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
