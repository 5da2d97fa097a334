"""The queue of a drafting, in which experts approve, correct or refuse; how each draft stands."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from backend.errors import Conflict, InvalidInput
from backend.rubrics import library_rubric, rubric_from_content
from backend.services import audit
from backend.services.curation import parse_rule
from backend.services.curation.candidates import latest_reviews, meets
from backend.services.curation.drafts import drafts_of
from backend.services.datasets.queries import in_project
from backend.services.review import Opening, plan_queue, save_rubric, stands, store_queue
from backend.services.review.opening.checks import default_reviewers, requested_rubric
from backend.services.review.rules import DEFAULT, QueueRules
from backend.services.runs.scoring import list_score_runs
from backend.services.synthetic.draftings import drafts_of_drafting
from backend.services.synthetic.sifting import DropReason
from backend.settings import LEASE_SECONDS
from backend.tables.datasets import Example, Origin
from backend.tables.review import Purpose, QueueKind, Review, ReviewItem, ReviewQueue, RubricVersion
from backend.tables.runs import Score
from backend.tables.synthetic import Draft, Drafting, SyntheticQueue

RUBRIC = "synthetic_row"
APPROVES = "usable=yes"


class DraftState(StrEnum):
    """How a draft stands."""

    DROPPED = "dropped"
    WAITING = "waiting"
    APPROVED = "approved"
    CORRECTED = "corrected"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class DraftProgress:
    """A draft with what experts said of it.

    Attributes:
        by: pseudonyms of those who decided.
        simulated: a script's review decided.
        risk: what the project's risk says of its answer; None where it says nothing.
    """

    draft: Draft
    state: DraftState
    by: tuple[str, ...] = ()
    simulated: bool = False
    risk: float | None = None


@dataclass(frozen=True, slots=True)
class QueueAsk:
    """How a queue of drafts is to be opened.

    Attributes:
        reviewer_ids: by default the project's experts.
        rubric: a name or YAML with the criterion that `approves` names.
        risk_max: drafts above this risk are dropped before anybody sees them.
    """

    name: str
    reviewer_ids: Sequence[int] = ()
    n_items: int | None = None
    overlap_share: float = 0.0
    overlap: int = 1
    rubric: str | None = None
    approves: str = APPROVES
    risk_max: float | None = None
    seed: int = 7
    lease_seconds: int = LEASE_SECONDS
    rules: QueueRules = DEFAULT


def _ended_run(drafting: Drafting) -> int:
    if drafting.finished_at is None or drafting.run_id is None:
        ended = "kept no draft" if drafting.finished_at else "has not ended yet"
        raise Conflict(f"The drafting {drafting.name!r} {ended}.", hint="strop synthetic show")
    return drafting.run_id


def _check_answer(version: RubricVersion, name: str, answer: str) -> None:
    criterion = rubric_from_content(version.content).criterion(name)
    known = {str(choice.value) for choice in criterion.choices()}
    if known and answer not in known:
        raise InvalidInput(
            f"{answer!r} is no answer to {name!r}.", hint=f"Answers: {', '.join(sorted(known))}."
        )


def open_queue(session: Session, drafting: Drafting, ask: QueueAsk) -> ReviewQueue:
    """Open a queue over the kept drafts of a drafting that nobody has reviewed yet.

    Raises:
        Conflict: the drafting has not ended, kept nothing, or has no draft left to review; or the
            queue's name is taken.
        InvalidInput: the rubric has no such criterion or answer, or no risk was computed.
    """
    run_id = _ended_run(drafting)
    if ask.risk_max is not None:
        _drop_risky(session, drafting, ask.risk_max)
    open_ = _not_in_a_queue(session, drafting)
    if not open_:
        said = f"Every draft of {drafting.name!r} is in a queue already."
        raise Conflict(said, hint="Draft more.")
    rule = parse_rule(ask.approves)
    if rule.equals is None:
        raise InvalidInput(f"{ask.approves!r} names no answer.", hint="Write usable=yes.")
    if ask.rubric in (None, RUBRIC) and ask.approves != APPROVES:
        raise InvalidInput(
            f"The rubric {RUBRIC} asks whether a draft may be learned from, and {ask.approves} "
            "does not say so.",
            hint=f"Leave approves at {APPROVES}, or name a rubric of your own.",
        )
    rubric = library_rubric(RUBRIC)
    if ask.rubric is not None:
        rubric = requested_rubric(session, drafting.project_id, ask.rubric, QueueKind.SINGLE)
    version = save_rubric(session, drafting.project_id, rubric)
    _check_answer(version, rule.criterion, rule.equals)
    scored = list_score_runs(session, run_id)
    opening = Opening(
        project_id=drafting.project_id,
        kind=QueueKind.SINGLE,
        generation_run_id=run_id,
        rubric_version_id=version.id,
        model_ids=[drafting.model_version_id],
        reviewer_ids=list(ask.reviewer_ids) or default_reviewers(session, drafting.project_id),
        seed=ask.seed,
        n_items=ask.n_items,
        overlap_share=ask.overlap_share,
        overlap=ask.overlap,
        score_run_id=scored[-1].id if scored else None,
        lease_seconds=ask.lease_seconds,
        only=frozenset(open_),
    )
    queue = store_queue(session, ask.name, plan_queue(session, opening), ask.rules)
    marks = {"criterion": rule.criterion, "approves": rule.equals}
    session.add(SyntheticQueue(queue_id=queue.id, drafting_id=drafting.id, **marks))
    audit.record(
        session,
        "synthetic_queue.opened",
        subject=f"queue:{queue.id}",
        project_id=drafting.project_id,
        detail={"drafting": drafting.id, "drafts": len(open_)},
    )
    session.flush()
    return queue


def _not_in_a_queue(session: Session, drafting: Drafting) -> list[int]:
    """The answers of kept drafts that no queue of the drafting shows."""
    shown = (
        select(ReviewItem.generation_a_id)
        .join(SyntheticQueue, SyntheticQueue.queue_id == ReviewItem.queue_id)
        .where(SyntheticQueue.drafting_id == drafting.id)
    )
    kept = Draft.drafting_id == drafting.id, Draft.reason.is_(None)
    query = (
        select(Draft.answer_id)
        .join(Example, Example.id == Draft.example_id)
        .where(*kept, Draft.answer_id.not_in(shown), Example.erasure_id.is_(None))
    )
    return [id_ for id_ in session.scalars(query) if id_ is not None]


def _drop_risky(session: Session, drafting: Drafting, most: float) -> None:
    if not 0 < most <= 1:
        raise InvalidInput("A risk is above 0 and at most 1.")
    risks = risks_of(session, drafting)
    if not risks:
        raise InvalidInput(
            f"No risk was computed for the drafts of {drafting.name!r}.",
            hint=f"Fit one (strop risk fit) and score them: strop run --resume {drafting.run_id} "
            "--metrics checks,risk",
        )
    for draft in drafts_of_drafting(session, drafting.id):
        risk = risks.get(draft.answer_id or 0)
        if draft.reason is None and risk is not None and risk > most:
            draft.reason = str(DropReason.RISKY)
            draft.detail = {**draft.detail, "risk": round(risk, 4), "most": most}
    session.flush()


def risks_of(session: Session, drafting: Drafting) -> dict[int, float]:
    """What the newest scores by a risk say of the answers, by generation."""
    for scored in reversed(list_score_runs(session, drafting.run_id or 0)):
        query = select(Score.generation_id, Score.value).where(
            Score.score_run_id == scored.id,
            Score.metric.like("risk:%"),
            Score.value.is_not(None),
        )
        if rows := session.execute(query).all():
            return {id_: value for id_, value in rows if value is not None}
    return {}


def drafts_progress(session: Session, drafting: Drafting) -> list[DraftProgress]:
    """Every draft of a drafting, in the order in which it was written."""
    rules = drafts_of(session, drafting.project_id).rules
    by_answer: dict[int, list[Review]] = defaultdict(list)
    for review in latest_reviews(_reviews(session, drafting)):
        by_answer[review.item.generation_a_id].append(review)
    risks = risks_of(session, drafting)
    found = []
    for draft in drafts_of_drafting(session, drafting.id):
        risk = risks.get(draft.answer_id or 0)
        if draft.reason is not None:
            found.append(DraftProgress(draft, DraftState.DROPPED, risk=risk))
            continue
        reviews = by_answer.get(draft.answer_id or 0, [])
        yes = [r for r in reviews if meets(rules[r.item.queue_id], r)]
        found.append(_standing(draft, reviews, yes, risk))
    return found


def _standing(
    draft: Draft, reviews: Sequence[Review], yes: Sequence[Review], risk: float | None
) -> DraftProgress:
    if not reviews:
        return DraftProgress(draft, DraftState.WAITING, risk=risk)
    if 2 * len(yes) <= len(reviews):
        state, deciding = DraftState.REFUSED, [r for r in reviews if r not in yes]
    elif any(review.corrections for review in yes):
        state, deciding = DraftState.CORRECTED, [r for r in yes if r.corrections]
    else:
        state, deciding = DraftState.APPROVED, list(yes)
    by = tuple(sorted({review.reviewer.pseudonym for review in deciding}))
    return DraftProgress(draft, state, by, any(r.simulated for r in deciding), risk)


def _reviews(session: Session, drafting: Drafting) -> Sequence[Review]:
    item = selectinload(Review.item)
    query = (
        select(Review)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(SyntheticQueue, SyntheticQueue.queue_id == ReviewItem.queue_id)
        .where(SyntheticQueue.drafting_id == drafting.id, *stands())
        .where(Review.purpose != Purpose.GOLD)
        .options(
            selectinload(Review.ratings),
            selectinload(Review.corrections),
            selectinload(Review.reviewer),
            item.selectinload(ReviewItem.queue),
        )
        .order_by(Review.id)
    )
    return session.scalars(query).all()


def queues_of(session: Session, drafting_id: int) -> list[ReviewQueue]:
    """The queues of a drafting, oldest first."""
    query = (
        select(ReviewQueue)
        .join(SyntheticQueue, SyntheticQueue.queue_id == ReviewQueue.id)
        .where(SyntheticQueue.drafting_id == drafting_id)
        .order_by(ReviewQueue.id)
    )
    return list(session.scalars(query))


def count_states(found: Sequence[DraftProgress]) -> dict[str, int]:
    """How many drafts are in each state; every state is named."""
    counts = Counter(one.state for one in found)
    return {str(state): counts[state] for state in DraftState}


def rows_drawn_from(session: Session, project_id: int, example_ids: Sequence[int]) -> list[Example]:
    """The briefs and drafted rows of a project for which one of these examples was the source, or
    was shown as an example.

    What an erasure has to find: they repeat it. A row that came in from elsewhere names ids of
    elsewhere, and is none.
    """
    drafted = Example.origin.in_((Origin.BRIEF, Origin.SYNTHETIC))
    query = in_project(select(Example), project_id).where(drafted, Example.erasure_id.is_(None))
    wanted = set(example_ids)
    found = []
    for row in session.scalars(query.order_by(Example.id)):
        told = row.provenance or {}
        seen = {told.get("source_example_id"), *told.get("shown_example_ids", ())}
        if wanted & seen and not told.get("imported"):
            found.append(row)
    return found
