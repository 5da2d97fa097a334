"""Who is at the other end of this browser tab, and the API client that speaks for them.

The cookie that the sign-in form set comes with the tab's connection; it is handed to the client
and never shown. A test, or a notebook, puts a client of its own into the session state.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import streamlit as st

from backend.errors import NotAuthenticated, NotFound
from backend.schemas.accounts import Me
from backend.schemas.projects import ProjectOut
from backend.schemas.review.desk import ReviewQueueForMe

if TYPE_CHECKING:
    from backend.client import StropClient

COOKIE = "strop_session"
CLIENT_KEY = "strop-client"
COOKIE_KEY = "strop-cookie"
PERSON_KEY = "strop-person"
ENDED_KEY = "strop-sign-in-ended"
QUEUES_KEY = "strop-my-queues"
QUEUE_KEY = "strop-desk-queue"
PROJECT_KEY = "strop-project"


def current_client() -> StropClient:
    """The client of this tab; another one when the line was taken up with another cookie.

    Raises:
        NotAuthenticated: the browser sent no session cookie.
    """
    cookie = st.context.cookies.get(COOKIE)
    known = st.session_state.get(COOKIE_KEY)
    if CLIENT_KEY not in st.session_state or (known is not None and cookie not in (known, None)):
        st.session_state[CLIENT_KEY] = _client_with(cookie)
        st.session_state[COOKIE_KEY] = cookie
    client: StropClient = st.session_state[CLIENT_KEY]
    return client


def _client_with(cookie: str | None) -> Any:
    from backend.client import StropClient

    if not cookie:
        raise NotAuthenticated("Nobody is signed in in this browser.")
    return StropClient(str(st.secrets["api_url"]), cookie=cookie)


def now_and_here(act: Callable[..., None]) -> Callable[[Any], None]:
    """A transition as a button calls it: with the client of this tab, and the time of the press."""
    return lambda desk: act(desk, current_client(), now=datetime.now(UTC))


def person_here() -> Me:
    """Who works in this tab; once their sign-in has ended, who they were, until there is another.

    What one person left on the page is never for the next one.

    Raises:
        NotAuthenticated: nobody has been signed in in this tab.
    """
    known: Me | None = st.session_state.get(PERSON_KEY)
    try:
        me = current_client().accounts.me()
    except NotAuthenticated:
        if known is None:
            raise
        st.session_state[ENDED_KEY] = True
        return known
    st.session_state.pop(ENDED_KEY, None)
    if known is not None and known.id != me.id:
        kept = {key: st.session_state[key] for key in (CLIENT_KEY, COOKIE_KEY)}
        st.session_state.clear()
        st.session_state.update(kept)
    st.session_state[PERSON_KEY] = me
    return me


def sign_in_ended() -> bool:
    """Whether the page shows what it knew when the sign-in ended."""
    return bool(st.session_state.get(ENDED_KEY))


def my_queues() -> list[ReviewQueueForMe]:
    """The queues of the person; as they were when the sign-in has ended."""
    if not sign_in_ended():
        st.session_state[QUEUES_KEY] = current_client().desk.queues()
    queues: list[ReviewQueueForMe] = st.session_state.get(QUEUES_KEY, [])
    return queues


def choose_project(me: Me) -> None:
    """Settle which project the pages are about; a choice in the side bar when there are several."""
    by_id = {project.id: project for project in me.projects}
    if not by_id:
        st.session_state.pop(PROJECT_KEY, None)
        return
    chosen = next(iter(by_id))
    if len(by_id) > 1:
        chosen = st.sidebar.selectbox(
            "Project", list(by_id), format_func=lambda i: by_id[i].name, key="strop-project-choice"
        )
    st.session_state[PROJECT_KEY] = by_id[chosen]


def current_project() -> ProjectOut:
    """The project that the pages are about.

    Raises:
        NotFound: the person sees no project yet.
    """
    if PROJECT_KEY not in st.session_state:
        raise NotFound("There is no project that you may see.", hint="Make one: strop init")
    project: ProjectOut = st.session_state[PROJECT_KEY]
    return project
