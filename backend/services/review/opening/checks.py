"""What has to fit before a queue is opened: run, models, rubric, reviewers, overlap.

What a new queue is where nothing is said: the project's own rubric, its experts, their overlap.

Every default fits the project as it is, so that a queue can be opened with all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound, UnknownName
from backend.rubrics import Rubric, library_names, library_rubric, parse_rubric, rubric_from_content
from backend.schemas.review.queues import OpeningDefaults
from backend.services.review.opening.design import DesignKind, SamplingDesign
from backend.services.review.rubrics import list_versions
from backend.services.review.rules import most_of_one_person
from backend.services.runs.generation import run_progress
from backend.tables.accounts import Membership, Role, User
from backend.tables.review import QueueKind, ReviewQueue, RubricVersion
from backend.tables.runs import GenerationRun, ScoreRun
from backend.tables.synthetic import SyntheticQueue

LIBRARY_DEFAULTS = {QueueKind.SINGLE: "summary_faithfulness", QueueKind.PAIR: "blind_pair"}
PEOPLE_ON_SHARED = 2
SHARED = 0.1


def opening_defaults(session: Session, project_id: int, kind: QueueKind) -> OpeningDefaults:
    """The defaults of a project for a kind of queue."""
    rubric, version = _default_rubric(session, project_id, kind)
    experts = _experts(session, project_id)
    overlap = min(PEOPLE_ON_SHARED, max(1, len(experts)))
    return OpeningDefaults(
        rubric=rubric.name,
        rubric_version=version,
        reviewers=[expert.name for expert in experts],
        overlap=overlap,
        overlap_share=SHARED if overlap > 1 else 0.0,
        notes=_notes(len(experts)),
    )


def _default_rubric(
    session: Session, project_id: int, kind: QueueKind
) -> tuple[Rubric, int | None]:
    own = _own_default(session, project_id, kind)
    if own is None:
        return library_rubric(LIBRARY_DEFAULTS[kind]), None
    return rubric_from_content(own.content), own.version


def _notes(n_experts: int) -> list[str]:
    if n_experts == 0:
        return ["This project has no experts yet: strop user add NAME --role expert"]
    if n_experts == 1:
        return [
            "The project has one expert, so no item is seen by two people, and how far reviewers "
            "agree cannot be said."
        ]
    return []


def default_reviewers(session: Session, project_id: int) -> list[int]:
    """Ids of the project's active experts. Raises InvalidInput when there are none."""
    experts = _experts(session, project_id)
    if not experts:
        raise InvalidInput(
            "This project has no experts.",
            hint="Add one: strop user add NAME --role expert, or name reviewers.",
        )
    return [expert.id for expert in experts]


def _experts(session: Session, project_id: int) -> list[User]:
    query = (
        select(User)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.project_id == project_id, User.active, User.role == Role.EXPERT)
    )
    return list(session.scalars(query.order_by(User.name)))


def requested_rubric(
    session: Session, project_id: int, source: str | None, kind: QueueKind | str
) -> Rubric:
    """The rubric that a request means; never a path.

    Args:
        source: the name of one of the project's, whose newest version it is; else the name of one
            in the library; else YAML. None: the project's own, as `opening_defaults` has it.

    Raises:
        InvalidInput: none of these.
    """
    if source is None:
        return _default_rubric(session, project_id, QueueKind(kind))[0]
    if (own := _newest(session, project_id, source)) is not None:
        return rubric_from_content(own.content)
    if source in library_names():
        return library_rubric(source)
    if "\n" not in source and ":" not in source:  # a name, and no YAML of a rubric
        names = select(RubricVersion.name).where(RubricVersion.project_id == project_id)
        raise UnknownName("rubric", source, {*library_names(), *session.scalars(names)})
    return parse_rubric(source)


def _own_default(session: Session, project_id: int, kind: QueueKind) -> RubricVersion | None:
    """The newest version of what the last queue of the kind asked, else of any that fits it."""
    last = session.scalar(
        select(RubricVersion.name)
        .join(ReviewQueue, ReviewQueue.rubric_version_id == RubricVersion.id)
        .where(ReviewQueue.project_id == project_id, ReviewQueue.kind == kind)
        .where(ReviewQueue.id.not_in(select(SyntheticQueue.queue_id)))
        .order_by(ReviewQueue.id.desc())
        .limit(1)
    )
    if last is not None:
        return _newest(session, project_id, last)
    if kind is QueueKind.PAIR:
        return None
    of_pairs = select(ReviewQueue.rubric_version_id).where(
        (ReviewQueue.kind == QueueKind.PAIR) | ReviewQueue.id.in_(select(SyntheticQueue.queue_id))
    )
    query = select(RubricVersion).where(
        RubricVersion.project_id == project_id,
        RubricVersion.name != LIBRARY_DEFAULTS[QueueKind.PAIR],
        RubricVersion.id.not_in(of_pairs),
    )
    newest_first = session.scalars(query.order_by(RubricVersion.id.desc()))
    return next((one for one in newest_first if rubric_from_content(one.content).criteria), None)


def _newest(session: Session, project_id: int, name: str) -> RubricVersion | None:
    return next(reversed(list_versions(session, project_id, name)), None)


def check_kind(kind: str, model_ids: Sequence[int]) -> QueueKind:
    """The kind; a pair needs two models, a single queue one."""
    if kind not in set(QueueKind):
        raise InvalidInput(f"{kind!r} is no kind of queue.", hint="Use single or pair.")
    if len(set(model_ids)) != len(model_ids):
        raise InvalidInput("A model is named twice.")
    least = 2 if kind == QueueKind.PAIR else 1
    if len(model_ids) < least:
        raise InvalidInput(f"A {kind} queue needs at least {least} of the run's models.")
    return QueueKind(kind)


def check_name(session: Session, project_id: int, name: str) -> None:
    """Conflict when the project has a queue of this name."""
    if not name.strip():
        raise InvalidInput("A queue needs a name.")
    query = select(ReviewQueue.id).where(ReviewQueue.project_id == project_id)
    if session.scalar(query.where(ReviewQueue.name == name)) is not None:
        raise Conflict(f"There is a review queue {name!r} already.", hint="Choose another name.")


def check_run(
    session: Session, project_id: int, run_id: int, model_ids: Sequence[int]
) -> GenerationRun:
    """The run, whole, with all of these models."""
    run = session.get(GenerationRun, run_id)
    if run is None or run.project_id != project_id:
        raise NotFound(f"There is no run {run_id} in this project.")
    in_run = {model.id: model.label for model in run.models}
    if set(model_ids) - set(in_run):
        raise InvalidInput(
            f"Run {run_id} does not have all of these models.",
            hint=f"It has {', '.join(in_run.values())}.",
        )
    progress = run_progress(session, run_id)
    if progress.missing > 0:
        raise Conflict(
            f"Run {run_id} is not finished: {progress.done} of {progress.total} outputs are there.",
            hint="A sample of what came first would be biased. Let the run finish.",
        )
    return run


def check_rubric(
    session: Session, project_id: int, rubric_version_id: int, kind: QueueKind
) -> RubricVersion:
    """The rubric, which has to ask something of single outputs."""
    rubric = session.get(RubricVersion, rubric_version_id)
    if rubric is None or rubric.project_id != project_id:
        raise NotFound("There is no such rubric in this project.")
    if kind is QueueKind.SINGLE and not rubric_from_content(rubric.content).criteria:
        raise InvalidInput(f"The rubric {rubric.name} asks nothing about a single output.")
    return rubric


def check_score_run(session: Session, score_run_id: int | None, run: GenerationRun) -> None:
    """NotFound when these scores are not of the run."""
    if score_run_id is None:
        return
    score_run = session.get(ScoreRun, score_run_id)
    if score_run is None or score_run.generation_run_id != run.id:
        raise NotFound(f"Run {run.id} has no scores {score_run_id}.")


def check_reviewers(session: Session, project_id: int, user_ids: Sequence[int]) -> None:
    """InvalidInput when one of them is not active in the project."""
    if not user_ids:
        raise InvalidInput("A queue needs at least one reviewer.")
    members = select(Membership.user_id).where(Membership.project_id == project_id)
    query = select(User.id).where(User.id.in_(user_ids), User.active)
    allowed = set(session.scalars(query.where(User.id.in_(members) | (User.role == Role.ADMIN))))
    strangers = sorted(set(user_ids) - allowed)
    if strangers:
        names = session.scalars(select(User.name).where(User.id.in_(strangers))).all()
        raise InvalidInput(
            f"Not active in this project: {', '.join(names) or strangers}.",
            hint="Add them to the project first.",
        )


def check_overlap(share: float, overlap: int, n_reviewers: int, lease_seconds: int) -> None:
    """InvalidInput when overlap and its share contradict each other."""
    if not 0 <= share <= 1:
        raise InvalidInput(f"An overlap share of {share} is not between 0 and 1.")
    if overlap < 1 or (overlap > 1) != (share > 0):
        raise InvalidInput(
            f"Overlap {overlap} with a share of {share} says two things.",
            hint="Give both: how many people, and on which share of the items.",
        )
    if overlap > n_reviewers:
        raise InvalidInput(
            f"{overlap} distinct people are asked for and {n_reviewers} are named.",
            hint="Name more reviewers, or ask for fewer people on a shared item.",
        )
    if lease_seconds < 5:
        raise InvalidInput("A lease lasts at least 5 seconds.")


def check_share(max_share: float | None, *, n_people: int, n_slots: int) -> None:
    """InvalidInput when the most that each person may give leaves reviews that nobody may give."""
    if max_share is None:
        return
    most = most_of_one_person(max_share, n_slots)
    if n_people * most < n_slots:
        raise InvalidInput(
            f"{n_people} reviewers may give {most} reviews each, and {n_slots} are asked for: the "
            "queue could not come to an end.",
            hint="Name more reviewers, or raise max_share.",
        )


def check_design(design: SamplingDesign, n_items: int | None) -> None:
    """InvalidInput when parts of a design are missing, of another kind, or say two things."""
    if n_items is not None and design.minutes is not None:
        raise InvalidInput("The budget is a number of items or of minutes, not both.")
    if (design.by is None) == (design.kind is DesignKind.STRATIFIED):
        raise InvalidInput(
            "A stratified design needs the key of a slice, and only that design has one.",
            hint="For example: --design stratified --by task",
        )
    is_active = design.kind is DesignKind.ACTIVE
    if not is_active and (design.targets or design.anchor is not None):
        raise InvalidInput(
            f"A {design.kind} design has no anchor and no targeted strata.",
            hint="Use --design active.",
        )
    if is_active and n_items is None and design.minutes is None:
        raise InvalidInput(
            "An active design needs a budget, which its strata share.",
            hint="Give a number of items, or minutes.",
        )
