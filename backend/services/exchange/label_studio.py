"""Items and reviews as tasks and annotations of Label Studio.

Pure: rows go in, JSON-serialisable objects come out. A task carries the text as `data`,
what the checks flagged as predictions, and the reviews as annotations: `completed_by` by pseudonym,
`lead_time` in active seconds. The names of controls are in `label_studio_config`; the way back is
`label_studio_answers`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from backend.services.exchange import label_studio_config as names
from backend.services.exchange.text_offsets import Offsets, to_utf16
from backend.services.review.desk.answer_rules import to_choice
from backend.services.review.reports.contents import ItemRow, QueueFacts
from backend.tables.review import QueueKind, Review, ReviewState
from backend.tables.scoring import Score

NOBODY = "strop.invalid"  # a domain that no mail reaches: pseudonyms are no addresses
OWN_PREFIX = "strop-review-"

Result = dict[str, Any]


def email_of(pseudonym: str) -> str:
    """How a reviewer is written where Label Studio wants an address."""
    return f"{pseudonym}@{NOBODY}"


def task_of(
    facts: QueueFacts,
    item: ItemRow,
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
    texts = (names.LEFT, names.RIGHT) if pair else (names.OUTPUT,)
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


def _prediction(item: ItemRow, check: Score, offsets: Offsets) -> dict[str, Any]:
    flags = [
        {
            **_region(names.FLAGGED, f"f{check.id}_{n}", item.outputs[0], flag, offsets),
            "meta": {"text": [f"{flag.get('kind', '')}: {item.hide(flag.get('reason', ''))}"]},
        }
        for n, flag in enumerate(check.spans)
    ]
    for flag in flags:
        flag["value"]["labels"] = [names.FLAG_LABEL]
    return {"model_version": check.signature[:200], "score": check.value, "result": flags}


def _annotation(
    facts: QueueFacts,
    item: ItemRow,
    review: Review,
    offsets: Offsets,
    addresses: Mapping[str, str] | None,
) -> dict[str, Any]:
    pseudonym = review.reviewer.pseudonym
    known = {pseudonym: email_of(pseudonym)} if addresses is None else addresses
    who = {"completed_by": {"email": known[pseudonym]}} if pseudonym in known else {}
    ended = review.submitted_at.isoformat() if review.submitted_at else None
    return {
        "unique_id": f"{OWN_PREFIX}{review.id}",
        **who,
        "was_cancelled": review.state == ReviewState.SKIPPED,
        "ground_truth": False,
        "lead_time": review.active_seconds,
        "created_at": review.started_at.isoformat(),
        "updated_at": ended,
        "result": list(_results(facts, item, review, offsets)),
    }


def _results(
    facts: QueueFacts, item: ItemRow, review: Review, offsets: Offsets
) -> Iterator[Result]:
    pair = facts.kind == QueueKind.PAIR
    to = names.LEFT if pair else names.OUTPUT
    scales = {criterion.name: criterion.scale for criterion in facts.rubric.criteria}
    for rating in review.ratings:
        kind, value = _RATINGS_OUT[scales[rating.criterion]](rating.value, rating.number)
        yield _result(review, names.control_of(rating.criterion), to, kind, value)
    for correction in review.corrections:
        yield _textarea(review, names.CORRECTION, to, item.hide(correction.text))
        if correction.reason:
            yield _textarea(review, names.CORRECTION_REASON, to, correction.reason)
    for n, span in enumerate(review.spans):
        yield from _marks(item, review, n, span, offsets)
    for preference in review.preferences:
        choice = to_choice(preference.winner, a_is_left=item.a_is_left).value
        if choice in names.UNDECIDED_WINNERS:
            yield _result(review, names.UNDECIDED, to, "choices", {"choices": [choice]})
        else:  # this control stands for both texts, and names itself as what it is about
            name = names.COMPARISON
            yield _result(review, name, name, "pairwise", {"selected": choice})
    if review.comment or review.skip_reason:
        yield _textarea(review, names.COMMENT, to, review.comment or review.skip_reason or "")


def _marks(item: ItemRow, review: Review, n: int, span: Any, offsets: Offsets) -> Iterator[Result]:
    place = {"start": span.start, "end": span.end}
    id_ = f"s{review.id}_{n}"

    def region(control: str) -> Result:
        return _region(control, id_, item.outputs[0], place, offsets)

    mark = region(names.ERRORS)
    mark["value"]["labels"] = [span.kind]
    yield mark
    if span.severity:
        grave = region(names.SEVERITY)
        yield {**grave, "type": "choices", "value": {**grave["value"], "choices": [span.severity]}}
    if span.note:
        noted = region(names.NOTE)
        yield {**noted, "type": "textarea", "value": {**noted["value"], "text": [span.note]}}


def _region(
    control: str, id_: str, text: str, place: Mapping[str, int], offsets: Offsets
) -> Result:
    start, end = place["start"], place["end"]
    value: dict[str, Any] = {"start": start, "end": end, "text": text[start:end]}
    if offsets is Offsets.UTF16:
        value |= {"start": to_utf16(text, start), "end": to_utf16(text, end)}
    return {
        "id": id_,
        "from_name": control,
        "to_name": names.OUTPUT,
        "type": "labels",
        "value": value,
    }


def _textarea(review: Review, control: str, to: str, text: str) -> Result:
    return _result(review, control, to, "textarea", {"text": [text]})


def _result(review: Review, control: str, to: str, kind: str, value: dict[str, Any]) -> Result:
    id_ = f"r{review.id}_{control}"
    return {"id": id_, "from_name": control, "to_name": to, "type": kind, "value": value}


RatingOut = Callable[[str, float | None], tuple[str, dict[str, Any]]]


def _choice_out(value: str, number: float | None) -> tuple[str, dict[str, Any]]:
    return "choices", {"choices": [value]}


_RATINGS_OUT: dict[str, RatingOut] = {
    "yes_no": _choice_out,
    "verdict": _choice_out,
    "category": _choice_out,
    "multi": lambda value, _: ("choices", {"choices": json.loads(value)}),
    "stars": lambda value, _: ("rating", {"rating": int(value)}),
    "number": lambda value, number: ("number", {"number": number}),
    "text": lambda value, _: ("textarea", {"text": [value]}),
}
