"""A rubric as a labelling configuration of Label Studio, and the names of its controls.

Pure: a rubric goes in, XML comes out. Every criterion is a control `q_NAME`; the other controls
have the fixed names below. The stored name of an option is its `alias`, which Label Studio writes
into results in place of the words that people read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree

from backend.errors import InvalidInput
from backend.rubrics import Rubric

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
    if criterion.scale not in _CONTROLS:
        raise InvalidInput(f"Label Studio has no control for the scale {criterion.scale!r}.")
    _add(view, "Header", value=criterion.question)
    _CONTROLS[criterion.scale](view, criterion, to)


def _yes_no(view: Element, criterion: Any, to: str) -> None:
    _choices(view, criterion, to, [("yes", "Yes"), ("no", "No")])


def _verdict(view: Element, criterion: Any, to: str) -> None:
    words = [("pass", "Pass"), ("fail", "Fail"), ("critical_fail", "Critical fail")]
    _choices(view, criterion, to, words)


def _category(view: Element, criterion: Any, to: str) -> None:
    _choices(view, criterion, to, [(option.name, option.label) for option in criterion.options])


def _multi(view: Element, criterion: Any, to: str) -> None:
    options = [(option.name, option.label) for option in criterion.options]
    name = control_of(criterion.name)
    _add_choices(view, name, options, to=to, required=criterion.required, choice="multiple")


def _choices(view: Element, criterion: Any, to: str, options: Sequence[tuple[str, str]]) -> None:
    _add_choices(view, control_of(criterion.name), options, to=to, required=criterion.required)


def _stars(view: Element, criterion: Any, to: str) -> None:
    _add(
        view,
        "Rating",
        name=control_of(criterion.name),
        toName=to,
        maxRating=str(criterion.n),
        required=_said(criterion.required),
    )


def _number(view: Element, criterion: Any, to: str) -> None:
    bounds = {"min": f"{criterion.min:g}", "max": f"{criterion.max:g}"}
    if criterion.step is not None:
        bounds["step"] = f"{criterion.step:g}"
    name = control_of(criterion.name)
    _add(view, "Number", name=name, toName=to, required=_said(criterion.required), **bounds)


def _text(view: Element, criterion: Any, to: str) -> None:
    name = control_of(criterion.name)
    _add_text(view, name, to=to, required=_said(criterion.required))


_CONTROLS: dict[str, Callable[[Element, Any, str], None]] = {
    "yes_no": _yes_no,
    "verdict": _verdict,
    "stars": _stars,
    "category": _category,
    "multi": _multi,
    "number": _number,
    "text": _text,
}


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
