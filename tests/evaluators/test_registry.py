"""Names of metrics, what they ask for, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from evaluators.errors import EvaluatorError, UnknownMetric
from evaluators.metrics.sacre import PACKAGES
from evaluators.registry import FACTORIES, METRICS, reads_reference, resolve_metrics
from evaluators.types import Sample


def test_rouge_stands_for_four() -> None:
    names = [metric.name for metric in resolve_metrics(["rouge", "bleu", "rouge1"])]
    assert names == ["rouge1", "rouge2", "rougeL", "rougeLsum", "bleu"]


def test_unknown_name_lists_the_nearest_first() -> None:
    with pytest.raises(UnknownMetric, match=r"'rougeM'.* nearest first: rouge"):
        resolve_metrics(["rougeM"])


def test_no_name_is_an_error() -> None:
    with pytest.raises(EvaluatorError, match="No metric is named"):
        resolve_metrics([])


@pytest.mark.parametrize("name", METRICS)
def test_the_key_is_the_name(name: str) -> None:
    assert METRICS[name].name == name
    assert METRICS[name].signature().startswith(f"{name}|strop:")


@pytest.mark.parametrize("kind", [kind for kind in FACTORIES if kind != "json_schema"])
def test_which_kinds_read_the_reference_is_what_they_make(kind: str) -> None:
    made = FACTORIES[kind].make("x")
    assert reads_reference(f"{kind}:x") == ("reference" in made.needs)


def test_which_names_read_the_reference() -> None:
    assert [reads_reference(n) for n in ("rougeL", "invented", "json_schema:gone.json")] == [
        True,
        False,
        False,
    ]
    with pytest.raises(UnknownMetric):
        reads_reference("rougeM")


NEED_DOWNLOADS = tuple(f"bleu_{name}" for name in PACKAGES)


@pytest.mark.parametrize("name", [name for name in METRICS if name not in NEED_DOWNLOADS])
def test_what_is_lacking_is_an_error_and_not_dropped(name: str) -> None:
    metric = METRICS[name]
    full = Sample("1", "a", references=("a",), context="a", logprobs=(-0.1,))
    scores = metric.score([Sample("0", "a"), full])
    assert len(scores) == 2
    if metric.needs & {"reference", "context", "logprobs"}:
        assert scores[0].error is not None


def test_import_is_light() -> None:
    code = (
        "import sys, evaluators; "
        "heavy = {'numpy', 'scipy', 'sklearn', 'torch', 'pandas', 'sacrebleu'}; "
        "sys.exit(len(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
