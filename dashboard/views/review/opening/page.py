"""Open a queue: what is reviewed, how items are drawn, by whom, and what would be drawn.

Nothing is stored before the last button. What is opened is exactly what was shown: after any
change the sample is to be looked at anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.schemas.review.desk import QueueKindName
from backend.schemas.review.queues import DesignKind, DesignOut, DrawnExample, ReviewQueueIn
from backend.schemas.runs import GenerationRunOut
from dashboard.components.address import address_of
from dashboard.components.frame import (
    PageLink,
    card_html,
    facts_html,
    heading,
    problems_shown,
    sentences_html,
    show_done,
    table_html,
    tiles_html,
)
from dashboard.components.marked_text import plain, text_html
from dashboard.components.review.queue_words import PREVIEW_COLUMNS, rule_sentences, strata_rows
from dashboard.components.texts.turns import input_html
from dashboard.session import current_client, current_project
from dashboard.views.review.opening.choices import (
    DESIGN_HELP,
    DESIGN_WORDS,
    KIND_WORDS,
    Choices,
    Sampling,
    queue_request,
    shares_of_parts,
    what_is_missing,
)
from dashboard.views.review.opening.crew import ask_crew
from dashboard.views.review.opening.rubric_choice import ask_rubric
from dashboard.views.review.opening.rules import ask_rules
from dashboard.views.review.opening.skips import ask_skip
from dashboard.views.review.queue_choice import CHOICE_KEY
from dashboard.views.runs.figures import run_title

HELD_OUT_SPLITS = ("test", "validation")
SEEN_KEY = "strop-opening-seen"
OPENED = "queue-opened"
FORM_WIDTH = 820  # pixels; a longer line of fields is hard to follow
SLICES_FROM = 100  # examples that are looked at for the keys of slices


def show() -> None:
    """Draw the page."""
    heading("Open a queue", "Choose what experts see. Nothing is given to anybody before the end.")
    show_done(OPENED)
    runs = current_client().runs.list(current_project().id).items
    if not runs:
        st.info("There is nothing to review yet: models must write first, by `strop run`.")
        return
    with st.container(width=FORM_WIDTH):
        choices = _ask(runs)
    missing = what_is_missing(choices)
    if missing:
        st.subheader("Still to choose")
        st.html(sentences_html(missing))
        return
    _show_preview(queue_request(choices))


def _ask(runs: Sequence[GenerationRunOut]) -> Choices:
    st.subheader("1 · What is reviewed")
    run = _ask_run(runs)
    kind: QueueKindName = st.radio(
        "Task", list(KIND_WORDS), format_func=lambda k: KIND_WORDS[k], horizontal=True
    )
    labels = [model.label for model in run.models]
    default = labels[:2] if kind == "pair" else labels[-1:]
    models = st.multiselect("Models", labels, default=default, key=f"open-models-{run.id}-{kind}")
    fitting = current_client().queues.defaults(current_project().id, kind)
    rubric = ask_rubric(kind, fitting)
    st.subheader("2 · Which items")
    sampling = _ask_sampling(run)
    skip = ask_skip() if kind == "single" else None
    st.subheader("3 · Who reviews")
    crew = ask_crew(sorted(_places(run)), fitting)
    st.subheader("4 · Rules")
    rules, lease_seconds = ask_rules()
    st.subheader("5 · Name")
    name = st.text_input("Name of the queue", max_chars=120, placeholder="summaries, week 12")
    score_runs = sorted(run.score_run_ids)
    return Choices(
        name=name,
        kind=kind,
        run_id=run.id,
        models=tuple(models),
        rubric=rubric,
        sampling=sampling,
        crew=crew,
        rules=rules,
        lease_seconds=lease_seconds,
        score_run_id=score_runs[-1] if score_runs else None,
        skip=skip,
    )


def _ask_run(runs: Sequence[GenerationRunOut]) -> GenerationRunOut:
    by_id = {run.id: run for run in runs}
    chosen: int = st.selectbox("Run", list(by_id), format_func=lambda i: run_title(by_id[i]))
    run = by_id[chosen]
    if run.split in HELD_OUT_SPLITS:
        st.info(
            f"These are {run.split} examples: what experts correct here measures, and never trains."
        )
    if run.progress.done < run.progress.total:
        st.warning(
            f"This run is not finished: {run.progress.done} of {run.progress.total} outputs are "
            "written. A queue opens over a finished run."
        )
    return run


def _ask_sampling(run: GenerationRunOut) -> Sampling:
    kind: DesignKind = st.radio(
        "Design",
        list(DESIGN_WORDS),
        format_func=lambda k: DESIGN_WORDS[k],
        captions=[DESIGN_HELP[k] for k in DESIGN_WORDS],
    )
    by, equal, anchor, parts = None, False, 0.5, list[str]()
    if kind == "stratified":
        by = st.selectbox("Slice", sorted(slices_of(run)), accept_new_options=True)
        equal = st.toggle("As many of each, whatever its size", value=False)
    if kind == "active":
        anchor, parts = _ask_parts(run)
    items, minutes = _ask_budget()
    return Sampling(
        kind=kind,
        by=by,
        equal=equal,
        anchor=anchor,
        shares=shares_of_parts(parts, anchor=anchor),
        items=items,
        minutes=minutes,
    )


def _ask_parts(run: GenerationRunOut) -> tuple[float, list[str]]:
    words = {
        target.name: target.words for target in current_client().projects.kinds().review_targets
    }
    named = [f"slice:{place}" for place in _places(run)]
    parts = st.multiselect(
        "Doubtful parts",
        [*words, *named],
        default=["high_risk"],
        format_func=lambda name: words.get(name, name.removeprefix("slice:")),
    )
    anchor = st.slider("Random anchor, share of the budget", 0.1, 0.9, 0.5, 0.1, format="percent")
    st.caption("The parts share what the anchor leaves, in equal shares.")
    return anchor, parts


def _places(run: GenerationRunOut) -> list[str]:
    """The slices of the run, each as `key=value`."""
    return [f"{key}={value}" for key, vs in slices_of(run).items() for value in sorted(vs)]


def slices_of(run: GenerationRunOut) -> dict[str, set[str]]:
    """Keys and values of slices among the first examples of the run's dataset."""
    client = current_client()
    for version in client.datasets.list(current_project().id):
        if (version.name, version.number) == (run.dataset, run.dataset_version):
            page = client.datasets.examples(version.id, split=run.split, limit=SLICES_FROM)
            found: dict[str, set[str]] = {}
            for example in page.items:
                for key, value in example.slices.items():
                    found.setdefault(key, set()).add(str(value))
            return found
    return {}


def _ask_budget() -> tuple[int | None, float | None]:
    words = {"items": "A number of items", "minutes": "Minutes of review", "all": "Everything"}
    how = st.radio("Budget", list(words), format_func=lambda k: words[k], horizontal=True)
    if how == "items":
        return int(st.number_input("Items", min_value=1, value=50, step=10)), None
    if how == "minutes":
        minutes = st.number_input("Minutes of active review", min_value=1.0, value=120.0, step=30.0)
        return None, float(minutes)
    return None, None


def _show_preview(body: ReviewQueueIn) -> None:
    st.subheader("6 · What would be drawn")
    key = body.model_dump_json()
    if st.button("Show what would be drawn", type="secondary"):
        with problems_shown():
            seen = current_client().queues.preview(current_project().id, body)
            st.session_state[SEEN_KEY] = (key, seen)
    stored: tuple[str, DesignOut] | None = st.session_state.get(SEEN_KEY)
    if stored is None or stored[0] != key:
        st.caption("Look at the sample first; then the queue can be opened.")
        return
    _show_design(stored[1], body)
    if st.button("Open the queue", type="primary"):
        with problems_shown():
            _open(body)


def _open(body: ReviewQueueIn) -> None:
    queue = current_client().queues.open(current_project().id, body)
    st.session_state.pop(SEEN_KEY, None)
    show_done(
        OPENED,
        f"{queue.name} is open. Its experts find it on their desk when they sign in.",
        link=PageLink(f"Watch {queue.name}", address_of("queues", queue=queue.id)),
    )
    st.session_state[CHOICE_KEY] = queue.id
    st.rerun()


def _show_design(seen: DesignOut, body: ReviewQueueIn) -> None:
    st.html(tiles_html(preview_tiles(seen)))
    if seen.strata:
        st.html(table_html(PREVIEW_COLUMNS, strata_rows(seen.strata), title="Parts of the sample"))
    if seen.routing is not None:
        st.info(plain(str(seen.routing["sentence"])))
    for warning in seen.warnings:
        st.warning(plain(warning))
    if seen.giveaways:
        rows: list[list[Any]] = [[text, n] for text, n in seen.giveaways.items()]
        st.warning("Some outputs seem to give their model away. Blacking out can be set in Rules.")
        st.html(table_html(["text", "outputs"], rows, title="Texts that give a model away"))
    st.html(facts_html({"reviewers": ", ".join([*body.reviewers, *body.assignment.groups])}))
    st.html(sentences_html(rule_sentences(body.rules)))
    if seen.examples:
        with st.expander("The first items, as their reviewers would see them", expanded=True):
            for example in seen.examples:
                st.html(example_html(example))


def example_html(example: DrawnExample) -> str:
    """An item that would be drawn: its source and what is to be judged, without their models."""
    source = input_html(example.input, example.turns, kind="small")
    if example.context:
        source += text_html(f"\n{example.context}", kind="small")
    parts = [card_html(f"Source ({example.split} split)", source)]
    names = ["Answer"] if len(example.outputs) == 1 else [f"Answer {side}" for side in "AB"]
    parts += [
        card_html(name, text_html(output.text, kind="small"))
        for name, output in zip(names, example.outputs, strict=False)
    ]
    return f"<div class='strop-side-by-side strop-drawn'>{''.join(parts)}</div>"


def preview_tiles(seen: DesignOut) -> list[tuple[str, Any, str]]:
    """Items, reviews and minutes that the queue would take."""
    tiles: list[tuple[str, Any, str]] = [
        ("items", seen.n_items, f"of {seen.n_candidates} there are"),
        ("reviews", seen.n_slots, "shared items count for each person"),
    ]
    if seen.minutes is not None:
        per = f"{seen.seconds_per_review:.0f} s a review" if seen.seconds_per_review else ""
        tiles.append(("minutes", round(seen.minutes), f"{per}, from {seen.seconds_from}"))
    return tiles
