"""Audit: who came, who saw which texts, what was decided; and whether the log is whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import streamlit as st

from backend.schemas.audit import AuditEntryOut, AuditStatus
from backend.schemas.common import Page
from dashboard.components.frame import (
    Cell,
    FigureText,
    Tag,
    card_html,
    escape,
    facts_html,
    heading,
    problems_shown,
    sentences_html,
    table_html,
)
from dashboard.session import current_client, current_project, person_here

ROWS = 50
COLUMNS = ["at (UTC)", "who", "did what", "project", "place"]
EVERYTHING = "All projects, sign-ins and people"
ANYTHING = "Anything"
TEXTS_READ = "Who saw texts"
EXPORT_PATH = "/api/v1/audit/export"
CURSORS = "strop-audit-cursors"


def show() -> None:
    """Draw the page."""
    heading("Audit", "Who came, who saw which texts, and what was decided. Times are in UTC")
    status = current_client().audit.status()
    st.html(status_html(status))
    asked = _asked(status.actions)
    _show_entries(asked)
    if person_here().role == "admin":
        st.html(
            f"<div class='strop-download'><span>The whole chain, to be checked without Strop: "
            f"strop audit verify FILE</span><span><a class='strop-link' download "
            f"href='{EXPORT_PATH}' aria-label='The whole log, JSONL'>JSONL</a></span></div>"
        )


def status_html(status: AuditStatus) -> str:
    """How the chain stands, in one card."""
    checked = status.sealed - status.checked_from + 1 if status.sealed else 0
    holds = Tag("the chain holds", "pass") if status.holds else Tag("CHANGED", "fail")
    if status.holds and not status.sealed:
        holds = Tag("nothing is sealed yet: a worker seals", "inconclusive")
    facts: dict[str, Cell] = {
        "looked at now": holds,
        "entries": f"{status.sealed:,} sealed; the last {checked:,} were looked at",
        "waiting": _waiting(status),
        "head": FigureText(f"{status.head[:24]}…"),
        "head noted": (status.noted_at or "not yet").replace("T", " ").removesuffix("+00:00"),
    }
    wrong = sentences_html([f"{finding}." for finding in status.findings])
    rest = "All of it: strop doctor --verify. A head to keep elsewhere: strop audit head."
    help_ = f"<p class='strop-help'>{escape(rest)}</p>"
    return card_html("Is the log what it was?", facts_html(facts) + wrong + help_)


def _waiting(status: AuditStatus) -> Cell:
    if not status.unsealed:
        return "nothing"
    since = f", since {_moment(status.unsealed_since)}" if status.unsealed_since else ""
    return f"{status.unsealed:,} entries for their place in the chain{since}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _asked(actions: Sequence[str]) -> dict[str, Any]:
    """The filters, as the client takes them; `project_id` is None for everything."""
    scope, who, what = st.columns(3)
    with scope:
        project_id = _scope()
    with who:
        named = st.selectbox(
            "Person",
            [one.name for one in current_client().accounts.members(current_project().id)],
            index=None,
            placeholder="Anybody; or type a name",
            accept_new_options=True,
            key="strop-audit-who",
        )
    with what:
        chosen = st.selectbox("What", choices_of(actions), key="strop-audit-what")
    when, about = st.columns([1, 2])
    with when:
        days = st.date_input("Days", value=(), format="YYYY-MM-DD", key="strop-audit-days")
    with about:
        subject = st.text_input(
            "About", placeholder="queue:3, or queue for all of them", key="strop-audit-about"
        )
    since, until = moments_of(days)
    return {
        "project_id": project_id,
        "who": named or None,
        "action": None if chosen in (ANYTHING, TEXTS_READ) else chosen,
        "reads": True if chosen == TEXTS_READ else None,
        "since": since,
        "until": until,
        "subject": subject.strip() or None,
    }


def _scope() -> int | None:
    project = current_project()
    if person_here().role != "admin":
        st.selectbox("Where", [project.name], disabled=True)
        return project.id
    chosen = st.selectbox("Where", [EVERYTHING, project.name], key="strop-audit-where")
    return None if chosen == EVERYTHING else project.id


def choices_of(actions: Sequence[str]) -> list[str]:
    """What can be chosen: anything, readings, each noun, each action."""
    nouns = {action.partition(".")[0] for action in actions}
    return [ANYTHING, TEXTS_READ, *sorted({*nouns, *actions})]


def moments_of(days: date | Sequence[date]) -> tuple[datetime | None, datetime | None]:
    """From the first of the days, to the end of the last; a day is one of UTC."""
    chosen = [days] if isinstance(days, date) else list(days)
    if not chosen:
        return None, None
    first = datetime.combine(chosen[0], time(), UTC)
    end = None if len(chosen) < 2 else datetime.combine(chosen[1], time(), UTC) + timedelta(days=1)
    return first, end


def _show_entries(asked: dict[str, Any]) -> None:
    cursors = _cursors_of(asked)
    with problems_shown():
        page = _page(asked, cursors[-1])
        if not page.items:
            st.info("Nothing like that is in the log. All of it: `strop audit list`")
            return
        st.html(table_html(COLUMNS, [entry_row(entry) for entry in page.items], title="Entries"))
        _show_turning(cursors, page.next)


def _cursors_of(asked: dict[str, Any]) -> list[str | None]:
    """The cursors of the pages up to the present one; other filters begin anew."""
    kept = st.session_state.get(CURSORS)
    if kept is None or kept[0] != asked:
        st.session_state[CURSORS] = kept = (asked, [None])
    found: list[str | None] = kept[1]
    return found


def _page(asked: dict[str, Any], cursor: str | None) -> Page[AuditEntryOut]:
    audit = current_client().audit
    filters = {key: value for key, value in asked.items() if key != "project_id"}
    if asked["project_id"] is None:
        return audit.list(**filters, limit=ROWS, cursor=cursor)
    return audit.of_project(asked["project_id"], **filters, limit=ROWS, cursor=cursor)


def _show_turning(cursors: list[str | None], following: str | None) -> None:
    newer, older, _ = st.columns([1, 1, 4])
    if len(cursors) > 1 and newer.button("← Newer", width="stretch"):
        cursors.pop()
        st.rerun()
    if following is not None and older.button("Older →", width="stretch"):
        cursors.append(following)
        st.rerun()


def entry_row(entry: AuditEntryOut) -> list[Cell]:
    """An entry in the table."""
    place: Cell = FigureText(str(entry.seq)) if entry.seq else Tag("waits", "inconclusive")
    return [FigureText(_moment(entry.at)), entry.who, entry.sentence, entry.project, place]
