"""Any module of the Hugging Face `evaluate` library as a metric: `evaluate:PATH_OR_NAME`.

The module is computed for each sample alone, and the figure is the mean of these values; for a
module whose corpus value is not such a mean (BLEU), the corpus value differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from evaluators.errors import EvaluatorError
from evaluators.metric import Metric
from evaluators.types import Sample, Score


@lru_cache(maxsize=4)
def _module(path: str) -> Any:
    try:
        import evaluate
    except ImportError:
        raise EvaluatorError(
            "The library `evaluate` is not installed.", hint="pip install strop[evaluate]"
        ) from None
    try:
        return evaluate.load(path)
    except (FileNotFoundError, ImportError, OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise EvaluatorError(f"evaluate cannot load {path!r}: {reason}.") from None


def first_number(result: Mapping[str, Any]) -> tuple[str, float] | None:
    """The first entry of a result that is a number, or a list of one."""
    for key, value in result.items():
        inner = value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
        if isinstance(inner, int | float) or hasattr(inner, "item"):
            return key, float(inner)
    return None


def _score(samples: Sequence[Sample], *, path: str) -> list[Score]:
    module = _module(path)
    return [_score_one(module, sample) for sample in samples]


def _score_one(module: Any, sample: Sample) -> Score:
    try:
        result = module.compute(predictions=[sample.prediction], references=[sample.references[0]])
    except (ValueError, TypeError, ZeroDivisionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return Score(None, error=f"the module refused it: {reason}")
    found = first_number(result or {})
    if found is None:
        return Score(None, error="the module gave no number")
    return Score(found[1], label=found[0])


def hub_metric(path: str) -> Metric:
    """A module of `evaluate`, scored sample by sample."""
    return Metric(
        f"evaluate:{path}",
        1,
        partial(_score, path=path),
        needs=frozenset({"reference"}),
        scale=None,
        recipe=lambda scores: "per:sample",
        description="a module of the library evaluate",
    )
