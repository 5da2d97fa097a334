"""Benches of checks, as shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backend.schemas.common import ResponseBody


class BenchFigure(ResponseBody):
    """A share with its interval and its recipe; simulated."""

    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    failed: int
    signature: str
    clusters: int = 0
    rough: bool = False
    note: str = ""


class BenchKind(ResponseBody):
    """What a check finds of one kind of planted error."""

    kind: str
    recall: BenchFigure
    worse: BenchFigure
    located: BenchFigure | None


class BenchCheck(ResponseBody):
    """One check on a bench; `problem` says why there are no figures."""

    check: str
    version: int
    reading: str
    threshold: float | None
    false_alarms: BenchFigure | None
    recall: BenchFigure | None
    kinds: list[BenchKind]
    problem: str


class BenchReportOut(ResponseBody):
    """All figures of a bench."""

    n: int
    groups: int
    seed: int
    note: str
    left_out: dict[str, int]
    plantable: list[BenchFigure]
    checks: list[BenchCheck]


class CheckBenchOut(ResponseBody):
    """A bench with where its outputs come from."""

    id: int
    dataset: str
    splits: list[str]
    checks: list[str]
    sources: dict[str, Any]
    seed: int
    digest: str
    report: BenchReportOut
    created_at: datetime


def sources_text(sources: Mapping[str, int]) -> str:
    """Where right outputs come from; those of simulated reviewers are among the others."""
    parts = [f"{count} {why}" for why, count in sources.items() if count and why != "simulated"]
    if simulated := sources.get("simulated", 0):
        parts[-1] += f"; {simulated} of them by a simulated reviewer"
    return ", ".join(parts)
