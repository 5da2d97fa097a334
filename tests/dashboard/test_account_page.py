"""One's own account: the second factor set up, turned on and taken away."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from backend.errors import Forbidden
from dashboard.session import CLIENT_KEY
from tests.dashboard.fake_client import FakeClient, page_script


def open_account(client: FakeClient) -> AppTest:
    app = AppTest.from_string(page_script("account"), default_timeout=60)
    app.session_state[CLIENT_KEY] = client
    return app.run()


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def words(app: AppTest) -> str:
    return "\n".join(str(getattr(part, "value", "")) for part in app.main)


def test_set_up_turned_on_and_taken_away() -> None:
    client = FakeClient()
    app = open_account(client)
    app.text_input[0].set_value("my password")
    app = press(app, "Set it up")
    assert [code.value for code in app.code] == ["SECRET23"]
    app.text_input[0].set_value("123 456")
    app = press(app, "Turn it on")
    assert app.code[0].value == "aaaa-bbbb\ncccc-dddd"
    app = press(app, "I have them")
    assert "It is on. Of your recovery codes 2 are left." in words(app)
    assert "Few recovery codes are left" in words(app)
    app.text_input[0].set_value("my password")
    app = press(app, "Remove it")
    assert client.typed == ["my password", "123 456", "my password"]
    assert any(button.label == "Set it up" for button in app.button)
    assert not app.exception


def test_a_wrong_password_is_said_where_it_was_typed() -> None:
    client = FakeClient(fail={"begin_second_factor": Forbidden("That is not your password.")})
    app = press(open_account(client), "Set it up")
    assert "That is not your password" in app.error[0].value
    assert [button.label for button in app.button] == ["Set it up"]


def test_who_must_have_one_cannot_remove_it() -> None:
    client = FakeClient()
    client.factor = client.factor.model_copy(update={"on": True, "required": True})
    assert [button.label for button in open_account(client).button] == []


def test_people_of_a_provider_have_none_here() -> None:
    client = FakeClient()
    client.factor = client.factor.model_copy(update={"offered": False})
    app = open_account(client)
    assert "You sign in at your organisation" in app.get("html")[-1].proto.body
    assert [button.label for button in app.button] == []
