"""The pages of sign-in: ordinary forms that work without scripts and without other sites."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from backend.schemas.accounts import EnrolmentOut, SignInWays

PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent / "pages"), autoescape=True)


def login_page(
    ways: SignInWays, *, next_path: str, name: str = "", error: str | None = None, said: str = ""
) -> str:
    """The form; `error` is shown above it, and the name that was typed is kept."""
    page = PAGES.get_template("login.html")
    return page.render(ways=ways, next_path=next_path, name=name, error=error, said=said)


def logout_page() -> str:
    """One question and one button: a link alone must not sign anybody out."""
    return PAGES.get_template("logout.html").render()


def code_page(
    *, next_path: str, enrolment: EnrolmentOut | None = None, error: str | None = None
) -> str:
    """Where the second factor's code is typed, or, with an enrolment, set up."""
    page = PAGES.get_template("code.html")
    return page.render(next_path=next_path, enrolment=enrolment, error=error)


def codes_page(codes: list[str], *, next_path: str) -> str:
    """The recovery codes, shown once."""
    return PAGES.get_template("codes.html").render(codes=codes, next_path=next_path)


def link_page(
    kind: str, *, token: str = "", name: str | None = None, error: str | None = None
) -> str:
    """What a link of an admin leads to: `reset` or `way_in`; without a name only the error."""
    return PAGES.get_template(f"{kind}.html").render(token=token, name=name, error=error)


def safe_next(path: str | None) -> str:
    """A path on this server to return to; anything that could lead elsewhere becomes `/`."""
    plain = path is not None and path.startswith("/") and path.isascii() and path.isprintable()
    if path is None or not plain or path.startswith("//") or "\\" in path:
        return "/"
    return path
