"""Metrics, hallucination checks and statistics for what language models write.

Pure functions over small frozen dataclasses: no database, no HTTP, nothing of Strop's own. Heavy
libraries are imported inside the functions that need them, and the names below on first use, so
that `import evaluators` costs nothing.

    from evaluators import Sample, resolve_metrics
    from evaluators.aggregate import aggregate
    [metric] = resolve_metrics(["rougeL"])
    scores = metric.score([Sample("1", "a cat sat", references=("the cat sat",))])
    print(aggregate(metric, scores, groups=[None]).as_dict())
"""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "Sample": "types", "Score": "types", "Span": "types", "Figure": "types", "Difference": "types",
    "Metric": "metric", "METRICS": "registry", "resolve_metrics": "registry",
    "score_samples": "scoring", "paired_difference": "aggregate",
    "classification_report": "metrics.labels", "EvaluatorError": "errors",
}  # fmt: skip

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
