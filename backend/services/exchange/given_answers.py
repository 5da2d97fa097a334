"""Files of other annotation tools, read answer by answer.

Pure: rows of JSON go in, `ImportedAnswer` comes out; a row that cannot be read comes out with why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backend.schemas.common import row_number
from backend.services.exchange import argilla
from backend.services.exchange.label_studio import answer_of as label_studio_answer
from backend.services.exchange.text_offsets import Offsets
from backend.services.review.answer import Answer
from backend.services.review.reports.contents import QueueFacts

Place = tuple[str | None, str, int]


@dataclass(frozen=True, slots=True)
class ImportedAnswer:
    """One person's answer to one item, as the file has it.

    Attributes:
        item_id: the item, as our export named it; else it is that of `place`.
        place: name of the model, id of the example, and sample of what was judged; no model where
            the queue is about one alone.
        digest: of the text that was judged; with a place, without white space around it, or None
            where the file does not have it.
        whole: whether it was given to the output as it is, and not to the masked one.
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
    place: Place | None = None
    whole: bool = False


def label_studio_answers(rows: Sequence[Any], offsets: Offsets) -> Iterator[ImportedAnswer]:
    for number, task in enumerate(rows, start=1):
        data = task.get("data") if isinstance(task, Mapping) else None
        if not isinstance(data, Mapping):
            yield unread(number, "it is no task of Label Studio: there is no data")
            continue
        annotations = task.get("annotations")
        if not isinstance(annotations, list):
            yield unread(number, "the task has no list of annotations")
            continue
        for annotation in annotations:
            yield _annotation(number, data, annotation, offsets)


def _annotation(row: int, data: Mapping[str, Any], given: Any, offsets: Offsets) -> ImportedAnswer:
    if not isinstance(given, Mapping) or not isinstance(given.get("result"), list):
        return unread(row, "the annotation has no list of results")
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

    return ImportedAnswer(
        row=row,
        id=unique,
        item_id=row_number(str(data.get("strop_item"))),
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


def argilla_answers(rows: Sequence[Any], offsets: Offsets) -> Iterator[ImportedAnswer]:
    for number, record in enumerate(rows, start=1):
        responses = record.get("responses") if isinstance(record, Mapping) else None
        if not isinstance(responses, Mapping):
            yield unread(number, "it is no record of Argilla: there are no responses")
            continue
        metadata = record.get("metadata") or {}
        by_person: dict[str, dict[str, Any]] = {}
        for question, given in responses.items():
            for response in given if isinstance(given, list) else ():
                person = str(response.get("user_id"))
                by_person.setdefault(person, {})[str(question)] = response.get("value")
        item_id = str(record.get("id") or "").removeprefix(argilla.ITEM_PREFIX)
        for person, said in by_person.items():
            yield ImportedAnswer(
                row=number,
                id=f"{record.get('id')}:{person}",
                item_id=row_number(item_id),
                digest=metadata.get("digest"),
                who=(person,),
                read=_argilla_reader(said, offsets),
                keeps_notes=False,
            )


def _argilla_reader(
    said: Mapping[str, Any], offsets: Offsets
) -> Callable[[QueueFacts, str], Answer]:
    return lambda _, output: argilla.answer_of(output, said, offsets=offsets)


def unread(row: int, reason: str) -> ImportedAnswer:
    """A row that cannot be read, and why."""
    return ImportedAnswer(row, "", None, None, (), lambda *_: Answer(), refusal=reason)


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
