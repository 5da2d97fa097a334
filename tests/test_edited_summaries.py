"""The benchmark of edited summaries where a model is asked: what is read, kept and compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from evaluators.checks.models.interface import Continuation, Likelihood
from evaluators.types import Sample
from tests.benchmarks import edited_summaries
from tests.benchmarks.edited_summaries import (
    ALL,
    ALONE,
    MODEL_RISKS,
    WITH_MODEL,
    Edits,
    KeptAsker,
    checks_of,
    study,
)


class Reader:
    """Finds every text as likely as its first word is long."""

    signature = "reader"

    def __init__(self) -> None:
        self.read_texts: list[str] = []

    def write(self, prompts: object, *, max_tokens: int) -> list[object]:
        """Nothing."""
        return []

    def read(self, asked: Sequence[Continuation]) -> list[Likelihood]:
        """One token each."""
        self.read_texts += [one.text for one in asked]
        return [Likelihood((0,), (-float(len(one.text)),)) for one in asked]


def asked(*texts: str) -> list[Continuation]:
    return [Continuation([{"role": "user", "content": "q"}], text) for text in texts]


def test_what_was_read_is_not_read_again_but_by_another_model(tmp_path: Path) -> None:
    reader, path = Reader(), tmp_path / "kept.json"
    first = KeptAsker(reader, path, "m").read(asked("a", "bb"))  # type: ignore[arg-type]
    again = KeptAsker(reader, path, "m").read(asked("bb", "ccc", "a"))  # type: ignore[arg-type]
    assert reader.read_texts == ["a", "bb", "ccc"]
    assert [one.logprobs[0] for one in first] == [-1.0, -2.0]
    assert [one.logprobs for one in again] == [(-2.0,), (-3.0,), (-1.0,)]
    assert {one.starts for one in again} == {(0,)}
    KeptAsker(reader, path, "n").read(asked("a"))  # type: ignore[arg-type]
    assert reader.read_texts[-1] == "a"


def test_a_check_by_a_model_is_a_feature_of_the_risks_that_say_so_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing but the model tells: with it a risk ranks all, without it none."""
    monkeypatch.setattr(edited_summaries, "RESAMPLES", 20)
    n, domains = 160, 4
    wrong = np.arange(n) % 2 == 0
    data = Edits(
        [Sample(str(i), "x", context="y", group=f"d{i // 4}") for i in range(n)],
        wrong,
        ["right"] * n,
        np.array([f"domain {i // 4 % domains}" for i in range(n)]),
    )
    noise = np.random.default_rng(0).random(n)
    rows = [{"length": float(noise[i]), "check": 1.0 - wrong[i]} for i in range(n)]
    names = (ALL, ALL + WITH_MODEL, ALONE, ALONE + WITH_MODEL, "check")
    chosen = {k: v for k, v in checks_of(["check"]).items() if k in names}
    found = {row["check"]: row["auroc"] for row in study(data, rows, chosen)}
    assert {found[k][0] for k in ("check", ALL + WITH_MODEL, ALONE + WITH_MODEL)} == {1.0}
    assert found[ALONE] == found[ALL]
    assert abs(found[ALL][0] - 0.5) < 0.2
    assert np.isclose(found[f"{ALL + WITH_MODEL} less without"][0], 1.0 - found[ALL][0])
    assert not set(MODEL_RISKS) & set(checks_of([]))
