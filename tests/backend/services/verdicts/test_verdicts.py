"""A verdict comes from the whole interval, and a missing figure is never a pass."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from backend.schemas.projects import ManifestLine
from backend.services.projects import manifest_digest, parse_manifest
from backend.services.verdicts.verdict import (
    Evidence,
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
NOT_WORSE = ManifestLine(metric="bleu", guardrail=2)
OLD_DIGEST = "0caa18cbb1cb0750f76fe0f31147cc2f895d07d10701a5b44727fbdbb2af0d03"
FEWER = ManifestLine(metric="invented", direction="lower", guardrail=0.1)


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
        (NOT_WORSE, -1.5, 0.0, 1.5, Verdict.PASS),
        (NOT_WORSE, -2.5, -1.0, 0.5, Verdict.INCONCLUSIVE),
        (NOT_WORSE, -9.0, -5.0, -2.5, Verdict.FAIL),
        (FEWER, -0.2, 0.0, 0.1, Verdict.PASS),
        (FEWER, 0.0, 0.05, 0.2, Verdict.INCONCLUSIVE),
        (FEWER, 0.11, 0.2, 0.3, Verdict.FAIL),
    ],
)
def test_line_is_judged_by_its_whole_interval(
    line: ManifestLine, low: float, value: float, high: float, expected: Verdict
) -> None:
    assert judge_line(line, _evidence(low, value, high)).verdict == expected


@pytest.mark.parametrize(
    ("line", "evidence", "more", "words"),
    [
        (AT_LEAST, _evidence(0.6, 0.75, 0.9), 800, "about 800 more examples"),
        (LESS, _evidence(-0.3, -0.2, 0.0), 300, "about 300 more examples"),
        (NOT_WORSE, _evidence(-4.0, 0.0, 4.0), 300, "about 300 more examples"),
        (AT_LEAST, _evidence(0.6, 0.7, 0.8), None, "the value lies on the bar"),
        (
            ManifestLine(metric="win_rate", threshold=0.5),
            replace(_evidence(0.4, 0.6, 0.8), unit="votes", more=7, forecast="about 7 more votes"),
            7,
            "about 7 more votes",
        ),
        (
            ManifestLine(metric="win_rate", threshold=0.5),
            replace(_evidence(0.4, 0.6, 0.8), unit="votes"),
            300,
            "about 300 more votes",
        ),
    ],
)
def test_every_inconclusive_line_says_how_many_more_would_settle_it(
    line: ManifestLine, evidence: Evidence, more: int | None, words: str
) -> None:
    judged = judge_line(line, evidence)
    assert judged.verdict == Verdict.INCONCLUSIVE
    assert judged.more == more
    assert words in judged.reason


@pytest.mark.parametrize(
    "bars", [{}, {"threshold": 1, "margin": 0}, {"margin": 0, "guardrail": 1}, {"guardrail": -1}]
)
def test_a_line_has_one_bar(bars: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ManifestLine(metric="f1", **bars)  # type: ignore[arg-type]


def test_new_keys_leave_the_digest_of_an_older_manifest_alone() -> None:
    manifest = parse_manifest("name: old\nlines: [{metric: f1, threshold: 0.7}]")
    assert manifest_digest(manifest) == OLD_DIGEST
    assert set(manifest.model_dump()) == {
        "name", "baseline", "alpha", "reviewer_minutes", "lines"
    }  # fmt: skip


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
    assert judge_all([Verdict(v) for v in verdicts]) == expected


def test_votes_that_changed_on_the_way_are_said() -> None:
    line = ManifestLine(metric="win_rate", threshold=0.5)
    inside = Evidence(0.7, 0.6, 0.8, 40, 0, "s", unit="votes")
    outside = Evidence(0.4, 0.6, 0.8, 40, 0, "s", unit="votes", n_votes=40, n_simulated=3)
    assert "outside" not in judge_line(line, inside).reason
    found = judge_line(line, outside)
    assert found.verdict == Verdict.PASS  # what was decided stands
    assert "the value outside its interval: votes changed on the way" in found.reason
    assert "(3 of 40 votes simulated)" in found.reason
