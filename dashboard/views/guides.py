"""The guides, written beside the pages that they explain: one to read, and a search over all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dashboard.components.address import address_of, note_in_address
from dashboard.components.frame import escape, heading, show_state

GUIDES = Path(__file__).parents[1] / "guides"
TITLES = {
    "lead": "For leads",
    "expert": "For experts",
    "engineers": "For engineers",
    "review": "Review",
    "prompts": "Prompts",
    "rounds": "Rounds",
    "synthetic": "Synthetic rows",
    "training": "Training",
    "health": "Health of data",
    "evaluators": "Evaluators",
    "statistics": "Statistics",
    "privacy": "Privacy",
    "fairness": "Fairness",
    "stories": "Stories",
    "dossier": "Dossier",
    "operations": "Operations",
    "scale": "Scale",
    "audit": "Audit",
    "settings": "Settings",
    "commands": "Commands",
}
PICTURE = re.compile(r"^!\[(?P<caption>[^\]]*)\]\((?P<file>[^)]+)\)$", re.MULTILINE)
COMMENT = re.compile(r"^<!-- .*? -->\n", re.MULTILINE)
HEADING = re.compile(r"^(#{1,3}) (.+)$")
MOST_FOUND = 12
AROUND = 90  # characters of an excerpt on either side of the first word found


@dataclass(frozen=True, slots=True)
class GuideSection:
    """A part of a guide below one heading."""

    guide: str
    heading: str
    text: str

    @property
    def anchor(self) -> str:
        """As Streamlit makes it of a heading."""
        return re.sub(r"[^a-z0-9]+", "-", self.heading.lower()).strip("-")


@dataclass(frozen=True, slots=True)
class SectionMatch:
    """A section in which every word was found, with the words around the first."""

    section: GuideSection
    excerpt: str


def show_expert_guide() -> None:
    """How to work at the desk; the one guide that experts need."""
    with st.container(width=760):
        _show_text("expert")


def show() -> None:
    """The search, its finds or one guide, and the list of them."""
    heading("Guides")
    with st.container(width=760):
        query = st.text_input(
            "Search all guides", key="guide-search", placeholder="Search: words, options, settings"
        )
        if query.strip():
            _show_found(query)
            return
        _show_text(_chosen())


def _chosen() -> str:
    names = list(TITLES)
    asked = st.query_params.get("guide")
    if asked in names and st.session_state.get("guide-heard") != asked:
        st.session_state["guide-choice"] = asked
    name: str = st.selectbox(
        "Guide",
        names,
        key="guide-choice",
        format_func=TITLES.__getitem__,
        label_visibility="collapsed",
    )
    note_in_address("guide", name)
    st.session_state["guide-heard"] = name
    return name


def _show_found(query: str) -> None:
    found = search(query)
    if not found:
        show_state("?", "No guide says that", "Fewer or other words may find it.")
        return
    rows = [
        f"<li><a href='{escape(address_of('guides', guide=one.section.guide))}"
        f"#{escape(one.section.anchor)}' target='_self'>{escape(_title(one.section))}</a>"
        f"<br><small>{escape(one.excerpt)}</small></li>"
        for one in found
    ]
    st.html(f"<ul class='strop-found'>{''.join(rows)}</ul>")


def _title(section: GuideSection) -> str:
    guide = TITLES[section.guide]
    told = section.heading.removeprefix(guide).lstrip(": ")
    return f"{guide}: {told}" if told else guide


def _show_text(name: str) -> None:
    """A guide's Markdown, with its pictures."""
    at, text = 0, guide_text(name)
    for picture in PICTURE.finditer(text):
        st.markdown(text[at : picture.start()])
        caption = picture["caption"]
        st.image(GUIDES / picture["file"], caption=caption, alt=caption)
        at = picture.end()
    st.markdown(text[at:])


def guide_text(name: str) -> str:
    """A guide's Markdown, without what is written for the programs that make parts of it."""
    return COMMENT.sub("", (GUIDES / f"{name}.md").read_text("utf-8"))


def sections(name: str) -> Iterator[GuideSection]:
    """The parts of a guide by their headings; a line in a block of code is no heading."""
    title, lines, fenced = TITLES[name], list[str](), False
    for line in guide_text(name).splitlines():
        fenced ^= line.startswith("```")
        match = None if fenced else HEADING.match(line)
        if match is None:
            lines.append(line)
            continue
        if "".join(lines).strip():
            yield GuideSection(name, title, "\n".join(lines))
        title, lines = match[2], []
    yield GuideSection(name, title, "\n".join(lines))


def search(query: str) -> list[SectionMatch]:
    """Sections that hold every word of a query, those with words in the heading first.

    Letters of either case are alike, and a word may be the beginning, or the inside, of another.
    """
    words = query.casefold().split()
    found: list[tuple[int, SectionMatch]] = []
    for name in TITLES:
        for section in sections(name):
            title, text = section.heading.casefold(), _plain(section.text)
            if all(word in title or word in text.casefold() for word in words):
                in_title = sum(word in title for word in words)
                found.append((-in_title, SectionMatch(section, _excerpt(text, words))))
    found.sort(key=lambda pair: pair[0])
    return [one for _, one in found[:MOST_FOUND]]


def _plain(text: str) -> str:
    without_pictures = PICTURE.sub(lambda picture: picture["caption"], text)
    return " ".join(re.sub(r"[*`|#]+", " ", without_pictures).split())


def _excerpt(text: str, words: list[str]) -> str:
    low = text.casefold()
    at = min((low.find(word) for word in words if word in low), default=0)
    start, end = max(0, at - AROUND), at + AROUND
    start = text.rfind(" ", 0, start) + 1 if start else 0
    end = end + len(text[end:].partition(" ")[0])
    return ("… " if start else "") + text[start:end].strip() + (" …" if end < len(text) else "")
