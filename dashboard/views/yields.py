"""The yield of a round's corrections: what the candidate has learnt, and what is the bottleneck."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import streamlit as st

from backend.errors import CannotCompute
from backend.schemas.rounds import RoundOut
from backend.schemas.yields import OutcomeOut, RoundPointOut, YieldOut
from dashboard.components.figures.measured import interval_point, measured_cell, measured_text
from dashboard.components.figures.plots import show_intervals
from dashboard.components.frame import Cell, Tag, problems_shown, sentences_html, table_html
from dashboard.components.marked_text import plain
from dashboard.session import current_client, current_project

CURVE = ("round", "candidate", "trained on", "held back", "overall", "per hour", "bottleneck")
PARTS = ("of", "share", "figure")
TYPES = ("error type", "fixed, trained on", "fixed, held back")
EXAMPLES = ("what became of it", "example", "before", "wanted", "answer")
SHOWN = 10
MOST_CHARACTERS = 300


def show_yields(rounds: Sequence[RoundOut]) -> None:
    """The curve over rounds, and the newest round that has a yield; nothing where none has."""
    with problems_shown():
        points = current_client().yields.curve(current_project().id)
        if not points:
            return
        st.subheader("What became of the corrections")
        st.html(table_html(CURVE, [curve_row(point) for point in points], title="Yield by round"))
        drawn = [line for point in points for line in curve_points(point)]
        title = "share of corrections that is fixed"
        show_intervals(drawn, label="line", value_title=title, domain=(0, 1))
        _show_newest(points, {row.number: row.id for row in rounds})
        if len(points) > 1:
            _show_forecast()


def _show_newest(points: Sequence[RoundPointOut], ids: dict[int, int]) -> None:
    known = [p for p in points if p.error is None and p.number in ids]
    if not known:
        return
    told = current_client().yields.of_round(ids[known[-1].number], examples=SHOWN)
    st.html(sentences_html(sentences(told)))
    with st.expander(f"Round {known[-1].number}: by part, by error type, and examples"):
        st.html(table_html(PARTS, part_rows(told), title="Yield by part"))
        if told.by_type:
            rows = [
                [one.error_type, measured_cell(one.trained), measured_cell(one.held_back)]
                for one in told.by_type
            ]
            st.html(table_html(TYPES, rows, title="Yield by error type"))
        if told.examples:
            rows = [example_row(one) for one in told.examples]
            st.html(table_html(EXAMPLES, rows, title="Examples"))


def _show_forecast() -> None:
    """What more examples would bring; where nobody can tell, why."""
    try:
        told = current_client().yields.forecast(current_project().id)
    except CannotCompute as error:
        st.caption(f"No forecast of more examples: {plain(str(error))}")
        return
    st.subheader("What more examples would bring")
    rows: list[list[Cell]] = [
        [one.candidate, one.rows, measured_cell(one.figure)] for one in told.points
    ]
    rows.append(["forecast", told.target, measured_cell(told.forecast)])
    simulated = ", simulated reviews" if told.simulated else ""
    title = f"Learning curve on the {told.split} split, run {told.run_id}{simulated}"
    st.html(table_html(["candidate", "examples", told.metric], rows, title=title))
    note = [f"{told.forecast.note}."] if told.forecast.note else []
    st.html(sentences_html([*note, *told.notes]))


def curve_row(point: RoundPointOut) -> list[Cell]:
    """A round in the table; where there is no yield the reason stands."""
    overall = measured_cell(point.overall)
    if point.overall.value is not None:
        overall = f"{point.overall_title} {measured_text(point.overall)}"
    return [
        Tag(f"{point.number} simulated", "simulated") if point.simulated else point.number,
        point.candidate,
        measured_cell(point.trained),
        measured_cell(point.held_back),
        overall,
        measured_cell(point.per_hour, with_unit=False),
        point.diagnosis.bottleneck if point.diagnosis else point.error,
    ]


def curve_points(point: RoundPointOut) -> Iterator[dict[str, Any]]:
    """Trained on and held back, each that has a figure."""
    shares = {"trained on": point.trained, "held back": point.held_back}
    for group, measured in shares.items():
        if measured.value is not None:
            yield interval_point(f"round {point.number}", measured, group=group)


def sentences(told: YieldOut) -> list[str]:
    """The bottleneck with its rule, when an answer is right, and what could not be judged."""
    whose = "frozen with the set" if told.is_frozen_rule else "not the rule of the set"
    said = [
        f"Bottleneck: {told.diagnosis.bottleneck}. {told.diagnosis.sentence}",
        f"Rule: {told.diagnosis.rule}",
        f"An answer is right when: {told.rule} against the expert's text ({whose}).",
    ]
    said += [f"{n} not judged: {reason}" for reason, n in told.unknown_reasons.items()]
    return said


def part_rows(told: YieldOut) -> list[list[Cell]]:
    """Corrections fixed, and what was right before and is wrong now."""
    parts = [
        ("corrections, trained on", "fixed", told.trained),
        ("corrections, held back", "fixed", told.held_back),
        ("approved outputs, trained on", "newly broken", told.broken),
        ("approved outputs, held back", "newly broken", told.broken_held_back),
        ("held-out examples, right before", "newly broken", told.broken_elsewhere),
        ("corrections fixed", "per active hour", told.per_hour),
    ]
    return [[of, share, measured_cell(measured, with_unit=False)] for of, share, measured in parts]


def example_row(one: OutcomeOut) -> list[Cell]:
    """A prompt with its three texts, cut where they are long."""
    part = "held back" if one.held_back else "trained on"
    answer = one.reason if one.answer is None else one.answer
    texts = [text[:MOST_CHARACTERS] for text in (one.before, one.wanted, answer or "")]
    return [f"{one.state}, {part}", one.example, *texts]
