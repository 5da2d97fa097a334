"""A verdict comes from the whole interval, and a missing figure is never a pass."""

from __future__ import annotations

import pytest

from backend.schemas.manifests import ManifestLine
from backend.services.verdicts import (
    Evidence,
    LineVerdict,
    Verdict,
    examples_to_settle,
    judge_all,
    judge_line,
)

AT_LEAST = ManifestLine(metric="f1", threshold=0.7)
AT_MOST = ManifestLine(metric="invented", direction="lower", threshold=0.2)
BETTER = ManifestLine(metric="rougeL", margin=0.05)
LESS = ManifestLine(metric="invented", direction="lower", margin=0.1)
GUARDRAIL = ManifestLine(metric="bleu", margin=-2)


def _evidence(low: float, value: float, high: float, n: int = 100) -> Evidence:
    return Evidence(value, low, high, n, 0, "m|v:1")


@pytest.mark.parametrize(
    ("line", "low", "value", "high", "expected"),
    [
        (AT_LEAST, 0.70, 0.75, 0.80, Verdict.PASS),
        (AT_LEAST, 0.69, 0.75, 0.80, Verdict.INCONCLUSIVE),
        (AT_LEAST, 0.60, 0.65, 0.69, Verdict.FAIL),
        (AT_MOST, 0.05, 0.10, 0.20, Verdict.PASS),
        (AT_MOST, 0.10, 0.15, 0.25, Verdict.INCONCLUSIVE),
        (AT_MOST, 0.21, 0.30, 0.40, Verdict.FAIL),
        (BETTER, 0.05, 0.08, 0.11, Verdict.PASS),
        (BETTER, 0.01, 0.08, 0.15, Verdict.INCONCLUSIVE),
        (BETTER, -0.02, 0.01, 0.04, Verdict.FAIL),
        (LESS, -0.30, -0.20, -0.10, Verdict.PASS),
        (LESS, -0.30, -0.12, 0.05, Verdict.INCONCLUSIVE),
        (LESS, 0.01, 0.10, 0.20, Verdict.FAIL),
        (GUARDRAIL, -1.5, 0.0, 1.5, Verdict.PASS),
        (GUARDRAIL, -2.5, -1.0, 0.5, Verdict.INCONCLUSIVE),
        (GUARDRAIL, -9.0, -5.0, -2.5, Verdict.FAIL),
    ],
)
def test_line_is_judged_by_its_whole_interval(
    line: ManifestLine, low: float, value: float, high: float, expected: Verdict
) -> None:
    assert judge_line(line, _evidence(low, value, high)).verdict == expected


def test_missing_figure_is_inconclusive_with_its_reason() -> None:
    judged = judge_line(AT_LEAST, None, missing="f1 was not scored")
    assert judged.verdict == Verdict.INCONCLUSIVE
    assert "f1 was not scored" in judged.reason


@pytest.mark.parametrize(
    ("low", "value", "high", "bar", "expected"),
    [
        (0.5, 0.75, 1.0, 0.625, 300),  # half-width twice the distance: n must grow four-fold
        (0.25, 0.5, 0.75, 0.625, 300),
        (0.6, 0.7, 0.8, 0.7, None),
    ],
)
def test_examples_to_settle_follow_the_square_root_law(
    low: float, value: float, high: float, bar: float, expected: int | None
) -> None:
    assert examples_to_settle(_evidence(low, value, high), bar) == expected


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["PASS", "PASS"], Verdict.PASS),
        (["PASS", "INCONCLUSIVE"], Verdict.INCONCLUSIVE),
        (["INCONCLUSIVE", "FAIL"], Verdict.FAIL),
    ],
)
def test_the_worst_line_decides(verdicts: list[str], expected: Verdict) -> None:
    lines = [LineVerdict(AT_LEAST, Verdict(v), "") for v in verdicts]
    assert judge_all(lines) == expected
