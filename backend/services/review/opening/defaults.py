"""What a new queue is where nothing is said: the project's own rubric, its experts, their overlap.

Every default fits the project as it is, so that a queue can be opened with all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, UnknownName
from backend.rubrics import Rubric, library_names, library_rubric, parse_rubric, rubric_from_content
from backend.tables.accounts import Membership, Role, User
from backend.tables.review import QueueKind, ReviewQueue, RubricVersion

LIBRARY_DEFAULTS = {QueueKind.SINGLE: "summary_faithfulness", QueueKind.PAIR: "blind_pair"}
PEOPLE_ON_SHARED = 2
SHARED = 0.1


@dataclass(frozen=True, slots=True)
class OpeningDefaults:
    """What is taken where a request names nothing.

    Attributes:
        rubric_version: the project's version of it; None for one of the library.
        reviewers: user names of the project's active experts.
        overlap: people on a shared item, no more than there are experts; `overlap_share` is 0
            where it is 1.
        notes: what a lead is to know of it, as sentences.
    """

    rubric: Rubric
    rubric_version: int | None
    reviewers: tuple[str, ...]
    overlap: int
    overlap_share: float
    notes: tuple[str, ...]


def opening_defaults(session: Session, project_id: int, kind: QueueKind) -> OpeningDefaults:
    """The defaults of a project for a kind of queue."""
    own = _own_default(session, project_id, kind)
    experts = _experts(session, project_id)
    overlap = min(PEOPLE_ON_SHARED, max(1, len(experts)))
    return OpeningDefaults(
        rubric=library_rubric(LIBRARY_DEFAULTS[kind]) if own is None else _read(own),
        rubric_version=None if own is None else own.version,
        reviewers=tuple(expert.name for expert in experts),
        overlap=overlap,
        overlap_share=SHARED if overlap > 1 else 0.0,
        notes=tuple(_notes(len(experts))),
    )


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


def rubric_asked(
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
        return opening_defaults(session, project_id, QueueKind(kind)).rubric
    if (own := _newest(session, project_id, source)) is not None:
        return _read(own)
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
        .order_by(ReviewQueue.id.desc())
        .limit(1)
    )
    if last is not None:
        return _newest(session, project_id, last)
    if kind is QueueKind.PAIR:
        return None
    of_pairs = select(ReviewQueue.rubric_version_id).where(ReviewQueue.kind == QueueKind.PAIR)
    query = select(RubricVersion).where(
        RubricVersion.project_id == project_id,
        RubricVersion.name != LIBRARY_DEFAULTS[QueueKind.PAIR],
        RubricVersion.id.not_in(of_pairs),
    )
    newest_first = session.scalars(query.order_by(RubricVersion.id.desc()))
    return next((one for one in newest_first if _read(one).criteria), None)


def _newest(session: Session, project_id: int, name: str) -> RubricVersion | None:
    query = select(RubricVersion).where(
        RubricVersion.project_id == project_id, RubricVersion.name == name
    )
    return session.scalar(query.order_by(RubricVersion.version.desc()).limit(1))


def _read(version: RubricVersion) -> Rubric:
    return rubric_from_content(version.content)
