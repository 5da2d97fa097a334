"""The page on privacy: what it says of a policy, and who is offered a look at an original."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from backend.errors import Conflict
from dashboard.session import CLIENT_KEY
from tests.dashboard.fake_client import FakeClient, engineers_project, page_script


def open_page(client: FakeClient) -> AppTest:
    app = AppTest.from_string(page_script("privacy"), default_timeout=60)
    app.session_state[CLIENT_KEY] = client
    app.session_state["strop-project"] = client.accounts.me().projects[0]
    return app.run()


def test_without_a_policy_it_says_that_nothing_is_masked() -> None:
    app = open_page(FakeClient(role="engineer", project={}))
    assert "masks nothing" in app.info[0].value
    assert not app.expander


def test_an_engineer_reads_and_a_lead_may_change_and_look() -> None:
    engineer = open_page(FakeClient(role="engineer", project=engineers_project()))
    assert not engineer.exception
    assert not engineer.expander
    assert "every look is in the audit log" in engineer.caption[-1].value
    lead = open_page(FakeClient(role="lead", project=engineers_project()))
    assert [one.label for one in lead.expander] == ["Change the policy", "Look behind one example"]


def test_an_original_is_text_and_a_refusal_a_sentence() -> None:
    client = FakeClient(role="lead", project=engineers_project())
    app = open_page(client)
    app.number_input[0].set_value(7)
    app = next(b for b in app.button if b.label == "Show the original").click().run()
    assert "<script>" in app.code[0].value
    client.fail["original"] = Conflict("The key 12 is not in STROP_MASKING_KEY.")
    app.number_input[0].set_value(7)
    app = next(b for b in app.button if b.label == "Show the original").click().run()
    assert "is not in STROP" in app.error[0].value.replace("\\", "")
