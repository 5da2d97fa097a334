"""Items and reviews as tasks and annotations of Label Studio.

Pure: rows go in, JSON-serialisable objects come out. A task carries the text as `data`,
what the checks flagged as predictions, and the reviews as annotations: `completed_by` by pseudonym,
`lead_time` in active seconds. The names of controls stand below; the way back is
`given_answers.label_studio_answers`.

A rubric as a labelling configuration of Label Studio, and the names of its controls.

Pure: a rubric goes in, XML comes out. Every criterion is a control `q_NAME`; the other controls
have the fixed names below. The stored name of an option is its `alias`, which Label Studio writes
into results in place of the words that people read.

Annotations of Label Studio as answers of ours.

Pure: results go in, an `Answer` comes out, or an error that says what cannot be taken. Whether the
answer fits item and rubric is judged where it is stored. Label Studio has counted the offsets of
marks in code points since 1.6 and in UTF-16 units before; the text that a mark quotes decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never
from xml.etree import ElementTree

from backend.errors import InvalidInput
from backend.rubrics import Control, Rubric
from backend.services.exchange.text_offsets import Offsets, span_of, to_utf16
from backend.services.review.answer import Answer, SpanMark, to_choice
from backend.services.review.reports.contents import QueueFacts, QueueItem
from backend.tables.review import QueueKind, Review, ReviewState
from backend.tables.runs import Score

OUTPUT, LEFT, RIGHT = "output", "left_output", "right_output"
ERRORS, SEVERITY, NOTE, FLAGGED = "errors", "severity", "note", "flagged"
CORRECTION, CORRECTION_REASON, COMMENT = "correction", "correction_reason", "comment"
COMPARISON, UNDECIDED = "comparison", "undecided"
UNDECIDED_WINNERS = ("tie", "both_bad", "cannot_judge")
FLAG_LABEL = "flagged by a check"
ANY_KIND = "error"
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Element = ElementTree.Element


def control_of(criterion: str) -> str:
    """The name of a criterion's control; never one of the fixed names."""
    return f"q_{criterion}"


def labelling_config(rubric: Rubric, *, pair: bool) -> str:
    """The configuration under which Label Studio asks what the rubric asks.

    Raises:
        InvalidInput: a scale that Label Studio has no control for.
    """
    view = ElementTree.Element("View")
    _add(view, "Header", value=rubric.guidelines)
    _add(view, "Text", name="input", value="$input")
    _add(view, "Text", name="context", value="$context")
    if pair:
        _add_pair(view)
    else:
        _add_output(view, rubric)
    for criterion in rubric.criteria:
        _add_criterion(view, criterion, to=LEFT if pair else OUTPUT)
    if not pair:
        _add(view, "Header", value="The text as it should have been, if it is to be corrected")
        _add_text(view, CORRECTION, to=OUTPUT, rows=8)
        _add(view, "Header", value="What was wrong, in a few words")
        _add_text(view, CORRECTION_REASON, to=OUTPUT)
    _add(view, "Header", value="Comment")
    _add_text(view, COMMENT, to=LEFT if pair else OUTPUT)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def error_labels(rubric: Rubric) -> tuple[str, ...]:
    """The names under which an error is marked; one where the rubric names none."""
    return tuple(rubric.span_kinds) or (ANY_KIND,)


def severities(rubric: Rubric) -> tuple[str, ...]:
    """The names of the rubric's severities, if it has any."""
    given: Sequence[Any] = getattr(rubric, "severities", ())
    return tuple(str(getattr(one, "name", one)) for one in given)


def _add_output(view: Element, rubric: Rubric) -> None:
    _add(view, "Header", value="Mark what is wrong")
    errors = _add(view, "Labels", name=ERRORS, toName=OUTPUT)
    for kind in error_labels(rubric):
        _add(errors, "Label", value=kind)
    flagged = _add(view, "Labels", name=FLAGGED, toName=OUTPUT)
    _add(flagged, "Label", value=FLAG_LABEL)
    _add(view, "Text", name=OUTPUT, value="$output", saveTextResult="yes", granularity="symbol")
    if names := severities(rubric):
        options = [(name, name) for name in names]
        _add_choices(view, SEVERITY, options, to=OUTPUT, required=False, perRegion="true")
    _add_text(view, NOTE, to=OUTPUT, perRegion="true")


def _add_pair(view: Element) -> None:
    _add(view, "Header", value="Which is better?")
    _add(view, "Pairwise", name=COMPARISON, toName=f"{LEFT},{RIGHT}")
    _add(view, "Text", name=LEFT, value="$left_output")
    _add(view, "Text", name=RIGHT, value="$right_output")
    words = {"tie": "Equally good", "both_bad": "Both bad", "cannot_judge": "Cannot judge"}
    options = [(name, words[name]) for name in UNDECIDED_WINNERS]
    _add_choices(view, UNDECIDED, options, to=LEFT, required=False)


def _add_criterion(view: Element, criterion: Any, *, to: str) -> None:
    _add(view, "Header", value=criterion.question)
    name, required = control_of(criterion.name), criterion.required
    match criterion.control:
        case Control.CHOICES | Control.OPTIONS:
            options = [(str(choice.value), choice.label) for choice in criterion.choices()]
            kind = "multiple" if criterion.control is Control.OPTIONS else "single"
            _add_choices(view, name, options, to=to, required=required, choice=kind)
        case Control.RATING:
            most = {"maxRating": str(len(criterion.choices()))}
            _add(view, "Rating", name=name, toName=to, **most, required=_said(required))
        case Control.NUMBER:
            bounds = {"min": f"{criterion.min:g}", "max": f"{criterion.max:g}"}
            if criterion.step is not None:
                bounds["step"] = f"{criterion.step:g}"
            _add(view, "Number", name=name, toName=to, required=_said(required), **bounds)
        case Control.TEXT:
            _add_text(view, name, to=to, required=_said(required))
        case _:
            assert_never(criterion.control)


def _add_choices(
    view: Element,
    name: str,
    options: Sequence[tuple[str, str]],
    *,
    to: str,
    required: bool,
    choice: str = "single",
    **more: str,
) -> None:
    said = {"name": name, "toName": to, "choice": choice, "required": _said(required)}
    choices = _add(view, "Choices", **said, showInline="true", **more)
    for stored, words in options:
        _add(choices, "Choice", value=words, alias=stored)


def _add_text(view: Element, name: str, *, to: str, rows: int = 2, **more: str) -> None:
    _add(view, "TextArea", name=name, toName=to, maxSubmissions="1", rows=str(rows), **more)


def _add(parent: Element, tag: str, **attributes: str) -> Element:
    """A child; characters that XML cannot hold are shown as U+FFFD."""
    clean = {name: _NO_XML.sub("\ufffd", value) for name, value in attributes.items()}
    return ElementTree.SubElement(parent, tag, clean)


def _said(value: bool) -> str:
    return "true" if value else "false"


NOBODY = "strop.invalid"  # a domain that no mail reaches: pseudonyms are no addresses
OWN_PREFIX = "strop-review-"

Result = dict[str, Any]


def email_of(pseudonym: str) -> str:
    """How a reviewer is written where Label Studio wants an address."""
    return f"{pseudonym}@{NOBODY}"


def task_of(
    facts: QueueFacts,
    item: QueueItem,
    *,
    offsets: Offsets = Offsets.CODE_POINTS,
    addresses: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """An item as a task, with the item's reviews as annotations.

    Args:
        addresses: pseudonyms to the addresses of people in Label Studio, which refuses annotations
            of addresses that it does not know. None: everybody as `email_of` writes them. Whoever
            the map lacks is not named, and Label Studio takes the importer for the annotator; who
            it was stands in `data.strop_reviews`.
    """
    pair = facts.kind == QueueKind.PAIR
    item = item.masked(facts.masks)
    texts = (LEFT, RIGHT) if pair else (OUTPUT,)
    annotations = [_annotation(facts, item, one, offsets, addresses) for one in item.reviews]
    return {
        "data": {
            "input": item.input,
            "context": item.context or "",
            **dict(zip(texts, item.shown, strict=True)),
            "strop_item": item.id,
            "strop_queue": facts.id,
            "strop_example": item.example,
            "strop_group": item.group,
            "strop_dataset": f"{facts.dataset}@{facts.dataset_version}",
            "strop_dataset_digest": facts.dataset_digest,
            "strop_rubric": f"{facts.rubric.name}@{facts.rubric_version}",
            "strop_rubric_digest": facts.rubric_digest,
            "strop_inclusion_probability": item.inclusion_probability,
            "strop_digest": item.digest,
            "strop_checks": {c.metric: {"value": c.value, "label": c.label} for c in item.checks},
            "strop_reviews": [_provenance(review) for review in item.reviews],
        },
        "annotations": annotations,
        "predictions": [] if pair else [_prediction(item, c, offsets) for c in item.checks],
    }


def _provenance(review: Review) -> dict[str, Any]:
    return {
        "review": review.id,
        "reviewer": review.reviewer.pseudonym,
        "purpose": review.purpose,
        "extra": review.extra,
        "simulated": review.simulated,
        "source": review.source,
    }


def _prediction(item: QueueItem, check: Score, offsets: Offsets) -> dict[str, Any]:
    flags = []
    for n, flag in enumerate(check.spans):
        region = _region(FLAGGED, f"f{check.id}_{n}", item.outputs[0], flag, offsets)
        region["value"]["labels"] = [FLAG_LABEL]
        why = f"{flag.get('kind', '')}: {item.hide(flag.get('reason', ''))}"
        flags.append({**region, "meta": {"text": [why]}})
    return {"model_version": check.signature[:200], "score": check.value, "result": flags}


def _annotation(
    facts: QueueFacts,
    item: QueueItem,
    review: Review,
    offsets: Offsets,
    addresses: Mapping[str, str] | None,
) -> dict[str, Any]:
    pseudonym = review.reviewer.pseudonym
    known = {pseudonym: email_of(pseudonym)} if addresses is None else addresses
    who = {"completed_by": {"email": known[pseudonym]}} if pseudonym in known else {}
    return {
        "unique_id": f"{OWN_PREFIX}{review.id}",
        **who,
        "was_cancelled": review.state == ReviewState.SKIPPED,
        "ground_truth": False,
        "lead_time": review.active_seconds,
        "created_at": review.started_at.isoformat(),
        "updated_at": review.submitted_at.isoformat() if review.submitted_at else None,
        "result": list(_results(facts, item, review, offsets)),
    }


def _results(
    facts: QueueFacts, item: QueueItem, review: Review, offsets: Offsets
) -> Iterator[Result]:
    pair = facts.kind == QueueKind.PAIR
    to = LEFT if pair else OUTPUT
    for rating in review.ratings:
        control = facts.rubric.criterion(rating.criterion).control
        kind, value = _rating_out(control, rating.value, rating.number)
        yield _result(review, control_of(rating.criterion), to, kind, value)
    for correction in review.corrections:
        yield _textarea(review, CORRECTION, to, item.hide(correction.text))
        if correction.reason:
            yield _textarea(review, CORRECTION_REASON, to, correction.reason)
    for n, span in enumerate(review.spans):
        yield from _marks(item, review, n, span, offsets)
    for preference in review.preferences:
        choice = to_choice(preference.winner, a_is_left=item.a_is_left).value
        if choice in UNDECIDED_WINNERS:
            yield _result(review, UNDECIDED, to, "choices", {"choices": [choice]})
        else:  # this control stands for both texts, and names itself as what it is about
            yield _result(review, COMPARISON, COMPARISON, "pairwise", {"selected": choice})
    if review.comment or review.skip_reason:
        yield _textarea(review, COMMENT, to, review.comment or review.skip_reason or "")


def _marks(
    item: QueueItem, review: Review, n: int, span: Any, offsets: Offsets
) -> Iterator[Result]:
    place = {"start": span.start, "end": span.end}
    mark = _region(ERRORS, f"s{review.id}_{n}", item.outputs[0], place, offsets)
    said = [(ERRORS, "labels", {"labels": [span.kind]})]
    if span.severity:
        said.append((SEVERITY, "choices", {"choices": [span.severity]}))
    if span.note:
        said.append((NOTE, "textarea", {"text": [span.note]}))
    for control, kind, value in said:
        yield {**mark, "from_name": control, "type": kind, "value": mark["value"] | value}


def _region(
    control: str, id_: str, text: str, place: Mapping[str, int], offsets: Offsets
) -> Result:
    start, end = place["start"], place["end"]
    value: dict[str, Any] = {"start": start, "end": end, "text": text[start:end]}
    if offsets is Offsets.UTF16:
        value |= {"start": to_utf16(text, start), "end": to_utf16(text, end)}
    return {"id": id_, "from_name": control, "to_name": OUTPUT, "type": "labels", "value": value}


def _textarea(review: Review, control: str, to: str, text: str) -> Result:
    return _result(review, control, to, "textarea", {"text": [text]})


def _result(review: Review, control: str, to: str, kind: str, value: dict[str, Any]) -> Result:
    id_ = f"r{review.id}_{control}"
    return {"id": id_, "from_name": control, "to_name": to, "type": kind, "value": value}


def _rating_out(control: Control, value: str, number: float | None) -> tuple[str, dict[str, Any]]:
    """The kind of a result and its value."""
    match control:
        case Control.CHOICES:
            return "choices", {"choices": [value]}
        case Control.OPTIONS:
            return "choices", {"choices": json.loads(value)}
        case Control.RATING:
            return "rating", {"rating": int(value)}
        case Control.NUMBER:
            return "number", {"number": number}
        case Control.TEXT:
            return "textarea", {"text": [value]}
        case _:
            assert_never(control)


@dataclass(slots=True)
class _AnnotationReading:
    """What was read of an annotation so far."""

    ratings: dict[str, object] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    winners: list[str] = field(default_factory=list)
    marks: list[tuple[str, str, int, int]] = field(default_factory=list)
    grave: dict[str, str] = field(default_factory=dict)
    noted: dict[str, str] = field(default_factory=dict)


def answer_of(
    rubric: Rubric,
    output: str,
    results: Sequence[Mapping[str, Any]],
    *,
    seconds: float,
    offsets: Offsets = Offsets.CODE_POINTS,
) -> Answer:
    """The answer that an annotation's results give; whether it fits the item is not judged here.

    Args:
        output: the text in which errors are marked.
        offsets: what marks count that do not quote their text.

    Raises:
        InvalidInput: a result that the configuration does not ask for, or that cannot be read.
    """
    read, criteria = _AnnotationReading(), {control_of(c.name): c for c in rubric.criteria}
    for result in results:
        control, value = str(result.get("from_name")), result.get("value")
        if control == FLAGGED:  # what a check had flagged is not the person's
            continue
        if not isinstance(value, Mapping):
            raise InvalidInput(f"The result of {control} has no value.")
        if control in criteria:
            _once(read.ratings, criteria[control].name, _rating_in(criteria[control], value))
        elif control == ERRORS:
            _read_errors(read, result, value, output, offsets)
        else:
            _read_control(read, control, result, value)
    if len(read.winners) > 1:
        raise InvalidInput("The pair has more than one answer.")
    return Answer(
        ratings=read.ratings,
        correction=read.texts.get(CORRECTION),
        correction_reason=read.texts.get(CORRECTION_REASON),
        spans=tuple(
            SpanMark(start, end, kind, read.grave.get(id_), read.noted.get(id_))
            for id_, kind, start, end in read.marks
        ),
        winner=read.winners[0] if read.winners else None,
        comment=read.texts.get(COMMENT),
        active_seconds=seconds,
    )


def _rating_in(criterion: Any, value: Mapping[str, Any]) -> object:
    match criterion.control:
        case Control.RATING:
            return value.get("rating")
        case Control.NUMBER:
            return value.get("number")
        case Control.TEXT:
            return _text_in(value)
        case _:
            words = {choice.label: choice.value for choice in criterion.choices()}
            stored = [words.get(one, one) for one in _choices_in(value)]
            if criterion.control is Control.OPTIONS:
                return stored
            if len(stored) != 1:
                raise InvalidInput(f"{criterion.name} has {len(stored)} answers.")
            return stored[0]


def _choices_in(value: Mapping[str, Any]) -> list[str]:
    chosen = value.get("choices")
    if not isinstance(chosen, list) or not all(isinstance(one, str) for one in chosen):
        raise InvalidInput("A result of choices has no list of choices.")
    return chosen


def _text_in(value: Mapping[str, Any]) -> str:
    given = value.get("text")
    lines: list[Any] = given if isinstance(given, list) else [given]
    if not all(isinstance(line, str) for line in lines):
        raise InvalidInput("A result of a text area has no text.")
    return "\n".join(lines)


def _once(read: dict[str, Any], key: str, value: Any) -> None:
    if key in read:
        raise InvalidInput(f"{key} is answered twice.")
    read[key] = value


def _read_errors(
    read: _AnnotationReading,
    result: Mapping[str, Any],
    value: Mapping[str, Any],
    output: str,
    offsets: Offsets,
) -> None:
    start, end, quoted = value.get("start"), value.get("end"), value.get("text")
    labels = value.get("labels")
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(labels, list):
        raise InvalidInput("A mark has no start, no end or no label.")
    quoted = quoted if isinstance(quoted, str) else None
    span = span_of(output, start, end, quoted=quoted, offsets=offsets)
    read.marks += [(str(result.get("id")), str(label), *span) for label in labels]


def _read_control(
    read: _AnnotationReading, control: str, result: Mapping[str, Any], value: Mapping[str, Any]
) -> None:
    """A result of a fixed control other than ERRORS. Raises InvalidInput where there is none."""
    id_ = str(result.get("id"))
    if control in (SEVERITY, UNDECIDED):
        chosen = _choices_in(value)
        if len(chosen) != 1:
            raise InvalidInput(f"{control} has {len(chosen)} answers.")
        if control == UNDECIDED:
            read.winners.append(chosen[0])
        else:
            _once(read.grave, id_, chosen[0])
    elif control == COMPARISON:
        if (selected := value.get("selected")) not in (None, "none"):
            read.winners.append(str(selected))
    elif control == NOTE:
        _once(read.noted, id_, _text_in(value))
    elif control in (CORRECTION, CORRECTION_REASON, COMMENT):
        _once(read.texts, control, _text_in(value))
    else:
        raise InvalidInput(f"The configuration of this queue has no control {control!r}.")
