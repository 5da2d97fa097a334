"""Signing in again over the page, when the sign-in has ended while somebody works at it.

The browser sends the form itself, so that the new cookie is the browser's, and then takes up the
line to the server anew; the page and what is written on it stay. Knows nothing of what they are.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
SIGN_IN_PATH = "/api/v1/login"
WHO_PATH = "/api/v1/me"
WAYS_PATH = "/api/v1/sign-in-ways"


@cache
def _component() -> Any:
    html, css, js = (
        (HERE / f"sign_in.{kind}").read_text("utf-8") for kind in ("html", "css", "js")
    )
    return st.components.v2.component(
        "strop_sign_in", html=html, css=css, js=js, isolate_styles=False
    )


def show_sign_in(*, name: str) -> None:
    """A form over the page for this person; it takes no focus from what is being written."""
    _component()(
        key="strop-sign-in",
        data={"name": name, "signIn": SIGN_IN_PATH, "who": WHO_PATH, "ways": WAYS_PATH},
        height=1,
    )
