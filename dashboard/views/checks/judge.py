"""The tab on judges: what each is, what it may, and how it is biased."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.checks.judges import JudgedPairs, JudgedRate, JudgeOut, LicenceOut
from dashboard.components.address import choose
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
NEXT = {
    "licensed": "It narrows estimates from people's reviews; a manifest line may demand people.",
    "refused": "A changed prompt or model is a new version, to be tested anew: strop judge add.",
    "lapsed": "A new licence needs new reviews by people; those that gave this one count no more.",
}
DOES = {"rater": "rates", "comparer": "compares"}
WHOLE = "what its prompt says"
STANDING = ["judge", "does", "model", "criterion", "licence", "agreement with people since"]
LICENCE_COLUMNS = [
    "criterion", "licence", "winning rate", "advantage", "epsilon", "items", "unusable", "asked",
    "agreement since", "must reach", "queue", "when",
]  # fmt: skip


def show() -> None:
    """Draw the tab: where all judges stand, and one of them in full."""
    found = current_client().judges.list(current_project().id)
    st.write(
        "A judge is a model that rates or compares. It never counts as a person. A licence says "
        "that, by the alternative annotator test, it may stand in for one more of the people who "
        "rated the same outputs; it lapses when later reviews refute it."
    )
    if not found:
        st.info("There is no judge yet: `strop judge add NAME --model MODEL`")
        return
    rows = [row for judge in reversed(found) for row in standing_rows(judge)]
    st.html(table_html(STANDING, rows, title="Judges"))
    by_id = {judge.id: judge for judge in reversed(found)}
    lapsed = next((i for i, one in by_id.items() if "lapsed" in _states(one)), None)
    titles = {i: one.label for i, one in by_id.items()}
    _show_judge(by_id[choose("judge", "Judge", titles, first=lapsed)])


def _states(judge: JudgeOut) -> list[str]:
    return [one.state for one in judge.licences]


def standing_rows(judge: JudgeOut) -> list[list[Cell]]:
    """A judge in the list: a row for each criterion that a licence was asked for, or one."""
    kind = DOES.get(judge.kind, judge.kind)
    if not judge.licences:
        nothing = "none asked for" if judge.kind == "rater" else "none: only raters have one"
        return [[judge.label, kind, judge.model, judge.criterion or WHOLE, nothing, None]]
    return [
        [
            judge.label,
            kind,
            judge.model,
            one.criterion,
            Tag(one.state, KINDS.get(one.state, "inconclusive")),
            None if one.audit is None else measured_cell(one.audit),
        ]
        for one in judge.licences
    ]


def _show_judge(judge: JudgeOut) -> None:
    st.subheader(judge.label)
    if judge.kind == "rater":
        _show_licences(judge)
    facts: dict[str, Cell] = {
        "model": judge.model,
        "criterion": judge.criterion or WHOLE,
        "answers": ", ".join(map(str, judge.answers)) or "a, b or tie",
        **({"metric": judge.metric} if judge.kind == "rater" else {}),
        "sha256": judge.digest[:16],
        "added": moment(judge.created_at),
    }
    st.html(facts_html(facts))
    with st.expander("What it is asked"):
        st.html(f"<pre style='white-space:pre-wrap'>{escape(judge.prompt)}</pre>")
    if judge.kind != "rater":
        _show_pairs(current_client().judges.pairs(judge.id))


def _show_licences(judge: JudgeOut) -> None:
    if not judge.licences:
        st.info(f"It has no licence: `strop judge licence {judge.label} --queue QUEUE`")
        return
    st.html(sentences_html(licence_sentence(one, judge.label) for one in judge.licences))
    rows = [licence_row(one) for one in judge.licences]
    st.html(table_html(LICENCE_COLUMNS, rows, title=f"Licences of {judge.label}"))


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
    said = f"{one.criterion}: {one.state}. Why: {one.reason}."
    if not one.recorded:
        said += f" That is not recorded yet: strop judge audit {judge}."
    if one.attempts > 1:
        said += f" The licence was asked for {one.attempts} times."
    return f"{said} {NEXT.get(one.state, '')}".strip()


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
    """Win rates, against all and two by two; of two models, against all is against the other."""
    two = [rate for rate in rates if rate.against]
    shown = two if len({rate.model for rate in two}) == 2 else rates
    return [[rate.model, rate.against or "all", measured_cell(rate.figure)] for rate in shown]
