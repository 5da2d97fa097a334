"""STROP_MASKING_KEY: where the keys come from that make surrogates and seal originals.

The setting holds one key or several, separated by commas: the first is used, all open what was
sealed. From each, HKDF-SHA-256 (RFC 5869) derives a key of surrogates, one of originals, and a
name of 16 hexadecimal digits that says which it was and tells nothing of it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

LEAST_BYTES = 32
MAKE_KEY = 'export STROP_MASKING_KEY="$(openssl rand -hex 32)"'


@dataclass(frozen=True, slots=True, repr=False)
class MaskingKey:
    """One key.

    Attributes:
        key_id: its name; the same key has the same name everywhere.
    """

    key_id: str
    _material: bytes

    def surrogates(self, project: str) -> bytes:
        """The key from which surrogates of a project are drawn."""
        return _derive(self._material, f"strop: surrogates of {project}")

    def seal(self, text: str) -> str:
        """The text, encrypted by Fernet (AES-128-CBC with HMAC-SHA-256)."""
        return self._fernet().encrypt(text.encode("utf-8", "surrogatepass")).decode()

    def open(self, sealed: str) -> str:
        """What was sealed. Raises Conflict where it was changed."""
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet().decrypt(sealed.encode()).decode("utf-8", "surrogatepass")
        except InvalidToken:
            raise Conflict(
                "An original cannot be opened: what is stored was changed.",
                hint="Bring it back from a backup.",
            ) from None

    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet

        return Fernet(base64.urlsafe_b64encode(_derive(self._material, "strop: originals")))


def keys_of(setting: str | None) -> list[MaskingKey]:
    """The keys of the setting, the one in use first; none where it is not set.

    Raises:
        InvalidInput: a key has fewer than 32 bytes; none is repeated in the message.
    """
    parts = [part.strip() for part in (setting or "").split(",") if part.strip()]
    if any(len(part.encode()) < LEAST_BYTES for part in parts):
        raise InvalidInput(
            f"A key in STROP_MASKING_KEY has fewer than {LEAST_BYTES} bytes.",
            hint=f"Make one: {MAKE_KEY}",
        )
    return [MaskingKey(_derive(p.encode(), "strop: key id").hex()[:16], p.encode()) for p in parts]


def require_key(keys: Sequence[MaskingKey], *, why: str) -> MaskingKey:
    """The key in use. Raises InvalidInput where there is none."""
    if not keys:
        raise InvalidInput(
            f"{why}, and STROP_MASKING_KEY is not set.",
            hint=f"Set the project's key; a new project's is made by: {MAKE_KEY}",
        )
    return keys[0]


def key_named(keys: Sequence[MaskingKey], key_id: str) -> MaskingKey:
    """The key of this name. Raises Conflict where the setting does not hold it."""
    for key in keys:
        if key.key_id == key_id:
            return key
    raise Conflict(
        f"The key {key_id} is not in STROP_MASKING_KEY.",
        hint="Add it there, after a comma; without it nobody can open what it sealed.",
    )


def passing_key() -> MaskingKey:
    """A key for this once: what it makes, no second run makes again."""
    material = os.urandom(LEAST_BYTES)
    return MaskingKey(_derive(material, "strop: key id").hex()[:16], material)


def _derive(material: bytes, purpose: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(material)
