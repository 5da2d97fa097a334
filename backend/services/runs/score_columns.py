"""Scores of a run read back from the ledger as columns, with a digest of what a figure rests on.

A million outputs under nine metrics are nine million rows: as rows they take gigabytes. They are
read some thousand at a time into arrays, and made into scores only for the model and the slice
whose figure has to be computed. Order is that of example, sample and model.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import LargeBinary, String, cast, select, type_coerce
from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.services.metric_specs import MetricSpec
from backend.tables.datasets import Example
from backend.tables.packed import unpack
from backend.tables.runs import Generation, GenerationRun, Score, ScoreRun

if TYPE_CHECKING:
    from evaluators.types import Score as Scored

AT_ONCE = 10_000
Ints = NDArray[np.int64]
Unit = tuple[int, int]  # example, sample


@dataclass(frozen=True, slots=True)
class Read:
    """A score read back, with what places it."""

    model_id: int
    example_id: int
    sample: int
    group: str | None
    slices: dict[str, Any]
    score: Scored


@dataclass(frozen=True, slots=True)
class Places:
    """The examples of a run, in order of id.

    Attributes:
        slices: the JSON of each different set of slices, once.
        coded: which of them each example has.
    """

    ids: Ints
    groups: Sequence[str | None]
    slices: Sequence[str]
    coded: Ints

    def covered(self, spec: MetricSpec) -> NDArray[np.bool_]:
        """Of each example whether it is in the slice of a spec."""
        if not spec.slice:
            return np.ones(len(self.ids), dtype=np.bool_)
        known = np.array([spec.covers(json.loads(said)) for said in self.slices], dtype=np.bool_)
        return known[self.coded]


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a run, in order of example, sample and model; `place` is of the example."""

    ids: Ints
    models: Ints
    samples: Ints
    place: Ints


@dataclass(slots=True)
class MetricColumn:
    """The scores of one metric as they are read.

    Attributes:
        generations: in the order in which they are read; `outputs` puts them into their own.
        values: not a number where there is none.
        errors, labels: of those that have one, by their number.
        stats: packed (`backend.tables.packed`), end to end; `ends` says where each ends.
    """

    generations: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    silent: array[int] = field(default_factory=lambda: array("b"))
    errors: dict[int, str] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    stats: bytearray = field(default_factory=bytearray)
    ends: array[int] = field(default_factory=lambda: array("q"))
    order: Ints | None = None
    output: Ints | None = None

    def add(self, rows: Sequence[tuple[Any, ...]], said: dict[str, str]) -> None:
        """Put rows of (generation, value, error, silent, label, stats) behind those there.

        Args:
            said: every text once, so that an error of a million outputs is one.
        """
        number = len(self.generations)
        end = len(self.stats)
        for generation, value, error, silent, label, stats in rows:
            self.generations.append(generation)
            self.values.append(np.nan if value is None else value)
            self.silent.append(bool(silent))
            if error is not None:
                self.errors[number] = said.setdefault(error, error)
            if label is not None:
                self.labels[number] = said.setdefault(label, label)
            if stats is not None:
                self.stats += stats
                end += len(stats)
            self.ends.append(end)
            number += 1

    def digest(self) -> bytes:
        """Of everything that a figure of them may rest on."""
        made = hashlib.sha256()
        for part in (self.generations, self.values, self.silent, self.ends, self.stats):
            made.update(part)
        made.update(repr((sorted(self.errors.items()), sorted(self.labels.items()))).encode())
        return made.digest()

    def score(self, number: int) -> Scored:
        """The score with this number."""
        from evaluators.types import Score as Scored

        value = self.values[number]
        start = self.ends[number - 1] if number else 0
        end = self.ends[number]
        return Scored(
            None if value != value else value,
            self.errors.get(number),
            bool(self.silent[number]),
            label=self.labels.get(number),
            stats=tuple(unpack(bytes(self.stats[start:end]))) if end > start else (),
        )


class ModelColumn(NamedTuple):
    """Scores of one model on one slice, and where each belongs."""

    units: list[Unit]
    scores: list[Scored]
    groups: list[str | None]


def paired(
    old: ModelColumn, new: ModelColumn
) -> tuple[Sequence[Scored], Sequence[Scored], Sequence[str | None]]:
    """Both sides on the units that both have, in the order of the first, and their groups."""
    if old.units == new.units:
        return old.scores, new.scores, old.groups
    number = {unit: i for i, unit in enumerate(new.units)}
    kept = [(i, number[unit]) for i, unit in enumerate(old.units) if unit in number]
    before, after = [old.scores[i] for i, _ in kept], [new.scores[j] for _, j in kept]
    return before, after, [old.groups[i] for i, _ in kept]


@dataclass(slots=True)
class ScoreReads:
    """The scores of a run by metric, and how many there must be."""

    run: ScoreRun
    places: Places
    outputs: Outputs
    columns: Mapping[str, MetricColumn]
    _digests: dict[str, str] = field(default_factory=dict)

    def digest(self, metric: str) -> str:
        """Of the run, its examples and every score of a metric: it changes when a figure may."""
        if metric not in self._digests:
            asked = (self.run.id, self.run.seed, self.run.generation_run.samples)
            made = hashlib.sha256(repr((*asked, data_part(self.run))).encode())
            for part in (self.places.ids, self.places.coded, *self._outputs()):
                made.update(part.tobytes())
            made.update(json.dumps([*self.places.groups, list(self.places.slices)]).encode())
            made.update(self.columns[metric].digest() if metric in self.columns else b"none")
            self._digests[metric] = made.hexdigest()
        return self._digests[metric]

    def _outputs(self) -> tuple[Ints, ...]:
        return self.outputs.ids, self.outputs.models, self.outputs.samples, self.outputs.place

    def side(self, model_id: int, spec: MetricSpec) -> ModelColumn:
        """Scores of one model on one slice, in order of example and sample.

        Raises:
            CannotCompute: some of its outputs are not scored, so a figure would be of a part.
        """
        covered = self.places.covered(spec)
        numbers, outputs = self._placed(spec.metric)
        place = self.outputs.place[outputs]
        chosen = (self.outputs.models[outputs] == model_id) & covered[place]
        due = int(covered.sum()) * self.run.generation_run.samples
        if int(chosen.sum()) < due:
            raise CannotCompute(
                f"Only {int(chosen.sum())} of {due} outputs are scored with {spec.label}.",
                hint=f"Finish it with strop run --resume {self.run.generation_run_id}, "
                "or score with that metric.",
            )
        place = place[chosen]
        units = zip(
            self.places.ids[place].tolist(),
            self.outputs.samples[outputs[chosen]].tolist(),
            strict=True,
        )
        column = self.columns.get(spec.metric, MetricColumn())
        groups = self.places.groups
        return ModelColumn(
            list(units),
            [column.score(number) for number in numbers[chosen].tolist()],
            [groups[at] for at in place.tolist()],
        )

    def of_model(self, model_id: int, spec: MetricSpec) -> dict[Unit, Read]:
        """As `side`, each score with its slices, by (example, sample)."""
        side = self.side(model_id, spec)
        slices = self._slices()
        return {
            unit: Read(model_id, *unit, group, slices[unit[0]], score)
            for unit, score, group in zip(*side, strict=True)
        }

    def all_of(self, metric: str) -> list[Read]:
        """Every score by a metric, whatever is missing, in order of example, sample and model."""
        slices, column = self._slices(), self.columns.get(metric, MetricColumn())
        numbers, outputs = self._placed(metric)
        found = []
        for number, output in zip(numbers.tolist(), outputs.tolist(), strict=True):
            at = int(self.outputs.place[output])
            example = int(self.places.ids[at])
            model, sample = int(self.outputs.models[output]), int(self.outputs.samples[output])
            place = (model, example, sample, self.places.groups[at], slices[example])
            found.append(Read(*place, column.score(number)))
        return found

    def _slices(self) -> dict[int, dict[str, Any]]:
        known = [json.loads(said) for said in self.places.slices]
        ids, coded = self.places.ids.tolist(), self.places.coded.tolist()
        return {id_: known[code] for id_, code in zip(ids, coded, strict=True)}

    def _placed(self, metric: str) -> tuple[Ints, Ints]:
        """The numbers of the scores of a metric in order of their outputs, and the outputs."""
        column = self.columns.get(metric)
        if column is None or not len(self.outputs.ids):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        if column.order is None or column.output is None:
            by_id = np.argsort(self.outputs.ids)
            known = self.outputs.ids[by_id]
            generations = np.array(column.generations, dtype=np.int64)
            at = np.minimum(np.searchsorted(known, generations), len(known) - 1)
            output = by_id[at]
            order = np.argsort(output, kind="stable")
            column.order = order[(known[at] == generations)[order]]
            column.output = output[column.order]
        return column.order, column.output


def data_part(run: ScoreRun) -> str:
    """The part of a signature that names the data."""
    generation_run = run.generation_run
    return f"|data:{generation_run.dataset_version.digest[:12]}|split:{generation_run.split}"


def read_scores(session: Session, run: ScoreRun, metrics: Iterable[str]) -> ScoreReads:
    """The scores of a run with these metrics."""
    session.flush()
    places = _places(session, run.generation_run)
    outputs = _outputs(session, run.generation_run_id, places)
    return ScoreReads(run, places, outputs, _columns(session, run.id, list(metrics), outputs))


def _rows(session: Session, query: Any) -> Iterator[Sequence[tuple[Any, ...]]]:
    """The rows of a query some thousand at a time, without the ORM's, which take twice as long."""
    streamed = {"stream_results": True, "max_row_buffer": AT_ONCE}
    yield from session.connection().execute(query, execution_options=streamed).partitions(AT_ONCE)


def _columns(
    session: Session, run_id: int, metrics: list[str], outputs: Outputs
) -> dict[str, MetricColumn]:
    said_of = (Score.value, Score.error, Score.not_applicable, Score.label)
    query = (
        select(Score.metric, Score.generation_id, *said_of, type_coerce(Score.stats, LargeBinary))
        .where(Score.score_run_id == run_id, Score.metric.in_(metrics))
        .order_by(Score.generation_id, Score.metric)
    )
    found: dict[str, MetricColumn] = {}
    said: dict[str, str] = {}
    for rows in _rows(session, query):
        parted: dict[str, list[tuple[Any, ...]]] = {}
        for metric, *rest in rows:
            parted.setdefault(metric, []).append(tuple(rest))
        for metric, some in parted.items():
            found.setdefault(metric, MetricColumn()).add(some, said)
    return found


def _places(session: Session, run: GenerationRun) -> Places:
    query = (
        select(Example.id, Example.group, cast(Example.slices, String))
        .where(Example.dataset_version_id == run.dataset_version_id, Example.split == run.split)
        .order_by(Example.id)
    )
    chosen = None if run.example_ids is None else set(run.example_ids)
    ids, coded = array("q"), array("q")
    groups: list[str | None] = []
    known: dict[str, int] = {}
    for rows in _rows(session, query):
        for id_, group, slices in rows:
            if chosen is None or id_ in chosen:
                ids.append(id_)
                groups.append(group)
                coded.append(known.setdefault(slices, len(known)))
    return Places(np.array(ids, dtype=np.int64), groups, list(known), np.array(coded, np.int64))


def _outputs(session: Session, run_id: int, places: Places) -> Outputs:
    query = (
        select(Generation.id, Generation.model_version_id, Generation.sample, Generation.example_id)
        .where(Generation.run_id == run_id)
        .order_by(Generation.id)
    )
    cells = array("q")
    for rows in _rows(session, query):
        for row in rows:
            cells.extend(row)
    ids, models, samples, examples = np.array(cells, dtype=np.int64).reshape(-1, 4).T
    place = np.searchsorted(places.ids, examples)
    place[place == len(places.ids)] = 0
    known = places.ids[place] == examples if len(places.ids) else np.zeros(len(ids), np.bool_)
    order = np.lexsort((models, samples, examples))
    order = order[known[order]]
    return Outputs(ids[order], models[order], samples[order], place[order])
