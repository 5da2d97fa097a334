"""What spans stages, for those who look on: jobs, preflights, reviews of a queue."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session, defer
from sqlalchemy.orm.attributes import set_committed_value

from backend.services.models.versions import alias_target, list_models
from backend.services.pages import PageAsk, RowPage, page_of
from backend.services.queue import about_project
from backend.tables.accounts import User
from backend.tables.models import Preflight
from backend.tables.queue import Job
from backend.tables.review import Review, ReviewItem, ReviewState
from backend.tables.runs import Score, ScoreSignature
from backend.tables.verdicts import Promotion

EXPORTED_AT_ONCE = 1_000


def count_jobs(session: Session) -> dict[str, int]:
    """Number of jobs by state; a state without jobs is not there."""
    query = select(Job.state, func.count().label("n")).group_by(Job.state)
    return {row.state: row.n for row in session.execute(query)}


def jobs_of_project(session: Session, project_id: int, *, limit: int = 50) -> list[Job]:
    """The newest jobs on the project's runs."""
    mine = about_project(project_id)
    return list(session.scalars(select(Job).where(mine).order_by(Job.id.desc()).limit(limit)))


def preflights_of_run(session: Session, run_id: int) -> list[Preflight]:
    """The checks made before a run, oldest first: of each base, and again when it is taken up."""
    query = select(Preflight).where(Preflight.generation_run_id == run_id)
    return list(session.scalars(query.order_by(Preflight.id)))


def finished_reviews(
    session: Session, queue_id: int, ask: PageAsk, *, item_id: int | None = None
) -> RowPage[Review]:
    """Submitted and skipped reviews of a queue, or of one of its items, newest first."""
    items = select(ReviewItem.id).where(ReviewItem.queue_id == queue_id)
    if item_id is not None:
        items = items.where(ReviewItem.id == item_id)
    conditions = [Review.item_id.in_(items), Review.state != ReviewState.DRAFT]
    return page_of(session, Review, ask, where=conditions)


def scores_of_generation(session: Session, generation_id: int) -> list[Score]:
    """Every score of one output, of all score runs."""
    query = select(Score).where(Score.generation_id == generation_id)
    return list(session.scalars(query.order_by(Score.score_run_id, Score.metric)))


def each_score(session: Session, score_run_id: int) -> Iterator[Score]:
    """The scores of a run one by one, by output and metric, never all of them in memory.

    A page is found by the key of the last row, so that no page costs more than the first.
    """
    key = (Score.generation_id, Score.metric)
    query = select(Score).where(Score.score_run_id == score_run_id).order_by(*key)
    query = query.options(defer(Score.signature))  # read once each, and not for every score
    signatures: dict[int, str] = {}
    last: tuple[int, str] | None = None
    while True:
        after = query if last is None else query.where(tuple_(*key) > tuple_(*last))
        rows = session.scalars(after.limit(EXPORTED_AT_ONCE)).all()
        _read_signatures(session, {row.signature_id for row in rows}, signatures)
        for row in rows:
            set_committed_value(row, "signature", signatures[row.signature_id])
            yield row
        if len(rows) < EXPORTED_AT_ONCE:
            return
        last = rows[-1].generation_id, rows[-1].metric
        for row in rows:
            session.expunge(row)


def _read_signatures(session: Session, ids: set[int], known: dict[int, str]) -> None:
    """Put the texts of signatures that are not known yet beside the others."""
    if lacking := ids - known.keys():
        query = select(ScoreSignature.id, ScoreSignature.text).where(ScoreSignature.id.in_(lacking))
        known.update((row.id, row.text) for row in session.execute(query))


def aliases_of_models(session: Session, project_id: int) -> dict[int, list[str]]:
    """The aliases that point at each model now, by model id."""
    named = select(Promotion.alias).where(Promotion.project_id == project_id).distinct()
    found: dict[int, list[str]] = {}
    for alias in session.scalars(named.order_by(Promotion.alias)):
        if (model := alias_target(session, project_id, alias)) is not None:
            found.setdefault(model.id, []).append(alias)
    return found


def labels_of_models(session: Session, project_id: int) -> dict[int, str]:
    """How people write the models of a project, by id."""
    return {model.id: model.label for model in list_models(session, project_id)}


def pseudonym_of(session: Session, user_id: int | None) -> str | None:
    """What others see of a person; None for nobody."""
    return None if user_id is None else session.get_one(User, user_id).pseudonym
