"""Certifying, from a project's own reviews, what of a run may skip review.

The certificate (evaluators.checks.risk.triage) needs outputs whose labels are known and that are
like those that it is used on: both are drawn from one source of outputs, and the check scores them
in the same way. What can be seen of that is tested: the version of the check, and whether scores
have drifted (evaluators.checks.risk.drift). What cannot be seen is said with the certificate.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db import portions
from backend.errors import CannotCompute, InvalidInput, raised_as
from backend.rubrics import Rubric
from backend.rubrics.wrong import WrongWhen, check_wrong, default_wrong, parse_wrong
from backend.services.checks.wrong import ReviewedOutput, wrong_outputs
from backend.services.metric_specs import metric_specs
from backend.services.review.desk.risk import before_the_answer
from backend.services.review.opening.routing import Routing
from backend.services.review.rules import rules_from
from backend.services.runs.learned import reviewed_by, taught_outputs
from backend.tables.datasets import Example
from backend.tables.review import QueueKind, ReviewQueue
from backend.tables.runs import Generation, GenerationRun, Score, ScoreRun

if TYPE_CHECKING:
    from evaluators.checks.risk.drift import Grouped
    from evaluators.checks.risk.triage import Triage

RISK = "risk:"
SEED = 0
ASSUMES = (
    "It assumes that new outputs are like those that were labelled: the same kind of examples and "
    "of models, scored in the same way, and outputs of different groups independent."
)


@dataclass(frozen=True, slots=True)
class SkipRequest:
    """What may skip review, as it is asked for.

    Attributes:
        epsilon, delta: at most this share of what skips may be wrong, with confidence 1 - delta.
        audit: share of what skips that is reviewed all the same.
        metric: whose scores are the risks; by default the newest risk model that scored the run.
        wrong_when: which answers count as wrong, as `backend.rubrics.wrong` reads it; by default
            marked errors, corrections and verdicts that are no pass.
    """

    epsilon: float
    delta: float
    audit: float = 0.1
    metric: str | None = None
    wrong_when: str | None = None


class Scored(NamedTuple):
    """The score of an output, by which metric and version, and the output's group."""

    score: float
    signature: str
    group: str


def parse_skip_below(text: str) -> tuple[float, float]:
    """`EPSILON,DELTA` as two shares. Raises InvalidInput."""
    parts = text.split(",")
    try:
        epsilon, delta = (float(part) for part in parts)
    except ValueError:
        raise InvalidInput(
            f"{text[:40]!r} are no two shares.", hint="Write them as --skip-below .05,.1"
        ) from None
    return epsilon, delta


def certify(
    session: Session,
    project_id: int,
    asked: SkipRequest,
    *,
    run_id: int,
    model_ids: Sequence[int],
    rubric: Rubric,
    score_run_id: int | None = None,
) -> Routing:
    """The routing by which outputs of a run may skip review.

    Args:
        rubric: of the queue that is to be opened; the audit judges by it.
        score_run_id: whose scores are the risks; by default the newest of the run that has them.

    Raises:
        InvalidInput: shares that are none, or a metric that did not score the run.
        CannotCompute: no labels, too few or too many wrong ones (the hint says how many more are
            needed), scores of another version, or outputs that have drifted from those labelled.
    """
    _check_shares(asked)
    when = default_wrong(rubric) if asked.wrong_when is None else parse_wrong(asked.wrong_when)
    check_wrong(when, rubric)
    score_run, metric = _risk_of(session, run_id, score_run_id, asked.metric)
    lower_is_better = is_lower_better(metric)
    new = _scores_of_run(session, score_run, metric, model_ids)
    if not new:
        raise CannotCompute(f"Score run {score_run.id} has no {metric} of any output yet.")
    if not (version := version_of(new)):
        raise CannotCompute(
            f"{metric} scored this run in several versions.", hint="Score the run anew."
        )
    labels = _labels(session, project_id, when, metric, version)
    _refuse_drift(metric, labels.scored, new)
    found = _triage(labels, asked, lower_is_better=lower_is_better)
    threshold = _threshold(found, labels, asked, lower_is_better=lower_is_better)
    return Routing(
        metric=metric,
        score_run_id=score_run.id,
        threshold=threshold,
        lower_is_better=lower_is_better,
        epsilon=asked.epsilon,
        delta=asked.delta,
        audit=asked.audit,
        wrong_when=when.text,
        evidence=_evidence(found, labels),
    )


def _check_shares(asked: SkipRequest) -> None:
    for name, share in (("epsilon", asked.epsilon), ("delta", asked.delta)):
        if not (math.isfinite(share) and 0 < share < 1):
            raise InvalidInput(
                f"{share:g} is no {name}: it lies between 0 and 1, without them.",
                hint="For example .05,.1: at most 5% wrong, with a confidence of 90%.",
            )
    if not (math.isfinite(asked.audit) and 0 < asked.audit <= 1):
        raise InvalidInput(
            f"An audit of {asked.audit:g} is none: it is a share above 0, at most 1.",
            hint="Without an audit nobody would see the guarantee fail.",
        )


def is_lower_better(metric: str) -> bool:
    """Whether a low score is a good one. Raises InvalidInput for a metric of no known direction."""
    from evaluators.errors import EvaluatorError
    from evaluators.registry import resolve_metrics

    if metric.startswith(RISK):
        return True
    with raised_as(InvalidInput, EvaluatorError):
        return not resolve_metrics([metric])[0].higher_is_better


def _risk_of(
    session: Session, run_id: int, score_run_id: int | None, metric: str | None
) -> tuple[ScoreRun, str]:
    """The newest score run of a run that has the metric, and its name."""
    query = select(ScoreRun).where(ScoreRun.generation_run_id == run_id)
    if score_run_id is not None and metric is None:
        query = query.where(ScoreRun.id == score_run_id)
    runs = session.scalars(query.order_by(ScoreRun.id.desc())).all()
    known: list[str] = []
    for score_run in runs:
        names = [spec.metric for spec in metric_specs(score_run) if not spec.slice]
        if metric is not None and metric in names:
            return score_run, metric
        risks = [name for name in names if name.startswith(RISK)]
        if metric is None and risks:
            return score_run, max(risks, key=_number)
        known += [name for name in names if name not in known]
    wanted = "a risk model" if metric is None else repr(metric)
    raise InvalidInput(
        f"Run {run_id} was not scored by {wanted}.",
        hint=f"It was by {', '.join(known)}: name one with --risk-metric."
        if known
        else f"Score it first: strop run --resume {run_id} --metrics grounding",
    )


def _number(name: str) -> int:
    digits = name.removeprefix(RISK)
    return int(digits) if digits.isdigit() else -1


def _scores_of_run(
    session: Session, score_run: ScoreRun, metric: str, model_ids: Sequence[int]
) -> dict[int, Scored]:
    query = (
        select(Score.generation_id, Score.value, Score.signature, Example.group, Example.id)
        .join(Generation, Generation.id == Score.generation_id)
        .join(Example, Example.id == Generation.example_id)
        .where(
            Score.score_run_id == score_run.id,
            Score.metric == metric,
            Score.value.is_not(None),
            Generation.model_version_id.in_(model_ids),
        )
    )
    return {
        generation_id: Scored(value, signature, group or f"example {example_id}")
        for generation_id, value, signature, group, example_id in session.execute(query)
        if value is not None and math.isfinite(value)
    }


def version_of(scores: Mapping[int, Scored]) -> str:
    """Name and version of the metric by which these were scored; more than one is none."""
    versions = {_version(scored.signature) for scored in scores.values()}
    return versions.pop() if len(versions) == 1 else ""


def _version(signature: str) -> str:
    return "|".join(signature.split("|")[:2])


@dataclass(frozen=True, slots=True)
class Labels:
    """Outputs whose labels the certificate may rest on.

    Attributes:
        scored, judged: their scores and what reviews say of them, by output.
        kept: outputs that count with equal chances (`_even_out`).
        n_unscored: labelled outputs without such a score.
        n_other: labelled outputs that another version of the metric scored.
        n_learned: labelled outputs that a risk model or a checker may have learned from.
    """

    scored: Mapping[int, Scored]
    judged: Mapping[int, ReviewedOutput]
    kept: Sequence[int]
    n_unscored: int
    n_other: int
    n_learned: int


def _labels(
    session: Session, project_id: int, when: WrongWhen, metric: str, version: str
) -> Labels:
    swayed = _told_before(session, project_id)
    judged = wrong_outputs(session, project_id, when, but_queues=swayed)
    if not judged:
        raise CannotCompute(
            f"No output was reviewed yet in a way that says whether it is wrong ({when.text})"
            + (
                "; reviewers who saw the risk before they answered do not count." if swayed else "."
            ),
            hint="Open a random queue first: strop review open --design random",
        )
    scores = _newest_scores(session, metric, sorted(judged), judged)
    scored = {i: one for i, one in scores.items() if _version(one.signature) == version}
    n_other = len(scores) - len(scored)
    if not scored:
        why = "another version of it" if n_other else "no score run"
        raise CannotCompute(
            f"{len(judged)} outputs are labelled, and {why} scored them by {metric}.",
            hint="Score their runs anew: "
            + "; ".join(
                f"strop run --resume {run_id} --metrics {metric}"
                for run_id in sorted({one.run_id for one in judged.values()})[:3]
            ),
        )
    unseen = _not_learned_from(session, project_id, metric, {i: judged[i] for i in scored})
    return Labels(
        scored={i: scored[i] for i in unseen},
        judged=unseen,
        kept=_even_out(unseen),
        n_unscored=len(judged) - len(scores),
        n_other=n_other,
        n_learned=len(scored) - len(unseen),
    )


def _told_before(session: Session, project_id: int) -> list[int]:
    """Queues whose reviewers saw the risk before they answered: it may have swayed the labels."""
    queues = session.scalars(select(ReviewQueue).where(ReviewQueue.project_id == project_id))
    return [
        one.id
        for one in queues
        if before_the_answer(rules_from(one.rules), one.design, pair=one.kind == QueueKind.PAIR)
    ]


def _not_learned_from(
    session: Session, project_id: int, metric: str, judged: Mapping[int, ReviewedOutput]
) -> dict[int, ReviewedOutput]:
    """Labels that the metric cannot have learned from.

    Of a risk model those of outputs that nobody had reviewed before it first scored a run: it was
    fitted before, so that this holds whatever it was fitted on. A later review of an output of
    which it has learned does not make it new. Of a checker those of examples that did not teach it.

    Raises:
        CannotCompute: there are none.
    """
    ids = sorted(judged)
    learned = taught_outputs(session, project_id, metric, ids)
    source = f"examples that taught {metric}"
    if metric.startswith(RISK):
        first = _first_scored(session, project_id, metric)
        learned |= reviewed_by(session, ids, first)
        source = f"outputs reviewed before {metric} first scored a run ({first:%Y-%m-%d})"
    later = {i: one for i, one in judged.items() if i not in learned}
    if not later:
        raise CannotCompute(
            f"All {len(judged)} labels are of {source}, so that it may have learned from them: "
            "they say nothing of how good it is.",
            hint="Review a random part of a run that it has scored: strop review open "
            "--design random",
        )
    return later


def _first_scored(session: Session, project_id: int, metric: str) -> datetime:
    query = (
        select(ScoreRun)
        .join(GenerationRun, GenerationRun.id == ScoreRun.generation_run_id)
        .where(GenerationRun.project_id == project_id)
    )
    runs = session.scalars(query.order_by(ScoreRun.created_at)).all()
    return next(
        run.created_at for run in runs if any(s.metric == metric for s in metric_specs(run))
    )


def _newest_scores(
    session: Session,
    metric: str,
    generation_ids: Sequence[int],
    judged: Mapping[int, ReviewedOutput],
) -> dict[int, Scored]:
    """Of each labelled output its score by the newest score run that has one."""
    found: dict[int, Scored] = {}
    for some in portions(generation_ids):
        query = select(Score.generation_id, Score.value, Score.signature).where(
            Score.metric == metric, Score.generation_id.in_(some), Score.value.is_not(None)
        )
        for generation_id, value, signature in session.execute(query.order_by(Score.score_run_id)):
            if value is not None and math.isfinite(value):
                found[generation_id] = Scored(value, signature, judged[generation_id].group)
    return found


def _even_out(judged: Mapping[int, ReviewedOutput]) -> list[int]:
    """A random part of the labels in which, within each queue, all have had the same chance.

    The exact test knows no weights. An output is kept with the smallest chance of its queue over
    its own; designs give small chances to what is at little risk, so that those labels, which the
    certificate is about, stay.
    """
    least: dict[int, float] = defaultdict(lambda: 1.0)
    for one in judged.values():
        least[one.queue_id] = min(least[one.queue_id], one.chance)
    rng = random.Random(SEED)
    return [i for i, one in judged.items() if rng.random() < least[one.queue_id] / one.chance]


def _refuse_drift(metric: str, labelled: Mapping[int, Scored], new: Mapping[int, Scored]) -> None:
    from evaluators.checks.risk.drift import find_shifts

    shifts = find_shifts([metric], _grouped(labelled), _grouped(new))
    if shifts:
        raise CannotCompute(
            "The outputs of this run are unlike those that were labelled: "
            + "; ".join(shifts)
            + ". What was certified there says nothing of them.",
            hint="Review a random part of this run first: strop review open --design random",
        )


def _grouped(scores: Mapping[int, Scored]) -> Grouped:
    import numpy as np

    from evaluators.checks.risk.drift import Grouped
    from evaluators.statistics.clusters import number_clusters

    values = np.array([[one.score] for one in scores.values()], dtype=np.float64)
    return Grouped(values, number_clusters([one.group for one in scores.values()]))


def _triage(labels: Labels, asked: SkipRequest, *, lower_is_better: bool) -> Triage:
    from evaluators.checks.risk.triage import triage

    sign = 1.0 if lower_is_better else -1.0
    return triage(
        [sign * labels.scored[i].score for i in labels.kept],
        [labels.judged[i].wrong for i in labels.kept],
        [labels.judged[i].group for i in labels.kept],
        epsilon=asked.epsilon,
        delta=asked.delta,
        seed=SEED,
    )


def _threshold(
    found: Triage, labels: Labels, asked: SkipRequest, *, lower_is_better: bool
) -> float:
    """The certified threshold on the metric's own scale. Raises CannotCompute where there is none.

    The certificate is about an output of a new group; one output a group is what is counted on.
    """
    from evaluators.checks.risk.triage import count_words, labels_missing

    sign = 1.0 if lower_is_better else -1.0
    if found.threshold is not None:
        return sign * found.threshold
    first = list({labels.judged[i].group: i for i in labels.kept}.values())
    missing = labels_missing(
        [sign * labels.scored[i].score for i in first],
        [labels.judged[i].wrong for i in first],
        epsilon=asked.epsilon,
        delta=asked.delta,
    )
    n_wrong = sum(labels.judged[i].wrong for i in labels.kept)
    unit = "labels" if found.n == found.labels else "labelled groups"
    raise CannotCompute(
        f"Nothing may skip review: {count_words(found.labels, found.n)} ({n_wrong} wrong) do not "
        f"show a share of which at most {asked.epsilon:.1%} are wrong (confidence "
        f"{1 - asked.delta:.0%}).",
        hint="The outputs of least risk are wrong as often as that: a better risk is needed, "
        "or a larger epsilon."
        if missing is None
        else f"About {missing} more {unit} would, if they are like those that there are.",
    )


def _evidence(found: Triage, labels: Labels) -> dict[str, Any]:
    judged = [labels.judged[i] for i in labels.kept]
    runs: dict[int, int] = defaultdict(int)
    for one in judged:
        runs[one.run_id] += 1
    return {
        "labels": found.labels,
        "n": found.n,
        "n_below": found.n_skipped,
        "errors_below": found.errors,
        "upper": found.upper,
        "share": found.share,
        "n_simulated": sum(one.simulated for one in judged),
        "n_unscored": labels.n_unscored,
        "n_other_version": labels.n_other,
        "n_learned": labels.n_learned,
        "n_left_out": len(labels.scored) - len(labels.kept),
        "runs": [[run_id, n] for run_id, n in sorted(runs.items())],
        "first": min(one.at for one in judged).isoformat(),
        "last": max(one.at for one in judged).isoformat(),
        "assumes": ASSUMES,
        "signature": found.signature,
    }
