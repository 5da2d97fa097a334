"""Answers that were given in another tool, taken into a queue as reviews.

An answer is matched to its item by the id that our export wrote, to its text by the digest, and to
a person by name, pseudonym or an explicit map. It is checked as if it were given at the desk, and
fills a slot that the queue asks for and that the person could take there; what the queue does not
ask for is stored as a review of purpose `import` in a slot of its own. What was taken before is
known by the other tool's id and not taken again. Whatever cannot be taken is named with the reason.

Files of other annotation tools, read answer by answer.

Pure: rows of JSON go in, `GivenAnswer` comes out; a row that cannot be read comes out with why.
A new tool is one function and one line in `SOURCES`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, insert, or_, select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound, UnknownName
from backend.schemas.common import whole_number
from backend.schemas.exchange import ImportShown, RefusedShown
from backend.services.exchange import argilla, label_studio
from backend.services.exchange.label_studio import answer_of as label_studio_answer
from backend.services.exchange.text_offsets import Offsets
from backend.services.review.answer import Answer, CheckedReview, Subject, check_answer
from backend.services.review.blind import BLOCK, said_by, unmask_text
from backend.services.review.counted import counts
from backend.services.review.desk.context import count_answer, read_slot
from backend.services.review.desk.submit import follow_up
from backend.services.review.queues import add_reviewers
from backend.services.review.reports.contents import (
    QueueFacts,
    QueueItem,
    WantedReviews,
    item_page,
    queue_facts,
)
from backend.tables.accounts import Membership, User
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


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """One person's answer to one item, as the file has it.

    Attributes:
        who: the names under which the tool knows the person, the surest first.
        read: makes the answer, given the output; InvalidInput where it cannot.
        refusal: why it cannot be taken whatever it says.
        keeps_notes: whether the tool keeps what is noted on a mark.
    """

    row: int
    id: str
    item_id: int | None
    digest: str | None
    who: tuple[str, ...]
    read: Callable[[QueueFacts, str], Answer]
    at: datetime | None = None
    refusal: str | None = None
    keeps_notes: bool = True


def _label_studio(rows: Sequence[Any], offsets: Offsets) -> Iterator[GivenAnswer]:
    for number, task in enumerate(rows, start=1):
        data = task.get("data") if isinstance(task, Mapping) else None
        if not isinstance(data, Mapping):
            yield _unread(number, "it is no task of Label Studio: there is no data")
            continue
        annotations = task.get("annotations")
        if not isinstance(annotations, list):
            yield _unread(number, "the task has no list of annotations")
            continue
        for annotation in annotations:
            yield _annotation(number, data, annotation, offsets)


def _annotation(row: int, data: Mapping[str, Any], given: Any, offsets: Offsets) -> GivenAnswer:
    if not isinstance(given, Mapping) or not isinstance(given.get("result"), list):
        return _unread(row, "the annotation has no list of results")
    unique = str(given.get("unique_id") or given.get("id") or "")
    seconds = given.get("lead_time") or 0.0
    refusal = None
    if given.get("was_cancelled"):
        refusal = "it was skipped in the other tool"
    elif not unique:
        refusal = "the annotation has no id"
    elif not isinstance(seconds, int | float):
        refusal = "its lead_time is no number"

    def read(facts: QueueFacts, output: str) -> Answer:
        results = given["result"]
        return label_studio_answer(
            facts.rubric, output, results, seconds=float(seconds), offsets=offsets
        )

    return GivenAnswer(
        row=row,
        id=unique,
        item_id=_whole(data.get("strop_item")),
        digest=data.get("strop_digest"),
        who=tuple(_names(given.get("completed_by"))),
        read=read,
        at=_moment(given.get("updated_at") or given.get("created_at")),
        refusal=refusal,
    )


def _names(completed_by: Any) -> Iterator[str]:
    """Whom `completed_by` may mean: an id, or an object with email, id and name."""
    if not isinstance(completed_by, Mapping):
        if completed_by is not None:
            yield str(completed_by)
        return
    for key in ("email", "id", "username"):
        if completed_by.get(key) is not None:
            yield str(completed_by[key])
    full = f"{completed_by.get('first_name') or ''} {completed_by.get('last_name') or ''}".strip()
    if full:
        yield full


def _argilla(rows: Sequence[Any], offsets: Offsets) -> Iterator[GivenAnswer]:
    for number, record in enumerate(rows, start=1):
        responses = record.get("responses") if isinstance(record, Mapping) else None
        if not isinstance(responses, Mapping):
            yield _unread(number, "it is no record of Argilla: there are no responses")
            continue
        metadata = record.get("metadata") or {}
        by_person: dict[str, dict[str, Any]] = {}
        for question, given in responses.items():
            for response in given if isinstance(given, list) else ():
                person = str(response.get("user_id"))
                by_person.setdefault(person, {})[str(question)] = response.get("value")
        item_id = str(record.get("id") or "").removeprefix(argilla.ITEM_PREFIX)
        for person, said in by_person.items():
            yield GivenAnswer(
                row=number,
                id=f"{record.get('id')}:{person}",
                item_id=_whole(item_id),
                digest=metadata.get("digest"),
                who=(person,),
                read=_argilla_reader(said, offsets),
                keeps_notes=False,
            )


def _argilla_reader(
    said: Mapping[str, Any], offsets: Offsets
) -> Callable[[QueueFacts, str], Answer]:
    return lambda _, output: argilla.answer_of(output, said, offsets=offsets)


def _unread(row: int, reason: str) -> GivenAnswer:
    return GivenAnswer(row, "", None, None, (), lambda *_: Answer(), refusal=reason)


def _whole(value: Any) -> int | None:
    return whole_number(str(value))


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


SOURCES: dict[str, Callable[[Sequence[Any], Offsets], Iterator[GivenAnswer]]] = {
    "label-studio": _label_studio,
    "argilla": _argilla,
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
) -> ImportShown:
    """Take the answers of an export of another tool; safe to repeat.

    Args:
        rows: tasks of Label Studio, or records of Argilla.
        source: one of `SOURCES`.
        people: names in the other tool to our user names or pseudonyms.
        offsets: what the marks count that do not quote their text.

    Raises:
        UnknownName: there is no such source.
        NotFound: no such queue, or the map names somebody who is not there.
    """
    if source not in SOURCES:
        raise UnknownName("source of answers", source, SOURCES)
    session.execute(select(ReviewQueue.id).where(ReviewQueue.id == queue_id).with_for_update())
    facts = queue_facts(session, queue_id)
    desk = _Desk.of(session, facts, people or {}, source)
    taken = repeated = 0
    refused: list[RefusedShown] = []
    for given in SOURCES[source](rows, offsets):
        try:
            new = _take(session, desk, given, now)
        except InvalidInput as error:
            refused.append(RefusedShown(row=given.row, id=given.id, reason=error.message))
            continue
        taken += new
        repeated += not new
    reasons = Counter(one.reason for one in refused)
    return ImportShown(
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
        imported = session.execute(
            select(Review.draft, Review.answer_digest).where(
                *in_queue, Review.source == source, Review.state == ReviewState.SUBMITTED
            )
        )
        answered = session.execute(
            select(Review.item_id, Review.reviewer_id, Review.answer_digest).where(
                *in_queue, *counts()
            )
        )
        return _Desk(
            facts=facts,
            source=source,
            people=_people(session, facts.project_id, people),
            before={draft.get(IMPORT_ID): digest for draft, digest in imported},
            answered={(item, user): digest for item, user, digest in answered},
        )

    def person(self, names: Sequence[str]) -> User:
        """The member of the project whom one of the names means. Raises InvalidInput."""
        for name in names:
            if name in self.people:
                return self.people[name]
        raise InvalidInput(f"nobody of this project is known as {' or '.join(names) or 'no name'}")


def _people(session: Session, project_id: int, given: Mapping[str, str]) -> dict[str, User]:
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


def _take(session: Session, desk: _Desk, given: GivenAnswer, now: datetime) -> bool:
    """Store one answer; False when it is there already. Raises InvalidInput."""
    if given.refusal is not None:
        raise InvalidInput(given.refusal)
    item = _item(session, desk.facts, given)
    person = desk.person(given.who)
    shown = item.masked(desk.facts.masks)
    answer = _unmasked(session, item, person, given.read(desk.facts, shown.outputs[0]), shown.masks)
    kind, rubric = desk.facts.kind, desk.facts.rubric
    subject = Subject(item.id, 0, item.outputs[0], item.a_is_left, kind, rubric)
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
    own = (
        select(Correction.text)
        .join(Review)
        .where(Review.item_id == item.id, Review.reviewer_id == person.id)
    )
    sources = [*session.scalars(own), item.outputs[0]]
    return replace(answer, correction=unmask_text(answer.correction, sources, masks))


def _is_own(
    session: Session,
    item: QueueItem,
    person: User,
    given: GivenAnswer,
    subject: Subject,
    checked: CheckedReview,
) -> bool:
    """Whether it is what stands of this person, but for notes that the other tool cannot keep."""
    if given.keeps_notes:
        return False
    query = select(Review).where(
        Review.item_id == item.id, Review.reviewer_id == person.id, *counts()
    )
    found = session.scalars(query).one()
    said = said_by(found, found.item)
    bare = replace(said, spans=tuple(replace(mark, note=None) for mark in said.spans))
    return check_answer(subject, bare).digest == checked.digest


def _item(session: Session, facts: QueueFacts, given: GivenAnswer) -> QueueItem:
    if given.item_id is None:
        raise InvalidInput("it does not say which item it answers (strop_item)")
    position = session.scalar(
        select(ReviewItem.position).where(
            ReviewItem.id == given.item_id, ReviewItem.queue_id == facts.id
        )
    )
    if position is None:
        raise InvalidInput(f"this queue has no item {given.item_id}")
    wanted = WantedReviews(reviews=False, all_purposes=True)
    (item,) = item_page(session, facts, wanted, after_position=position - 1, limit=1)
    if item.purpose != Purpose.REVIEW:
        raise InvalidInput("it answers an item that is not for review")
    if given.digest != item.digest:
        raise InvalidInput("it answers another text than this item shows (strop_digest)")
    return item


def _store(
    session: Session,
    desk: _Desk,
    item: QueueItem,
    person: User,
    given: GivenAnswer,
    answer: Answer,
    checked: CheckedReview,
    now: datetime,
) -> None:
    slot = _asked_slot(session, desk.facts.id, item.id, person, now) or _own_slot(
        session, desk.facts.id, item, person
    )
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
    slot = ReviewSlot(
        queue_id=queue_id,
        item_id=item.id,
        number=_next_number(session, item.id),
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


def _next_number(session: Session, item_id: int) -> int:
    last = session.scalar(select(func.max(ReviewSlot.number)).where(ReviewSlot.item_id == item_id))
    return 0 if last is None else last + 1


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
