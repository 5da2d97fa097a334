"""What a round has left, as units with their content, free of ids and times.

Two ledgers of the same round are equal if every unit is there once and says the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.tables.curation import Replay, TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.queue import Job
from backend.tables.review import Review, ReviewQueue
from backend.tables.rounds import Round, RoundEvent
from backend.tables.runs import Generation, GenerationRun, Score, ScoreRun
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison, Promotion

Unit = tuple[Any, ...]
Row = tuple[Unit, Any]
HICCUPS = ("failed: ", "taken up")  # what a kill may add to a round's record
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Ledger:
    """The rows of each kind."""

    rows: dict[str, list[Row]]

    def digest(self, kind: str) -> str:
        """sha256 of the rows of a kind, whatever their order."""
        lines = sorted(json.dumps(row, sort_keys=True, default=str) for row in self.rows[kind])
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def units(self, kind: str) -> Counter[str]:
        """How often each unit of a kind is there."""
        return Counter(json.dumps(unit) for unit, _ in self.rows[kind])

    def missing(self, kind: str, calm: Ledger) -> int:
        """How many of the units of a round without kills are not there."""
        return len(calm.units(kind).keys() - self.units(kind).keys())

    def doubled(self, kind: str, calm: Ledger) -> int:
        """How many rows are one too many: a second of a unit, or of a unit that nobody asked."""
        return (self.units(kind) - Counter(dict.fromkeys(calm.units(kind), 1))).total()


def read_ledger(sessions: sessionmaker[Session]) -> Ledger:
    """Read everything that a round has left."""
    with reading(sessions) as session:
        return Ledger({name: list(read(session)) for name, read in KINDS.items()})


def _generations(session: Session) -> Iterator[Row]:
    runs = _ordinals(session, GenerationRun)
    for row in session.scalars(select(Generation)):
        unit = (runs[row.run_id], row.model_version.label, row.example.external_id, row.sample)
        yield unit, (row.text, row.error, row.token_logprobs)


def _scores(session: Session) -> Iterator[Row]:
    runs = _ordinals(session, ScoreRun)
    for row in session.scalars(select(Score)):
        written = row.generation
        label, example = written.model_version.label, written.example.external_id
        unit = (runs[row.score_run_id], label, example, row.metric)
        yield unit, (row.value, row.error, row.stats, row.signature)


def _reviews(session: Session) -> Iterator[Row]:
    for row in session.scalars(select(Review)):
        said = [correction.text for correction in row.corrections]
        won = [_winner(row, preference.winner) for preference in row.preferences]
        yield (*_item(row), row.reviewer.name), (row.state, row.purpose, row.extra, said, won)


def _ratings(session: Session) -> Iterator[Row]:
    for row in session.scalars(select(Review)):
        for rating in row.ratings:
            yield (*_item(row), row.reviewer.name, rating.criterion), rating.value


def _item(row: Review) -> tuple[str, str]:
    return row.item.queue.name, row.item.generation_a.example.external_id


def _winner(row: Review, winner: str) -> str:
    sides = {"a": row.item.generation_a, "b": row.item.generation_b}
    side = sides.get(winner)
    return winner if side is None else side.model_version.label


def _set_rows(session: Session) -> Iterator[Row]:
    sets = _ordinals(session, TrainingSet)
    for row in session.scalars(select(TrainingSetRow)):
        example = session.get_one(Example, row.example_id).external_id
        unit = (sets[row.training_set_id], row.position)
        yield unit, (example, row.kind, row.prompt, row.completion, row.source)


def _sets(session: Session) -> Iterator[Row]:
    for row in session.scalars(select(TrainingSet)):
        yield (row.name,), (row.digest, row.n_rows)


def _trainings(session: Session) -> Iterator[Row]:
    for row in session.scalars(select(TrainingRun)):
        yield (row.adapter_name,), (row.finished_at is not None, row.result.get("adapter_sha256"))


def _adapters(session: Session) -> Iterator[Row]:
    for row in session.scalars(select(ModelVersion)):
        weights = None
        if row.adapter_path is not None:
            file = Path(row.adapter_path) / WEIGHTS
            weights = hashlib.sha256(file.read_bytes()).hexdigest()
        yield (row.name, row.revision), (row.base_sha256, row.adapter_sha256, weights)


def _verdicts(session: Session) -> Iterator[Row]:
    for row in session.scalars(select(Comparison)):
        sides = [session.get_one(ModelVersion, n) for n in (row.baseline_id, row.candidate_id)]
        yield tuple(side.label for side in sides), (row.verdict, row.lines, row.n_simulated)


def _promotions(session: Session) -> Iterator[Row]:
    for row in session.scalars(select(Promotion)):
        label = session.get_one(ModelVersion, row.model_version_id).label
        yield (row.alias, label), (row.action, row.override, row.simulated)


def _rounds(session: Session) -> Iterator[Row]:
    for row in session.scalars(select(Round)):
        yield (row.number,), (row.state, row.phase, row.error)


def _events(session: Session) -> Iterator[Row]:
    rounds = _ordinals(session, Round)
    for row in session.scalars(select(RoundEvent)):
        if not row.text.startswith(HICCUPS):
            yield (rounds[row.round_id], row.phase, re.sub(r"run \d+", "run", row.text)), None


def _queues(session: Session) -> Iterator[Row]:
    for row in session.scalars(select(ReviewQueue)):
        done = row.closed_at is not None, row.finished_at is not None
        yield (row.name,), (row.kind, row.design.get("n_items"), done)


def _jobs(session: Session) -> Iterator[Row]:
    seen: Counter[str] = Counter()
    for row in session.scalars(select(Job).order_by(Job.kind, Job.subject_id)):
        seen[row.kind] += 1
        yield (row.kind, seen[row.kind]), row.state


def _replays(session: Session) -> Iterator[Row]:
    sets = _ordinals(session, TrainingSet)
    for row in session.scalars(select(Replay)):
        yield (sets[row.training_set_id],), None


def _ordinals(session: Session, table: Any) -> dict[int, int]:
    """Numbers from 0 in the order of creation: ids skip what was rolled back."""
    return {key: n for n, key in enumerate(session.scalars(select(table.id).order_by(table.id)))}


KINDS = {
    "generations": _generations,
    "scores": _scores,
    "reviews": _reviews,
    "ratings": _ratings,
    "training set rows": _set_rows,
    "training sets": _sets,
    "training runs": _trainings,
    "models (weights)": _adapters,
    "verdict lines": _verdicts,
    "promotions": _promotions,
    "rounds": _rounds,
    "round events": _events,
    "queues": _queues,
    "jobs": _jobs,
    "replays": _replays,
}
