"""Strop's metrics for the Hugging Face `evaluate` library.

    import evaluate
    rouge = evaluate.load("evaluators/strop_metric", "rougeL")
    rouge.compute(predictions=["a b"], references=["a c"])       # value, low, high, n, signature

The configuration is the name of a metric; without one it is rougeL. Metrics that need a source take
it as `contexts` in `compute`.
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from evaluators.aggregate import aggregate
from evaluators.registry import resolve_metrics
from evaluators.types import Sample


class StropMetric(evaluate.Metric):  # type: ignore[misc]
    """One metric of Strop, by its name."""

    def _info(self) -> Any:
        features = {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
        return evaluate.MetricInfo(
            description=__doc__, citation="", features=datasets.Features(features)
        )

    def _compute(
        self, predictions: list[str], references: list[str], contexts: list[str] | None = None
    ) -> dict[str, Any]:
        name = "rougeL" if self.config_name in (None, "default") else self.config_name
        [metric] = resolve_metrics([name])
        sources: list[str | None] = list(contexts) if contexts else [None] * len(predictions)
        samples = [
            Sample(str(i), p, references=(r,), context=c)
            for i, (p, r, c) in enumerate(zip(predictions, references, sources, strict=True))
        ]
        return aggregate(metric, metric.score(samples), [None] * len(samples)).as_dict()
