"""Privacy: what the project masks, what was found, and one original at a time, every look noted."""

from __future__ import annotations

import json

import streamlit as st

from backend.schemas.masking import MaskingOut, MaskingPolicyIn, MaskingPolicyOut
from dashboard.components.frame import (
    Cell,
    FigureText,
    Tag,
    facts_html,
    heading,
    moment,
    problems_shown,
    show_done,
    table_html,
    tiles_html,
)
from dashboard.session import current_client, current_project, person_here

OFF = (
    "This project masks nothing: texts are kept, shown, learned from and exported as they come in. "
    "A lead sets a masking policy here or by `strop mask policy set`."
)
FIRST_POLICY = """languages: [en, de]
kinds: {}            # every kind is on; switch one off: {DATE: off}
replace: surrogate   # or placeholder
originals: encrypt   # or drop
"""
AFTER = (
    "From then on rows come in masked or not at all, and what came in before is neither run nor "
    "learned from until it is imported again."
)
LEADS = ("lead", "admin")


def show() -> None:
    """Draw the page."""
    heading("Privacy", "What is masked when data come in, what was found, and who may look behind")
    show_done("privacy")
    found = current_client().masking.show(current_project().id)
    may = person_here().role in LEADS
    if found.policy is None:
        st.info(OFF)
    else:
        _show_policy(found.policy)
        _show_counts(found)
    if may:
        _set_policy(found.policy)
        if found.n_originals:
            _look_behind(found)
    else:
        st.caption("A lead sets the policy, and may see originals; every look is in the audit log.")


def _show_policy(policy: MaskingPolicyOut) -> None:
    content = policy.content
    off = [kind for kind, on in content["kinds"].items() if not on]
    facts: dict[str, Cell] = {
        "policy": f"version {policy.version}, sha256 {policy.digest[:12]}",
        "set": moment(policy.created_at),
        "masks": Tag("yes", "pass") if content["active"] else Tag("no, since this version", "fail"),
        "languages": ", ".join(content["languages"]),
        "kinds switched off": ", ".join(off) or "none",
        "puts in their place": content["replace"] + "s, the same within a " + content["consistent"],
        "originals": "encrypted" if content["originals"] == "encrypt" else "dropped",
        "key": policy.key_id
        if policy.key_is_here
        else Tag(f"{policy.key_id}: not in use here, so that nothing can be imported", "fail"),
    }
    st.html(facts_html(facts))


def _show_counts(found: MaskingOut) -> None:
    bare = "none of it is run or learned from" if found.n_unmasked else ""
    st.html(
        tiles_html(
            [
                ("examples masked", found.n_masked, ""),
                ("not masked", found.n_unmasked, bare),
                ("identifiers replaced", sum(found.by_kind.values()), ""),
                ("originals kept", found.n_originals, _openable(found)),
            ]
        )
    )
    if not found.by_kind:
        return
    rows = [
        (found.titles[kind], FigureText(f"{n:,}"), FigureText(f"{n / found.n_masked:.2f}"))
        for kind, n in found.by_kind.items()
    ]
    st.html(table_html(["kind", "found", "per example"], rows, title="What was found"))


def _openable(found: MaskingOut) -> str:
    locked = found.n_originals - found.originals_openable
    return f"the key of {locked} is not here" if locked else ""


def _set_policy(policy: MaskingPolicyOut | None) -> None:
    with st.expander("Set the policy" if policy is None else "Change the policy"):
        with st.form("masking_policy"):
            source = st.text_area(
                "Policy (YAML)", FIRST_POLICY if policy is None else policy.source, height=220
            )
            st.caption(AFTER)
            sent = st.form_submit_button("Set it", type="primary")
        if sent:
            with problems_shown():
                row = current_client().masking.set_policy(
                    current_project().id, MaskingPolicyIn(source=source)
                )
                show_done("privacy", f"Masking policy version {row.version} is set.")
                st.rerun()


def _look_behind(found: MaskingOut) -> None:
    with st.expander("Look behind one example"):
        st.caption("The original row is shown once, and that you looked is in the audit log.")
        with st.form("original"):
            number = st.number_input("Id of the example", min_value=1, step=1, value=None)
            sent = st.form_submit_button("Show the original")
        if sent and number is not None:
            with problems_shown():
                shown = current_client().masking.original(int(number))
                st.code(
                    json.dumps(shown.original, ensure_ascii=False, indent=2),
                    language=None,
                    wrap_lines=True,
                )
