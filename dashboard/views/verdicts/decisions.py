"""Decisions: the log of promotions with what each rests on, and a lead's signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.schemas.verdicts import ComparisonOut, PromotionIn, PromotionOut
from dashboard.components.frame import (
    Cell,
    Tag,
    facts_html,
    moment,
    problems_shown,
    show_done,
    table_html,
    verdict_tag,
)
from dashboard.session import current_client, current_project

ACTION_TAGS = {"promoted": "pass", "held": "inconclusive", "rolled_back": "fail"}
SIGNING_ROLES = frozenset({"lead", "admin"})
SHORT_DIGEST = 12
NOWHERE = "none"  # as the API names an alias that points at no model


def show_decisions(log: Sequence[PromotionOut]) -> None:
    """The log, the newest first, and the evidence of each."""
    st.subheader("Decisions")
    show_done("decision")
    if not log:
        st.info("Nothing has been promoted or held yet: `strop promote CANDIDATE --as LEAD`")
        return
    newest_first = sorted(log, key=lambda entry: -entry.id)
    rows = [decision_row(entry) for entry in newest_first]
    st.html(table_html(["when", "what", "model", "alias", "by", "override", "why"], rows))
    for entry in newest_first:
        if entry.evidence:
            title = f"{entry.action.replace('_', ' ')} {entry.model}, {moment(entry.created_at)}"
            with st.expander(f"What it rests on: {title}"):
                st.html(facts_html(evidence_facts(entry.evidence)))


def decision_row(entry: PromotionOut) -> list[Cell]:
    """One decision; what was overridden is said beside it, for as long as the log stands."""
    unserved = (entry.evidence or {}).get("unserved")
    overridden = [
        *(["without PASS"] if entry.override else []),
        *(["not served"] if unserved else []),
    ]
    return [
        moment(entry.created_at),
        Tag(entry.action.replace("_", " "), ACTION_TAGS.get(entry.action, "")),
        entry.model,
        entry.alias,
        Tag("simulated", "simulated") if entry.simulated else entry.decided_by,
        Tag(", ".join(overridden), "fail") if overridden else "",
        entry.reason.removesuffix(".")
        + (f"; not served: {unserved}" if unserved else "")
        + (f"; rests on {entry.n_simulated} simulated votes" if entry.n_simulated else ""),
    ]


def evidence_facts(evidence: Mapping[str, Any]) -> dict[str, Cell]:
    """Verdict, preflight, bar, digests and servers, as they were when it was decided."""
    facts: dict[str, Cell] = {}
    if verdict := evidence.get("verdict"):
        facts["verdict"] = verdict_tag(verdict)
    if preflight := evidence.get("preflight"):
        facts["preflight"] = f"{preflight['verdict']}: {preflight['reason']}"
    if sentence := evidence.get("bar_sentence"):
        facts["bar"] = sentence
    for name, digest in (evidence.get("digests") or {}).items():
        if digest:
            facts[f"sha256 of {name}"] = digest[:SHORT_DIGEST]
    if served := evidence.get("served"):
        facts["servers"] = served
    if unserved := evidence.get("unserved"):
        facts["not served, since"] = unserved
    return facts


def show_signing(one: ComparisonOut, log: Sequence[PromotionOut]) -> None:
    """For leads and admins: promote the candidate, or roll the champion back."""
    if current_client().accounts.me().role not in SIGNING_ROLES:
        return
    promoted = any(entry.action == "promoted" for entry in log)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.popover(f"Promote {one.candidate} …"):
            _promote_form(one, champion_of(log))
        if promoted:
            with st.popover("Roll back …"):
                _roll_back_form(champion_of(log))


def champion_of(log: Sequence[PromotionOut]) -> str:
    """The label of the model at which the newest move of `champion` points; NOWHERE for none."""
    moves = [one for one in log if one.alias == "champion" and one.action != "held"]
    return max(moves, key=lambda one: one.id).model if moves else NOWHERE


def _promote_form(one: ComparisonOut, champion: str) -> None:
    passed = one.verdict == "PASS" and (one.preflight or {}).get("verdict") == "PASS"
    override = None
    if not passed:
        st.warning("Preflight or verdict is no PASS. Your reason stays in the log.")
        override = st.text_input("Why all the same?", key=f"override-{one.id}").strip() or None
    unserved = st.text_input(
        "If a server does not serve it: why may it stand?", key=f"unserved-{one.id}"
    ).strip()
    body = PromotionIn(comparison_id=one.id, override=override, allow_unserved=unserved or None)
    label = f"Sign: {one.candidate} is the champion"
    _sign(label, body, champion, disabled=not passed and override is None)


def _roll_back_form(champion: str) -> None:
    reason = st.text_input("Why? It stays in the log.", key="rollback-reason").strip()
    unserved = st.text_input(
        "If a server does not serve it: why may it stand?", key="rollback-unserved"
    ).strip()
    body = PromotionIn(action="rollback", reason=reason, allow_unserved=unserved or None)
    _sign("Sign the roll-back", body, champion, disabled=not reason)


def _sign(label: str, body: PromotionIn, champion: str, *, disabled: bool) -> None:
    """A button that decides over the champion that was on the page when it was pressed.

    The second press of a double click begins another run, in which the first has moved the champion
    already: it still speaks of the one that was seen, and the server refuses it.
    """
    seen = f"decision-seen-{label}"
    if not st.button(label, type="primary", disabled=disabled):
        st.session_state[seen] = champion
    else:
        with problems_shown():
            given = body.model_copy(update={"expected_current": st.session_state[seen]})
            made = current_client().verdicts.promote(current_project().id, given)
            show_done("decision", f"{made.alias} is now {made.model}.")
            st.rerun()
        st.session_state[seen] = champion  # refused, and told who is champion now
