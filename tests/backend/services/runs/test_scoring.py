"""Scoring: the ledger of scores, figures read back from it, and reasons in place of figures."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.engines.base import GenerationResult
from backend.errors import CannotCompute, InvalidInput, NotFound
from backend.schemas.runs import RunProgress
from backend.services.metric_specs import MetricSpec, get_score_run, parse_metric_specs
from backend.services.runs import generation, scoring
from backend.services.runs.figures import class_report, model_figure, model_figures, paired_figures
from backend.tables.runs import Score
from tests.fixtures_runs import Laid, lay_down_project, lay_down_run


def _write_all(session: Session, run_id: int, base: int, *, failing: int = 0) -> None:
    """The base says only `say`, others what was asked; the first `failing` prompts fail."""
    results = []
    for i, request in enumerate(generation.pending_requests(session, run_id)):
        asked = request.messages[-1]["content"].partition("\n")[0]
        is_base = generation.parse_unit_key(request.key)[0] == base
        answer = GenerationResult(request.key, text="say" if is_base else asked)
        results.append(GenerationResult(request.key, error="too long") if i < failing else answer)
    generation.save_generations(session, run_id, results)


def _score_all(session: Session, score_run_id: int) -> int:
    units = scoring.pending_units(session, score_run_id)
    written = scoring.load_generations(session, [u.generation_id for u in units])
    return scoring.save_scores(session, score_run_id, scoring.score_units(units, written))


def _scored(session: Session, *metrics: str, failing: int = 0) -> tuple[Laid, int]:
    laid = lay_down_project(session)
    run = lay_down_run(session, laid)
    _write_all(session, run.id, laid.models[0], failing=failing)
    scores = scoring.create_score_run(session, generation_run_id=run.id, metrics=list(metrics))
    _score_all(session, scores.id)
    return laid, scores.id


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("accuracy", ["accuracy"]),
        ("f1@task=intent", ["f1@task=intent"]),
        ("f1@b=2,a=1", ["f1@a=1,b=2"]),
        ("rouge@task=reply", [f"rouge{k}@task=reply" for k in ("1", "2", "L", "Lsum")]),
    ],
)
def test_metric_specs_are_read(text: str, labels: list[str]) -> None:
    assert [spec.label for spec in parse_metric_specs([text])] == labels


@pytest.mark.parametrize("text", ["f1@task", "f1@", "f1@=intent", "acuracy", ""])
def test_bad_metric_specs_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_metric_specs([text])


def test_a_slice_without_examples_is_refused(session: Session) -> None:
    run = lay_down_run(session, lay_down_project(session))
    with pytest.raises(InvalidInput, match="task=intent"):
        scoring.create_score_run(session, generation_run_id=run.id, metrics=["f1@task=sumary"])


def test_only_examples_of_a_slice_are_scored(session: Session) -> None:
    _, score_run_id = _scored(session, "f1@task=intent", "accuracy")
    metrics = list(session.scalars(select(Score.metric).where(Score.score_run_id == score_run_id)))
    assert (metrics.count("f1"), metrics.count("accuracy")) == (6, 12)
    assert scoring.pending_units(session, score_run_id) == []
    assert scoring.score_progress(session, score_run_id) == RunProgress(done=18, total=18, failed=0)


def test_scoring_again_writes_nothing(session: Session) -> None:
    _, score_run_id = _scored(session, "accuracy")
    units = [
        scoring.ScoreUnit(generation_id, ("accuracy",))
        for generation_id in session.scalars(select(Score.generation_id))
    ]
    written = scoring.load_generations(session, [u.generation_id for u in units])
    rows = scoring.score_units(units, written)
    assert scoring.save_scores(session, score_run_id, rows) == 0


def test_only_the_missing_metric_is_pending(session: Session) -> None:
    _, score_run_id = _scored(session, "accuracy", "bleu")
    session.execute(delete(Score).where(Score.metric == "bleu"))
    assert {u.metrics for u in scoring.pending_units(session, score_run_id)} == {("bleu",)}


def test_failed_generation_is_a_score_with_the_reason(session: Session) -> None:
    _, score_run_id = _scored(session, "accuracy", failing=2)
    errors = set(session.scalars(select(Score.error).where(Score.error.is_not(None))))
    assert errors == {"nothing was generated: too long"}
    figures = model_figures(session, score_run_id)
    assert [(f.figure.n, f.figure.failed) for f in figures if f.figure] == [(5, 1), (5, 1)]


def test_figures_have_n_interval_and_signature(session: Session) -> None:
    _, score_run_id = _scored(session, "accuracy")
    base, v1 = model_figures(session, score_run_id)
    assert base.figure is not None
    assert v1.figure is not None
    assert (base.model, base.figure.value) == ("base", 0.0)
    assert (v1.model, v1.figure.value, v1.figure.n) == ("base:v1@1", 1.0, 6)
    assert v1.figure.clusters == 3
    for part in ("accuracy|", "level:0.95", "data:dddddddddddd", "split:test"):
        assert part in v1.figure.signature


def test_a_figure_names_the_version_that_scored(session: Session) -> None:
    _, score_run_id = _scored(session, "rougeL")
    run = get_score_run(session, score_run_id)
    assert run.metrics[0]["version"] == 2
    run.metrics = [{**run.metrics[0], "version": 1}]
    base, _ = model_figures(session, score_run_id)
    assert base.figure is not None
    assert base.figure.signature.startswith("rougeL|strop:1|")


def test_figures_are_the_same_when_read_again(session: Session) -> None:
    _, score_run_id = _scored(session, "token_f1", "bleu", "rougeL", "f1")
    first = model_figures(session, score_run_id)
    session.expire_all()
    assert model_figures(session, score_run_id) == first


def test_paired_difference_is_by_example(session: Session) -> None:
    laid, score_run_id = _scored(session, "accuracy", failing=2)
    (paired,) = paired_figures(session, score_run_id, laid.models[0], laid.models[1])
    assert paired.difference is not None
    found = paired.difference
    assert (found.value, found.n, found.failed, found.wins) == (1.0, 5, 1, 5)


def test_one_figure_on_a_slice_that_was_not_asked_for(session: Session) -> None:
    laid, score_run_id = _scored(session, "accuracy")
    figure = model_figure(
        session, score_run_id, laid.models[1], "accuracy", slice={"task": "reply"}, level=0.9
    )
    assert (figure.n, figure.level) == (3, 0.9)


def test_a_part_is_no_figure(session: Session) -> None:
    laid, score_run_id = _scored(session, "f1@task=intent")
    with pytest.raises(CannotCompute, match="Only 3 of 6"):
        model_figure(session, score_run_id, laid.models[0], "f1")
    session.execute(
        delete(Score).where(Score.id == session.scalar(select(Score.id).order_by(Score.id)))
    )
    first, *_ = model_figures(session, score_run_id)
    assert first.figure is None
    assert "Only 2 of 3" in str(first.error)
    assert "value" not in first.as_dict()


def test_all_failed_is_an_error_and_not_zero(session: Session) -> None:
    _, score_run_id = _scored(session, "accuracy", failing=12)
    assert [f.figure for f in model_figures(session, score_run_id)] == [None, None]


def test_model_of_elsewhere_has_no_difference(session: Session) -> None:
    laid, score_run_id = _scored(session, "accuracy")
    with pytest.raises(NotFound):
        paired_figures(session, score_run_id, laid.models[0], laid.models[2])


def test_class_report_is_read_back(session: Session) -> None:
    laid, score_run_id = _scored(session, "f1@task=intent")
    (spec,) = parse_metric_specs(["f1@task=intent"])
    rows = class_report(session, score_run_id, laid.models[1], spec)
    assert [(row.label, row.f1) for row in rows] == [("say 0", 1.0), ("say 2", 1.0), ("say 4", 1.0)]
    with pytest.raises(CannotCompute):
        class_report(session, score_run_id, laid.models[1], MetricSpec("accuracy", {}))
