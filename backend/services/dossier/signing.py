"""The signing key of this installation (Ed25519, RFC 8032), and what it signs.

The private key is STROP_DOSSIER_KEY, 64 hex digits, or lies in HOME/dossier.key, a file for its
owner alone that is made where it is missing. Whoever has it can sign in the name of the team.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from backend.errors import InvalidInput
from backend.services.accounts.sealing import read_key
from backend.services.dossier.check_dossier import FILES, MAGIC, SIGNATURE, pack
from backend.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FILE = "dossier.key"
MOST_BYTES = 2**31
"""A dossier is read in one piece by whoever checks it."""


def signing_key(settings: Settings) -> Ed25519PrivateKey:
    """The private key.

    Raises:
        InvalidInput: the setting is no key.
        Conflict: the file is no key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if settings.dossier_key is None:
        return Ed25519PrivateKey.from_private_bytes(read_key(settings.home / KEY_FILE))
    given = settings.dossier_key.get_secret_value().strip()
    if not re.fullmatch(r"[0-9a-fA-F]{64}", given):
        raise InvalidInput(
            "STROP_DOSSIER_KEY is no key: it is 64 hex digits.", hint="openssl rand -hex 32"
        )
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(given))


def public_key(key: Ed25519PrivateKey) -> str:
    """What anybody may know and checks by: 64 hex digits."""
    return key.public_key().public_bytes_raw().hex()


def sign_files(files: dict[str, bytes], key: Ed25519PrivateKey) -> bytes:
    """The archive of these files, with their digests and the signature over these.

    The same files and the same key give the same bytes.

    Raises:
        InvalidInput: more than MOST_BYTES.
    """
    if sum(map(len, files.values())) > MOST_BYTES:
        raise InvalidInput("The dossier would be larger than 2 GB.", hint="Leave out --with-texts.")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    listed = json.dumps(digests, indent=1).encode()
    signature = key.sign(MAGIC + listed).hex()
    signed = {**files, FILES: listed, SIGNATURE: f"{public_key(key)}\n{signature}\n".encode()}
    return pack(signed)
