"""From a run down to one example: its source, what each model wrote, flags, scores, reasons."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.runs import GenerationDetail, GenerationOut, GenerationRunOut, ScoreOut
from dashboard.components.frame import Cell, FigureText, card_html, table_html
from dashboard.components.marked_text import Flag, flag_list_html, marked_html, text_html
from dashboard.components.texts.turns import input_html
from dashboard.session import current_client

PAGE = 50
PREVIEW = 160


def show_outputs_of(run: GenerationRunOut) -> None:
    """A list of the run's examples, and the one that was chosen with every model's output."""
    first = run.models[0]
    cursors: list[str] = st.session_state.get(_cursor_key(run.id), [])
    cursor = cursors[-1] if cursors else None
    page = current_client().runs.generations(
        run.id, model_version_id=first.id, limit=PAGE, cursor=cursor
    )
    if not page.items:
        st.info("Nothing has been written yet.")
        return
    chosen = _choose(page.items, run)
    _show_paging(run.id, page.next)
    _show_example(run, chosen)


def _cursor_key(run_id: int) -> str:
    return f"outputs-cursors-{run_id}"


def _choose(items: Sequence[GenerationOut], run: GenerationRunOut) -> GenerationOut:
    rows = [
        {
            "example": item.example_id,
            "sample": item.sample,
            f"output of {run.models[0].label}": _preview(item),
        }
        for item in items
    ]
    picked = st.dataframe(
        rows,
        hide_index=True,
        height=214,
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [0]}},
        key=f"outputs-{run.id}-{items[0].id}",
    )
    at = picked["selection"]["rows"]
    return items[at[0] if at else 0]


def _preview(item: GenerationOut) -> str:
    text = item.text if item.error is None else f"error: {item.error}"
    return " ".join((text or "").split())[:PREVIEW]


def _show_paging(run_id: int, following: str | None) -> None:
    cursors: list[str] = st.session_state.setdefault(_cursor_key(run_id), [])
    if not cursors and following is None:
        return
    with st.container(horizontal=True):
        st.button(
            "Back", key=f"outputs-back-{run_id}", disabled=not cursors, on_click=cursors.clear
        )
        st.button(
            "More",
            key=f"outputs-more-{run_id}",
            disabled=following is None,
            on_click=cursors.append,
            args=(following,),
        )


def _show_example(run: GenerationRunOut, chosen: GenerationOut) -> None:
    client = current_client()
    same = client.runs.generations(run.id, example_id=chosen.example_id, limit=100).items
    details = [client.runs.generation(item.id) for item in same]
    example = details[0].example
    slices = ", ".join(f"{key}={value}" for key, value in example.slices.items())
    st.html(
        table_html(
            ["example", "group", "slices", "split"],
            [[example.external_id, example.group, slices, example.split]],
        )
    )
    source, outputs = st.columns([1, 1.2], gap="large")
    with source:
        st.html(card_html("Input", input_html(example.input, example.turns)))
        if example.context:
            st.html(card_html("Source", text_html(example.context, kind="context")))
        for reference in example.references:
            st.html(card_html("Reference answer", text_html(reference, kind="context")))
    with outputs:
        for detail in details:
            _show_output(detail)


def _show_output(detail: GenerationDetail) -> None:
    title = f"{detail.model}, sample {detail.sample}" if detail.sample else detail.model
    if detail.error is not None:
        st.html(card_html(title, text_html(f"This could not be written: {detail.error}")))
        return
    text = detail.text or ""
    flags = [Flag(s.start, s.end, s.reason) for score in detail.scores for s in score.spans]
    body = marked_html(text, flags) + (flag_list_html(text, flags) if flags else "")
    st.html(card_html(title, body))
    st.caption(usage_words(detail))
    if detail.scores:
        rows = [[score.metric, score_cell(score), score.explanation] for score in detail.scores]
        st.html(table_html(["metric", "score", ""], rows))


def usage_words(detail: GenerationOut) -> str:
    """What the answer took; one made elsewhere may not say it, and 0 is then not known."""
    counted = detail.prompt_tokens or detail.completion_tokens  # an empty answer has a prompt
    facts = [
        f"{detail.completion_tokens} tokens" if counted else "tokens not known",
        detail.finish_reason or "ending not known",
        f"{detail.latency_s:.2f} s" if detail.latency_s else "time not known",
    ]
    if detail.truncated_tokens:
        facts.append(f"{detail.truncated_tokens} prompt tokens cut off")
    return ", ".join(facts)


def score_cell(score: ScoreOut) -> Cell:
    """A score as written: the value, or the reason why there is none."""
    if score.error is not None:
        return score.error
    if score.not_applicable:
        return "does not apply"
    if score.value is None:
        return score.label
    return FigureText(f"{score.value:.4g}")
