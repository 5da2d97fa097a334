"""Annotations of Label Studio as answers of ours.

Pure: results go in, an `Answer` comes out, or an error that says what cannot be taken. Whether the
answer fits item and rubric is judged where it is stored. Label Studio has counted the offsets of
marks in code points since 1.6 and in UTF-16 units before; the text that a mark quotes decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.errors import InvalidInput
from backend.rubrics import Rubric
from backend.services.exchange import label_studio_config as names
from backend.services.exchange.text_offsets import Offsets, span_of
from backend.services.review.desk.answer_rules import Answer, SpanMark


@dataclass(slots=True)
class _Read:
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
    read, criteria = _Read(), {names.control_of(c.name): c for c in rubric.criteria}
    for result in results:
        control, value = str(result.get("from_name")), result.get("value")
        if control == names.FLAGGED:  # what a check had flagged is not the person's
            continue
        if not isinstance(value, Mapping):
            raise InvalidInput(f"The result of {control} has no value.")
        if control in criteria:
            _once(read.ratings, criteria[control].name, _rating_in(criteria[control], value))
        elif control in _CONTROLS_IN:
            _CONTROLS_IN[control](read, result, value, output, offsets)
        else:
            raise InvalidInput(f"The configuration of this queue has no control {control!r}.")
    if len(read.winners) > 1:
        raise InvalidInput("The pair has more than one answer.")
    return Answer(
        ratings=read.ratings,
        correction=read.texts.get(names.CORRECTION),
        correction_reason=read.texts.get(names.CORRECTION_REASON),
        spans=tuple(
            SpanMark(start, end, kind, read.grave.get(id_), read.noted.get(id_))
            for id_, kind, start, end in read.marks
        ),
        winner=read.winners[0] if read.winners else None,
        comment=read.texts.get(names.COMMENT),
        active_seconds=seconds,
    )


def _rating_in(criterion: Any, value: Mapping[str, Any]) -> object:
    match criterion.scale:
        case "stars":
            return value.get("rating")
        case "number":
            return value.get("number")
        case "text":
            return _text_in(value)
        case scale:
            chosen = _choices_in(value)
            words = {o.label: o.name for o in getattr(criterion, "options", ())}
            stored = [words.get(one, one) for one in chosen]
            if scale == "multi":
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
    read: _Read, result: Mapping[str, Any], value: Mapping[str, Any], output: str, offsets: Offsets
) -> None:
    start, end, quoted = value.get("start"), value.get("end"), value.get("text")
    labels = value.get("labels")
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(labels, list):
        raise InvalidInput("A mark has no start, no end or no label.")
    quoted = quoted if isinstance(quoted, str) else None
    span = span_of(output, start, end, quoted=quoted, offsets=offsets)
    for label in labels:
        read.marks.append((str(result.get("id")), str(label), *span))


def _read_choice(into: str) -> Callable[..., None]:
    def read_choice(
        read: _Read, result: Mapping[str, Any], value: Mapping[str, Any], *_: Any
    ) -> None:
        chosen = _choices_in(value)
        if len(chosen) != 1:
            raise InvalidInput(f"{result.get('from_name')} has {len(chosen)} answers.")
        if into == names.UNDECIDED:
            read.winners.append(chosen[0])
        else:
            _once(read.grave, str(result.get("id")), chosen[0])

    return read_choice


def _read_comparison(
    read: _Read, result: Mapping[str, Any], value: Mapping[str, Any], *_: Any
) -> None:
    if (selected := value.get("selected")) not in (None, "none"):
        read.winners.append(str(selected))


def _read_note(read: _Read, result: Mapping[str, Any], value: Mapping[str, Any], *_: Any) -> None:
    _once(read.noted, str(result.get("id")), _text_in(value))


def _read_text(read: _Read, result: Mapping[str, Any], value: Mapping[str, Any], *_: Any) -> None:
    _once(read.texts, str(result.get("from_name")), _text_in(value))


_CONTROLS_IN: dict[str, Callable[..., None]] = {
    names.ERRORS: _read_errors,
    names.SEVERITY: _read_choice(names.SEVERITY),
    names.NOTE: _read_note,
    names.COMPARISON: _read_comparison,
    names.UNDECIDED: _read_choice(names.UNDECIDED),
    names.CORRECTION: _read_text,
    names.CORRECTION_REASON: _read_text,
    names.COMMENT: _read_text,
}
