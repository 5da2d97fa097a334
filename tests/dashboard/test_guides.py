"""Guides: every one is shown with its pictures, and a search finds the section that says it."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.views.guides import GUIDES, PICTURE, TITLES, guide_text, search, sections
from tests.dashboard.fake_client import page_script


def test_every_guide_has_a_title_and_every_title_a_guide() -> None:
    assert {file.stem for file in GUIDES.glob("*.md")} == {*TITLES}


@pytest.mark.parametrize("name", TITLES)
def test_pictures_are_there_and_lines_of_code_are_no_headings(name: str) -> None:
    pictures = [picture["file"] for picture in PICTURE.finditer(guide_text(name))]
    assert [file for file in pictures if not (GUIDES / file).is_file()] == []
    assert all(section.heading.strip() for section in sections(name))
    assert not any(section.heading.startswith("strop ") for section in sections(name))


@pytest.mark.parametrize(
    ("query", "guide", "title"),
    [
        ("webhook signature", "review", "Webhooks"),
        ("STROP_LEASE_SECONDS", "settings", "Settings"),
        ("known ANSWERS gold_bound", "review", "Known answers"),
        ("packing", "training", "Training"),
        ("rollback", "rounds", "From the verdict to the champion"),
    ],
)
def test_a_search_finds_the_section(query: str, guide: str, title: str) -> None:
    found = [(one.section.guide, one.section.heading) for one in search(query)]
    assert (guide, title) in found
    first = next(one for one in search(query) if one.section.heading == title)
    assert any(word in first.excerpt.casefold() for word in query.casefold().split())


def test_words_in_a_heading_come_first_and_nothing_is_said_to_be_nothing() -> None:
    assert search("disagreements")[0].section.heading == "Disagreements"
    assert search("no such word anywhere") == []


def test_the_page_shows_a_guide_by_its_address_and_what_a_search_finds() -> None:
    app = AppTest.from_string(page_script("guides"), default_timeout=60)
    app.query_params["guide"] = "rounds"
    app.run()
    assert not app.exception
    assert any("one turn of the loop" in text.value for text in app.markdown)
    app.text_input(key="guide-search").set_value("<b>lease</b>").run()
    drawn = "".join(part.proto.body for part in app.get("html"))
    assert "No guide says that" in drawn
    app.text_input(key="guide-search").set_value("webhook").run()
    drawn = "".join(part.proto.body for part in app.get("html"))
    assert "/guides?guide=review#webhooks" in drawn
