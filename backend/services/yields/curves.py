"""The yield of rounds: of one with what broke elsewhere, and of all as a curve.

What broke elsewhere: held-out examples that the model to beat had right and the candidate not.

Reads a run that was made for the comparison; no run is made for this, and nothing is written.

Whether more ratings or more training is what is lacking: a stated rule on two intervals.

Trained on but not fixed means that the adapter has not learnt what it was shown. Fixed where it was
trained and not where it was held back means that it has learnt those prompts and not the lesson.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from backend.errors import CannotCompute, StropError
from backend.schemas.review.reports import Measured
from backend.schemas.yields import RoundPointOut, YieldOut
from backend.services.curation import FixedRule
from backend.services.review.reports.measured import of_figure, share_of, unknown
from backend.services.runs.figures import model_figure
from backend.services.yields.outcomes import AnswerToJudge, frozen_rule, judge_answers
from backend.services.yields.reports import NO_RUN, yield_report
from backend.services.yields.reviewed import candidate_set
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelVersion
from backend.tables.rounds import Round
from backend.tables.runs import Generation, GenerationRun
from backend.tables.verdicts import Comparison


def candidate_of_round(session: Session, row: Round) -> ModelVersion:
    """The candidate of a round; CannotCompute as long as there is none."""
    if row.candidate_id is None:
        raise CannotCompute(
            f"Round {row.number} has no candidate yet, and so no yield.", hint="strop round status"
        )
    return session.get_one(ModelVersion, row.candidate_id)


def round_of_candidate(session: Session, candidate: ModelVersion) -> Round | None:
    """The newest round of which a model was the candidate."""
    query = select(Round).where(Round.candidate_id == candidate.id)
    return session.scalar(query.order_by(Round.number.desc()).limit(1))


def candidate_yield(
    session: Session,
    candidate: ModelVersion,
    turn: Round | None = None,
    *,
    rule: FixedRule | None = None,
    examples: int = 0,
) -> YieldOut:
    """The yield of a candidate, with what broke on the held-out examples of its round.

    Args:
        examples: show so many prompts, the wrong ones first.

    Raises:
        NotFound: what the candidate was trained on is not known.
        CannotCompute: its corrections were never replayed.
        InvalidInput: the rule names a metric that there is not.
    """
    frozen = candidate_set(session, candidate)
    report = yield_report(session, frozen, candidate, rule=rule, examples=examples)
    if turn is None or turn.generation_run_id is None:
        return report
    chosen = frozen_rule(frozen) if rule is None else rule
    baseline_id = _baseline_id(session, turn, candidate)
    if baseline_id is None:
        return report
    found = broken_elsewhere(session, turn.generation_run_id, baseline_id, candidate.id, chosen)
    return report.model_copy(update={"broken_elsewhere": found})


def _baseline_id(session: Session, turn: Round, candidate: ModelVersion) -> int | None:
    """The model to beat: that of the comparison, before there is one the first of the run."""
    if turn.comparison_id is not None:
        return session.get_one(Comparison, turn.comparison_id).baseline_id
    run = session.get_one(GenerationRun, turn.generation_run_id)
    return next((model.id for model in run.models if model.id != candidate.id), None)


def yield_curve(session: Session, project_id: int) -> list[RoundPointOut]:
    """The rounds of a project that have a candidate, oldest first."""
    query = (
        select(Round)
        .where(Round.project_id == project_id, Round.candidate_id.is_not(None))
        .order_by(Round.number)
    )
    return [_point(session, row) for row in session.scalars(query)]


def _point(session: Session, row: Round) -> RoundPointOut:
    candidate = session.get_one(ModelVersion, row.candidate_id)
    frozen = session.get_one(TrainingSet, row.training_set_id)
    title, overall = _overall(session, row)
    of_round: dict[str, Any] = {"number": row.number, "overall": overall, "overall_title": title}
    try:
        report = yield_report(session, frozen, candidate)
    except StropError as error:
        none = dict.fromkeys(("trained", "held_back", "per_hour"), unknown(error.message))
        return RoundPointOut(
            **of_round,
            **none,
            candidate=candidate.label,
            diagnosis=None,
            simulated=frozen.simulated,
            error=error.message,
        )
    return RoundPointOut.of(report, **of_round, error=None)


def _overall(session: Session, row: Round) -> tuple[str, Measured]:
    """The candidate's own figure, not its difference from the model to beat."""
    comparison = session.get(Comparison, row.comparison_id) if row.comparison_id else None
    if comparison is None:
        return "", unknown("the round has come to no verdict yet")
    reason = "no line of the bar has a figure of one model"
    for line in comparison.lines:
        metric, slice_ = line["metric"], line.get("slice") or None
        run_id, candidate_id = comparison.score_run_id, comparison.candidate_id
        try:
            figure = model_figure(session, run_id, candidate_id, metric, slice=slice_)
        except StropError as error:
            reason = error.message
            continue
        return str(metric), of_figure(figure)
    return "", unknown(reason)


def broken_elsewhere(
    session: Session, run_id: int | None, baseline_id: int, candidate_id: int, rule: FixedRule
) -> Measured:
    """Share newly broken of the examples of a run that the baseline answers rightly.

    An answer is right by the rule of the set, against the example's references.

    Raises:
        InvalidInput: the rule names a metric that there is not.
    """
    if run_id is None:
        return unknown(NO_RUN)
    before, _ = _judged(session, run_id, baseline_id, rule)
    after, signature = _judged(session, run_id, candidate_id, rule)
    both = [key for key, (_, right) in before.items() if right and key in after]
    if not both:
        return unknown("the model to beat has no held-out example right by this rule")
    judged = [key for key in both if after[key][1] is not None]
    return share_of(
        f"yield_broken_elsewhere|{signature}|run:{run_id}",
        [after[key][1] is False for key in judged],
        clusters=[before[key][0] for key in judged],
    )


def _judged(
    session: Session, run_id: int, model_id: int, rule: FixedRule
) -> tuple[dict[tuple[int, int], tuple[str | None, bool | None]], str]:
    """Group and whether it is right, of each written answer with a reference."""
    query = (
        select(Generation)
        .where(
            Generation.run_id == run_id,
            Generation.model_version_id == model_id,
            Generation.text.is_not(None),
        )
        .options(selectinload(Generation.example))
        .order_by(Generation.id)
    )
    answers = [answer for answer in session.scalars(query) if answer.example.references]
    judgement = judge_answers(
        rule,
        [
            AnswerToJudge(a.example, a.text or "", tuple(str(r) for r in a.example.references))
            for a in answers
        ],
    )
    pairs = zip(answers, judgement.judged, strict=True)
    found = {(a.example_id, a.sample): (a.example.group, one.right) for a, one in pairs}
    return found, judgement.signature
