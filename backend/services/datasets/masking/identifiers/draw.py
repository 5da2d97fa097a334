"""What is chosen by a key: the same key, scope and value give the same, and no other way does.

HMAC-SHA-256 (RFC 2104), with its blocks numbered where more bytes are needed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


@dataclass(frozen=True, slots=True, repr=False)
class Draw:
    """Choices of one document.

    Attributes:
        key: secret of the project.
        scope: what the choices hold for: a document, or a group of them.
    """

    key: bytes
    scope: bytes

    def stream(self, *parts: str, n: int) -> bytes:
        """`n` bytes for these parts."""
        message = self.scope + b"\x1f" + "\x1f".join(parts).encode("utf-8", "surrogatepass")
        blocks = (
            hmac.digest(self.key, message + b"\x1e" + str(block).encode(), hashlib.sha256)
            for block in range(n // 32 + 1)
        )
        return b"".join(blocks)[:n]

    def number(self, *parts: str, below: int) -> int:
        """A number from 0 to `below` - 1; its bias is below 2**-32."""
        return int.from_bytes(self.stream(*parts, n=8)) % below

    def choose(self, options: Sequence[T], *parts: str) -> T:
        """One of the options."""
        return options[self.number(*parts, below=len(options))]

    def scramble(self, text: str, *parts: str) -> str:
        """Other digits for the digits, other letters for the letters; all else stays.

        A first digit that is not 0 becomes none; every digit and letter becomes a different one.
        """
        noise = self.stream("scramble", *parts, n=len(text))
        return "".join(
            _other(ch, byte, first=place == 0)
            for place, (ch, byte) in enumerate(zip(text, noise, strict=True))
        )


def _other(ch: str, byte: int, *, first: bool) -> str:
    if ch.isdecimal():
        digits = [d for d in "0123456789" if d != ch and not (first and d == "0")]
        return "0" if first and ch == "0" else digits[byte % len(digits)]
    if ch.isalpha():
        letters = [letter for letter in LETTERS if letter != ch.upper()]
        new = letters[byte % len(letters)]
        return new if ch.isupper() else new.lower()
    return ch
