"""The library `evaluate` loads Strop's metrics, and Strop scores with its modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import evaluators
from evaluators.registry import resolve_metrics
from evaluators.types import Sample

HOME = str(Path(evaluators.__file__).parent / "strop_metric")
pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("evaluate") is None, reason="the library evaluate is not installed"
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_evaluate_loads_ours() -> None:
    import evaluate

    metric = evaluate.load(HOME, "rougeL")
    found = metric.compute(predictions=["a b", "a"], references=["a c", "a"])
    assert found["value"] == pytest.approx(0.75)
    assert found["signature"].startswith("rougeL|strop:2")


def test_a_module_of_evaluate_scores_ours() -> None:
    [metric] = resolve_metrics([f"evaluate:{HOME}"])
    good, lacking = metric.score([Sample("1", "a b", references=("a c",)), Sample("2", "a")])
    assert (good.value, good.label) == (0.5, "value")
    assert lacking.error == "no reference to compare with"
