"""Comparison: a candidate against the baseline on the same examples, judged by the manifest.

Blind votes are judged by their anytime-valid interval, since anybody may have looked before. A
candidate has to pass every line, so that the chance of a wrong PASS is no greater than that of one
line (an intersection-union test: Berger 1982, Technometrics 24:295); p-values that Holm's method
adjusts over the lines stand beside them for whoever reads one line alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute, InvalidInput, NotFound, StropError
from backend.schemas.projects import WIN_RATE, Manifest, ManifestLine
from backend.schemas.review.reports import WatchOut
from backend.services import review
from backend.services.metric_specs import find_maximum
from backend.services.models.candidates import require_answers
from backend.services.models.cards import write_card
from backend.services.projects import manifest_of
from backend.services.review.reports.ab import watch_queue
from backend.services.runs.figures import model_figure, paired_figure
from backend.services.verdicts.fair import counterfactual_evidence, parity_evidence, skew_evidence
from backend.services.verdicts.forgetting import exposure_evidence, forgetting_evidence
from backend.services.verdicts.verdict import (
    CandidateLine,
    Evidence,
    LineVerdict,
    judge_all,
    judge_line,
    preflight_summary,
)
from backend.tables.datasets import DatasetVersion, Split
from backend.tables.models import ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.review import QueueKind, ReviewQueue
from backend.tables.runs import GenerationRun, GenerationRunModel, ScoreRun
from backend.tables.verdicts import Comparison
from evaluators.statistics.testing import holm
from evaluators.types import Difference, Figure

EVIDENCE: Mapping[str, Callable[[Session, CandidateLine], Evidence]] = {
    "forgetting": forgetting_evidence,
    "forgetting_earlier": forgetting_evidence,
    "parity": parity_evidence,
    "counterfactual": counterfactual_evidence,
    "skew": skew_evidence,
    "canary_exposure": exposure_evidence,
}
"""Lines of the bar whose figure is no metric of outputs, by their entries of `metric_specs.MAXIMA`:
CannotCompute says the reason where there is no figure or no interval."""


def compare_models(
    session: Session,
    *,
    manifest_row: SuccessManifest,
    score_run: ScoreRun,
    baseline: ModelVersion,
    candidate: ModelVersion,
    queue: ReviewQueue | None = None,
) -> Comparison:
    """Judge every line of the manifest and store the evidence with the verdict.

    The preflights of the run count like a line: without one that passed there is no PASS. Of
    imported outputs there is none: as the baseline they are named, as the candidate never a PASS.

    Args:
        score_run: scores of both models on the same generation run.
        queue: blind pairs of the two models, for lines on `win_rate`.

    Raises:
        NotFound, InvalidInput: what is named is no evidence on them (`check_evidence`).
    """
    check_evidence(
        session, manifest_row.project_id, score_run, queue, baseline=baseline, candidate=candidate
    )
    manifest = manifest_of(manifest_row)
    lines = judge_lines(session, manifest, manifest.lines, score_run, baseline, candidate, queue)
    run_id = score_run.generation_run_id
    standing = preflight_summary(session, run_id, baseline=baseline, candidate=candidate)
    row = Comparison(
        project_id=manifest_row.project_id,
        manifest_id=manifest_row.id,
        score_run_id=score_run.id,
        review_queue_id=queue.id if queue is not None else None,
        baseline_id=baseline.id,
        candidate_id=candidate.id,
        verdict=judge_all([*(line.verdict for line in lines), standing.verdict]),
        n_simulated=max(line.evidence.n_simulated if line.evidence else 0 for line in lines),
        preflight=standing.as_record(),
        lines=_with_holm([_line_record(line) for line in lines]),
    )
    session.add(row)
    session.flush()
    write_card(session, candidate)
    return row


def check_evidence(
    session: Session,
    project_id: int,
    score_run: ScoreRun,
    queue: ReviewQueue | None,
    *,
    baseline: ModelVersion,
    candidate: ModelVersion,
) -> None:
    """Check that scores and votes may decide on two models, whoever named them.

    Both are on outputs of these two models for the held-out test split of one dataset: what a model
    was trained on, or chosen by, proves nothing of it.

    Raises:
        NotFound: they are of another project.
        InvalidInput: they are of other models, another split or another dataset.
    """
    for model in (baseline, candidate):
        require_answers(model, "compare")
    run = score_run.generation_run
    wanted = {baseline.id, candidate.id}
    _check_run(run, project_id, f"score run {score_run.id}", {m.id for m in run.models}, wanted)
    if queue is None:
        return
    shown = set(review.models_of_queue(session, queue.id)) if queue.kind == QueueKind.PAIR else None
    what = f"the queue {queue.name!r}"
    if shown is None:
        raise InvalidInput(f"Votes are taken from pairs, and {what} shows single outputs.")
    _check_run(queue.generation_run, project_id, what, shown, wanted)
    if queue.generation_run.dataset_version.dataset_id != run.dataset_version.dataset_id:
        raise InvalidInput(
            f"The votes of {what} are on another dataset than score run {score_run.id}.",
            hint="Open a queue of pairs on the run that was scored.",
        )


def _check_run(
    run: GenerationRun, project_id: int, what: str, models: set[int], wanted: set[int]
) -> None:
    """Errors as in `check_evidence`."""
    if run.project_id != project_id:
        raise NotFound(f"The project has no such evidence: {what} is of another one.")
    if run.split != Split.TEST:
        raise InvalidInput(
            f"A verdict takes the test split, and {what} is on the {run.split} split.",
            hint="Run both models on the test split: strop run --split test",
        )
    if not wanted <= models:
        raise InvalidInput(f"The two models do not both take part in {what}.")


def judge_lines(
    session: Session,
    manifest: Manifest,
    lines: Iterable[ManifestLine],
    score_run: ScoreRun,
    baseline: ModelVersion,
    candidate: ModelVersion,
    queue: ReviewQueue | None = None,
) -> list[LineVerdict]:
    """Lines of a manifest by the scores of a run, and the votes of a queue; nothing is stored."""
    level = 1 - manifest.alpha
    asked = [CandidateLine(line, score_run.id, baseline, candidate, level) for line in lines]
    return [_judge(session, one, queue) for one in asked]


def _judge(session: Session, asked: CandidateLine, queue: ReviewQueue | None) -> LineVerdict:
    line = asked.line
    try:
        if line.metric == WIN_RATE and line.threshold is None:
            raise CannotCompute("A win rate is judged by a threshold (0.5 is a draw).")
        if find_maximum(line.metric):
            evidence = EVIDENCE[line.metric.partition(":")[0]](session, asked)
        elif line.metric == WIN_RATE:
            models = (asked.baseline, asked.candidate)
            evidence = _vote_evidence(
                session, queue, *models, asked.level, threshold=line.threshold, slice=line.slice
            )
        elif line.threshold is not None:
            evidence = _figure_evidence(session, asked)
        else:
            evidence = _paired_evidence(session, asked)
    except StropError as error:  # a figure that is not there is a reason on the line, never a pass
        return judge_line(line, None, missing=error.message)
    return judge_line(line, evidence)


def _figure_evidence(session: Session, asked: CandidateLine) -> Evidence:
    line = asked.line
    figure = model_figure(
        session,
        asked.score_run_id,
        asked.candidate.id,
        line.metric,
        slice=line.slice,
        level=asked.level,
    )
    low, high = _bounds(figure)
    return Evidence(figure.value, low, high, figure.n, figure.failed, figure.signature)


def _bounds(found: Figure | Difference) -> tuple[float, float]:
    """The interval; without one a line cannot be judged.

    Raises:
        CannotCompute: there is none, with the reason.
    """
    if found.low is None or found.high is None:
        raise CannotCompute(f"{found.value:.3f}, n={found.n}, has no interval: {found.note}.")
    return found.low, found.high


def _paired_evidence(session: Session, asked: CandidateLine) -> Evidence:
    line, models = asked.line, (asked.baseline.id, asked.candidate.id)
    found = paired_figure(
        session, asked.score_run_id, *models, line.metric, slice=line.slice, level=asked.level
    )
    low, high = _bounds(found)
    return Evidence(
        found.value,
        low,
        high,
        found.n,
        found.failed,
        found.signature,
        baseline=found.baseline,
        candidate=found.candidate,
        p=found.p,
    )


def _vote_evidence(
    session: Session,
    queue: ReviewQueue | None,
    baseline: ModelVersion,
    candidate: ModelVersion,
    level: float,
    *,
    threshold: float | None = None,
    slice: Mapping[str, str] | None = None,
) -> Evidence:
    if queue is None:
        raise CannotCompute(
            "No blind votes were gathered on the two models for the test split of what was scored."
        )
    pair = {baseline.id, candidate.id}
    margin = 0.0 if threshold is None else threshold - 0.5
    forecast_at = margin if 0 <= margin < 0.5 else 0.0
    for watch in watch_queue(session, queue.id, alpha=1 - level, margin=forecast_at, slice=slice):
        if {watch.model_a_id, watch.model_b_id} == pair:
            evidence = _watched_evidence(watch, candidate)
            told = watch.more_limit is not None and forecast_at == margin
            if told and (margin == 0 or candidate.id == watch.model_b_id):
                return replace(evidence, more=watch.more, forecast=_vote_forecast(watch))
            return replace(evidence, forecast=UNTOLD)
    raise CannotCompute(f"The queue {queue.name!r} does not show these two models.")


# The interval of votes that are watched does not narrow by the square root law.
UNTOLD = "how many more votes would settle it cannot be told yet"


def _watched_evidence(watch: WatchOut, candidate: ModelVersion) -> Evidence:
    """The rate of the candidate; a watch gives that of its second model. n counts groups."""
    found = watch.figure
    if found.value is None or found.low is None or found.high is None:
        raise CannotCompute(found.error or "There is no vote yet.")
    value, low, high = found.value, found.low, found.high
    if candidate.id == watch.model_a_id:
        value, low, high = 1 - value, 1 - high, 1 - low
    return Evidence(
        value,
        low,
        high,
        found.n,
        watch.cannot_judge,
        found.signature or "",
        unit="votes",
        n_votes=watch.votes,
        n_simulated=watch.n_simulated,
    )


def _vote_forecast(watch: WatchOut) -> str:
    """How many more votes would settle it, by simulation of votes that go on as so far."""
    if watch.more is None:
        return f"more than {watch.more_limit} votes would be needed at the present rate (simulated)"
    upper = watch.more_high if watch.more_high is not None else f"over {watch.more_limit}"
    return (
        f"about {watch.more} more votes would settle it at the present rate "
        f"(80% range {watch.more_low} to {upper}; simulated)"
    )


def _with_holm(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines with `p_holm`: their p-values adjusted over the lines that have one."""
    tested = [record for record in records if (record["evidence"] or {}).get("p") is not None]
    adjusted = holm([record["evidence"]["p"] for record in tested]) if tested else []
    for record, p in zip(tested, adjusted, strict=True):
        record["evidence"]["p_holm"] = p
    return records


def _line_record(line: LineVerdict) -> dict[str, Any]:
    return {
        "title": line.line.title,
        **line.line.model_dump(mode="json"),
        "verdict": str(line.verdict),
        "reason": line.reason,
        "more": line.more,
        "evidence": asdict(line.evidence) if line.evidence is not None else None,
    }


def newest_comparison(session: Session, project_id: int, candidate_id: int) -> Comparison:
    """The newest comparison of a candidate. Raises NotFound when it was never judged."""
    query = select(Comparison).where(
        Comparison.project_id == project_id, Comparison.candidate_id == candidate_id
    )
    row = session.scalar(query.order_by(Comparison.id.desc()).limit(1))
    if row is None:
        raise NotFound(
            "This candidate was never judged by the manifest.", hint="Run: strop gate CANDIDATE"
        )
    return row


def list_comparisons(session: Session, project_id: int) -> list[Comparison]:
    """All comparisons of a project, oldest first."""
    query = select(Comparison).where(Comparison.project_id == project_id)
    return list(session.scalars(query.order_by(Comparison.id)))


def newest_scores_of_both(
    session: Session,
    project_id: int,
    first: ModelVersion,
    second: ModelVersion,
    *,
    splits: Collection[Split] = (Split.TEST,),
) -> ScoreRun:
    """The newest score run of a generation run on these splits in which both models took part.

    Raises NotFound when there is none.
    """
    query = (
        select(ScoreRun)
        .join(GenerationRun)
        .where(GenerationRun.project_id == project_id, GenerationRun.split.in_(splits))
    )
    runs = select(GenerationRunModel.run_id)
    for model in (first, second):
        taking_part = runs.where(GenerationRunModel.model_version_id == model.id)
        query = query.where(GenerationRun.id.in_(taking_part))
    row = session.scalar(query.order_by(ScoreRun.id.desc()).limit(1))
    if row is None:
        models = f"{first.label},{second.label}"
        raise NotFound(
            f"{first.label} and {second.label} were never scored in one held-out run.",
            hint=f"Run: strop run --dataset D --split test --models {models} --metrics ...",
        )
    return row


def newest_pair_queue(
    session: Session,
    project_id: int,
    first: ModelVersion,
    second: ModelVersion,
    *,
    scores: ScoreRun | None = None,
) -> ReviewQueue | None:
    """The newest queue of blind pairs of exactly these two models on the test split, if any.

    Args:
        scores: the votes are to be on the same dataset as these.
    """
    query = (
        select(ReviewQueue)
        .join(GenerationRun, GenerationRun.id == ReviewQueue.generation_run_id)
        .where(
            ReviewQueue.project_id == project_id,
            ReviewQueue.kind == QueueKind.PAIR,
            GenerationRun.split == Split.TEST,
        )
    )
    if scores is not None:
        dataset_id = scores.generation_run.dataset_version.dataset_id
        query = query.join(DatasetVersion, DatasetVersion.id == GenerationRun.dataset_version_id)
        query = query.where(DatasetVersion.dataset_id == dataset_id)
    wanted = {first.id, second.id}
    for queue in session.scalars(query.order_by(ReviewQueue.id.desc())):
        if set(review.models_of_queue(session, queue.id)) == wanted:
            return queue
    return None
