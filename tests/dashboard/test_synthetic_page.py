"""The page of synthetic candidates: figures with intervals, reasons, texts as data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from backend.schemas.synthetic import DraftFigures, DraftingOut, DraftOut, ShareOut
from backend.services.synthetic.sifting import DropReason
from dashboard.views.synthetic import (
    REASONS,
    cut,
    draft_rows,
    first_state,
    reason_rows,
    share_text,
    tiles,
)
from tests.dashboard.fake_client import FakeClient, engineers_project
from tests.dashboard.test_lead_pages import open_page, told

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EVIL = "<script>alert(1)</script> **bold**"
KEPT = ShareOut(count=31, n=60, value=0.5167, low=0.393, high=0.638)


def drafting(**changed: Any) -> DraftingOut:
    figures = DraftFigures(
        drafted=60,
        kept=KEPT,
        dropped={"ungrounded": 20, "like_held_out": 9},
        repeats=ShareOut(count=0, n=60, value=0.0, low=0.0, high=0.06),
        unchecked=0,
        distinct_1=0.3,
        distinct_2=0.6,
    )
    values: dict[str, Any] = {
        "id": 1,
        "name": "synthetic-1",
        "drawn_from": "12 passages of documents",
        "source_kind": "documents",
        "shape": "pair",
        "model": "base+drafts@1",
        "wanted": 30,
        "states": {"dropped": 29, "waiting": 20, "approved": 7, "corrected": 3, "refused": 1},
        "simulated": 0,
        "figures": figures,
        "stopped": "enough drafts were kept",
        "run_id": 4,
        "dataset_version_id": 3,
        "queues": [EVIL],
        "in_words": [f"60 drafted. {EVIL}"],
        "created_at": NOW,
        "finished_at": NOW,
        "job_state": "done",
        "job_error": None,
    }
    return DraftingOut(**values | changed)


def draft(**changed: Any) -> DraftOut:
    values: dict[str, Any] = {
        "id": 9,
        "state": "waiting",
        "reason": None,
        "why": "",
        "detail": {},
        "input": EVIL,
        "answer": "So.",
        "by": [],
        "simulated": False,
        "risk": None,
        "example_id": 5,
        "generation_id": 6,
    }
    return DraftOut(**values | changed)


def test_every_reason_has_its_words() -> None:
    assert set(REASONS) == set(DropReason)


def test_what_the_rows_say() -> None:
    assert "31" in str(tiles(drafting())[1][1])
    assert share_text(KEPT).endswith("n=60")
    assert "0.39" in share_text(KEPT) or "39" in share_text(KEPT)
    assert share_text(ShareOut(count=0, n=0, value=None, low=None, high=None)) == (
        "nothing to count"
    )
    assert reason_rows(drafting())[0][0] == "states what its source does not say"
    dropped = draft(state="dropped", reason="ungrounded", why="x", detail={"unsupported": ["9"]})
    assert draft_rows([dropped])[0][3] == "x: 9"
    assert "simulated" in str(draft_rows([draft(state="approved", simulated=True)])[0][3])
    assert cut("a" * 500).endswith("…")


def test_the_page_shows_texts_as_data() -> None:
    project = engineers_project() | {"draftings": [drafting()], "drafts": [draft()]}
    page = open_page("synthetic", FakeClient(role="engineer", project=project))
    assert not page.exception
    shown = told(page)
    assert "<script>" not in " ".join(html.proto.body for html in page.get("html"))
    assert "&lt;script&gt;" in shown
    assert "60 drafted" in shown


def test_without_a_drafting_it_says_how_to_ask() -> None:
    page = open_page("synthetic", FakeClient(role="engineer", project=engineers_project()))
    assert "strop synthetic draft" in told(page)


def test_the_drafts_that_are_there_are_shown_first() -> None:
    assert first_state(drafting()) == "waiting"
    done = {"dropped": 29, "waiting": 0, "approved": 0, "corrected": 3, "refused": 1}
    assert first_state(drafting(states=done)) == "corrected"
    assert first_state(drafting(states=dict.fromkeys(done, 0))) == "waiting"
