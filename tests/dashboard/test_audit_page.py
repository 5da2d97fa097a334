"""The audit page: what it asks of the API, what it says of the chain, how it turns pages."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.session import CLIENT_KEY
from dashboard.views.people.audit import choices_of, entry_row, moments_of, status_html
from tests.dashboard.fake_client import FakeClient, audit_log, page_script


def open_page(client: FakeClient) -> AppTest:
    app = AppTest.from_string(page_script("audit"), default_timeout=60)
    app.session_state[CLIENT_KEY] = client
    app.session_state["strop-project"] = client.accounts.me().projects[0]
    return app.run()


def test_the_state_of_the_chain_is_said_in_words() -> None:
    log = audit_log()["audit_status"]
    changed = status_html(log)
    assert "CHANGED" in changed
    assert "1,234 sealed; the last 1,224 were looked at" in changed
    assert "1 entries for their place in the chain, since 2026-03-01 12:00:00" in changed
    whole = status_html(log.model_copy(update={"holds": True, "findings": [], "unsealed": 0}))
    assert "the chain holds" in whole
    assert "CHANGED" not in whole
    empty = log.model_copy(update={"sealed": 0, "checked_from": 1, "noted_at": None})
    assert "0 sealed; the last 0 were" in status_html(empty)
    assert "CHANGED" in status_html(empty)
    started = status_html(empty.model_copy(update={"holds": True, "findings": []}))
    assert "nothing is sealed yet" in started
    assert "the chain holds" not in started


def test_times_are_in_utc_and_what_waits_says_so() -> None:
    waits, sealed = audit_log()["audit_entries"]
    assert entry_row(waits)[0].text == "2026-03-01 12:00:00"
    assert entry_row(waits)[-1].text == "waits"
    assert entry_row(sealed)[-1].text == "1"


@pytest.mark.parametrize(
    ("days", "found"),
    [
        ((), (None, None)),
        (date(2026, 3, 1), (datetime(2026, 3, 1, tzinfo=UTC), None)),
        ((date(2026, 3, 1),), (datetime(2026, 3, 1, tzinfo=UTC), None)),
        (
            (date(2026, 3, 1), date(2026, 3, 2)),
            (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)),
        ),
    ],
)
def test_days_are_days_of_utc(days: tuple[date, ...], found: tuple[datetime, datetime]) -> None:
    assert moments_of(days) == found


def test_what_can_be_chosen() -> None:
    assert choices_of(["promotion.made", "promotion.held"])[2:] == [
        "promotion",
        "promotion.held",
        "promotion.made",
    ]


def test_filters_are_asked_of_the_api_and_pages_turn() -> None:
    client = FakeClient(role="lead", project=audit_log())
    app = open_page(client)
    assert not app.exception
    project_id, asked = client.project["audit_asked"][-1]
    assert (project_id, asked["cursor"], asked["reads"]) == (1, None, None)
    app.button[0].click().run()
    assert client.project["audit_asked"][-1][1]["cursor"] == "1"
    app.selectbox(key="strop-audit-what").select("Who saw texts").run()
    asked = client.project["audit_asked"][-1][1]
    assert (asked["reads"], asked["action"], asked["cursor"]) == (True, None, None)
    app.selectbox(key="strop-audit-what").select("promotion").run()
    app.text_input(key="strop-audit-about").set_value(" queue:3 ").run()
    asked = client.project["audit_asked"][-1][1]
    assert (asked["action"], asked["subject"]) == ("promotion", "queue:3")


def test_an_admin_sees_everything_unless_they_choose_a_project() -> None:
    client = FakeClient(role="admin", project=audit_log())
    app = open_page(client)
    assert client.project["audit_asked"][-1][0] == 0
    app.selectbox(key="strop-audit-where").select("desk").run()
    assert client.project["audit_asked"][-1][0] == 1
