"""Markdown and JSON as they are meant to be read, made of a few harmless parts.

What comes out is a tree of texts and of names in TAGS, never HTML: whatever a model wrote, it can
become a list or a table, and nothing that runs, loads or leads away. Links and images are texts
with their address. Every word stays: a text of which formatting would leave something out (cells
beyond the columns of a table, quotes that are nested without end) is not formatted, nor is one in
which a sign between figures would be taken for Markdown (`> 140`, `2*3*4`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from dashboard.components.marked_text import LONGEST_SHOWN

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# fmt: off
TAGS = frozenset({
    "p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "hr", "br", "strong", "em",
    "code", "small", "table", "thead", "tbody", "tr", "th", "td",
})
# fmt: on
HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}
LONGEST_MARKDOWN = 20_000  # the worst text of this length takes a second
MOST_PARTS = 10_000
DEEPEST = 16  # each level of quotes or lists leaves the words less room
DEEPEST_JSON = 40
_SIGNS = frozenset("*_`#>-+.|[]()!<~=:\\\"'")
_FIGURES = re.compile(r"^[ >]*> ?=? ?[.,]?\d|\d\*+\d", re.MULTILINE)
_JSON_PARTS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


@dataclass(slots=True)
class FormattedPart:
    """A part of a formatted text: one of TAGS with what is in it; `number` is that of an item."""

    tag: str
    inside: list[Node] = field(default_factory=list)
    number: str = ""


Node = str | FormattedPart


@dataclass(frozen=True, slots=True)
class Formatted:
    """A formatted text; or none, and a sentence that says why it is shown as it was written."""

    nodes: Sequence[Node] = ()
    why_not: str = ""


@lru_cache(maxsize=64)  # of what is on the screens now: a page is drawn at every click
def format_text(text: str) -> Formatted:
    """A text that is JSON as a whole with its indentation; any other as Markdown."""
    if _is_json(text):
        return _format_json(text)
    if len(text) > LONGEST_MARKDOWN:
        return Formatted(
            why_not=f"A text of more than {LONGEST_MARKDOWN:,} characters is not formatted."
        )
    if _FIGURES.search(text):
        return Formatted(why_not="It is not formatted, because a sign in it could be lost.")
    tokens = _markdown().parse(text)
    nodes = _grow(tokens)
    if len(tokens) > MOST_PARTS or _kept(text) != _kept(words_of(nodes)):
        return Formatted(why_not="It is not formatted, because some of it would not be shown.")
    return Formatted(nodes)


def words_of(nodes: Sequence[Node]) -> str:
    """All that formatted text says, the numbers of list items included."""
    return "".join(
        node if isinstance(node, str) else node.number + words_of(node.inside) for node in nodes
    )


def _kept(text: str) -> str:
    """What of a text has to stay: all but white space and the signs that Markdown is written in."""
    return "".join(letter for letter in text if letter not in _SIGNS and not letter.isspace())


def _format_json(text: str) -> Formatted:
    pretty = pretty_json(text) if len(text) <= LONGEST_SHOWN else None
    if pretty is None or len(pretty) > LONGEST_SHOWN:
        return Formatted(why_not="This JSON is too long or nested too deep to be formatted.")
    return Formatted([FormattedPart("pre", [FormattedPart("code", [pretty])])])


def pretty_json(text: str) -> str | None:
    """JSON with an indentation of two; None where it is nested deeper than DEEPEST_JSON.

    Only white space changes: names that are there twice, long numbers and escapes stay as written.
    """
    lines, depth, before = [""], 0, ""
    for part in _JSON_PARTS.findall(text):
        if part in "]}":
            depth -= 1
            if before not in "[{":
                lines.append("  " * depth)
        elif before in ("[", "{", ","):
            lines.append("  " * depth)
        lines[-1] += ": " if part == ":" else part
        depth += part in "[{"
        before = part
        if depth > DEEPEST_JSON:
            return None
    return "\n".join(lines)


def _is_json(text: str) -> bool:
    """Whether the whole text is an object or array, or is nested too deep to say."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON


@cache
def _markdown() -> MarkdownIt:
    """CommonMark with tables, without HTML, and without what takes words off the page.

    A definition of a link would vanish, and an entity would be shown as another letter.
    """
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False, "maxNesting": DEEPEST}).enable("table")
    made.disable(["reference", "entity"])
    made.validateLink = lambda url: True  # type: ignore[method-assign]  # shown, never followed
    made.normalizeLink = lambda url: url  # type: ignore[method-assign]  # as it was written
    return made


def _grow(tokens: Sequence[Token]) -> list[Node]:
    """The tree of flat tokens."""
    root = FormattedPart("")
    open_parts, addresses = [root], [""]
    for token in tokens:
        here = open_parts[-1].inside
        if token.type == "link_open":
            addresses.append(_address(token, "href"))
        elif token.type == "link_close":
            here += [] if token.markup == "autolink" else [f" ({addresses.pop()})"]
        elif token.nesting == 1 and not token.hidden:
            part = FormattedPart(HEADINGS.get(token.tag, token.tag), number=token.info)
            here.append(part)
            open_parts.append(part)
        elif token.nesting == -1 and not token.hidden:
            open_parts.pop()
        elif token.nesting == 0:
            here += _leaf(token)
    return root.inside


def _leaf(token: Token) -> list[Node]:
    match token.type:
        case "inline":
            return _grow(token.children or [])
        case "softbreak" | "hardbreak":
            return [FormattedPart("br")]
        case "hr":
            return [FormattedPart("hr")]
        case "code_inline":
            return [FormattedPart("code", [token.content])]
        case "code_block" | "fence":
            info: list[Node] = (
                [FormattedPart("small", [token.info.strip()])] if token.info.strip() else []
            )
            return [*info, FormattedPart("pre", [FormattedPart("code", [token.content])])]
        case "image":
            return [f"![{token.content}]({_address(token, 'src')})"]
        case _:
            return [token.content]


def _address(token: Token, name: str) -> str:
    title = token.attrGet("title")
    return f"{token.attrGet(name)}" + (f' "{title}"' if title else "")
