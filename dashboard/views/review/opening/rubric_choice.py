"""Which rubric a new queue asks: of the library, of the project, or a new version of one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.errors import InvalidInput
from backend.rubrics import Rubric, dump_rubric, find_rubric, library_names
from backend.schemas.review.desk import QueueKindName
from backend.schemas.review.quality import RubricOut
from backend.schemas.review.queues import OpeningDefaults
from dashboard.components.frame import Cell, problems_shown, show_done, table_html
from dashboard.session import current_client, current_project

ASKED_COLUMNS = ["question", "as it is asked", "scale"]
OWN = "own:"


def ask_rubric(kind: QueueKindName, fitting: OpeningDefaults) -> str:
    """What the queue's request carries: a name of the library, or the rubric as YAML."""
    show_done("rubric")
    own = {f"{OWN}{one.name}": one for one in current_client().rubrics.list(current_project().id)}
    names = [*library_names(), *own]
    chosen: str = st.selectbox(
        "Rubric",
        names,
        index=names.index(default_of(fitting, names)),
        format_func=lambda name: _title(name, own),
        key=f"open-rubric-{kind}",
    )
    rubric = own[chosen].rubric if chosen in own else find_rubric(chosen)
    with st.expander("What this rubric asks"):
        st.html(table_html(ASKED_COLUMNS, criterion_rows(rubric), title="Questions"))
        st.download_button(
            "Download as YAML",
            data=dump_rubric(rubric),
            file_name=f"{rubric.name}.yaml",
            mime="application/yaml",
            on_click="ignore",
        )
    _offer_own()
    return own[chosen].source if chosen in own else chosen


def default_of(fitting: OpeningDefaults, names: Sequence[str]) -> str:
    """The rubric that fits the project: its own where it has one, else of the library."""
    own = f"{OWN}{fitting.rubric}"
    return own if fitting.rubric_version is not None and own in names else fitting.rubric


def criterion_rows(rubric: Rubric) -> list[list[Cell]]:
    """Name, question and scale of each criterion; the vote itself for a rubric that has none."""
    if not rubric.criteria:
        return [["vote", "Which text would you rather send?", "pair"]]
    return [[one.name, one.question, one.words] for one in rubric.criteria]


def _title(name: str, own: dict[str, RubricOut]) -> str:
    if name in own:
        return f"{own[name].name}, version {own[name].version}, of this project"
    return name.replace("_", " ")


def _offer_own() -> None:
    with st.expander("Bring a rubric of your own (YAML)"):
        st.caption(
            "Download one above, change it, and bring it back. The same name makes the next "
            "version; queues that are open stay on theirs to the end, so that no item is asked "
            "in two ways."
        )
        given = st.file_uploader("Rubric", type=["yaml", "yml"], key="open-rubric-file")
        if given is not None and st.button("Save this rubric"):
            with problems_shown():
                _save(given.getvalue())


def _save(content: bytes) -> None:
    try:
        source = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput("The file is not UTF-8.", hint="Save it as UTF-8.") from error
    saved = current_client().rubrics.save(current_project().id, source)
    show_done("rubric", saved.sentence)
    st.rerun()


def version_sentence(rubric: Rubric, versions: list[RubricOut]) -> str:
    """Which version a queue asks, and what an edit does to its open items."""
    mine = next((one for one in versions if one.digest == rubric.digest), None)
    newest = max((one.version or 0 for one in versions), default=0)
    if mine is None or mine.version is None:
        return f"{rubric.name}. It does not change while the queue is open."
    stays = (
        "All items of this queue, open ones too, are asked by this version to the end; an edit "
        "makes a new version, for queues that are opened after it."
    )
    if newest > mine.version:
        return f"{rubric.name}, version {mine.version}. Version {newest} is newer. {stays}"
    return f"{rubric.name}, version {mine.version}, the newest. {stays}"
