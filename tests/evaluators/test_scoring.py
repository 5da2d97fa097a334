"""Scoring on several processes gives what one gives."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from evaluators.errors import EvaluatorError
from evaluators.registry import resolve_metrics
from evaluators.scoring import WORTH_SHARING, fitting_processes, score_samples
from evaluators.types import Sample


def test_processes_give_the_same_scores_in_order() -> None:
    texts = ["a cat sat", "EUR 39", "", "two\nlines of text"]
    samples = [
        Sample(str(i), texts[i % 4], references=("a cat sat",) if i % 7 else (), context="EUR 29")
        for i in range(600)
    ]
    metrics, steps = resolve_metrics(["rougeL", "ter", "f1", "invented"]), list[int]()
    alone = score_samples(metrics, samples)
    shared = score_samples(metrics, samples, processes=2, progress=steps.append)
    assert alone == shared
    assert sum(steps) == 600
    assert len(steps) > 1


def test_a_worker_that_dies_is_an_error_and_not_a_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = ModuleType("__main__")
    main.__file__ = str(tmp_path / "main.py")
    Path(main.__file__).write_text("raise SystemExit(3)", encoding="utf-8")
    monkeypatch.setitem(sys.modules, "__main__", main)  # which a spawned process runs first
    samples = [Sample(str(i), "a cat", references=("a cat",)) for i in range(600)]
    with pytest.raises(EvaluatorError, match="has ended of itself"):
        score_samples(resolve_metrics(["f1"]), samples, processes=2)


@pytest.mark.parametrize(
    ("names", "samples", "expected"),
    [
        (["rouge1"], WORTH_SHARING - 1, 1),
        (["rouge1"], WORTH_SHARING, len(os.sched_getaffinity(0))),
        (["rouge1", "bertscore:model"], 100_000, 1),
    ],
)
def test_how_many_processes_fit(names: list[str], samples: int, expected: int) -> None:
    assert fitting_processes(names, samples) == expected
