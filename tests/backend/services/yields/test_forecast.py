"""The learning curve of a project: which models are on it, and what more examples would bring."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.db import connect
from backend.engines.base import GenerationResult
from backend.errors import CannotCompute, InvalidInput
from backend.services.projects import set_manifest
from backend.services.runs import generation, scoring
from backend.services.yields import forecast_curve
from backend.settings import Settings
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.training import TrainingRun
from evaluators.forecast import extrapolate
from tests.fixtures_runs import Laid, lay_down_project, lay_down_run

BAR = "name: bar\nlines:\n  - {metric: exact_match, threshold: 0.9}\n"


@dataclass(slots=True)
class Room:
    """Three adapters on one project, whose trainings and answers a test lays down."""

    session: Session
    laid: Laid
    bar: int

    @classmethod
    def of(cls, session: Session) -> Room:
        laid = lay_down_project(session, examples=60, adapters=3)
        return cls(session, laid, set_manifest(session, laid.project, BAR).id)

    def model(self, number: int) -> ModelVersion:
        return self.session.get_one(ModelVersion, self.laid.models[number])

    def train(
        self, number: int, rows: int, *, first: int = 0, simulated: bool = False, **run: Any
    ) -> TrainingRun:
        """Say that an adapter was trained on so many examples, from the `first` on."""
        name = f"s{number}"
        frozen = TrainingSet(
            project_id=self.laid.project,
            name=name,
            recipe={},
            digest="d" * 64,
            n_rows=rows,
            simulated=simulated,
        )
        self.session.add(frozen)
        self.session.flush()
        for position in range(rows):
            self.session.add(
                TrainingSetRow(
                    training_set_id=frozen.id,
                    position=position,
                    kind="sft",
                    prompt=[],
                    completion="a",
                    source="reference",
                    example_id=self._example(first + position),
                )
            )
        made = TrainingRun(
            project_id=self.laid.project,
            training_set_id=frozen.id,
            manifest_id=self.bar,
            adapter_name=f"v{number}",
            output_dir="x",
            **{"config": {}} | run,
        )
        self.session.add(made)
        self.session.flush()
        self.model(number).training_run_id = made.id
        return made

    def _example(self, number: int) -> int:
        digest = f"{number + 1000:064d}"
        query = self.session.query(Example).filter_by(content_digest=digest)
        if (found := query.one_or_none()) is not None:
            return found.id
        row = Example(
            dataset_version_id=self.laid.version,
            external_id=f"t{number}",
            input=f"t {number}",
            references=["a"],
            slices={},
            split="train",
            content_digest=digest,
        )
        self.session.add(row)
        self.session.flush()
        return row.id

    def answer(self, right: Mapping[int, int], *, failed: int = 0) -> None:
        """A scored run in which adapters have so many answers right; the last few have none."""
        run = lay_down_run(self.session, self.laid, models=4)
        places = {example: n for n, example in enumerate(self.laid.examples)}
        numbers = {model: n for n, model in enumerate(self.laid.models)}
        written = []
        for request in generation.pending_requests(self.session, run.id):
            model, example, _ = generation.parse_unit_key(request.key)
            place = places[example]
            said = {"text": f"say {place}" if place < right.get(numbers[model], 0) else "no"}
            if failed and numbers[model] == 2 and place >= 60 - failed:
                said = {"error": "too long"}
            written.append(GenerationResult(request.key, **said))
        generation.save_generations(self.session, run.id, written)
        scores = scoring.create_score_run(
            self.session, generation_run_id=run.id, metrics=["exact_match", "chrf"]
        )
        units = scoring.pending_units(self.session, scores.id)
        texts = scoring.load_generations(self.session, [unit.generation_id for unit in units])
        scoring.save_scores(self.session, scores.id, scoring.score_units(units, texts))


@pytest.fixture
def room(sqlite_sessions: sessionmaker[Session]) -> Room:
    return Room.of(sqlite_sessions())


def told(room: Room, **asked: Any) -> Any:
    return forecast_curve(room.session, room.laid.project, **asked)


def test_the_curve_and_what_more_examples_would_bring(room: Room) -> None:
    for number, rows in ((1, 5), (2, 10), (3, 20)):
        room.train(number, rows)
    room.answer({1: 20, 2: 30, 3: 45})
    found = told(room, more=20)
    assert [(one.candidate, one.rows) for one in found.points] == [
        ("base:v1@1", 5),
        ("base:v2@1", 10),
        ("base:v3@1", 20),
    ]
    assert (found.metric, found.split, found.target, found.notes) == ("exact_match", "test", 40, [])
    import numpy as np

    meant = extrapolate(np.array([20, 30, 45]) / 60, (5, 10, 20), 40, least=0.5 / 60)
    assert found.forecast.value == pytest.approx(float(meant))
    assert found.forecast.low < found.forecast.value < found.forecast.high
    assert found.forecast.value > found.points[-1].figure.value == 0.75
    assert found.forecast.n == 60
    assert "test rows alone" in found.forecast.note
    assert "|rows:5,10,20|to:40|" in found.forecast.signature
    assert told(room, metric="chrf").metric == "chrf"


def test_examples_of_trainings_that_went_on_from_others_count_once(room: Room) -> None:
    room.train(1, 10)
    room.train(2, 12, first=5, start_model_id=room.laid.models[1], simulated=True)
    room.answer({1: 20, 2: 30})
    found = told(room)
    assert [one.rows for one in found.points] == [10, 17]
    assert found.simulated
    assert "counted together" in found.notes[0]


def test_what_else_differs_is_said_and_what_cannot_be_compared_is_left_out(room: Room) -> None:
    room.train(1, 5, config={"learning_rate": 1e-4, "seed": 1})
    room.train(2, 10, config={"learning_rate": 2e-4, "seed": 2})
    room.train(3, 20, config={"method": "dpo"})
    room.answer({1: 20, 2: 30, 3: 45}, failed=4)
    found = told(room)
    assert [one.candidate for one in found.points] == ["base:v1@1", "base:v2@1"]
    assert "differ in learning_rate, too" in found.notes[0]
    assert found.notes[1].startswith("4 answers are left out")
    assert found.forecast.n == 56
    room.model(2).base_id = room.laid.models[3]
    room.session.flush()
    with pytest.raises(CannotCompute, match="different numbers of examples"):
        told(room)


def test_a_curve_that_has_no_forecast_says_why(room: Room) -> None:
    room.train(1, 5)
    with pytest.raises(CannotCompute, match="No held-out run"):
        told(room)
    room.train(2, 5)
    room.answer({1: 60, 2: 60})
    with pytest.raises(CannotCompute, match="No held-out run"):
        told(room)
    room.train(3, 9)
    room.answer({1: 60, 2: 60, 3: 60})
    found = told(room)
    assert found.forecast.value is None
    assert "are alike" in found.forecast.error
    with pytest.raises(CannotCompute, match="scored with f9"):
        told(room, metric="f9")
    for more in (0, 10**9):
        with pytest.raises(InvalidInput, match="more examples"):
            told(room, more=more)


def test_the_command_says_it_with_its_interval(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        room = Room.of(session)
        room.train(1, 5)
        room.train(2, 10)
        room.answer({1: 20, 2: 30})
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            main(["yield", "--forecast", "10", *more])
        assert ended.value.code in (0, None)
        said = capsys.readouterr().out
        if more:
            assert json.loads(said)["target"] == 20
        else:
            assert "With 10 more examples, 20 in all: 0." in said
            assert "n=60 held-out rows." in said
            assert "test rows alone" in said
