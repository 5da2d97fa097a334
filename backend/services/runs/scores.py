"""Scores of a run read back from the ledger, with a digest of all that a figure of them rests on.

The rows are read as they are stored and made into scores only when a figure has to be computed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import String, cast, select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.services.metric_specs import MetricSpec
from backend.services.runs.kept_figures import digest_of
from backend.tables.datasets import Example
from backend.tables.runs import Generation, GenerationRun
from backend.tables.scoring import Score, ScoreRun

if TYPE_CHECKING:
    from evaluators.types import Score as Scored


@dataclass(frozen=True, slots=True)
class Read:
    """A score read back, with what places it."""

    model_id: int
    example_id: int
    sample: int
    group: str | None
    slices: dict[str, Any]
    score: Scored


class Place(NamedTuple):
    """An example as it is stored; the slices are JSON."""

    id: int
    group: str | None
    slices: str


@dataclass(slots=True)
class ScoreReads:
    """The scores of a run by metric, in order of example and sample; and how many there must be.

    Attributes:
        rows: metric -> metric, model, example, sample, value, error, not applicable, label and
            stats (JSON) of each score.
    """

    run: ScoreRun
    places: Sequence[Place]
    rows: dict[str, list[tuple[Any, ...]]]
    _digests: dict[str, str] = field(default_factory=dict)
    _slices: dict[int, dict[str, Any]] = field(default_factory=dict)
    _made: dict[str, list[Read]] = field(default_factory=dict)

    def digest(self, metric: str) -> str:
        """Of the run, its examples and every score of a metric: it changes when a figure may."""
        if metric not in self._digests:
            asked = (self.run.id, self.run.seed, self.run.generation_run.samples)
            self._digests[metric] = digest_of(
                *asked, data_part(self.run), self.places, self.rows.get(metric)
            )
        return self._digests[metric]

    def of_model(self, model_id: int, spec: MetricSpec) -> dict[tuple[int, int], Read]:
        """Scores of one model on one slice by (example, sample).

        Raises:
            CannotCompute: some of its outputs are not scored, so a figure would be of a part.
        """
        slices = self._read_slices()
        found = {
            (read.example_id, read.sample): read
            for read in self._read(spec.metric)
            if read.model_id == model_id and spec.covers(read.slices)
        }
        due = sum(map(spec.covers, slices.values())) * self.run.generation_run.samples
        if len(found) < due:
            raise CannotCompute(
                f"Only {len(found)} of {due} outputs are scored with {spec.label}.",
                hint=f"Finish it with strop run --resume {self.run.generation_run_id}, "
                "or score with that metric.",
            )
        return found

    def _read_slices(self) -> dict[int, dict[str, Any]]:
        if not self._slices:
            self._slices = {place.id: json.loads(place.slices) for place in self.places}
        return self._slices

    def _read(self, metric: str) -> list[Read]:
        if metric not in self._made:
            groups = {place.id: place.group for place in self.places}
            slices = self._read_slices()
            self._made[metric] = [
                Read(model, example, sample, groups[example], slices[example], _score(*rest))
                for _, model, example, sample, *rest in self.rows.get(metric, [])
            ]
        return self._made[metric]


def _score(
    value: float | None, error: str | None, not_applicable: bool, label: str | None, stats: str
) -> Scored:
    from evaluators.types import Score as Scored

    found = tuple(json.loads(stats))
    return Scored(value, error, bool(not_applicable), label=label, stats=found)


def read_scores(session: Session, run: ScoreRun, metrics: Iterable[str]) -> ScoreReads:
    """The scores of a run with these metrics."""
    columns = (
        select(
            Score.metric,
            Generation.model_version_id,
            Generation.example_id,
            Generation.sample,
            Score.value,
            Score.error,
            Score.not_applicable,
            Score.label,
            cast(Score.stats, String),
        )
        .join(Generation, Generation.id == Score.generation_id)
        .where(Score.score_run_id == run.id, Score.metric.in_(list(metrics)))
        .order_by(Generation.example_id, Generation.sample, Generation.model_version_id)
    )
    session.flush()
    found = session.connection().execute(columns).all()  # the ORM's rows take twice as long
    stored: list[tuple[Any, ...]] = [tuple(row) for row in found]
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for row in stored:
        rows.setdefault(row[0], []).append(row)
    return ScoreReads(run, _places(session, run.generation_run), rows)


def _places(session: Session, run: GenerationRun) -> list[Place]:
    query = select(Example.id, Example.group, cast(Example.slices, String)).where(
        Example.dataset_version_id == run.dataset_version_id, Example.split == run.split
    )
    rows = session.connection().execute(query.order_by(Example.id)).all()
    found = [Place(*row) for row in rows]
    if run.example_ids is None:
        return found
    chosen = set(run.example_ids)
    return [place for place in found if place.id in chosen]


def data_part(run: ScoreRun) -> str:
    """The part of a signature that names the data."""
    generation_run = run.generation_run
    digest = generation_run.dataset_version.digest[:12]
    return f"|data:{digest}|split:{generation_run.split}"
