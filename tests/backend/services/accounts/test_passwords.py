"""Which passwords are taken: long ones that are not tried first."""

from __future__ import annotations

import subprocess
import sys

import pytest
from argon2 import Type, extract_parameters

from backend.errors import InvalidInput
from backend.services.accounts.passwords import (
    check_password,
    generate_password,
    hash_password,
    matches,
)


@pytest.mark.parametrize(
    "password",
    [
        "eleven long",
        "password1234",
        "Password2026!",
        "P@ssw0rd2026!!",
        "p4ssw0rd!!!!",
        "passwordpassword",
        "Passwort12345",
        "Willkommen2026",
        "Welcome123456!",
        "welcomeadmin1",
        "qwertyuiop12",
        "qwertyuiopas",
        "qwertzuiopas",
        "1qaz2wsx3edc",
        "123456789012",
        "0987654321098",
        "abcdefghijkl",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "hunterhunter2",
        "administrator!",
        "!!!letmein!!!2026",
        "Katharina2026!!",
        "............",
        "            ",
        "strop-strop-1",
        "x" * 1001,
    ],
)
def test_what_is_tried_first_is_refused(password: str) -> None:
    with pytest.raises(InvalidInput):
        check_password(password, name="katharina")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "a-long-password",
        "vier bunte Enten im Teich",
        "k7#mZ!0qLw2x",
        "\u0434\u043b\u0438\u043d\u043d\u044b\u0439 \u043f\u0430\u0440\u043e\u043b\u044c",
        "\u6b63\u3057\u3044\u99ac\u306e\u96fb\u6c60\u3068\u6bba\u866b\u5264\u7bb1",
        "thepasswordisnot this",
        "katharinas rote Schuhe",
    ],
)
def test_other_long_ones_are_taken(password: str) -> None:
    check_password(password, name="katharina")


def test_made_ones_are_taken() -> None:
    for _ in range(100):
        check_password(generate_password(), name="katharina")


# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html: at least 19 MiB
# and two passes.
def test_the_product_hashes_at_full_cost() -> None:
    """Of the process that people meet: this one's tests hash at the least cost."""
    script = (
        "from backend.services.accounts.passwords import *; print(hash_password('six by nine x'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    found = extract_parameters(done.stdout.strip())
    assert found.type is Type.ID
    assert (found.time_cost >= 2, found.memory_cost >= 19 * 1024) == (True, True)


def test_the_hash_is_of_the_password_alone() -> None:
    stored = hash_password("correct horse battery")
    assert matches(stored, "correct horse battery")
    assert not matches(stored, "correct horse batterz")
    assert not matches(None, "correct horse battery")
