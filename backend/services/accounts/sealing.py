"""Secrets and kept answers at rest: sealed with a key of the installation.

The key is derived from STROP_SECRET (HKDF-SHA256, RFC 5869); without one it is 32 random bytes in
HOME/secret.key, a file for its owner alone. What was sealed under the file is still read once a
secret is set. Sealed is Fernet (AES-128-CBC with HMAC-SHA256), so a changed row is noticed.
"""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import not_, select
from sqlalchemy.orm import Session

from backend.errors import Conflict
from backend.private_files import KEY_FILE, make_folder
from backend.settings import Settings
from backend.tables.accounts import IdempotencyKey
from backend.tables.webhooks import Webhook

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

PREFIX = "sealed:"
PURPOSE = b"strop: secrets and answers at rest"
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Seal:
    """Seals under the first key, opens under any."""

    _keys: MultiFernet

    def close(self, text: str) -> str:
        """The text, sealed."""
        return PREFIX + self._keys.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed.

        Raises:
            Conflict: it was sealed under another key, or changed.
        """
        from cryptography.fernet import InvalidToken

        try:
            return self._keys.decrypt(sealed.removeprefix(PREFIX).encode()).decode()
        except InvalidToken:
            raise Conflict(
                "What was sealed here cannot be opened: the key is another one.",
                hint=f"Set the STROP_SECRET of before, or bring back {KEY_FILE} of the home.",
            ) from None


def open_seal(settings: Settings) -> Seal:
    """The seal of this installation; its key file is made where it is needed and missing."""
    from cryptography.fernet import Fernet, MultiFernet

    file = settings.home / KEY_FILE
    keys = []
    if settings.secret is not None:
        keys.append(_derive(settings.secret.get_secret_value().encode()))
    if settings.secret is None or file.exists():
        keys.append(read_key(file))
    return Seal(MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys]))


def _derive(secret: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt=None, info=PURPOSE).derive(secret)


def read_key(file: Path) -> bytes:
    """The key in a file, 32 bytes; the first process to come makes it, and none overwrites it.

    Raises:
        Conflict: what lies there is no key.
    """
    make_folder(file.parent)
    if not file.exists():
        handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f"{KEY_FILE}.")  # 600, its own
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(os.urandom(KEY_BYTES))
            with contextlib.suppress(FileExistsError):
                os.link(draft, file)
        finally:
            os.unlink(draft)
    key = file.read_bytes()
    if len(key) != KEY_BYTES:
        raise Conflict(f"{file} is not a key of {KEY_BYTES} bytes.", hint="Restore it.")
    return key


def seal_open_rows(session: Session, seal: Seal) -> int:
    """Seal what older versions kept in clear text; returns how many rows."""
    hooks = select(Webhook).where(not_(Webhook.secret.startswith(PREFIX)))
    answers = select(IdempotencyKey).where(not_(IdempotencyKey.body.startswith(PREFIX)))
    found = (session.scalars(hooks).all(), session.scalars(answers).all())
    for hook in found[0]:
        hook.secret = seal.close(hook.secret)
    for kept in found[1]:
        kept.body = seal.close(kept.body)
    session.flush()
    return sum(map(len, found))
