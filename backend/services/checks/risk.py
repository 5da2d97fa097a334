"""The risk of a project: fitted on its own reviews, kept in frozen versions, applied to a run.

Features are the values of all checks that need no reference, as the score runs have them, plain and
less their mean over the other answers to the same example (`evaluators.checks.grounding.relative`).
Reviews of the test split are left out unless they are asked for: a risk that has learned from them
is then not scored on a test split, since a model that is judged by it would be judged by what was
said of its own outputs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute, InvalidInput, NotFound
from backend.rubrics.wrong import MARKED, WrongWhen, check_wrong, default_wrong, parse_wrong
from backend.schemas.common import row_number
from backend.services.checks.wrong import ReviewedOutput, untaught, wrong_outputs
from backend.services.metric_specs import get_score_run, metric_specs
from backend.services.projects import lock_project
from backend.services.review.queues import rubric_of
from backend.services.review.reports.votes import cluster_name
from backend.services.runs.risks import RISK, find_risk
from backend.tables.checks.risk import RiskVersion
from backend.tables.datasets import Example
from backend.tables.review import QueueKind, ReviewQueue
from backend.tables.runs import Generation, GenerationRun, Score, ScoreRun

if TYPE_CHECKING:
    from evaluators.checks.grounding.relative import AnswerKey
    from evaluators.checks.risk.risk import Fitted
    from evaluators.errors import EvaluatorError
    from evaluators.types import Score as Scored

SPLITS = ("train", "validation")
NOT_OF_THE_OUTPUT = frozenset({"latency", "cost"})
RESAMPLES = 300
REPORTED = (
    *("figures", "reliability", "kind", "features", "left_out"),
    *("n_groups", "n_effective"),
)
Row = dict[str, float | None]


class RiskOutput(NamedTuple):
    """An output of a run with what a risk looks at."""

    id: int
    group: str
    split: str
    answered: AnswerKey
    error: str | None


@dataclass(frozen=True, slots=True)
class RiskMaterial:
    """What a risk is fitted on, read from the database.

    Attributes:
        outputs, rows: of all runs, in one order, the features plain.
        labels: what reviews say, by output.
        wrong_when: which answers say that an output is wrong.
        left_out: checks that not all runs have, reviewed outputs that do not count; how many.
    """

    outputs: Sequence[RiskOutput]
    rows: Sequence[Row]
    labels: Mapping[int, ReviewedOutput]
    wrong_when: str
    score_run_ids: Sequence[int]
    splits: Sequence[str]
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FittedRisk:
    """A fitted risk with its report, not kept yet."""

    material: RiskMaterial
    content: Mapping[str, Any]
    report: Mapping[str, Any]
    n: int
    positives: int
    n_simulated: int


def read_material(
    session: Session,
    project_id: int,
    *,
    score_run_ids: Sequence[int] = (),
    wrong_when: str | None = None,
    splits: Collection[str] = SPLITS,
) -> RiskMaterial:
    """Features and labels of a project.

    Args:
        score_run_ids: where the features come from; by default the newest score run of every
            generation run of the project.
        wrong_when: which answers say that an output is wrong (`backend.rubrics.wrong`); by default
            marked errors, corrections, and verdicts that are no pass.

    Raises:
        NotFound: a score run that the project does not have.
        InvalidInput: the statement cannot be read, or no rubric asks what it looks at.
        CannotCompute: the project has no scores, or the score runs have no check in common.
    """
    runs = _score_runs(session, project_id, score_run_ids)
    names, left_out = _features_of(runs)
    outputs: list[RiskOutput] = []
    rows: list[Row] = []
    for run in _by_generation_run(runs):
        found = read_outputs(session, run[0].generation_run)
        values = _values(session, [one.id for one in run], names)
        known = [one for one in found if one.error is None]
        outputs += known
        rows += [{name: values.get((one.id, name)) for name in names} for one in known]
    when = _wrong_when(session, {run.generation_run_id for run in runs}, wrong_when)
    judged, taught = untaught(session, project_id, names, wrong_outputs(session, project_id, when))
    labels, others = _labels(judged, outputs, splits)
    return RiskMaterial(
        outputs,
        rows,
        labels,
        when.text,
        [run.id for run in runs],
        sorted(splits),
        {**left_out, **taught, **others},
    )


def _wrong_when(session: Session, run_ids: Collection[int], text: str | None) -> WrongWhen:
    """The statement, which one of the runs' rubrics at least answers, or the usual one of all."""
    query = select(ReviewQueue).where(
        ReviewQueue.generation_run_id.in_(run_ids), ReviewQueue.kind == QueueKind.SINGLE
    )
    rubrics = [rubric_of(queue) for queue in session.scalars(query.order_by(ReviewQueue.id))]
    if text is None:
        usual = [piece for r in rubrics for piece in default_wrong(r).text.split(",")]
        return parse_wrong(",".join(dict.fromkeys([MARKED, *usual])))
    when = parse_wrong(text)
    problems: list[InvalidInput] = []
    for rubric in rubrics:
        try:
            check_wrong(when, rubric)
        except InvalidInput as error:
            problems.append(error)
    if problems and len(problems) == len(rubrics):
        raise problems[0]
    return when


def _labels(
    judged: Mapping[int, ReviewedOutput], outputs: Sequence[RiskOutput], splits: Collection[str]
) -> tuple[dict[int, ReviewedOutput], dict[str, int]]:
    """What counts of the reviewed outputs, and how many of other splits do not."""
    split_of = {one.id: one.split for one in outputs}
    here = {i: one for i, one in judged.items() if i in split_of}
    left_out = Counter(
        f"reviewed outputs of the {split_of[i]} split" for i in here if split_of[i] not in splits
    )
    kept = {i: one for i, one in here.items() if split_of[i] in splits}
    return kept, dict(left_out)


def _score_runs(session: Session, project_id: int, ids: Sequence[int]) -> list[ScoreRun]:
    if ids:
        found = [get_score_run(session, id_) for id_ in dict.fromkeys(ids)]
        for run in found:
            if run.generation_run.project_id != project_id:
                raise NotFound(f"The project has no score run {run.id}.")
        return found
    newest = (
        select(func.max(ScoreRun.id))
        .join(GenerationRun, GenerationRun.id == ScoreRun.generation_run_id)
        .where(GenerationRun.project_id == project_id)
        .group_by(ScoreRun.generation_run_id)
    )
    runs = list(
        session.scalars(select(ScoreRun).where(ScoreRun.id.in_(newest)).order_by(ScoreRun.id))
    )
    scored = [run for run in runs if _checks_of_run(run)]
    if not scored:
        raise CannotCompute(
            "No run of this project was scored with a check.",
            hint="Score one: strop run --resume RUN --metrics checks",
        )
    return scored


def _by_generation_run(runs: Sequence[ScoreRun]) -> list[list[ScoreRun]]:
    found: dict[int, list[ScoreRun]] = {}
    for run in runs:
        found.setdefault(run.generation_run_id, []).append(run)
    return list(found.values())


def _checks_of_run(run: ScoreRun) -> set[str]:
    """Metrics of all examples of a score run that a risk may look at."""
    from evaluators.registry import is_fitted, reads_reference

    return {
        spec.metric
        for spec in metric_specs(run)
        if not (spec.slice or is_fitted(spec.metric) or reads_reference(spec.metric))
        and spec.metric not in NOT_OF_THE_OUTPUT
    }


def _features_of(runs: Sequence[ScoreRun]) -> tuple[list[str], dict[str, int]]:
    """Checks that every generation run was scored with, and in how many the others lack.

    Raises CannotCompute where there is none.
    """
    of_runs = [set().union(*map(_checks_of_run, some)) for some in _by_generation_run(runs)]
    common = set.intersection(*of_runs)
    if not common:
        raise CannotCompute(
            "The score runs have no check in common.",
            hint="Name score runs of the same checks, or score all: --metrics checks",
        )
    rest = sorted(set().union(*of_runs) - common)
    lacks = {name: sum(name not in found for found in of_runs) for name in rest}
    return sorted(common), {f"runs without {name}": n for name, n in lacks.items()}


def read_outputs(session: Session, run: GenerationRun) -> list[RiskOutput]:
    """All outputs of a run, those that could not be written with the reason."""
    from evaluators.checks.grounding.relative import AnswerKey, digest_text

    query = (
        select(
            Generation.id,
            Generation.text,
            Generation.error,
            Example.id,
            Example.group,
            Example.split,
        )
        .join(Example, Example.id == Generation.example_id)
        .where(Generation.run_id == run.id)
        .order_by(Generation.id)
    )
    return [
        RiskOutput(
            id_,
            cluster_name(group, example_id),
            split,
            AnswerKey(f"{run.id}:{example_id}", digest_text(text or "")),
            error,
        )
        for id_, text, error, example_id, group, split in session.execute(query)
    ]


def _values(
    session: Session, score_run_ids: Sequence[int], names: Collection[str]
) -> dict[tuple[int, str], float]:
    """By output and metric; where several score runs have one, the newest."""
    query = (
        select(Score.generation_id, Score.metric, Score.value)
        .where(Score.score_run_id.in_(list(score_run_ids)), Score.metric.in_(list(names)))
        .where(Score.value.is_not(None))
        .order_by(Score.score_run_id)
    )
    return {
        (generation_id, metric): float(value)
        for generation_id, metric, value in session.execute(query)
        if value is not None
    }


def fit_material(material: RiskMaterial, *, seed: int = 0) -> FittedRisk:
    """Fit a risk; touches no database.

    Raises:
        CannotCompute: too few labels; the hint says how many more.
    """
    from evaluators.checks.grounding.relative import relative_rows
    from evaluators.checks.risk.risk import RiskFrame, fit_risk
    from evaluators.errors import EvaluatorError

    rows = relative_rows(material.rows, [one.answered for one in material.outputs])
    groups = [one.group for one in material.outputs]
    place = {one.id: i for i, one in enumerate(material.outputs)}
    at = sorted(place[id_] for id_ in material.labels)
    labels = [material.labels[material.outputs[i].id] for i in at]
    try:
        fitted = fit_risk(
            [rows[i] for i in at],
            [label.wrong for label in labels],
            [groups[i] for i in at],
            seed=seed,
            weights=[1 / label.chance for label in labels],
            frame=RiskFrame(rows, groups),
        )
    except EvaluatorError as error:
        raise _too_thin(error, material) from error
    overlap = [rows[i].get("source_rouge") for i in at]
    report = _report(fitted, labels, [groups[i] for i in at], overlap, seed)
    return FittedRisk(
        material,
        fitted.model.as_dict(),
        report | {"left_out": dict(material.left_out)},
        fitted.model.n,
        fitted.model.positives,
        sum(label.simulated for label in labels),
    )


def _too_thin(error: EvaluatorError, material: RiskMaterial) -> CannotCompute:
    """The error with what was left out, since that is where labels may be."""
    told = ", ".join(f"{n} {what}" for what, n in material.left_out.items())
    more = f" Left out: {told}." if told else ""
    if any("of the test split" in what for what in material.left_out):
        more += " With --splits they count, and the risk is then not scored on that split."
    return CannotCompute(error.message, hint=f"{error.hint or ''}{more}".strip() or None)


def _report(
    fitted: Fitted,
    labels: Sequence[ReviewedOutput],
    groups: Sequence[str],
    overlap: Sequence[float | None],
    seed: int,
) -> dict[str, Any]:
    """Out-of-fold figures beside the naive baselines, and the reliability."""
    from evaluators.checks.risk.report import naive_risks, reliability_curve, risk_figures

    bad = [label.wrong for label in labels]
    weights = [1 / label.chance for label in labels]
    told: dict[str, Any] = {"seed": seed, "resamples": RESAMPLES, "weights": weights}
    said = naive_risks(bad, groups, overlap, seed=seed, weights=weights)
    figures = [
        asdict(figure)
        for name, risk in {"risk": fitted.held_out, **said}.items()
        for figure in risk_figures(name, risk, bad, groups, **told)
    ]
    curve = reliability_curve(fitted.held_out, bad, groups, weights)
    total = sum(weights)
    return {
        "figures": figures,
        "reliability": [asdict(one) for one in curve],
        "kind": fitted.model.kind,
        "features": list(fitted.model.features),
        "n_groups": len(set(groups)),
        "n_effective": total**2 / sum(weight**2 for weight in weights),
    }


def save_risk(
    session: Session, project_id: int, fitted: FittedRisk, *, created_by_id: int | None = None
) -> RiskVersion:
    """Keep a fitted risk as the next version of the project."""
    lock_project(session, project_id)
    material = fitted.material
    row = RiskVersion(
        project_id=project_id,
        version=1 + (newest_version(session, project_id) or 0),
        content=dict(fitted.content),
        wrong_when=material.wrong_when,
        splits=list(material.splits),
        score_run_ids=list(material.score_run_ids),
        report=dict(fitted.report),
        n=fitted.n,
        positives=fitted.positives,
        n_simulated=fitted.n_simulated,
        created_by_id=created_by_id,
    )
    session.add(row)
    session.flush()
    return row


def newest_version(session: Session, project_id: int) -> int | None:
    """The newest version of the project's risk, None where it has none."""
    query = select(func.max(RiskVersion.version)).where(RiskVersion.project_id == project_id)
    return session.scalar(query)


def list_risks(session: Session, project_id: int) -> list[RiskVersion]:
    """All versions, the newest first."""
    query = select(RiskVersion).where(RiskVersion.project_id == project_id)
    return list(session.scalars(query.order_by(RiskVersion.version.desc())))


def parse_risk_metric(metric: str) -> int:
    """The version that `risk:3` names.

    Raises:
        InvalidInput: it names none.
    """
    kind, _, version = metric.partition(":")
    number = row_number(version)
    if kind != RISK or number is None:
        raise InvalidInput(f"{metric[:80]!r} names no risk.", hint="Write risk:1.")
    return number


def score_run_risks(
    session: Session, score_run_id: int, metric: str
) -> tuple[dict[int, Scored], str]:
    """The risk of every output of a score run by its other scores, and the signature.

    Where a check that the risk is made of was not scored, every output has an error that says what
    to score.

    Raises:
        NotFound: the project has no such risk.
    """
    from evaluators.checks.risk.risk import RiskModel
    from evaluators.checks.risk.scores import checks_of, risk_metric, score_risk
    from evaluators.types import Score as Scored

    run = get_score_run(session, score_run_id)
    project_id = run.generation_run.project_id
    model = RiskModel.from_dict(find_risk(session, project_id, parse_risk_metric(metric)).content)
    outputs = read_outputs(session, run.generation_run)
    written = [one for one in outputs if one.error is None]
    names = checks_of(model.features)
    lacking = [n for n in names if n not in {s.metric for s in metric_specs(run) if not s.slice}]
    if lacking:
        reason = f"{metric} is made of {', '.join(names)}: score {', '.join(lacking)} too"
        found = [Scored(None, error=reason)] * len(written)
    else:
        scores = _scores(session, run.id, names)
        found = score_risk(
            model,
            [{name: scores[one.id, name] for name in names} for one in written],
            [one.group for one in written],
            [one.answered for one in written],
        )
    by_output = {one.id: score for one, score in zip(written, found, strict=True)}
    for one in outputs:
        if one.error is not None:
            by_output[one.id] = Scored(None, error=f"nothing was generated: {one.error}")
    return by_output, risk_metric(metric, model).signature()


def _scores(
    session: Session, score_run_id: int, names: Collection[str]
) -> Mapping[tuple[int, str], Scored]:
    """The scores of a run as evaluators have them, by output and metric; an error for none."""
    from evaluators.types import Score as Scored
    from evaluators.types import Span

    query = select(Score).where(Score.score_run_id == score_run_id, Score.metric.in_(list(names)))
    found: dict[tuple[int, str], Scored] = defaultdict(lambda: Scored(None, error="not scored"))
    for row in session.scalars(query):
        found[row.generation_id, row.metric] = Scored(
            row.value,
            row.error,
            row.not_applicable,
            explanation=row.explanation,
            spans=tuple(Span(**span) for span in row.spans),
        )
    return found
