"""What every page stands in: the style sheet, plain notices, facts and tables of escaped text."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import streamlit as st

from backend.errors import NotAuthenticated, StropError
from dashboard.components.marked_text import plain, visible

STYLE = Path(__file__).parent / "strop.css"
SIGN_IN_PATH = "/api/v1/login"
UNNAMED_COLUMN = "remark"
WIDEST_UNSTACKED = 3  # columns that fit beside each other on a phone


@dataclass(frozen=True, slots=True)
class Tag:
    """A short word in a frame, for a verdict or the word "simulated"; `kind` picks its colour."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class FigureText:
    """A figure as written, kept on one line in a table."""

    text: str


@dataclass(frozen=True, slots=True)
class PageLink:
    """A text that leads to another page of the dashboard; `address` is made by us."""

    text: str
    address: str


Cell = str | int | Tag | FigureText | PageLink | None


def load_style() -> None:
    """Put the style sheet on the page; it takes no room."""
    st.html(STYLE)


def escape(text: object) -> str:
    """Text for HTML, with what cannot be seen made visible."""
    return html.escape(visible(str(text)), quote=True)


def show_state(sign: str, title: str, *lines: str) -> None:
    """A page that is one message: nothing to do, finished, an error."""
    body = "".join(f"<p>{escape(line)}</p>" for line in lines if line)
    st.html(
        f"<div class='strop-state' role='status'><div class='sign' aria-hidden='true'>{sign}</div>"
        f"<h2>{escape(title)}</h2>{body}</div>"
    )


def show_problem(error: StropError) -> None:
    """An expected error in a red box: what is wrong and what to do."""
    st.error(plain(error.message) + (f"  \n{plain(error.hint)}" if error.hint else ""))


@contextmanager
def problems_shown() -> Iterator[None]:
    """Show an expected error of a click where it was made, and keep what the page holds."""
    try:
        yield
    except NotAuthenticated:
        raise
    except StropError as error:
        show_problem(error)


def show_done(place: str, sentence: str | None = None, *, link: PageLink | None = None) -> None:
    """Say once, after the page was drawn anew, what a click has done.

    With a sentence it is kept for the next drawing; without one, what was kept is shown, with the
    way to what came of it.
    """
    key = f"strop-done-{place}"
    if sentence is not None:
        st.session_state[key] = sentence, link
    elif key in st.session_state:
        said, to = st.session_state.pop(key)
        st.success(plain(said))
        if to is not None:
            st.html(f"<p>{_cell(to)}</p>")


def show_sign_in_link(reason: str) -> None:
    """Say why one must sign in, with the link to the form; works in the same browser tab."""
    show_state("○", "Please sign in", reason)
    st.html(
        f"<p style='text-align:center'><a href='{escape(_sign_in_address(st.context.url))}' "
        "target='_self'>Go to the sign-in page</a></p>"
    )


def _sign_in_address(here: str | None) -> str:
    """The form's address, with the page from which one comes and returns to."""
    page = urlsplit(here or "")
    back = page.path + (f"?{page.query}" if page.query else "")
    return f"{SIGN_IN_PATH}?next={quote(back)}" if back else SIGN_IN_PATH


def heading(title: str, line: str = "") -> None:
    """The head of a page; both are shown as text."""
    small = f"<p class='strop-help'>{escape(line)}</p>" if line else ""
    st.html(f"<h1 class='strop-title'>{escape(title)}</h1>{small}")


def card_html(title: str, body: str) -> str:
    """A frame with a label; `body` is HTML that was made by this package."""
    return (
        f"<div class='strop-part'><p class='strop-label'>{escape(title)}</p>"
        f"<div class='strop-card'>{body}</div></div>"
    )


def verdict_tag(verdict: str) -> Tag:
    """PASS, FAIL or INCONCLUSIVE in its colour."""
    return Tag(verdict, verdict.lower())


def simulated_tag(n: int) -> Tag | None:
    """The mark of what rests on votes by a script; None where there are none."""
    return Tag(f"rests on {n} simulated votes", "simulated") if n else None


def browser_zone() -> ZoneInfo:
    """The browser's time zone."""
    return ZoneInfo(st.context.timezone or "UTC")


def moment(at: datetime) -> str:
    """A moment in the browser's time zone, to the minute."""
    return f"{at.astimezone(browser_zone()):%Y-%m-%d %H:%M}"


def facts_html(facts: Mapping[str, Cell]) -> str:
    """Names and values in two columns."""
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{_cell(v)}</dd>" for k, v in facts.items())
    return f"<dl class='strop-facts'>{rows}</dl>"


def tiles_html(tiles: Iterable[tuple[str, Cell, str]]) -> str:
    """Large figures beside each other: name, figure, and a line below it that may be empty."""
    parts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{_cell(figure)}"
        + (f"<span class='small'>{escape(line)}</span>" if line else "")
        + "</dd></div>"
        for name, figure, line in tiles
    )
    return f"<dl class='strop-tiles'>{parts}</dl>"


def sentences_html(sentences: Iterable[str]) -> str:
    """Sentences as a list; all of it is text."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul class='strop-sentences'>{items}</ul>"


def tagged_html(tag: Tag, sentence: str) -> str:
    """A sentence behind the word that it comes down to."""
    return f"<p>{_cell(tag)} {escape(sentence)}</p>"


def table_html(header: Sequence[str], rows: Iterable[Sequence[Cell]], *, title: str = "") -> str:
    """A plain table; every cell is text, a number, or a tag.

    On a narrow screen a table of more than three columns becomes a card for each row. A column
    that needs no heading for the eye is given one for a screen reader.

    Args:
        title: what the table is, for a screen reader.
    """
    names = [name or UNNAMED_COLUMN for name in header]
    head = "".join(map(_head, header))
    body = "".join("<tr role='row'>" + _cells(row, names) + "</tr>" for row in rows)
    stacks = " stacks" if len(names) > WIDEST_UNSTACKED else ""
    label = f" aria-label='{escape(title)}'" if title else ""
    return (
        f"<div class='strop-scroll'><table class='strop-table{stacks}' role='table'{label}>"
        f"<thead role='rowgroup'><tr role='row'>{head}</tr></thead>"
        f"<tbody role='rowgroup'>{body}</tbody></table></div>"
    )


def _cells(row: Sequence[Cell], names: Sequence[str]) -> str:
    labels = [*names, *[UNNAMED_COLUMN] * (len(row) - len(names))]
    return "".join(map(_data, row, labels))


def _head(name: str) -> str:
    shown = escape(name) if name else f"<span class='strop-unseen'>{UNNAMED_COLUMN}</span>"
    return f"<th scope='col' role='columnheader'>{shown}</th>"


def _data(cell: Cell, label: str) -> str:
    kind = " class='number'" if isinstance(cell, FigureText | int) else ""
    if cell in ("", None):
        kind = " class='empty'"
    return f"<td{kind} role='cell' dir='auto' data-label='{escape(label)}'>{_cell(cell)}</td>"


def _cell(cell: Cell) -> str:
    match cell:
        case None:
            return "—"
        case Tag(text=text, kind=kind):
            return f"<span class='strop-tag {html.escape(kind)}'>{escape(text)}</span>"
        case PageLink(text=text, address=address):
            return f"<a href='{escape(address)}' target='_self'>{escape(text)}</a>"
        case FigureText(text=text):
            return escape(text)
        case _:
            return escape(cell)
