"""Candidate against baseline on parts of the examples: the slices that the manifest names, and
those that the dataset has.

They are for reading, not for the verdict: whoever looks at twenty slices finds one that differs.
Holm's adjusted p-values over all of them say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.schemas.manifests import Manifest
from backend.services.metric_specs import MetricSpec, get_score_run, metric_specs
from backend.services.runs.figures import PairedFigure, paired_figures
from backend.services.runs.generation import examples_of_run
from backend.services.runs.kept_figures import KeptFigures
from backend.tables.datasets import Example
from evaluators.statistics.testing import holm

MOST_VALUES = 12
"""A key with more values than this is no slice but a name of each example."""


@dataclass(frozen=True, slots=True)
class SlicedFigure:
    """A paired difference on one slice; `p_holm` is adjusted over all that have a p-value."""

    figure: PairedFigure
    named: bool
    p_holm: float | None


def sliced_figures(
    session: Session,
    score_run_id: int,
    baseline_id: int,
    candidate_id: int,
    *,
    bar: Manifest,
    kept: KeptFigures | None = None,
) -> list[SlicedFigure]:
    """The manifest's metrics on every slice, those named in the manifest first.

    Args:
        kept: as in `figures.model_figures`.
    """
    run = get_score_run(session, score_run_id)
    examples = examples_of_run(session, run.generation_run)
    named = [MetricSpec(line.metric, dict(line.slice)) for line in bar.lines if line.slice]
    scored = [s for s in metric_specs(run) if s.metric in {line.metric for line in bar.lines}]
    asked = {spec.label: spec for spec in _known(named, scored)}
    of_manifest = set(asked)
    for spec in _of_dataset(scored, examples):
        asked.setdefault(spec.label, spec)
    specs = list(asked.values())
    found = paired_figures(session, run.id, baseline_id, candidate_id, specs=specs, kept=kept)
    return _with_holm(found, of_manifest)


def _known(named: Iterable[MetricSpec], scored: Sequence[MetricSpec]) -> list[MetricSpec]:
    metrics = {spec.metric for spec in scored}
    return [spec for spec in named if spec.metric in metrics]


def _of_dataset(scored: Sequence[MetricSpec], examples: Sequence[Example]) -> list[MetricSpec]:
    """Each scored metric on each value of each key, as far as its own slice leaves room."""
    counts = Counter(
        (key, str(value)) for example in examples for key, value in example.slices.items()
    )
    values = Counter(key for key, _ in counts)
    pairs = sorted(pair for pair, n in counts.items() if n > 1 and values[pair[0]] <= MOST_VALUES)
    return [
        MetricSpec(spec.metric, {**spec.slice, key: value})
        for spec in scored
        for key, value in pairs
        if spec.slice.get(key, value) == value
    ]


def _with_holm(found: Sequence[PairedFigure], named: set[str]) -> list[SlicedFigure]:
    tested = [one for one in found if one.difference is not None]
    ps = [one.difference.p for one in tested if one.difference is not None]
    adjusted = dict(zip(map(id, tested), holm(ps) if ps else [], strict=True))
    return [SlicedFigure(one, one.spec.label in named, adjusted.get(id(one))) for one in found]
