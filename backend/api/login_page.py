"""The sign-in form: an ordinary page that works without scripts and without other sites."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader

PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
PAGE = PAGES.get_template("login_page.html")


def login_page(*, next_path: str, name: str = "", error: str | None = None) -> str:
    """The form; `error` is shown above it, and the name that was typed is kept."""
    return PAGE.render(next_path=next_path, name=name, error=error)


def logout_page() -> str:
    """One question and one button: a link alone must not sign anybody out."""
    return PAGE.render(leaving=True)


def safe_next(path: str | None) -> str:
    """A path on this server to return to; anything that could lead elsewhere becomes `/`."""
    plain = path is not None and path.startswith("/") and path.isascii() and path.isprintable()
    if path is None or not plain or path.startswith("//") or "\\" in path:
        return "/"
    return path
