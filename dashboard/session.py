"""Who is at the other end of this browser tab, and the API client that speaks for them.

The cookie that the sign-in form set comes with the tab's connection; it is handed to the client
and never shown. A test, or a notebook, puts a client of its own into the session state.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import streamlit as st

from backend.errors import NotAuthenticated, NotFound, StropError
from backend.schemas.projects import ProjectShown
from backend.schemas.users import Me
from dashboard.components.frame import show_sign_in_link
from dashboard.components.marked_text import plain

if TYPE_CHECKING:
    from backend.client import StropClient

COOKIE = "strop_session"
CLIENT_KEY = "strop-client"
PROJECT_KEY = "strop-project"
SIGNED_OUT_KEY = "strop-signed-out"


def current_client() -> StropClient:
    """The client of this tab.

    Raises:
        NotAuthenticated: the browser sent no session cookie.
    """
    if CLIENT_KEY not in st.session_state:
        st.session_state[CLIENT_KEY] = _client_from_cookie()
    client: StropClient = st.session_state[CLIENT_KEY]
    return client


def _client_from_cookie() -> Any:
    from backend.client import StropClient

    cookie = st.context.cookies.get(COOKIE)
    if not cookie:
        raise NotAuthenticated("Nobody is signed in in this browser.")
    return StropClient(str(st.secrets["api_url"]), cookie=cookie)


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


def current_project() -> ProjectShown:
    """The project that the pages are about.

    Raises:
        NotFound: the person sees no project yet.
    """
    if PROJECT_KEY not in st.session_state:
        raise NotFound("There is no project that you may see.", hint="Make one: strop init")
    project: ProjectShown = st.session_state[PROJECT_KEY]
    return project


def show_person(me: Me, place: Any) -> None:
    """Who is signed in, and the way out."""
    with place.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"Signed in as {plain(me.name)}, shown to others as {plain(me.pseudonym)}")
        st.button("Sign out", key="sign-out", type="tertiary", on_click=_sign_out)


def _sign_out() -> None:
    with suppress(StropError):  # a session that has ended already is what was wanted
        current_client().sign_out()
    st.session_state.clear()
    st.session_state[SIGNED_OUT_KEY] = True


def sign_out_wanted() -> bool:
    """Whether the person has just signed out in this tab; says so."""
    if SIGNED_OUT_KEY not in st.session_state:
        return False
    show_sign_in_link("You have signed out.")
    return True
