"""What a score run is asked for: metrics, each on a slice of the examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound
from backend.tables.scoring import ScoreRun


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric on a slice of the examples; an empty slice is every example."""

    metric: str
    slice: Mapping[str, str]

    @property
    def label(self) -> str:
        """How people write it: `f1` or `f1@task=intent`."""
        keys = ",".join(f"{key}={value}" for key, value in sorted(self.slice.items()))
        return f"{self.metric}@{keys}" if keys else self.metric

    def covers(self, slices: Mapping[str, Any]) -> bool:
        """Whether an example with these slices belongs to the slice."""
        return all(str(slices.get(key)) == value for key, value in self.slice.items())


def parse_metric_spec(text: str) -> list[MetricSpec]:
    """`name` or `name@key=value[,key=value]`; a family such as `rouge` becomes its members.

    Raises:
        InvalidInput: an unknown metric (the nearest are listed) or a slice without `=`.
    """
    from evaluators.errors import EvaluatorError
    from evaluators.registry import resolve_metrics

    name, at, where = text.strip().partition("@")
    pairs = [pair.partition("=") for pair in where.split(",") if pair.strip()]
    if bool(at) != bool(pairs) or any(not (k.strip() and v.strip()) for k, _, v in pairs):
        raise InvalidInput(
            f"The slice of {text!r} cannot be read.", hint="Write it as f1@task=intent."
        )
    try:
        members = resolve_metrics([name])
    except EvaluatorError as error:
        raise InvalidInput(error.message, hint=error.hint) from error
    return [MetricSpec(m.name, {k.strip(): v.strip() for k, _, v in pairs}) for m in members]


def parse_metric_specs(texts: Iterable[str]) -> list[MetricSpec]:
    """Several of them, each once, in order."""
    found = {spec.label: spec for text in texts for spec in parse_metric_spec(text)}
    if not found:
        raise InvalidInput("No metric is named.", hint="Name them, for example rouge,grounding.")
    return list(found.values())


def get_score_run(session: Session, score_run_id: int) -> ScoreRun:
    """A score run by its id.

    Raises:
        NotFound: there is none.
    """
    row = session.get(ScoreRun, score_run_id)
    if row is None:
        raise NotFound(f"There is no score run {score_run_id}.")
    return row


def metric_specs(run: ScoreRun) -> list[MetricSpec]:
    """What a score run was asked for, in order."""
    return [MetricSpec(entry["metric"], entry.get("slice") or {}) for entry in run.metrics]
