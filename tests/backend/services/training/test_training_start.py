"""Going on from a model that is there: what is taken over, what is refused, what lineage knows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.cli.training import enqueue_training
from backend.errors import Forbidden, InvalidInput, NotFound
from backend.services.derivation import runs_behind
from backend.services.lineage.trace import trace
from backend.services.models.versions import find_model
from backend.services.training import runs as training
from backend.services.training.files import run_files
from backend.services.training.start import require_known_start, resolve_start, weekly_start
from backend.settings import Settings
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.projects import Project, SuccessManifest
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Promotion
from tests.fixtures_runs import lay_down_project
from training.config import load_config

SHAPE = {
    "peft_type": "LORA",
    "r": 4,
    "lora_alpha": 8,
    "use_rslora": False,
    "use_dora": True,
    "target_modules": ["v_proj", "q_proj"],
}


@dataclass(frozen=True, slots=True)
class Room:
    """A project with an adapter v1, trained here and champion, and a fully trained model v2."""

    project: int
    training_set: int
    adapter: ModelVersion
    full: ModelVersion


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Any:
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def room(session: Session, tmp_path: Path) -> Room:
    laid = lay_down_project(session, adapters=1)
    folder = tmp_path / "v1"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(SHAPE))
    bar = SuccessManifest(
        project_id=laid.project, version=1, digest="b" * 64, content={}, source="-"
    )
    frozen = TrainingSet(project_id=laid.project, name="t", recipe={}, digest="c" * 64, n_rows=1)
    session.add_all([bar, frozen])
    session.flush()
    example = session.scalars(select(Example).where(Example.split == "train")).one()
    session.add(
        TrainingSetRow(
            training_set_id=frozen.id,
            position=0,
            kind="sft",
            prompt=[{"role": "user", "content": "q"}],
            completion="a",
            source="reference",
            example_id=example.id,
        )
    )
    run = TrainingRun(
        project_id=laid.project,
        training_set_id=frozen.id,
        manifest_id=bar.id,
        adapter_name="v1",
        config={},
        output_dir=str(folder),
    )
    session.add(run)
    session.flush()
    adapter = session.get_one(ModelVersion, laid.models[1])
    adapter.adapter_path, adapter.training_run_id = str(folder), run.id
    full = ModelVersion(
        project_id=laid.project,
        name="v2",
        revision=1,
        base_model="/models/v2",
        base_sha256="d" * 64,
        tokenizer_sha256="b" * 64,
        template_sha256="c" * 64,
    )
    promotion = Promotion(
        project_id=laid.project,
        alias="champion",
        model_version_id=adapter.id,
        action="promoted",
        reason="-",
    )
    session.add_all([full, promotion])
    session.flush()
    return Room(laid.project, frozen.id, adapter, full)


def create(session: Session, room: Room, settings: Settings, **config: Any) -> TrainingRun:
    return training.create_training_run(
        session,
        project_id=room.project,
        training_set_id=room.training_set,
        adapter_name="v3",
        config=config,
        settings=settings,
        start="champion",
    )


def test_the_champion_is_taken_up_in_its_own_shape(
    session: Session, room: Room, settings: Settings
) -> None:
    run = create(session, room, settings, lora={"dropout": 0.2}, epochs=2)
    config = load_config(run_files(run, settings).config)
    lora = config.lora
    assert run.start_model_id == room.adapter.id
    assert str(config.start_from) == room.adapter.adapter_path
    assert (lora.rank, lora.alpha, lora.dora, lora.dropout) == (4, 8, True, 0.2)
    assert (lora.target_modules, config.epochs) == (["q_proj", "v_proj"], 2)


def test_the_base_begins_anew(session: Session, room: Room) -> None:
    assert resolve_start(session, room.project, "base", {"seed": 1}) == (None, {"seed": 1})


def test_a_plan_begins_from_the_base_while_there_is_no_champion(
    session: Session, room: Room
) -> None:
    for label in (None, "v1", "champion"):
        assert weekly_start(session, room.project, label) == label
    for promotion in session.scalars(select(Promotion)):
        assert weekly_start(session, promotion.project_id + 1, "champion") is None


def test_a_full_training_goes_on_from_a_full_model(session: Session, room: Room) -> None:
    model, config = resolve_start(session, room.project, "v2", {"weights": "full"})
    assert (model, config["start_from"]) == (room.full, "/models/v2")


@pytest.mark.parametrize(
    ("start", "config", "said"),
    [
        ("v1", {"lora": {"rank": 16}}, "has rank 4, the configuration says 16"),
        ("v1", {"lora": {"dora": False}}, "has dora True, the configuration says False"),
        ("v1", {"search": {"rank": [4, 8]}}, "its rank cannot be searched"),
        ("v1", {"weights": "full"}, "is an adapter, and this training is of weights: full"),
        ("v2", {}, "is a fully trained model, and this training is of weights: lora"),
        ("v1", {"start_from": "/x"}, "named twice"),
    ],
)
def test_what_cannot_be_gone_on_from_is_one_sentence(
    session: Session, room: Room, start: str, config: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        resolve_start(session, room.project, start, config)


def test_an_adapter_of_another_base_is_refused(session: Session, room: Room) -> None:
    room.adapter.base_sha256 = "e" * 64
    with pytest.raises(InvalidInput, match="is an adapter of another base"):
        resolve_start(session, room.project, "v1", {})


def test_an_unknown_start_is_not_found(session: Session, room: Room) -> None:
    with pytest.raises(NotFound, match="no model 'v9'"):
        resolve_start(session, room.project, "v9", {})


def test_lineage_follows_the_start_both_ways(
    session: Session, room: Room, settings: Settings
) -> None:
    run = create(session, room, settings)
    session.add(
        ModelVersion(
            project_id=room.project,
            name="v3",
            revision=1,
            base_model="tiny",
            base_sha256="a" * 64,
            tokenizer_sha256="b" * 64,
            template_sha256="c" * 64,
            adapter_path="x",
            adapter_sha256="f" * 64,
            training_run_id=run.id,
        )
    )
    session.flush()
    wanted = ("model:base:v1@1", "model:base:v3@1", f"start of training run {run.id}")
    for name in ("v3", "v1"):
        edges = trace(session, room.project, name).edges
        assert wanted in {(edge.source, edge.target, edge.label) for edge in edges}
    model = find_model(session, room.project, "v3")
    assert runs_behind(session, [model.id]) == {run.id, room.adapter.training_run_id}


def test_that_start_from_is_a_model_of_the_project(
    session: Session, room: Room, settings: Settings, tmp_path: Path
) -> None:
    """A folder of its own is known by its name in lineage; any other is refused."""
    asked = {"project_id": room.project, "training_set_id": room.training_set}
    for folder in (str(tmp_path / "v1"), f"{tmp_path}/x/../v1"):
        run = training.create_training_run(
            session,
            **asked,
            adapter_name="v4",
            config={"start_from": folder},
            settings=settings,
        )
        assert run.start_model_id == room.adapter.id
        assert load_config(run_files(run, settings).config).lora.rank == 4
    for folder in ("/etc", str(tmp_path), "../v1", "a\0b", 7, ["v1"], "x" * 5000):
        with pytest.raises(Forbidden, match="no model of this project"):
            training.create_training_run(
                session,
                **asked,
                adapter_name="v4",
                config={"start_from": folder},
                settings=settings,
            )


def test_that_a_training_went_on_from_the_weights_of_its_start(
    session: Session, room: Room, settings: Settings
) -> None:
    run = create(session, room, settings)
    digest = room.adapter.adapter_sha256
    require_known_start(session, run, {"start_from_sha256": digest})
    for other in ("e" * 64, None):
        with pytest.raises(Forbidden, match="other weights"):
            require_known_start(session, run, {"start_from_sha256": other})
    run.start_model_id = None
    with pytest.raises(Forbidden, match="other weights"):
        require_known_start(session, run, {"start_from_sha256": digest})


@pytest.mark.parametrize("name", ["../../x", "a/b", "", "base", "v 1", ".."])
def test_a_name_is_checked_before_training(
    session: Session, room: Room, settings: Settings, name: str
) -> None:
    with pytest.raises(InvalidInput, match="cannot name an adapter"):
        training.create_training_run(
            session,
            project_id=room.project,
            training_set_id=room.training_set,
            adapter_name=name,
            config={},
            settings=settings,
        )


def _large(session: Session, room: Room, name: str, *, on: ModelVersion | None) -> ModelVersion:
    """Another base, or an adapter on one in the shape of the champion."""
    seen = {key: letter * 64 for key, letter in DIGESTS.items()}
    model = ModelVersion(
        project_id=room.project, name=name, revision=1, base_model="/models/large", base=on, **seen
    )
    if on is not None:
        model.adapter_path, model.adapter_sha256 = room.adapter.adapter_path, "8" * 64
    session.add(model)
    session.flush()
    return model


DIGESTS = {"base_sha256": "9", "tokenizer_sha256": "b", "template_sha256": "c"}


def test_an_adapter_is_trained_on_the_base_that_is_named_or_that_its_start_is_on(
    session: Session, room: Room, settings: Settings
) -> None:
    large = _large(session, room, "large", on=None)
    v5 = _large(session, room, "v5", on=large)
    for named, start, begun in (
        (large.label, None, None),
        (None, "large:v5", v5),
        ("large", "v5", v5),
    ):
        run = training.create_training_run(
            session,
            project_id=room.project,
            training_set_id=room.training_set,
            adapter_name="v6",
            config={},
            settings=settings,
            start=start,
            base=named,
        )
        config = load_config(run_files(run, settings).config)
        assert (run.base_id, run.start_model_id) == (large.id, begun and begun.id)
        assert config.base_model == training.base_model_of(session, run) == "/models/large"


def test_the_command_trains_on_the_base_that_is_named(
    session: Session, room: Room, settings: Settings
) -> None:
    large = _large(session, room, "large", on=None)
    project = session.get_one(Project, room.project)
    run_id, _ = enqueue_training(
        session, project, training_set="t", name="v6", config={}, settings=settings, base="large"
    )
    assert session.get_one(TrainingRun, run_id).base_id == large.id


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"base": "large", "start": "champion"}, "base:v1@1 is no adapter on large@1"),
        ({"base": "base", "start": "v5"}, "large:v5@1 is no adapter on base"),
        ({"base": "v5"}, "large:v5@1 is no base"),
        ({"base": "large", "config": {"weights": "full"}}, "makes a base of its own"),
        ({"base": "large", "adapter_name": "v1"}, "v1 stands for adapters on base"),
        ({"adapter_name": "v5"}, "v5 stands for adapters on large"),
    ],
)
def test_a_training_on_a_base_that_is_not_its_own_is_refused_before_it_begins(
    session: Session, room: Room, settings: Settings, asked: dict[str, Any], said: str
) -> None:
    _large(session, room, "v5", on=_large(session, room, "large", on=None))
    with pytest.raises(InvalidInput, match=said):
        training.create_training_run(
            session,
            project_id=room.project,
            training_set_id=room.training_set,
            settings=settings,
            **{"adapter_name": "v6", "config": {}} | asked,
        )
