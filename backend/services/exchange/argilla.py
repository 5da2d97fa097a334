"""Items and reviews as records of Argilla 2, and the responses of records as answers.

Pure: rows go in, the dictionaries of `rg.Record.to_dict` come out, and back. A question of Argilla
is a criterion under its own name, or `q_` and its name where Argilla or we use that name otherwise;
the fixed ones are `errors`, `correction`, `correction_reason`, `comment` and, for pairs, `winner`.
People are UUIDs there: ours are made from the pseudonym, so that the same person is the same
everywhere. Argilla knows no time of attention: what comes back has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never
from uuid import NAMESPACE_URL, uuid5

from backend.errors import InvalidInput
from backend.rubrics import Control, Criterion, Rubric
from backend.services.exchange.label_studio import error_labels, severities
from backend.services.exchange.text_offsets import Offsets, span_of, to_utf16
from backend.services.review.answer import Answer, SideChoice, SpanMark, to_choice
from backend.services.review.reports.contents import QueueFacts, QueueItem
from backend.tables.review import QueueKind, Review

WINNER, ERRORS = "winner", "errors"
CORRECTION, CORRECTION_REASON, COMMENT = "correction", "correction_reason", "comment"
FIXED = frozenset({WINNER, ERRORS, CORRECTION, CORRECTION_REASON, COMMENT})
OUTPUT, SIDES = "output", ("left_output", "right_output")
FIELDS = frozenset({"input", "context", OUTPUT, *SIDES})
TAKEN = frozenset({"add", "count", "index", "remove", "serialize"})  # by Argilla's own collections
RESERVED = FIXED | FIELDS | TAKEN
PREFIX = "q_"
SEVERITY_MARK = " / "
FLAGGED = "flagged by a check"
ITEM_PREFIX = "strop-item-"


def user_id_of(pseudonym: str) -> str:
    """The UUID by which Argilla knows a reviewer."""
    return str(uuid5(NAMESPACE_URL, f"strop:reviewer:{pseudonym}"))


def question_of(criterion: str) -> str:
    """The name of a criterion's question; no two criteria have the same, and none a reserved."""
    reserved = criterion in RESERVED or criterion.startswith(PREFIX)
    return f"{PREFIX}{criterion}" if reserved else criterion


def criterion_of(question: str) -> str:
    """The criterion that a question asks; the inverse of `question_of`."""
    return question.removeprefix(PREFIX)


def settings_of(rubric: Rubric, *, pair: bool) -> dict[str, Any]:
    """Fields and questions as `rg.Settings` is told of them, JSON-serialisable."""
    outputs = SIDES if pair else (OUTPUT,)
    questions = [_question(criterion) for criterion in rubric.criteria]
    if pair:
        questions.insert(0, _label(WINNER, "Which is better?", [c.value for c in SideChoice]))
    else:
        questions += [_errors(rubric), _text(CORRECTION), _text(CORRECTION_REASON)]
    return {
        "guidelines": rubric.guidelines,
        "fields": [{"name": name, "type": "text"} for name in ("input", "context", *outputs)],
        "questions": [*questions, _text(COMMENT)],
    }


def record_of(
    facts: QueueFacts, item: QueueItem, *, offsets: Offsets = Offsets.CODE_POINTS
) -> dict[str, Any]:
    """An item as a record, with the checks as suggestions and the reviews as responses."""
    pair = facts.kind == QueueKind.PAIR
    item = item.masked(facts.masks)
    outputs = SIDES if pair else (OUTPUT,)
    responses: dict[str, list[dict[str, Any]]] = {}
    for review in item.reviews:
        user_id = user_id_of(review.reviewer.pseudonym)
        for question, value in _answers(facts, item, review, offsets):
            responses.setdefault(question, []).append({"value": value, "user_id": user_id})
    return {
        "id": f"{ITEM_PREFIX}{item.id}",
        "fields": {
            "input": item.input,
            "context": item.context or "",
            **dict(zip(outputs, item.shown, strict=True)),
        },
        "metadata": {
            "item": item.id,
            "queue": facts.id,
            "example": item.example,
            "dataset": f"{facts.dataset}@{facts.dataset_version}",
            "dataset_digest": facts.dataset_digest,
            "rubric": f"{facts.rubric.name}@{facts.rubric_version}",
            "rubric_digest": facts.rubric_digest,
            "inclusion_probability": item.inclusion_probability,
            "digest": item.digest,
            "simulated_reviews": sum(review.simulated for review in item.reviews),
        },
        "suggestions": {} if pair else _suggestions(item, offsets),
        "responses": responses,
        "vectors": {},
    }


def _suggestions(item: QueueItem, offsets: Offsets) -> dict[str, Any]:
    flags = [span for check in item.checks for span in check.spans]
    if not flags:
        return {}
    places = sorted({(flag["start"], flag["end"]) for flag in flags})
    agent = ", ".join(check.metric for check in item.checks if check.spans)
    spans = [_span(item.outputs[0], start, end, FLAGGED, offsets) for start, end in places]
    return {ERRORS: {"value": spans, "score": None, "agent": agent}}


def _answers(
    facts: QueueFacts, item: QueueItem, review: Review, offsets: Offsets
) -> Iterator[tuple[str, Any]]:
    for preference in review.preferences:
        yield WINNER, to_choice(preference.winner, a_is_left=item.a_is_left).value
    for rating in review.ratings:
        control = facts.rubric.criterion(rating.criterion).control
        value: Any = rating.value
        if control in (Control.OPTIONS, Control.RATING):
            value = json.loads(value)
        yield question_of(rating.criterion), value
    marks = []
    for span in review.spans:
        label = f"{span.kind}{SEVERITY_MARK}{span.severity}" if span.severity else span.kind
        marks.append(_span(item.outputs[0], span.start, span.end, label, offsets))
    if marks:
        yield ERRORS, marks
    for correction in review.corrections:
        yield CORRECTION, item.hide(correction.text)
        if correction.reason:
            yield CORRECTION_REASON, correction.reason
    if review.comment:
        yield COMMENT, review.comment


def _span(text: str, start: int, end: int, label: str, offsets: Offsets) -> dict[str, Any]:
    if offsets is Offsets.UTF16:
        start, end = to_utf16(text, start), to_utf16(text, end)
    return {"start": start, "end": end, "label": label}


def _question(criterion: Criterion) -> dict[str, Any]:
    name, title, required = question_of(criterion.name), criterion.question, criterion.required
    match criterion.control:
        case Control.CHOICES | Control.OPTIONS:
            labels = {str(choice.value): choice.label for choice in criterion.choices()}
            question = _label(name, title, labels, required=required)
            is_multi = criterion.control is Control.OPTIONS
            return {**question, "type": "multi_label"} if is_multi else question
        case Control.RATING:
            values = [choice.value for choice in criterion.choices()]
            kind = {"name": name, "type": "rating", "title": title, "values": values}
            return {**kind, "required": required}
        case Control.NUMBER | Control.TEXT:
            return {"name": name, "type": "text", "title": title, "required": required}
        case _:
            assert_never(criterion.control)


def _label(
    name: str, title: str, labels: Sequence[str] | Mapping[str, str], *, required: bool = True
) -> dict[str, Any]:
    return {"name": name, "type": "label", "title": title, "labels": labels, "required": required}


def _text(name: str) -> dict[str, Any]:
    title = name.replace("_", " ").capitalize()
    return {"name": name, "type": "text", "title": title, "required": False}


def _errors(rubric: Rubric) -> dict[str, Any]:
    kinds, grades = error_labels(rubric), severities(rubric)
    graded = [f"{kind}{SEVERITY_MARK}{grade}" for kind in kinds for grade in grades]
    return {
        "name": ERRORS,
        "type": "span",
        "title": "Mark what is wrong",
        "field": OUTPUT,
        "labels": [*kinds, *graded, FLAGGED],
        "allow_overlapping": True,
        "required": False,
    }


def answer_of(
    output: str, responses: Mapping[str, Any], *, offsets: Offsets = Offsets.CODE_POINTS
) -> Answer:
    """The answer of one person's responses by question; whether it fits is not judged here.

    Args:
        offsets: what the marks count; Argilla's pages count UTF-16 units, its server code points.

    Raises:
        InvalidInput: a response that cannot be read.
    """
    ratings = {criterion_of(n): value for n, value in responses.items() if n not in FIXED}
    return Answer(
        ratings=ratings,
        correction=_said(responses, CORRECTION),
        correction_reason=_said(responses, CORRECTION_REASON),
        spans=tuple(_marks(output, responses.get(ERRORS) or [], offsets)),
        winner=_said(responses, WINNER),
        comment=_said(responses, COMMENT),
    )


def _said(responses: Mapping[str, Any], question: str) -> str | None:
    value = responses.get(question)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"The response to {question} is no text.")
    return value


def _marks(output: str, spans: Any, offsets: Offsets) -> Iterator[SpanMark]:
    if not isinstance(spans, list):
        raise InvalidInput("The response to errors is no list of marks.")
    for span in spans:
        told = span if isinstance(span, Mapping) else {}
        start, end, label = told.get("start"), told.get("end"), str(told.get("label"))
        if not isinstance(start, int) or not isinstance(end, int):
            raise InvalidInput("A mark has no start or no end.")
        if label == FLAGGED:  # what a check had flagged is not the person's
            continue
        kind, _, severity = label.partition(SEVERITY_MARK)
        where = span_of(output, start, end, quoted=None, offsets=offsets)
        yield SpanMark(*where, kind, severity or None)
