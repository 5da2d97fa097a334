"""Two sides in turns, and the ratio of each turn with a goal: what every benchmark ends with.

A benchmark measures, and hands what it found to `keep`, which prints a line a ratio and writes them
beside the benchmark's own file; `python -m tests.benchmarks` puts all of them into one table.

    turns = take_turns({"ours": ours, "sacrebleu": library}, times=9)
    keep(args.out, [turns.ratio("bootstrap, BLEU", "ours", "sacrebleu", at_least=30)])

Sides that are timed elsewhere (in a process of their own, by a server) become a `Ratio` directly. A
benchmark that lacks what it needs says so by `skip`, and ends with exit code 0.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]
BESIDE = ".ratios.json"
"""A benchmark that writes `x.json` has its ratios in `x.ratios.json`."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure of a benchmark, turn by turn, with the goal it is held against.

    Attributes:
        name: what is compared with what, and on which data.
        turns: one value for each turn; both sides of a ratio are from the same turn.
        at_least: the goal where more is better.
        at_most: the goal where less is better.
        unit: `times` for a ratio, else what the value counts.
        sides: what stood on each side, in its own unit (medians over the turns).
        load: load average of the machine over one minute, before and after.
    """

    name: str
    turns: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "times"
    sides: Mapping[str, float] | None = None
    load: tuple[float, float] | None = None

    @property
    def median(self) -> float:
        """Median over the turns."""
        return statistics.median(self.turns)

    @property
    def reached(self) -> bool | None:
        """Whether the median meets the goal; None where there is none."""
        if self.at_least is not None:
            return self.median >= self.at_least
        return None if self.at_most is None else self.median <= self.at_most

    def as_row(self) -> Row:
        """All that the table and `ratios.json` tell."""
        found = {"median": self.median, "least": min(self.turns), "largest": max(self.turns)}
        return {**asdict(self), **found, "n": len(self.turns), "reached": self.reached}


@dataclass(frozen=True, slots=True)
class Turns:
    """Seconds of each side, turn by turn."""

    seconds: Mapping[str, Sequence[float]]
    load: tuple[float, float]

    def ratio(
        self,
        name: str,
        ours: str,
        other: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> Ratio:
        """Seconds of `other` over seconds of `ours`: how many times as fast ours is."""
        pairs = zip(self.seconds[ours], self.seconds[other], strict=True)
        ratios = [theirs / own for own, theirs in pairs]
        medians = {f"{side}, s": statistics.median(self.seconds[side]) for side in (ours, other)}
        return Ratio(name, ratios, at_least, at_most, sides=medians, load=self.load)

    def rate(self, name: str, side: str, count: int, *, at_least: float | None = None) -> Ratio:
        """How many of `count` things one side does in a second."""
        rates = [count / spent for spent in self.seconds[side]]
        return Ratio(name, rates, at_least, unit="a second", load=self.load)


def take_turns(
    sides: Mapping[str, Callable[[], object]],
    *,
    times: int,
    clock: Callable[[], float] = time.process_time,
) -> Turns:
    """Run every side once a turn, in an order that is reversed every other turn.

    Args:
        clock: processor time of this process, which a busy machine blurs less; `time.perf_counter`
            where waiting counts.
    """
    before = os.getloadavg()[0]
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(times):
        for name in list(sides) if turn % 2 == 0 else reversed(sides):
            began = clock()
            sides[name]()
            seconds[name].append(clock() - began)
    return Turns(seconds, (before, os.getloadavg()[0]))


def keep(out: Path | None, ratios: Iterable[Ratio]) -> None:
    """Print a line a ratio; with `out`, write them beside that file too."""
    _keep(out, [ratio.as_row() for ratio in ratios])


def skip(out: Path | None, name: str, reason: str) -> None:
    """Say why nothing was measured, on the screen and in the table."""
    _keep(out, [{"name": name, "skipped": reason}])


def _keep(out: Path | None, rows: Sequence[Row]) -> None:
    print("\n".join(map(as_line, rows)), flush=True)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(BESIDE).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def as_line(row: Row) -> str:
    """`name: 31.2 times [29.8, 33.0], goal at least 30, n=9, load 2.1 to 2.4`."""
    if "skipped" in row:
        return f"{row['name']}: skipped, {row['skipped']}"
    said = f"{row['median']:.4g} {row['unit']} [{row['least']:.4g}, {row['largest']:.4g}]"
    parts = [said, *([f"goal {goal}"] if (goal := goal_of(row)) else []), f"n={row['n']}"]
    if row["load"]:
        parts.append(f"load {row['load'][0]:.1f} to {row['load'][1]:.1f}")
    return f"{row['name']}: {', '.join(parts)}"


def goal_of(row: Row) -> str:
    """The goal in words, with whether it is met; empty where there is none."""
    bound, word = row["at_least"], "at least"
    if bound is None:
        bound, word = row["at_most"], "at most"
    return "" if bound is None else f"{word} {bound:g} ({'met' if row['reached'] else 'NOT MET'})"
