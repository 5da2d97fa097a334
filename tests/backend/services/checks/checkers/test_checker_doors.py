"""A checker is no candidate: every door by which one could become one refuses it in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.adapters.folders import AdapterConfig, AdapterFolder
from backend.engines.base import SamplingParams
from backend.errors import InvalidInput
from backend.services.datasets.prompts.prompts import PromptSpec, add_prompt
from backend.services.models.candidates import with_prompt
from backend.services.models.merging import find_adapter
from backend.services.models.others import register_served
from backend.services.models.versions import (
    SeenAdapter,
    find_model,
    list_models,
    register_adapter,
    serving_groups,
)
from backend.services.runs import generation
from backend.services.training import runs as training
from backend.services.training.start import resolve_start, resolve_start_from
from backend.services.verdicts.comparison import check_evidence
from backend.services.verdicts.promotion import plan_move
from backend.services.yields.reviewed import candidate_set, start_replays
from backend.settings import Settings
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelPurpose, ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.runs import ScoreRun
from tests.fixtures_runs import Laid, lay_down_project


@dataclass(frozen=True, slots=True)
class Room:
    """A project with a base, an adapter v1 and a checker."""

    laid: Laid
    checker: ModelVersion
    adapter: ModelVersion
    taught: TrainingSet
    settings: Settings


@pytest.fixture
def room(session: Session, settings: Settings, tmp_path: Path) -> Room:
    laid = lay_down_project(session, adapters=1)
    folder = tmp_path / "check-facts"
    folder.mkdir()
    base, adapter = (session.get_one(ModelVersion, number) for number in laid.models)
    checker = ModelVersion(
        project_id=laid.project,
        name="check-facts",
        revision=1,
        purpose=ModelPurpose.CHECK,
        base_model=base.base_model,
        base_sha256=base.base_sha256,
        tokenizer_sha256=base.tokenizer_sha256,
        template_sha256=base.template_sha256,
        adapter_path=str(folder),
        adapter_sha256="9" * 64,
        adapter_rank=4,
    )
    taught = TrainingSet(
        project_id=laid.project, name="checker facts 1", recipe={}, digest="c" * 64, n_rows=1,
        purpose=ModelPurpose.CHECK,
    )  # fmt: skip
    bar = SuccessManifest(
        project_id=laid.project, version=1, digest="b" * 64, content={}, source="-"
    )
    session.add_all([checker, taught, bar])
    session.flush()
    return Room(laid, checker, adapter, taught, settings)


def _run(session: Session, room: Room) -> Any:
    return generation.create_run(
        session,
        project_id=room.laid.project,
        dataset_version_id=room.laid.version,
        split="test",
        model_ids=[room.laid.models[0], room.checker.id],
        engine="fake",
        params=SamplingParams(),
    )


def _compare(session: Session, room: Room, **sides: ModelVersion) -> Any:
    run = ScoreRun(id=1, generation_run_id=1, metrics=[])
    both = {"baseline": room.adapter, "candidate": room.adapter} | sides
    return check_evidence(session, room.laid.project, run, None, **both)


def _train(session: Session, room: Room, **asked: Any) -> Any:
    return training.create_training_run(
        session,
        project_id=room.laid.project,
        training_set_id=room.taught.id,
        config={},
        settings=room.settings,
        **{"adapter_name": "v2", **asked},
    )


def _prompted(session: Session, room: Room) -> Any:
    prompt = add_prompt(session, room.laid.project, "brief", PromptSpec(system="Be brief."))
    return with_prompt(session, room.checker, prompt)


def _disguised(session: Session, room: Room, **facts: Any) -> Any:
    folder = AdapterFolder(
        path=Path("/elsewhere/v9"),
        config=AdapterConfig(peft_type="LORA", r=4),
        facts=facts,
        tensors={},
        pairs=(),
        whole={},
    )
    digest = "8" * 64 if facts else "9" * 64
    seen = SeenAdapter(folder, digest)
    return register_adapter(
        session, room.laid.project, "v9", folder.path, settings=room.settings, seen=seen
    )


DOORS: dict[str, Callable[[Session, Room], Any]] = {
    "by name": lambda s, r: find_model(s, r.laid.project, "check-facts"),
    "by revision": lambda s, r: find_model(s, r.laid.project, "base:check-facts@1"),
    "by name with a prompt": lambda s, r: find_model(s, r.laid.project, "check-facts+brief"),
    "a prompt": _prompted,
    "a run": _run,
    "a comparison's candidate": lambda s, r: _compare(s, r, candidate=r.checker),
    "a comparison's baseline": lambda s, r: _compare(s, r, baseline=r.checker),
    "a promotion": lambda s, r: plan_move(s, r.laid.project, r.checker),
    "an alias": lambda s, r: plan_move(s, r.laid.project, r.checker, alias="candidate"),
    "a merge": lambda s, r: find_adapter(s, r.laid.project, "check-facts"),
    "a start by name": lambda s, r: resolve_start(s, r.laid.project, "check-facts", {}),
    "a start by folder": lambda s, r: resolve_start_from(
        s, r.laid.project, {"start_from": r.checker.adapter_path}
    ),
    "a yield": lambda s, r: candidate_set(s, r.checker),
    "a replay": lambda s, r: start_replays(
        s, r.taught, r.checker, engine="fake", params=SamplingParams()
    ),
    "a replay of its set": lambda s, r: start_replays(
        s, r.taught, r.adapter, engine="fake", params=SamplingParams()
    ),
    "an adapter by its set": _train,
    "an adapter by its name": lambda s, r: _train(s, r, adapter_name="check-v2"),
    "its files under another name": _disguised,
    "its record under another name": lambda s, r: _disguised(s, r, config={"check": {"yes": "y"}}),
    "a name served elsewhere": lambda s, r: register_served(s, r.laid.project, "check-x", "m"),
}


@pytest.mark.parametrize("door", DOORS)
def test_that_a_door_refuses_a_checker_in_a_sentence(
    session: Session, room: Room, door: str
) -> None:
    with pytest.raises(InvalidInput, match="check") as refused:
        DOORS[door](session, room)
    assert refused.value.message.endswith(".")


def test_that_who_may_mean_a_checker_finds_it_and_it_shares_the_server_of_the_base(
    session: Session, room: Room
) -> None:
    found = find_model(session, room.laid.project, "check-facts@1", checkers=True)
    assert found is room.checker
    base = session.get_one(ModelVersion, room.laid.models[0])
    assert serving_groups(base, [found, room.adapter]) == [[base, found, room.adapter]]
    assert found in list_models(session, room.laid.project)
    assert found.check_name == "check:facts@1"


def test_that_a_set_that_teaches_answers_trains_no_checker(session: Session, room: Room) -> None:
    room.taught.purpose = ModelPurpose.ANSWER
    with pytest.raises(InvalidInput, match="is to teach a model to answer, not to check"):
        _train(session, room, adapter_name="check-facts", purpose=ModelPurpose.CHECK)


def test_that_a_model_of_before_answers(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as session:
        laid = lay_down_project(session)
        assert {session.get_one(ModelVersion, n).purpose for n in laid.models} == {"answer"}
