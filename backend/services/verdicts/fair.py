"""Lines of the bar on fairness: the largest gap between groups, what a person's group changes, and
what the training set teaches of whom.

All are judged by their upper bound, and what could not be measured is no evidence: a group too
small to be told leaves the line inconclusive, as does a candidate that no pairs were run on.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.services.curation.sets import get_training_set
from backend.services.fairness.answers import counterfactual_report
from backend.services.fairness.pairs import is_pairs
from backend.services.fairness.parity import ParityPlan, run_parity
from backend.services.fairness.training import set_skew
from backend.services.metric_specs import get_score_run
from backend.services.verdicts.forgetting import training_of
from backend.services.verdicts.verdict import CandidateLine, Evidence
from backend.tables.datasets import DatasetVersion, Split
from backend.tables.runs import GenerationRun, GenerationRunModel

DEFAULT_MEASURE = "answer"


def parity_evidence(session: Session, asked: CandidateLine) -> Evidence:
    """The candidate's largest gap, `parity:METRIC:KEY`, with its simultaneous bounds.

    Raises:
        CannotCompute: the metric was not scored, some outputs say no group, or a group has no
            figure or no interval, so that the largest gap is not known.
    """
    metric, _, key = asked.line.metric.partition(":")[2].rpartition(":")
    plan = ParityPlan((key,), (metric,), level=asked.level)
    [report] = run_parity(session, asked.score_run_id, plan, model_id=asked.candidate.id)
    [found] = report.parities
    if untold := [group for group in found.groups if group.error is not None]:
        raise CannotCompute(
            f"The group {untold[0].group!r} of {key} cannot be told: {untold[0].error}"
        )
    if found.largest is None or found.low is None or found.high is None:
        raise CannotCompute(
            f"The largest gap of {metric} by {key} has no interval, n={found.n}: a group is too "
            "small, or its values are all alike."
        )
    if found.unnamed:
        raise CannotCompute(
            f"{found.unnamed} of {found.n + found.unnamed} outputs say no {key}, and might be of "
            "any group: give them a value in the data, unknown for example."
        )
    return Evidence(
        found.largest,
        found.low,
        found.high,
        n=found.n,
        failed=sum(group.failed for group in found.groups),
        signature=found.signature,
        forecast=f"{' against '.join(found.between or [])}: more examples of the smallest groups "
        "narrow it",
    )


def counterfactual_evidence(session: Session, asked: CandidateLine) -> Evidence:
    """The excess of change of the candidate's newest test run over pairs of the dataset.

    `counterfactual:KIND` is of the answer's words, `counterfactual:KIND:MEASURE` of another measure
    (flip, length, refusal, or a metric that was scored).

    Raises:
        CannotCompute: no such run, none of that kind, some pairs lack an answer, or no interval.
    """
    kind, _, measure = asked.line.metric.partition(":")[2].partition(":")
    measure = measure or DEFAULT_MEASURE
    run = _newest_run(session, asked)
    [report] = counterfactual_report(
        session, run.id, model_id=asked.candidate.id, level=asked.level
    )
    found = next((c for c in report.contrasts if (c.kind, c.measure) == (kind, measure)), None)
    if found is None:
        known = sorted({f"{c.kind}:{c.measure}" for c in report.contrasts})
        raise CannotCompute(
            f"Run {run.id} over pairs measured no {kind}:{measure}; it has {', '.join(known)}."
        )
    if found.failed:
        raise CannotCompute(
            f"{found.failed} of {found.n + found.failed} pairs of run {run.id} lack an answer or a "
            "score."
        )
    if found.low is None or found.high is None:
        raise CannotCompute(f"The excess {found.value:+.3f} has no interval: {found.note}.")
    return Evidence(
        found.value,
        found.low,
        found.high,
        n=found.n,
        failed=found.failed,
        signature=f"{found.signature}|run:{run.id}",
        baseline=found.control.value,
        candidate=found.swapped.value,
        p=found.p,
        unit="pairs",
    )


def skew_evidence(session: Session, asked: CandidateLine) -> Evidence:
    """The largest skew of what the candidate was taught, `skew:KIND`, as an odds ratio.

    Raises:
        CannotCompute: it was not trained here, or its set mentions too few people.
    """
    trained = training_of(session, asked.candidate, ": what it learned is not known")
    kind = asked.line.metric.partition(":")[2]
    frozen = get_training_set(session, trained.training_set_id)
    found = set_skew(session, frozen.id, kind, level=asked.level)
    unseen = f"|unseen:{'+'.join(found.unseen)}" if found.unseen else ""
    return Evidence(
        found.value,
        found.low,
        found.high,
        n=found.n,
        failed=0,
        signature=f"skew|odds ratio|kind:{kind}|largest of {found.looked_for}, Bonferroni|"
        f"{found.group} with {found.outcome}|level:{asked.level:g}|"
        f"set:{frozen.digest[:12]}{unseen}",
        unit="training rows",
        forecast=f"{found.group} with {found.outcome}: more rows that mention the groups narrow it",
    )


def _newest_run(session: Session, asked: CandidateLine) -> GenerationRun:
    """The newest run of the candidate over pairs that were made of the dataset that is judged."""
    judged = get_score_run(session, asked.score_run_id).generation_run.dataset_version
    query = (
        select(GenerationRun)
        .join(GenerationRunModel, GenerationRunModel.run_id == GenerationRun.id)
        .where(
            GenerationRunModel.model_version_id == asked.candidate.id,
            GenerationRun.project_id == asked.candidate.project_id,
            GenerationRun.split == Split.TEST,
        )
        .order_by(GenerationRun.id.desc())
    )
    for run in session.scalars(query):
        version = run.dataset_version
        if not is_pairs(version) or run.example_ids is not None:
            continue
        source = session.get(DatasetVersion, version.split_recipe["of"])
        if source is not None and source.dataset_id == judged.dataset_id:
            return run
    raise CannotCompute(
        f"{asked.candidate.label} was run on no counterfactual pairs of {judged.dataset.name} "
        "(strop fairness pairs, strop run)."
    )
