"""The tab on judges: what each is, what it may, and how it is biased."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.checks.judges import JudgedPairs, JudgedRate, JudgeOut, LicenceOut
from dashboard.components.figures.measured import measured_cell
from dashboard.components.frame import (
    Cell,
    FigureText,
    Tag,
    escape,
    facts_html,
    moment,
    sentences_html,
    table_html,
)
from dashboard.session import current_client, current_project

KINDS = {"licensed": "pass", "refused": "fail", "lapsed": "fail"}
BIASES = {
    "flipped": "says otherwise when the sides are changed",
    "first_wins": "prefers what is shown first (half is fair)",
    "longer_wins": "prefers the longer output",
    "own_wins": "prefers its own output",
    "own_wins_by_people": "people prefer its output, on the same pairs",
}
LICENCE_COLUMNS = [
    "criterion", "licence", "winning rate", "advantage", "epsilon", "items", "unusable", "asked",
    "agreement since", "must reach", "queue", "when",
]  # fmt: skip


def show() -> None:
    """Draw the tab."""
    found = current_client().judges.list(current_project().id)
    st.write(
        "A judge is a model that rates or compares. It never counts as a person. A licence says "
        "that, by the alternative annotator test, it may stand in for one more of the people who "
        "rated the same outputs; it lapses when later reviews refute it."
    )
    if not found:
        st.info("There is no judge yet: `strop judge add NAME --model MODEL`")
        return
    for judge in reversed(found):
        _show_judge(judge)


def _show_judge(judge: JudgeOut) -> None:
    st.subheader(judge.label)
    facts: dict[str, Cell] = {
        "kind": judge.kind,
        "model": judge.model,
        "criterion": judge.criterion or "what its prompt says",
        "answers": ", ".join(map(str, judge.answers)) or "a, b or tie",
        "metric": judge.metric if judge.kind == "rater" else None,
        "sha256": judge.digest[:16],
        "added": moment(judge.created_at),
    }
    st.html(facts_html(facts))
    with st.expander("What it is asked"):
        st.html(f"<pre style='white-space:pre-wrap'>{escape(judge.prompt)}</pre>")
    if judge.kind == "rater":
        _show_licences(judge)
    else:
        _show_pairs(current_client().judges.pairs(judge.id))


def _show_licences(judge: JudgeOut) -> None:
    if not judge.licences:
        st.info(f"It has no licence: `strop judge licence {judge.label} --queue QUEUE`")
        return
    rows = [licence_row(one) for one in judge.licences]
    st.html(table_html(LICENCE_COLUMNS, rows, title=f"Licences of {judge.label}"))
    st.html(sentences_html(licence_sentence(one, judge.label) for one in judge.licences))


def licence_row(one: LicenceOut) -> list[Cell]:
    """A licence with its figures; where the test was not made, there are none."""
    evidence = one.evidence
    return [
        one.criterion,
        Tag(one.state, KINDS.get(one.state, "inconclusive")),
        _share(evidence.get("winning_rate")),
        _share(evidence.get("advantage")),
        _share(evidence.get("epsilon")),
        evidence.get("n_items"),
        evidence.get("unusable"),
        one.attempts,
        None if one.audit is None else measured_cell(one.audit),
        _share(one.bar),
        one.queue,
        moment(one.created_at),
    ]


def licence_sentence(one: LicenceOut, judge: str) -> str:
    """Why it stands so, and what is still to be done."""
    said = f"{one.criterion}: {one.state}: {one.reason}."
    if not one.recorded:
        said += f" Nobody has written that down yet: strop judge audit {judge}."
    if one.attempts > 1:
        said += f" The licence was asked for {one.attempts} times."
    return said


def _share(value: float | None) -> Cell:
    return None if value is None else FigureText(f"{value:.2f}")


def _show_pairs(found: Sequence[JudgedPairs]) -> None:
    if not found:
        st.info("It compared nothing yet: `strop judge compare NAME --run RUN --models a,b`")
    for one in found:
        st.html(
            f"<p><b>Run {one.run_id}, by a judge and not by people</b>: {one.n} pairs in both "
            f"orders, {one.failed} without a usable answer, {one.identical} of equal texts, "
            f"{one.missing} not judged yet.</p>"
        )
        st.html(sentences_html(one.said))
        rates = rate_rows(one.rates)
        st.html(
            table_html(
                ["model", "against", "wins by a judge, a tie being half"],
                rates,
                title="Win rates by a judge",
            )
        )
        if one.strengths:
            strengths = [[rate.model, measured_cell(rate.figure)] for rate in one.strengths]
            columns = ["model", "strength by a judge"]
            st.html(table_html(columns, strengths, title="Strengths by a judge"))
        else:
            st.html(sentences_html([f"No strengths: {one.no_strengths}"]))
        biases = [[BIASES.get(name, name), measured_cell(m)] for name, m in one.biases.items()]
        st.html(table_html(["the judge", "share"], biases, title="Biases of the judge"))


def rate_rows(rates: Sequence[JudgedRate]) -> list[list[Cell]]:
    """Win rates, against all and two by two."""
    return [[rate.model, rate.against or "all", measured_cell(rate.figure)] for rate in rates]
