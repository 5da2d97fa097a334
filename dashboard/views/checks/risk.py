"""The tab Risk: what the reviews of a project taught, how good it is, and a new version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import streamlit as st

from backend.schemas.checks.risk import RiskFigure, RiskIn, RiskVersionOut
from dashboard.components.figures.figures import interval_text
from dashboard.components.figures.plots import calibration_plot
from dashboard.components.frame import (
    Cell,
    FigureText,
    Tag,
    problems_shown,
    sentences_html,
    table_html,
)
from dashboard.session import current_client, current_project

VERSIONS = ("risk", "AUROC", "learned from", "wrong ones", "wrong means", "reviews of")
PREDICTORS = {
    "risk": "this risk",
    "majority": "one rate said of all",
    "source_rouge": "overlap with the source (ROUGE-L)",
}
MEASURES = {
    "auroc": "AUROC: how often a wrong output has the higher risk",
    "balanced_accuracy": "balanced accuracy",
    "brier": "Brier score, lower is better",
    "calibration_error": "calibration error, lower is better",
}
RELATIVE = "~others"
SPLITS = ("train", "validation", "test")


def show_risk() -> None:
    """Draw the tab."""
    with problems_shown():
        versions = current_client().risks.list(current_project().id)
        _show_versions(versions)
        with st.expander("Fit a new version", expanded=not versions):
            _show_form()


def _show_versions(versions: Sequence[RiskVersionOut]) -> None:
    if not versions:
        st.info(
            "No risk was fitted yet. It takes 60 reviewed outputs of runs that were scored with "
            "checks, 15 of them wrong and 15 right."
        )
        return
    st.html(table_html(VERSIONS, [version_row(one) for one in versions], title="Risks"))
    names = [one.metric for one in versions]
    chosen = names.index(st.selectbox("Version", names, key="risk-version") or names[0])
    _show_version(versions[chosen])


def version_row(one: RiskVersionOut) -> list[Cell]:
    """A version in the list; simulated where scripts wrote a review that it learned from."""
    name: Cell = Tag(f"{one.metric} simulated", "simulated") if one.n_simulated else one.metric
    found = next((f for f in one.figures if (f.predictor, f.metric) == ("risk", "auroc")), None)
    auroc = "none" if found is None else figure_text(found)
    told = f"{one.n} outputs in {one.n_groups} groups"
    return [name, auroc, told, one.positives, one.wrong_when, ", ".join(one.splits)]


def figure_text(figure: RiskFigure) -> str:
    """A figure with its interval, and why it has none."""
    return interval_text(figure.value, figure.low, figure.high, scale=1.0)


def _show_version(one: RiskVersionOut) -> None:
    st.html(sentences_html(sentences(one)))
    header, rows = figure_table(one.figures)
    st.html(table_html(header, rows, title=f"{one.metric}, each output by models of other groups"))
    if one.reliability:
        st.subheader("Does the risk come true?")
        st.html(
            "<p>Outputs in up to ten parts of similar risk: how many of each were found wrong, "
            "with its interval. On the dashed line the risk says what happens.</p>"
        )
        st.altair_chart(
            calibration_plot([asdict(part) for part in one.reliability]), width="stretch"
        )


def figure_table(figures: Sequence[RiskFigure]) -> tuple[list[str], list[list[Cell]]]:
    """Columns and rows: a figure a row, a predictor a column."""
    found = {(one.metric, one.predictor): one for one in figures}
    predictors = list(dict.fromkeys(one.predictor for one in figures))
    rows = [
        [
            MEASURES.get(metric, metric),
            *(_figure_cell(found.get((metric, predictor))) for predictor in predictors),
            max(one.n for one in figures if one.metric == metric),
        ]
        for metric in dict.fromkeys(one.metric for one in figures)
    ]
    names = [PREDICTORS.get(predictor, predictor) for predictor in predictors]
    return ["figure", *names, "outputs"], rows


def _figure_cell(figure: RiskFigure | None) -> Cell:
    return None if figure is None else FigureText(figure_text(figure))


def sentences(one: RiskVersionOut) -> list[str]:
    """What it was learned from, in words; everything that was left out, with counts."""
    plain = [name for name in one.features if not name.endswith(RELATIVE)]
    told = f"Learned from the reviews of {one.n} outputs, {one.positives} of them wrong"
    if one.n_effective < one.n - 0.5:
        told += f"; as much as {one.n_effective:.0f} outputs drawn with equal chances would tell"
    said = [
        f"{told}.",
        f"Wrong means: {one.wrong_when}, by half or more of the reviews of an output.",
        f"Made of the checks {', '.join(plain)}.",
    ]
    if len(plain) < len(one.features):
        said.append("Each check also counts less its mean over the other answers to the example.")
    if one.n_simulated:
        said.append(f"{one.n_simulated} of these outputs have simulated reviews.")
    if "test" in one.splits:
        said.append("It has learned from reviews of test outputs, so no test run is scored by it.")
    said += [f"Left out: {n} {what}." for what, n in one.left_out.items()]
    checks = dict.fromkeys(feature.removesuffix(RELATIVE) for feature in one.features)
    together = ",".join([*checks, one.metric])
    return [
        *said,
        f"Score a run by it, with what it is made of: strop run --resume RUN --metrics {together}",
        "Then review where it is high, or let skip what is low: page “Open a queue”.",
    ]


def _show_form() -> None:
    with st.form("risk-form", border=False):
        wrong = st.text_input(
            "Which answers count as wrong",
            key="risk-wrong",
            help="marked, faithful=no, verdict=fail|critical_fail, quality<3; left empty: an error "
            "was marked, the text corrected, or a verdict is no pass.",
        )
        splits = st.multiselect(
            "Reviews of these splits count", SPLITS, SPLITS[:2], key="risk-splits"
        )
        if not st.form_submit_button("Fit", type="primary"):
            return
    if not splits:
        st.error("Choose a split at least.")
        return
    with problems_shown():
        given = RiskIn.model_validate({"wrong_when": wrong.strip() or None, "splits": splits})
        current_client().risks.fit(current_project().id, given)
        st.rerun()
