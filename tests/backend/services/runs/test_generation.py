"""Generation runs: what is laid down, what the ledger lacks, and that nothing is written twice."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.engines.base import GenerationResult, SamplingParams
from backend.errors import InvalidInput, NotFound, UnknownName
from backend.schemas.runs import RunProgress
from backend.services.runs import generation, scoring
from backend.tables.runs import Generation
from tests.fixtures_runs import lay_down_project, lay_down_run


def _answers(session: Session, run_id: int) -> list[GenerationResult]:
    requests = generation.pending_requests(session, run_id)
    return [GenerationResult(r.key, text=r.messages[-1]["content"]) for r in requests]


def test_pending_is_every_model_on_every_example(session: Session) -> None:
    run = lay_down_run(session, lay_down_project(session), models=3)
    requests = generation.pending_requests(session, run.id)
    assert len(requests) == 18
    assert {r.model for r in requests} == {"base", "v1@1", "v2@1"}
    assert requests[0].messages == [{"role": "user", "content": "say 0\n\nthe number is 0"}]


def test_saved_answers_are_pending_no_more(session: Session) -> None:
    run = lay_down_run(session, lay_down_project(session))
    assert generation.save_generations(session, run.id, _answers(session, run.id)[:5]) == 5
    assert len(generation.pending_requests(session, run.id)) == 7
    assert generation.run_progress(session, run.id) == RunProgress(done=5, total=12, failed=0)


def test_an_answer_that_is_there_stays(session: Session) -> None:
    run = lay_down_run(session, lay_down_project(session))
    answers = _answers(session, run.id)
    generation.save_generations(session, run.id, answers)
    changed = [GenerationResult(a.key, text="other") for a in answers]
    assert generation.save_generations(session, run.id, changed) == 0
    assert "other" not in set(session.scalars(select(Generation.text)))
    assert generation.run_progress(session, run.id).done == 12


def test_a_failed_prompt_is_a_row_with_its_reason(session: Session) -> None:
    run = lay_down_run(session, lay_down_project(session))
    first, *_ = _answers(session, run.id)
    generation.save_generations(session, run.id, [GenerationResult(first.key, error="too long")])
    assert generation.run_progress(session, run.id) == RunProgress(done=1, total=12, failed=1)
    assert first.key not in {r.key for r in generation.pending_requests(session, run.id)}


def test_cleared_failures_are_pending_again_and_lose_their_scores(session: Session) -> None:
    run = lay_down_run(session, lay_down_project(session))
    good, bad, *_ = _answers(session, run.id)
    generation.save_generations(
        session, run.id, [good, GenerationResult(bad.key, error="too long")]
    )
    scores = scoring.create_score_run(session, generation_run_id=run.id, metrics=["accuracy"])
    units = scoring.pending_units(session, scores.id)
    written = scoring.load_generations(session, [u.generation_id for u in units])
    scoring.save_scores(session, scores.id, scoring.score_units(units, written))
    assert generation.clear_failed(session, run.id) == 1
    assert generation.run_progress(session, run.id) == RunProgress(done=1, total=12, failed=0)
    assert bad.key in {r.key for r in generation.pending_requests(session, run.id)}


def test_the_shortest_examples_that_lack_something_are_enough(session: Session) -> None:
    """Their texts alone are read, and what has every answer is passed over."""
    run = lay_down_run(session, lay_down_project(session), models=1, samples=2)
    examples = generation.examples_of_run(session, run)
    for example, more in zip(examples, (50, 40, 0, 30, 10, 20), strict=True):
        example.input += "é" * more  # letters count, not bytes
        example.context = None if more == 10 else example.context
    session.flush()
    of_all = generation.pending_requests(session, run.id)
    whole, half, third = (of_all[2 * place : 2 * place + 2] for place in (4, 2, 5))
    for key in (whole[0].key, whole[1].key, half[0].key):
        generation.save_generations(session, run.id, [GenerationResult(key, text="x")])
    found = generation.pending_requests(session, run.id, most=2)
    assert [one.key for one in found] == [half[1].key, *(one.key for one in third)]
    assert len(generation.pending_requests(session, run.id, most=99)) == 9


def test_each_sample_has_its_own_row(session: Session) -> None:
    run = lay_down_run(session, lay_down_project(session), models=1, samples=2)
    assert generation.save_generations(session, run.id, _answers(session, run.id)) == 12
    assert generation.run_progress(session, run.id) == RunProgress(done=12, total=12, failed=0)
    assert sorted(session.scalars(select(Generation.sample))) == [0] * 6 + [1] * 6


def test_chosen_examples_only(session: Session) -> None:
    laid = lay_down_project(session)
    run = generation.create_run(
        session,
        project_id=laid.project,
        dataset_version_id=laid.version,
        split="test",
        model_ids=laid.models[:1],
        engine="fake",
        params=SamplingParams(),
        example_ids=laid.examples[:2],
    )
    assert len(generation.pending_requests(session, run.id)) == 2
    assert generation.run_progress(session, run.id).total == 2


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"model_ids": []}, InvalidInput, "at least one model"),
        ({"model_ids": [1, 1]}, InvalidInput, "only once"),
        ({"model_ids": [99]}, NotFound, "no model version 99"),
        ({"dataset_version_id": 99}, NotFound, "no dataset version 99"),
        ({"split": "tset"}, InvalidInput, "no split 'tset'"),
        ({"example_ids": []}, InvalidInput, "no examples"),
        ({"example_ids": [99]}, InvalidInput, "not in the split"),
        ({"samples": 2}, InvalidInput, "temperature 0"),
        ({"engine": "locl"}, UnknownName, "local"),
    ],
)
def test_bad_run_is_refused(
    session: Session, changes: dict[str, object], error: type[Exception], says: str
) -> None:
    laid = lay_down_project(session)
    values: dict[str, object] = {
        "project_id": laid.project,
        "dataset_version_id": laid.version,
        "split": "test",
        "model_ids": laid.models,
        "engine": "fake",
        "params": SamplingParams(),
    }
    with pytest.raises(error, match=says):
        generation.create_run(session, **{**values, **changes})  # type: ignore[arg-type]
