"""The widgets of a rubric: one question after the other, digits for the one that is next.

A scale that is answered by one of its choices needs nothing here. Buttons answer through the
function they are given; words stay in their box, under `text_key`, until the desk takes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from backend.rubrics import (
    Choice,
    Criterion,
    Illustration,
    Multi,
    Number,
    Rubric,
    Text,
    chosen_options,
)
from dashboard.components.editor import text_editor
from dashboard.components.frame import escape
from dashboard.components.marked_text import plain

Value = str | int | float | bool | None
Change = Callable[[Value], Value]  # from the answer as it is when it is changed
Rate = Callable[[str, Value | Change], None]
DIGITS = "1234567890"


def choice_label(choice: Choice, *, picked: bool, digit: str | None) -> str:
    """The words on a button: a tick when it is picked, its digit while digits are for it."""
    mark = "✓ " if picked else ""
    hint = f" :gray[:small[{digit}]]" if digit and digit != choice.label else ""
    return mark + plain(choice.label) + hint


def answer_of_digit(
    rubric: Rubric, ratings: dict[str, Value], digit: str, *, question: str | None = None
) -> tuple[str, Value] | None:
    """What a digit answers: this question, or the next open one, by the choice in that place.

    Where several options can be chosen the digit adds its option or takes it away. None where the
    digit has no choice.
    """
    known = {criterion.name for criterion in rubric.criteria}
    name = question if question in known else next_question(rubric, ratings)
    if name is None:
        return None
    criterion = rubric.criterion(name)
    choices, place = criterion.choices(), DIGITS.index(digit)
    if place >= len(choices):
        return None
    picked = choices[place].value
    if isinstance(criterion, Multi):
        return name, toggle_option(criterion, ratings.get(name), str(picked))
    return name, picked


def choices_of_name(rubric: Rubric, name: str) -> list[Choice]:
    """The choices of the criterion of that name; none where it is answered otherwise."""
    return rubric.criterion(name).choices()


def stays_on(rubric: Rubric, name: str, value: Value) -> bool:
    """Whether digits go on to answer this question: more of its options may be meant."""
    criterion = rubric.criterion(name)
    chosen = chosen_options(value) or []
    return isinstance(criterion, Multi) and bool(chosen) and chosen != [criterion.alone]


def open_questions(rubric: Rubric, ratings: dict[str, Value]) -> list[str]:
    """The questions that wait for a digit, in order."""
    return [
        criterion.name
        for criterion in rubric.criteria
        if choices_of_name(rubric, criterion.name) and ratings.get(criterion.name) is None
    ]


def next_question(rubric: Rubric, ratings: dict[str, Value]) -> str | None:
    """The first question with choices that has no answer yet: the one the digits belong to."""
    return next(iter(open_questions(rubric, ratings)), None)


def show_questions(
    rubric: Rubric,
    ratings: dict[str, Value],
    rate: Rate,
    *,
    item: str,
    staying: str | None = None,
    digits: bool = True,
) -> None:
    """All questions of the rubric with their answers so far.

    Args:
        staying: the question of several options that digits answer until the person goes on.
        digits: whether digits are for the questions just now.
    """
    active = (staying or next_question(rubric, ratings)) if digits else None
    for criterion in rubric.criteria:
        value = ratings.get(criterion.name)
        with st.container(gap="xsmall", key=f"question-{item}-{criterion.name}"):
            _show_question(criterion, value)
            key = f"answer-{item}-{criterion.name}"
            match criterion:
                case Text():
                    text_editor(
                        key=text_key(criterion, item=item),
                        text=str(value or ""),
                        label=criterion.question,
                        unseen=True,
                        longest=criterion.max_length,
                    )
                case Number():
                    _show_number(criterion, value, rate, key=key)
                case Multi():
                    _show_multi(criterion, value, rate, key=key, digits=criterion.name == active)
                case _:  # of any other scale one of its choices is picked
                    _show_choices(criterion, value, rate, key=key, digits=criterion.name == active)


def _show_question(criterion: Criterion, value: Value) -> None:
    answered = value not in (None, "")
    sign = answered_html(answered=answered)
    optional = "" if criterion.required else " <span class='optional'>(optional)</span>"
    note = f"<p class='strop-help'>{escape(criterion.help)}</p>" if criterion.help else ""
    told = criterion.explanation
    anchors = f"<p class='strop-help'>{escape(told)}</p>" if told else ""
    st.html(
        f"<p class='strop-question'>{sign}"
        f"{escape(criterion.question)}{optional}</p>{note}{anchors}"
        f"{_examples(criterion)}"
    )


def answered_html(*, answered: bool) -> str:
    """The mark before a question: a tick, or an empty ring while it waits."""
    sign = "<span class='tick'>✓</span>" if answered else "<span class='todo'>○</span>"
    state = "answered" if answered else "not answered"
    return f"<span role='img' aria-label='{state}'>{sign}</span>"


def _examples(criterion: Criterion) -> str:
    """Passages with the answer that they deserve, folded away."""
    rows = "".join(_example_html(criterion, example) for example in criterion.examples)
    if not rows:
        return ""
    return f"<details class='strop-help'><summary>Examples</summary><ul>{rows}</ul></details>"


def _example_html(criterion: Criterion, example: Illustration) -> str:
    answer = escape(_example_answer(criterion, example))
    why = f" <em>{escape(example.why)}</em>" if example.why else ""
    return f"<li><q dir='auto'>{escape(example.text)}</q> → {answer}{why}</li>"


def _example_answer(criterion: Criterion, example: Illustration) -> str:
    """The answer of an example in the words on the buttons."""
    labels = {str(choice.value): choice.label for choice in criterion.choices()}
    given = example.answer if isinstance(example.answer, tuple) else (example.answer,)
    return ", ".join(labels.get(str(value), str(value)) for value in given)


def _show_choices(
    criterion: Criterion,
    value: Value,
    rate: Rate,
    *,
    key: str,
    digits: bool,
) -> None:
    choices = criterion.choices()
    with st.container(horizontal=True, gap="xsmall"):
        for digit, choice in zip(_digits(len(choices)), choices, strict=True):
            picked = value is not None and str(choice.value) == str(value)
            st.button(
                choice_label(choice, picked=picked, digit=digit if digits else None),
                key=f"{key}-{choice.value}",
                type="primary" if picked else "secondary",
                on_click=rate,
                args=(criterion.name, None if picked and not criterion.required else choice.value),
            )


def _show_multi(criterion: Multi, value: Value, rate: Rate, *, key: str, digits: bool) -> None:
    """Buttons that add an option to the answer or take it away."""
    chosen = chosen_options(value) or []
    choices = criterion.choices()
    if digits:
        st.html("<p class='strop-help'>Several may be right. Enter goes on.</p>")
    with st.container(horizontal=True, gap="xsmall"):
        for digit, choice in zip(_digits(len(choices)), choices, strict=True):
            picked = choice.value in chosen
            st.button(
                choice_label(choice, picked=picked, digit=digit if digits else None),
                key=f"{key}-{choice.value}",
                type="primary" if picked else "secondary",
                on_click=rate,
                args=(
                    criterion.name,
                    partial(set_option, criterion, name=str(choice.value), chosen=not picked),
                ),
            )


def toggle_option(criterion: Multi, value: Value, name: str) -> Value:
    """The answer with this option added or taken away, as a JSON list; None when none is left."""
    return set_option(criterion, value, name=name, chosen=name not in (chosen_options(value) or []))


def set_option(criterion: Multi, value: Value, *, name: str, chosen: bool) -> Value:
    """The answer with this option in it or not, whatever it was; pressed twice it is the same."""
    others = [other for other in chosen_options(value) or [] if other != name]
    if not chosen:
        kept = others
    elif name == criterion.alone:
        kept = [name]
    else:
        kept = [*(other for other in others if other != criterion.alone), name]
    return json.dumps(kept) if kept else None


def _show_number(criterion: Number, value: Value, rate: Rate, *, key: str) -> None:
    st.number_input(
        criterion.question,
        min_value=criterion.min,
        max_value=criterion.max,
        value=None if value is None else float(value),
        step=criterion.step,
        key=key,
        label_visibility="collapsed",
        placeholder=f"{criterion.min:g} to {criterion.max:g} {criterion.unit}".strip(),
        on_change=lambda: rate(criterion.name, st.session_state[key]),
    )


def _digits(n: int) -> Sequence[str | None]:
    return [DIGITS[i] if i < len(DIGITS) else None for i in range(n)]


def text_key(criterion: Text, *, item: str) -> str:
    """Key of the box in which a question is answered in words."""
    return f"answer-{item}-{criterion.name}"
