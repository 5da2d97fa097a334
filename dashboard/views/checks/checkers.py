"""The tab "Checkers": the project's own models that say whether a source supports a sentence."""

from __future__ import annotations

import streamlit as st

from backend.schemas.checks.checkers import CheckerFigure, CheckerOut
from dashboard.components.figures.figures import interval_text
from dashboard.components.frame import Cell, problems_shown, sentences_html, table_html
from dashboard.session import current_client, current_project

COMMAND = "strop check train NAME"
COLUMNS = (
    "checker",
    "AUROC of sentences",
    "balanced accuracy at .5",
    "false alarms",
    "taught with",
)
KINDS = ("error", "found", "of sentences")
BESIDE = ("told by", "AUROC of sentences (simulated)", "the checker's less it", "sentences")
TEXTS = ("told by", "AUROC of whole texts", "texts")
SIMULATED = (
    "Measured on what training never saw. Errors were planted, so every figure here is simulated: "
    "it says what a checker can find, not how often a model errs."
)


def show() -> None:
    """Draw the tab."""
    with problems_shown():
        found = current_client().checks.checkers(current_project().id)
        if not found:
            st.info(f"No checker was trained yet: `{COMMAND}`")
            return
        st.html(sentences_html([SIMULATED]))
        st.html(table_html(COLUMNS, [row(one) for one in found], title="Checkers"))
        for one in found:
            with st.expander(one.metric, expanded=one is found[0]):
                _show_one(one)


def _show_one(one: CheckerOut) -> None:
    st.html(sentences_html(sentences(one)))
    if one.kinds:
        rows: list[list[Cell]] = [
            [kind.kind, figure_text(kind.found), kind.found.n] for kind in one.kinds
        ]
        st.html(table_html(KINDS, rows, title=f"{one.metric}: errors found (simulated)"))
    if one.beside:
        st.html(table_html(BESIDE, beside_rows(one), title=f"{one.metric}: the same sentences"))
    if one.texts:
        rows = [[text.predictor, figure_text(text), text.n] for text in one.texts]
        title = f"{one.metric} beside checks without a model (simulated)"
        st.html(table_html(TEXTS, rows, title=title))


def beside_rows(one: CheckerOut) -> list[list[Cell]]:
    """Checks without a model on the sentences that the checker was asked about."""
    told = {(figure.predictor, figure.metric): figure for figure in one.beside}
    return [
        [name, figure_text(found), figure_text(told.get((name, "difference"))), found.n]
        for (name, metric), found in told.items()
        if metric == "auroc"
    ]


def row(one: CheckerOut) -> list[Cell]:
    """A checker in the list."""
    told = {figure.metric: figure for figure in one.figures}
    taught = ", ".join(f"{count} {source}" for source, count in one.sentences.items())
    return [
        one.metric,
        figure_text(told.get("auroc")),
        figure_text(told.get("balanced_accuracy")),
        figure_text(one.false_alarms),
        taught,
    ]


def figure_text(figure: CheckerFigure | None) -> str:
    """A figure with its interval; what was not measured says so."""
    if figure is None:
        return "not measured"
    return interval_text(figure.value, figure.low, figure.high, scale=1.0)


def sentences(one: CheckerOut) -> list[str]:
    """What the checker is and what was measured of it."""
    said = [
        f"{one.model}, trained on {one.training_set} in training run {one.training_run_id}; it is "
        f"shown up to {one.source_bytes} bytes of a source.",
        f"Score a run with it: strop run --resume RUN --metrics {one.metric}",
    ]
    if one.false_alarms is None:
        again = f"strop train --resume {one.training_run_id}"
        return [*said, f"It was not measured yet; measure it: {again}"]
    failed = f"; {one.failed} could not be judged" if one.failed else ""
    return [
        *said,
        f"Measured on {one.groups} groups{failed}. False alarms on {one.false_alarms.n} right "
        f"sentences: {figure_text(one.false_alarms)}.",
    ]
