"""Settings that close the house: a secret that is one, proxies that are named, errors in words."""

from __future__ import annotations

import pytest

from backend.cli import main
from backend.errors import InvalidInput
from backend.settings import Settings, child_environment, load_settings

GOOD = "k" * 16 + "y" * 16


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"host": "0.0.0.0"}, "set STROP_SECRET first"),
        ({"host": "::"}, "set STROP_SECRET first"),
        ({"host": "desk.example.org"}, "openssl rand"),
        ({"host": "0.0.0.0", "secret": "short"}, "fewer than 32 bytes"),
        ({"secret": "x" * 31}, "fewer than 32 bytes"),
        ({"trusted_proxies": "10.0.0.0/8, proxy"}, "'proxy' does not appear to be"),
        ({"port": 70_000}, "The setting port is wrong"),
        ({"modle": "x"}, "The setting modle is wrong"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_settings(**given)
    assert said in str(caught.value)
    assert "short" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_a_secret_opens_other_addresses_and_is_counted_in_bytes() -> None:
    assert Settings(host="0.0.0.0", secret=GOOD).host == "0.0.0.0"  # type: ignore[arg-type]
    assert Settings(secret="\u00e9" * 16).secret is not None  # type: ignore[arg-type]
    assert GOOD not in repr(Settings(secret=GOOD))  # type: ignore[arg-type]


def test_up_on_an_open_address_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["up", "--host", "0.0.0.0"])
    said = capsys.readouterr().err
    assert caught.value.code == 1
    assert "set STROP_SECRET first" in said
    assert "defect" not in said


VENDOR = "https://api.openai.com"


@pytest.mark.parametrize(
    ("urls", "own", "of_the_vendor", "found"),
    [
        ("http://a/v1", "one", "other", {"http://a/v1": "one"}),
        (f"{VENDOR}/v1", None, "other", {f"{VENDOR}/v1": "other"}),
        (f"{VENDOR}:443", None, "other", {f"{VENDOR}:443": "other"}),
        (f"{VENDOR}/v1", "one", "other", {f"{VENDOR}/v1": "one"}),
        ("http://a/v1", None, "other", {"http://a/v1": None}),
        ("http://api.openai.com", None, "other", {"http://api.openai.com": None}),
        (f"{VENDOR}:8443", None, "other", {f"{VENDOR}:8443": None}),
        (f"{VENDOR}.a/v1", None, "other", {f"{VENDOR}.a/v1": None}),
        (f"{VENDOR}@a/v1", None, "other", {f"{VENDOR}@a/v1": None}),
        ("https://a/api.openai.com", None, "other", {"https://a/api.openai.com": None}),
        ("https://[a", None, "other", {"https://[a": None}),
        (f"{VENDOR},http://a", None, "other", {VENDOR: None, "http://a": None}),
        ("http://a/v1", None, None, {"http://a/v1": None}),
        ("http://a, http://b", "one, two", None, {"http://a": "one", "http://b": "two"}),
        ("http://a,http://b", None, "other", {"http://a": None, "http://b": None}),
        (None, "one", "other", {}),
        ("http://a,http://b", "one", None, "1 keys for 2 addresses"),
        ("http://a", "o\nne", None, "more than printable ASCII"),
    ],
)
def test_each_address_elsewhere_has_its_own_key_or_none(
    monkeypatch: pytest.MonkeyPatch,
    urls: str | None,
    own: str | None,
    of_the_vendor: str | None,
    found: dict[str, str | None] | str,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if of_the_vendor:
        monkeypatch.setenv("OPENAI_API_KEY", of_the_vendor)
    settings = load_settings(openai_url=urls, openai_api_key=own)
    if isinstance(found, dict):
        assert settings.openai_servers == found
        return
    with pytest.raises(InvalidInput, match=found) as caught:
        _ = settings.openai_servers
    assert "one" not in str(caught.value).removeprefix("STROP_OPENAI_API_KEY")


def test_a_process_that_is_started_is_given_the_keys_themselves() -> None:
    given = {name: f"{name}-of-somebody" for name in ("vllm_api_key", "openai_api_key")}
    environment = child_environment(load_settings(**given))
    assert {name: environment[f"STROP_{name.upper()}"] for name in given} == given
