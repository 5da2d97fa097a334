"""The tab "Triage": what skipped, on which evidence, how the audit stands, and putting it up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from backend.schemas.checks.triage import AuditPoint, RoutingOut
from dashboard.components.figures.plots import LINE_COLOUR
from dashboard.views.checks import triage as tab
from tests.dashboard.fake_client import HOSTILE
from tests.dashboard.test_lead_pages import lead, open_page, told
from tests.fixtures_triage import CERTIFIED

AT = datetime(2026, 3, 1, tzinfo=UTC)


def routing(**changed: Any) -> RoutingOut:
    values = {
        "queue_id": 3,
        "queue": "week 12",
        "metric": "grounding",
        "threshold": 0.93,
        "lower_is_better": False,
        "epsilon": 0.05,
        "delta": 0.1,
        "audit_share": 0.1,
        "wrong_when": "marked",
        "n_skipped": 412,
        "n_audited": 42,
        "n_without": 2,
        "n_looked": 30,
        "errors": 1,
        "n_taken_back": 0,
        "n_simulated": 0,
        "low": 0.002,
        "state": "watched",
        "sentence": "1 wrong of 30 audited.",
        "evidence": CERTIFIED,
        "path": [
            AuditPoint(n=1, errors=0, low=0.0, at=AT),
            AuditPoint(n=30, errors=1, low=0.002, at=AT),
        ],
        "signature": "triage_audit|strop:1",
        "opened_at": AT,
    }
    return RoutingOut(**{**values, **changed})


def test_what_skipped_is_shown_with_its_evidence() -> None:
    page = told(open_page("checks", lead(routings=[routing()])))
    for words in ("412", "grounding from 0.93", "60 labels", "run 1 (60)", "0 wrong of 40"):
        assert words in page
    assert "at most 5.6% (confidence 90%)" in page
    assert "2, all reviewed" in page


def test_a_guarantee_that_fell_comes_first_and_says_so() -> None:
    fallen = routing(
        queue_id=2, queue="week 11", state="withdrawn", sentence="The guarantee is withdrawn."
    )
    app = open_page("checks", lead(routings=[routing(), fallen]))
    assert any("withdrawn" in part.value for part in app.error)


def test_nothing_that_skips_says_how_to_begin() -> None:
    assert "--skip-below" in told(open_page("checks", lead(routings=[])))


def test_names_are_text() -> None:
    page = told(open_page("checks", lead(routings=[routing(queue=HOSTILE, metric=HOSTILE)])))
    assert "<script" not in page


@pytest.mark.parametrize(("lower_is_better", "side"), [(True, "up to"), (False, "from")])
def test_facts_name_the_side_and_what_is_simulated(lower_is_better: bool, side: str) -> None:
    seen = {**CERTIFIED, "n_simulated": 7}
    facts = tab.certificate_facts(routing(lower_is_better=lower_is_better, evidence=seen))
    assert facts["skips"] == f"grounding {side} 0.93"
    assert "7 of them simulated" in str(facts["certified on"])


def test_points_have_both_shares() -> None:
    rows = tab.path_points(routing())
    assert rows[-1] == {"n": 30, "share": 1 / 30, "line": "found wrong"}
    assert tab.low_text(routing(low=None)) == "not known yet"


def test_what_is_allowed_is_drawn_so_that_it_can_be_seen_in_the_dark() -> None:
    allowed = tab.bound_plot(tab.path_points(routing()), 0.05).to_dict()["layer"][-1]
    assert allowed["mark"]["color"] == LINE_COLOUR


@pytest.mark.parametrize(("state", "above"), [("withdrawn", True), ("watched", False)])
def test_what_fell_is_put_up_right_below_the_message(state: Any, above: bool) -> None:
    app = open_page("checks", lead(routings=[routing(state=state)]))
    drawn = [getattr(node, "key", None) or node.type for node in app.main]
    assert (drawn.index("return-3") < drawn.index("caption")) == above
