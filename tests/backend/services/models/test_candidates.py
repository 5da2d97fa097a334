"""Candidates: a model with a prompt is found or made once, and is in all else as its model."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.engines.base import SamplingParams
from backend.errors import InvalidInput, NotFound
from backend.jobs.preflight import model_facts, prompt_checks
from backend.schemas.models import ModelVersionOut
from backend.services.datasets.prompts.prompts import add_prompt, parse_prompt
from backend.services.derivation import models_started_from, runs_behind, withdrawn_rows
from backend.services.models.versions import (
    find_model,
    models_of_weights,
    register_base,
    served_model,
    serving_groups,
)
from backend.services.runs.generation import create_run, pending_requests
from backend.services.runs.leaks import unknown_training
from backend.services.training.start import weekly_start
from backend.services.verdicts.promotion import digests_of, plan_move
from backend.services.yields.reviewed import candidate_set, taught_before
from backend.tables.models import ModelVersion
from backend.tables.verdicts import Promotion, PromotionAction
from tests.fixtures_runs import Laid, lay_down_project
from tests.fixtures_yields import build_turn

BRIEF = "system: Be brief.\ntemplate: 'Q: {{ input }}'"


def lay_down(session: Session) -> Laid:
    """A project with v1, v2 and two versions of a prompt."""
    laid = lay_down_project(session)
    add_prompt(session, laid.project, "brief", parse_prompt("system: First."))
    add_prompt(session, laid.project, "brief", parse_prompt(BRIEF))
    return laid


LABELS = {
    "v1+brief@2": "base:v1@1+brief@2",
    "v1+brief": "base:v1@1+brief@2",
    "base:v1@1+brief@1": "base:v1@1+brief@1",
    "v1@1+brief": "base:v1@1+brief@2",
    "base+brief": "base+brief@2",
    "champion+brief": "base:v2@1+brief@2",
    "champion": "base:v2@1+brief@1",
    "v1": "base:v1@1",
}


class TestNaming:
    @pytest.mark.parametrize("asked", LABELS)
    def test_what_people_mean(self, session: Session, asked: str) -> None:
        laid = lay_down(session)
        promoted = find_model(session, laid.project, "v2+brief@1")
        moved = PromotionAction.PROMOTED
        session.add(
            Promotion(
                project_id=laid.project,
                alias="champion",
                model_version_id=promoted.id,
                action=moved,
                reason="x",
            )
        )
        session.flush()
        found = find_model(session, laid.project, asked)
        assert found.label == LABELS[asked]
        assert find_model(session, laid.project, found.label) is found

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ("v9+brief", "no model 'v9'"),
            ("v1+long", "no prompt 'long'"),
            ("v1+brief@3", "no prompt 'brief@3'"),
            ("v1+", "no prompt ''"),
            ("+brief", "no model ''"),
            ("v1+brief+brief", "no prompt 'brief.brief'"),
        ],
    )
    def test_what_is_not_there(self, session: Session, asked: str, said: str) -> None:
        laid = lay_down(session)
        with pytest.raises(NotFound, match=said):
            find_model(session, laid.project, asked)

    def test_it_has_the_columns_of_its_model(self, session: Session) -> None:
        laid = lay_down(session)
        candidate = find_model(session, laid.project, "v1+brief@2")
        model = find_model(session, laid.project, "v1")
        assert (candidate.name, candidate.revision) == ("v1@1+brief", 2)
        assert candidate.serving_name == model.serving_name == "v1@1"
        assert candidate.without_prompt is model
        assert candidate.training_run_id is None
        shown = ModelVersionOut.of(candidate, aliases=[])
        assert (shown.label, shown.prompt_label) == ("base:v1@1+brief@2", "brief@2")

    def test_two_at_once_make_one(self, sessions: sessionmaker[Session]) -> None:
        with sessions.begin() as session:
            laid = lay_down(session)
        gate, found = threading.Barrier(2), []

        def name_it() -> None:
            gate.wait()
            with sessions.begin() as session:
                found.append(find_model(session, laid.project, "v1+brief").id)

        threads = [threading.Thread(target=name_it) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with reading(sessions) as session:
            named = select(func.count()).where(ModelVersion.prompt_id.is_not(None))
            assert (len(set(found)), session.scalar(named)) == (1, 1)

    def test_who_only_reads_makes_none(self, sessions: sessionmaker[Session]) -> None:
        with sessions.begin() as session:
            laid = lay_down(session)
        with reading(sessions) as session, pytest.raises(NotFound, match="was never run"):
            find_model(session, laid.project, "v1+brief")
        with sessions.begin() as session:
            made = find_model(session, laid.project, "v1+brief").id
        with reading(sessions) as session:
            assert find_model(session, laid.project, "v1+brief").id == made

    def test_a_name_that_does_not_fit(self, session: Session) -> None:
        laid = lay_down(session)
        model = session.get_one(ModelVersion, laid.models[1])
        model.name = "v" * 75
        with pytest.raises(InvalidInput, match="longer than 80"):
            find_model(session, laid.project, f"{model.name}+brief")


AS_ITS_MODEL: dict[str, Callable[[Session, ModelVersion], Any]] = {
    "the runs behind it": lambda s, m: runs_behind(s, [m.id]),
    "withdrawn rows": lambda s, m: withdrawn_rows(s, m.id),
    "its set": lambda s, m: candidate_set(s, m).id,
    "what was taught before": lambda s, m: taught_before(s, m),
    "whether its training is known": lambda s, m: bool(unknown_training(s, [m.id])),
    "what a server is told": lambda s, m: served_model(m),
    "what a preflight is told": lambda s, m: model_facts(m.without_prompt),
    "its digests": lambda s, m: {**digests_of(m), "prompt": None},
    "who shares its server": lambda s, m: [
        dict.fromkeys(map(served_model, group))
        for group in serving_groups(register_base(s, m.project_id), [m])
    ],
    "whether it is a base": lambda s, m: (m.is_base, m.is_own_base),
    "which weights those are": lambda s, m: [
        one.id for one in models_of_weights(s, str(m.adapter_sha256))
    ],
    "what an alias moves": lambda s, m: plan_move(s, m.project_id, m).model,
}
"""Name -> what a candidate with a prompt has in common with its model."""


@pytest.mark.parametrize("what", AS_ITS_MODEL)
def test_in_all_else_it_is_its_model(sqlite_sessions: sessionmaker[Session], what: str) -> None:
    with sqlite_sessions() as session:
        turn = build_turn(session)
        project_id = turn.desk.project.id
        add_prompt(session, project_id, "brief", parse_prompt(BRIEF))
        candidate = find_model(session, project_id, f"{turn.candidate.label}+brief")
        assert candidate.id != turn.candidate.id
        ask = AS_ITS_MODEL[what]
        assert ask(session, candidate) == ask(session, turn.candidate)


def test_the_base_with_a_prompt_is_a_base(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions() as session:
        laid = lay_down(session)
        with_prompt = find_model(session, laid.project, "base+brief")
        base = with_prompt.without_prompt
        assert with_prompt.is_base
        assert not with_prompt.is_own_base
        assert with_prompt.serving_name == "base"
        assert unknown_training(session, [with_prompt.id]) == []
        assert models_of_weights(session, base.base_sha256) == []
        (group,) = serving_groups(base, [with_prompt, base])
        assert {served_model(model) for model in group} == {served_model(base)}
        assert models_started_from(session, with_prompt.id) == []
        assert weekly_start(session, laid.project, None) is None


class TestRuns:
    def run_of(self, session: Session, laid: Laid, *labels: str) -> int:
        ids = [find_model(session, laid.project, label).id for label in labels]
        run = create_run(
            session,
            project_id=laid.project,
            dataset_version_id=laid.version,
            split="test",
            model_ids=ids,
            engine="fake",
            params=SamplingParams(),
        )
        return run.id

    def test_each_candidate_is_asked_with_its_prompt(self, session: Session) -> None:
        laid = lay_down(session)
        run_id = self.run_of(session, laid, "base", "base+brief", "v1+brief@2", "v1+brief@1")
        found = {r.key.split(":")[0]: r for r in pending_requests(session, run_id)}
        asked = [(r.model, [m["content"] for m in r.messages]) for r in found.values()]
        last = len(laid.examples) - 1
        bare = f"say {last}\n\nthe number is {last}"
        assert asked == [
            ("base", [bare]),
            ("base", ["Be brief.", f"Q: say {last}"]),
            ("v1@1", ["Be brief.", f"Q: say {last}"]),
            ("v1@1", ["First.", bare]),
        ]

    def test_a_prompt_that_fails_stores_no_run(self, session: Session) -> None:
        laid = lay_down(session)
        spec = parse_prompt("template: '{{ slices.topic }}'")
        add_prompt(session, laid.project, "bad", spec)
        with pytest.raises(InvalidInput, match=r"bad@1 for example 'e0' .* no slice 'topic'"):
            self.run_of(session, laid, "base", "v1+bad")

    def test_more_shots_than_there_are_rows_store_no_run(self, session: Session) -> None:
        laid = lay_down(session)
        add_prompt(session, laid.project, "many", parse_prompt("shots: {k: 60, choose: bm25}"))
        with pytest.raises(InvalidInput, match=r"many@1 shows 60 shots, and .*@1 has only"):
            self.run_of(session, laid, "base", "v1+many")


TRAINED = {"name": "brief", "version": 2, "shots": False}
PROMPT_CHECKS = {
    "as trained": ("v1+brief@2", True, True, "as in training"),
    "bare, trained with a prompt": ("v1", True, False, r"asked with none: .* base:v1@1\+brief@2\."),
    "another version": ("v1+brief@1", True, False, r"brief@1: .* is base:v1@1\+brief@2\."),
    "a prompt, trained bare": ("v1+brief@2", False, None, "trained without a prompt"),
}
"""What is asked, whether training had the prompt -> passed, and what is said."""


@pytest.mark.parametrize("case", PROMPT_CHECKS)
def test_the_prompt_of_training_is_held_against_the_one_asked(
    sqlite_sessions: sessionmaker[Session], case: str
) -> None:
    label, with_prompt, passed, said = PROMPT_CHECKS[case]
    with sqlite_sessions() as session:
        laid = lay_down(session)
        model = find_model(session, laid.project, "v1")
        recorded = {**TRAINED, "digest": parse_prompt(BRIEF).digest} if with_prompt else None
        model.training_facts = {"config": {"prompt": recorded}}
        (check,) = prompt_checks([find_model(session, laid.project, label)])
        assert check.passed is passed
        assert re.search(said, check.detail), check.detail


def test_of_a_bare_model_or_a_base_nothing_is_said(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        laid = lay_down(session)
        labels = ("base", "base+brief", "v1", "v1+brief")
        assert prompt_checks([find_model(session, laid.project, one) for one in labels]) == []
