"""Passwords: which are taken, how they are kept (argon2id), how one is made.

A password has 12 characters and is none that is tried first: a common word with figures and signs
around it or in place of letters, a run along the keyboard or the alphabet, a few signs repeated, or
the person's own name (NIST SP 800-63B-4, 3.1.1.2). There is no rule on which kinds of signs it has.
"""

from __future__ import annotations

import functools
import re
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from backend.errors import InvalidInput

MIN_PASSWORD = 12
MAX_PASSWORD = 1000
LONGEST_REPEAT = 6  # signs that only repeat add nothing to guess
# Words that lists of leaked passwords are full of, and those of this product and its trades.
_WORDS = """
password passwort passphrase motdepasse contrasena parola senha kennwort geheim secret welcome
willkommen bienvenue letmein login signin admin administrator root superuser user guest default
changeme changeit test testing tester demo example sample temporary temp iloveyou lovely sunshine
princess dragon monkey football baseball basketball soccer hockey superman batman starwars pokemon
master shadow killer hunter ranger trustno freedom whatever nothing computer internet google
facebook microsoft windows samsung android iphone summer winter spring autumn january february
september october november december monday friday christmas michael jennifer jessica charlie
thomas jordan daniel andrew joshua michelle ashley nicole hello hallo bonjour qwerty qwertz azerty
strop adapter expert reviewer hospital doctor nurse patient clinic lawyer company office support
service
"""
COMMON = frozenset(_WORDS.split())
RUNS = (
    *("abcdefghijklmnopqrstuvwxyz", "0123456789" * 3, "qwertyuiopasdfghjklzxcvbnm"),
    *("qwertzuiopasdfghjklyxcvbnm", "azertyuiopqsdfghjklmwxcvbn", "1qaz2wsx3edc4rfv5tgb6yhn7ujm"),
    "1q2w3e4r5t6y7u8i9o0p",
)
LETTERS = str.maketrans("013457@$!|", "oleastasil")


def check_password(password: str, *, name: str = "") -> None:
    """InvalidInput for a password that is too short or too long, or is tried first."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidInput(
            f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.",
            hint="Use --generate to have one made.",
        )
    if _is_guessed_first(password.casefold(), name.casefold()):
        raise InvalidInput(
            "This password is one of those that are tried first.",
            hint="Take a few words that do not belong together, or have one made: --generate.",
        )


def _is_guessed_first(folded: str, name: str) -> bool:
    plain = re.sub(r"[^a-z0-9]", "", folded)
    runs = {_repeated(plain), re.sub(r"[^a-z]", "", folded)}
    if len(_repeated(folded)) <= LONGEST_REPEAT or any(map(_is_run, runs)):
        return True
    known = COMMON | {re.sub(r"[^a-z]", "", name.translate(LETTERS))} - {""}
    return any(_is_made_of(core, known) for core in (_core(folded), _core(folded, figures=False)))


def _core(folded: str, *, figures: bool = True) -> str:
    """The letters, without what stands around them; figures within them read as letters."""
    inner = re.sub(r"^[^a-z@$]+|[^a-z]+$", "", folded)
    return re.sub(r"[^a-z]", "", inner.translate(LETTERS) if figures else inner)


def _is_made_of(core: str, words: frozenset[str]) -> bool:
    """Whether this is one of the words or two of them."""
    return core in words or any(
        core[:cut] in words and core[cut:] in words for cut in range(3, len(core) - 2)
    )


def _repeated(text: str) -> str:
    """The shortest piece of which the text is repetitions, the last cut off; else the text."""
    sizes = range(1, len(text) // 2 + 1)
    return next((text[:n] for n in sizes if (text[:n] * len(text))[: len(text)] == text), text)


def _is_run(plain: str) -> bool:
    return any(plain in run or plain in run[::-1] for run in RUNS) and len(plain) >= LONGEST_REPEAT


@functools.cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@functools.cache
def _hash_of_nobody() -> str:
    return _hasher().hash(secrets.token_urlsafe(16))


def hash_password(password: str, *, name: str = "") -> str:
    """The argon2id hash. Raises InvalidInput as `check_password`."""
    check_password(password, name=name)
    return _hasher().hash(password)


def generate_password() -> str:
    """A password of 96 random bits that can be read aloud and typed."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    letters = [secrets.choice(alphabet) for _ in range(20)]
    return "-".join("".join(letters[start : start + 5]) for start in range(0, 20, 5))


def matches(stored: str | None, password: str) -> bool:
    """Whether this is the password; where none is stored, a hash is computed all the same."""
    try:
        found = _hasher().verify(stored or _hash_of_nobody(), password[: MAX_PASSWORD + 1])
    except (VerifyMismatchError, InvalidHashError):
        return False
    return found and stored is not None
