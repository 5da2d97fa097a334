"""Answers that were given in another tool, taken into a queue as reviews.

An answer is matched to its item by the id that our export wrote, or by model and example, to its
text by the digest, and to a person by name, pseudonym or an explicit map. It is checked as if it
were given at the desk, and fills a slot that the queue asks for and that the person could take
there; what the queue does not ask for is stored as a review of purpose `import` in a slot of its
own. What was taken before is known by the other tool's id and not taken again. Whatever cannot be
taken is named with the reason.

Rows become answers in `given_answers` and `rated_elsewhere`; a new tool is one function there and
one line in `SOURCES`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, insert, or_, select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound, UnknownName
from backend.schemas.exchange import ImportOut, RefusedOut
from backend.services import audit
from backend.services.datasets.erased import erased_outputs
from backend.services.exchange import argilla, label_studio
from backend.services.exchange.given_answers import (
    ImportedAnswer,
    Place,
    argilla_answers,
    label_studio_answers,
)
from backend.services.exchange.rated_elsewhere import MQM, RATINGS, mqm_answers, rating_answers
from backend.services.exchange.text_offsets import Offsets
from backend.services.review.answer import Answer, CheckedReview, SlotSubject, check_answer
from backend.services.review.blind import BLOCK, said_by, unmask_text
from backend.services.review.counted import counts
from backend.services.review.desk.context import count_answer, read_slot
from backend.services.review.desk.submit import follow_up
from backend.services.review.queues import add_reviewers
from backend.services.review.reports.contents import (
    QueueFacts,
    QueueItem,
    ReviewFilter,
    item_page,
    queue_facts,
)
from backend.tables.accounts import Membership, User
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.review import (
    Correction,
    Preference,
    Purpose,
    Rating,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewSlot,
    ReviewState,
    SlotState,
    Span,
)
from backend.tables.runs import Generation
from backend.tables.synthetic import SyntheticQueue

SOURCES: dict[str, Callable[[Sequence[Any], Offsets], Iterator[ImportedAnswer]]] = {
    "label-studio": label_studio_answers,
    "argilla": argilla_answers,
    MQM: mqm_answers,
    RATINGS: rating_answers,
}


MAX_SECONDS = 12 * 3600.0
IMPORT_ID = "import_id"


def import_reviews(
    session: Session,
    queue_id: int,
    rows: Sequence[Any],
    *,
    source: str,
    people: Mapping[str, str] | None = None,
    offsets: Offsets = Offsets.CODE_POINTS,
    now: datetime,
) -> ImportOut:
    """Take the answers of an export of another tool; safe to repeat.

    Args:
        rows: tasks of Label Studio, records of Argilla, marks of MQM, or ratings.
        source: one of `SOURCES`.
        people: names in the other tool to our user names or pseudonyms.
        offsets: what the marks count that do not quote their text.

    Raises:
        UnknownName: there is no such source.
        NotFound: no such queue, or the map names somebody who is not there.
        InvalidInput: the queue is one of drafts.
    """
    if source not in SOURCES:
        raise UnknownName("source of answers", source, SOURCES)
    session.execute(select(ReviewQueue.id).where(ReviewQueue.id == queue_id).with_for_update())
    facts = queue_facts(session, queue_id)
    if session.get(SyntheticQueue, queue_id) is not None:
        raise InvalidInput(
            "This queue shows what a model drafted; experts answer it at the desk alone.",
            hint="Whoever may import could else let drafts into training in an expert's name.",
        )
    desk = _Desk.of(session, facts, people or {}, source)
    taken = repeated = 0
    refused: list[RefusedOut] = []
    for given in SOURCES[source](rows, offsets):
        try:
            new = _take(session, desk, given, now)
        except InvalidInput as error:
            refused.append(RefusedOut(row=given.row, id=given.id, reason=error.message))
            continue
        taken += new
        repeated += not new
    audit.record(
        session,
        "answers.imported",
        subject=f"queue:{queue_id}",
        project_id=facts.project_id,
        detail={"source": source, "taken": taken, "repeated": repeated, "refused": len(refused)},
    )
    reasons = Counter(one.reason for one in refused)
    return ImportOut(
        taken=taken, repeated=repeated, reasons=dict(reasons.most_common()), refused=refused
    )


@dataclass(slots=True)
class _Desk:
    """What an import looks up: people by every name, what was taken before, who answered what."""

    facts: QueueFacts
    source: str
    people: dict[str, User]
    before: dict[str | None, str | None]
    answered: dict[tuple[int, int], str | None]

    @staticmethod
    def of(session: Session, facts: QueueFacts, people: Mapping[str, str], source: str) -> _Desk:
        """Read what an import of this queue needs to know. Raises NotFound."""
        in_queue = (Review.item_id == ReviewItem.id, ReviewItem.queue_id == facts.id)
        before = Review.source == source, Review.state == ReviewState.SUBMITTED
        query = select(Review.draft, Review.answer_digest)
        imported = session.execute(query.where(*in_queue, *before))
        answers = select(Review.item_id, Review.reviewer_id, Review.answer_digest)
        answered = session.execute(answers.where(*in_queue, *counts()))
        return _Desk(
            facts=facts,
            source=source,
            people=people_by_name(session, facts.project_id, people),
            before={draft.get(IMPORT_ID): digest for draft, digest in imported},
            answered={(item, user): digest for item, user, digest in answered},
        )

    def person(self, names: Sequence[str]) -> User:
        """The member of the project whom one of the names means. Raises InvalidInput."""
        for name in names:
            if name in self.people:
                return self.people[name]
        raise InvalidInput(f"nobody of this project is known as {' or '.join(names) or 'no name'}")


def people_by_name(session: Session, project_id: int, given: Mapping[str, str]) -> dict[str, User]:
    """The members of a project by every name that a file may have for them.

    Raises:
        NotFound: the map names somebody who is no member.
    """
    members = session.scalars(
        select(User).join(Membership).where(Membership.project_id == project_id)
    ).all()
    known: dict[str, User] = {}
    for user in members:
        written = (argilla.user_id_of(user.pseudonym), label_studio.email_of(user.pseudonym))
        known.update(dict.fromkeys((user.name, user.pseudonym, *written), user))
    for theirs, ours in given.items():
        if ours not in known:
            raise NotFound(
                f"The map says {theirs}={ours}, and the project has no member {ours!r}.",
                hint="Name a member of the project, by user name or pseudonym.",
            )
    return known | {theirs: known[ours] for theirs, ours in given.items()}


def _take(session: Session, desk: _Desk, given: ImportedAnswer, now: datetime) -> bool:
    """Store one answer; False when it is there already. Raises InvalidInput."""
    if given.refusal is not None:
        raise InvalidInput(given.refusal)
    item = _item(session, desk.facts, given)
    if erased_outputs(session, [session.get_one(ReviewItem, item.id).generation_a_id]):
        raise InvalidInput("what it answers was erased")
    person = desk.person(given.who)
    shown = item if given.whole else item.masked(desk.facts.masks)
    answer = _unmasked(session, item, person, given.read(desk.facts, shown.outputs[0]), shown.masks)
    kind, rubric = desk.facts.kind, desk.facts.rubric
    subject = SlotSubject(item.id, 0, item.outputs[0], item.a_is_left, kind, rubric)
    checked = check_answer(subject, answer)
    if given.id in desk.before:
        if desk.before[given.id] != checked.digest:
            raise InvalidInput("it was taken before and has changed since; what was taken stands")
        return False
    if (item.id, person.id) in desk.answered:
        known = desk.answered[item.id, person.id]
        if known != checked.digest and not _is_own(session, item, person, given, subject, checked):
            raise InvalidInput("this person has answered this item already, and otherwise")
        return False
    _store(session, desk, item, person, given, answer, checked, now)
    desk.before[given.id] = checked.digest
    desk.answered[item.id, person.id] = checked.digest
    return True


def _unmasked(
    session: Session, item: QueueItem, person: User, answer: Answer, masks: Sequence[str]
) -> Answer:
    """The answer with what the export masked put back into its correction."""
    if not masks or answer.correction is None or BLOCK not in answer.correction:
        return answer
    own = Review.item_id == item.id, Review.reviewer_id == person.id
    told = session.scalars(select(Correction.text).join(Review).where(*own))
    sources = [*told, item.outputs[0]]
    return replace(answer, correction=unmask_text(answer.correction, sources, masks))


def _is_own(
    session: Session,
    item: QueueItem,
    person: User,
    given: ImportedAnswer,
    subject: SlotSubject,
    checked: CheckedReview,
) -> bool:
    """Whether it is what stands of this person, but for notes that the other tool cannot keep."""
    if given.keeps_notes:
        return False
    own = Review.item_id == item.id, Review.reviewer_id == person.id
    found = session.scalars(select(Review).where(*own, *counts())).one()
    said = said_by(found, found.item)
    bare = replace(said, spans=tuple(replace(mark, note=None) for mark in said.spans))
    return check_answer(subject, bare).digest == checked.digest


def _item(session: Session, facts: QueueFacts, given: ImportedAnswer) -> QueueItem:
    item_id = given.item_id if given.place is None else _item_at(session, facts.id, given.place)
    if item_id is None:
        raise InvalidInput("it does not say which item it answers (strop_item)")
    position = session.scalar(
        select(ReviewItem.position).where(ReviewItem.id == item_id, ReviewItem.queue_id == facts.id)
    )
    if position is None:
        raise InvalidInput(f"this queue has no item {item_id}")
    wanted = ReviewFilter(reviews=False, all_purposes=True)
    (item,) = item_page(session, facts, wanted, after_position=position - 1, limit=1)
    if item.purpose != Purpose.REVIEW:
        raise InvalidInput("it answers an item that is not for review")
    if given.place is None and given.digest != item.digest:
        raise InvalidInput("it answers another text than this item shows (strop_digest)")
    bare = hashlib.sha256(item.outputs[0].strip().encode()).hexdigest()
    if given.place is not None and given.digest not in (None, bare):
        raise InvalidInput("it judges another text than the output of that example")
    return item


def _item_at(session: Session, queue_id: int, place: Place) -> int:
    """The item of a single output, by its model, example and sample. Raises InvalidInput."""
    model, example, sample = place
    query = (
        select(ReviewItem.id, ModelVersion)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .join(ModelVersion, ModelVersion.id == Generation.model_version_id)
        .join(Example, Example.id == Generation.example_id)
        .where(ReviewItem.queue_id == queue_id, ReviewItem.purpose == Purpose.REVIEW)
        .where(ReviewItem.generation_b_id.is_(None), Generation.sample == sample)
        .where(Example.external_id == example)
    )
    found = [
        item for item, of in session.execute(query) if model is None or model in (of.name, of.label)
    ]
    if len(found) != 1:
        of = "" if model is None else f" of {model}"
        several = "several outputs" if found else "no output"
        raise InvalidInput(f"this queue has {several}{of} on {example!r}")
    return int(found[0])


def _store(
    session: Session,
    desk: _Desk,
    item: QueueItem,
    person: User,
    given: ImportedAnswer,
    answer: Answer,
    checked: CheckedReview,
    now: datetime,
) -> None:
    slot = _asked_slot(session, desk.facts.id, item.id, person, now)
    slot = slot or _own_slot(session, desk.facts.id, item, person)
    review = Review(
        item_id=item.id,
        slot_id=slot.id,
        slot_version=slot.version,
        reviewer_id=person.id,
        state=ReviewState.SUBMITTED,
        draft={IMPORT_ID: given.id},
        answer_digest=checked.digest,
        comment=checked.comment,
        simulated=person.simulated,
        active_seconds=min(max(answer.active_seconds, 0.0), MAX_SECONDS),
        started_at=given.at or now,
        submitted_at=given.at or now,
        purpose=slot.purpose,
        source=desk.source,
    )
    session.add(review)
    session.flush()
    _store_answer(session, review.id, item.id, checked, now)
    _follow_up(session, slot, review, now)


def _asked_slot(
    session: Session, queue_id: int, item_id: int, person: User, now: datetime
) -> ReviewSlot | None:
    """A required review of the item that the person could give at the desk, done by them now.

    It is the one that they hold there, else one that is open or whose lease has lapsed.
    """
    skills = session.scalar(
        select(Membership.skills)
        .join(ReviewQueue, ReviewQueue.project_id == Membership.project_id)
        .where(ReviewQueue.id == queue_id, Membership.user_id == person.id)
    )
    mine = and_(ReviewSlot.state == SlotState.LEASED, ReviewSlot.owner_id == person.id)
    lapsed = and_(ReviewSlot.state == SlotState.LEASED, ReviewSlot.lease_until <= now)
    free = and_(
        or_(ReviewSlot.state == SlotState.OPEN, lapsed),
        or_(ReviewSlot.assigned_to_id.is_(None), ReviewSlot.assigned_to_id == person.id),
        or_(
            ReviewSlot.required_skill.is_(None),
            ReviewSlot.required_skill.in_([str(skill) for skill in skills or ()]),
        ),
    )
    query = select(ReviewSlot).where(
        ReviewSlot.item_id == item_id, ReviewSlot.purpose == Purpose.REVIEW, or_(mine, free)
    )
    slot = session.scalars(
        query.order_by(mine.desc(), ReviewSlot.number).limit(1).with_for_update()
    ).first()
    if slot is None:
        return None
    slot.state, slot.owner_id, slot.lease_until = SlotState.DONE, person.id, None
    slot.version += 1
    session.flush()
    return slot


def _own_slot(session: Session, queue_id: int, item: QueueItem, person: User) -> ReviewSlot:
    last = session.scalar(select(func.max(ReviewSlot.number)).where(ReviewSlot.item_id == item.id))
    slot = ReviewSlot(
        queue_id=queue_id,
        item_id=item.id,
        number=0 if last is None else last + 1,
        position=item.position,
        state=SlotState.DONE,
        owner_id=person.id,
        version=1,
        purpose=Purpose.IMPORT,
    )
    session.add(slot)
    session.flush()
    return slot


def _follow_up(session: Session, slot: ReviewSlot, review: Review, now: datetime) -> None:
    """What follows from an answer at the desk follows from this one: progress, finish, webhooks.

    Who answers for a queue in another tool is a reviewer of it.
    """
    add_reviewers(session, slot.queue_id, [review.reviewer_id])
    connection = session.connection()
    context = read_slot(connection, slot.id, review.reviewer_id)
    if slot.purpose == Purpose.REVIEW:
        count_answer(connection, slot.queue_id, review.reviewer_id, reviews=1)
    follow_up(session, context, review.id, extra=False, now=now)


def _store_answer(
    session: Session, review_id: int, item_id: int, checked: CheckedReview, now: datetime
) -> None:
    rows: list[tuple[Any, dict[str, Any]]] = [
        (Rating, {"criterion": name, "value": one.value, "number": one.number})
        for name, one in checked.ratings.items()
    ]
    if checked.correction is not None:
        generation_id = session.get_one(ReviewItem, item_id).generation_a_id
        text = {"text": checked.correction, "reason": checked.correction_reason}
        rows.append((Correction, {"generation_id": generation_id, "created_at": now, **text}))
    for mark in checked.spans:
        span = {"start": mark.start, "end": mark.end, "kind": mark.kind}
        rows.append((Span, {**span, "severity": mark.severity, "note": mark.note}))
    if checked.winner is not None:
        rows.append((Preference, {"winner": checked.winner}))
    for table, values in rows:
        session.execute(insert(table).values(review_id=review_id, **values))
