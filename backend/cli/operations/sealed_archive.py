"""An archive that only a passphrase opens: a stream of chunks, each sealed by AES-256-GCM.

    header    magic, log2 of scrypt's n, salt (16 bytes), nonce prefix (7 bytes)
    chunks    65,536 bytes of the archive each, with a tag of 16 bytes

The key comes of the passphrase by scrypt (RFC 7914). The nonce of a chunk is prefix, number and
whether it is the last (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizar, 2015), so
that chunks cannot be swapped, repeated or cut off; the header is authenticated with each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from backend.errors import InvalidInput

MAGIC = b"STROPBK1"
LOG_N, R, P = 15, 8, 1  # 32 MiB of memory
MOST_LOG_N = 20
SALT, PREFIX, TAG = 16, 7, 16
HEADER = len(MAGIC) + 1 + SALT + PREFIX
CHUNK = 65_536
LEAST_PASSPHRASE = 12


def is_sealed(file: Path) -> bool:
    """Whether this is an archive that wants a passphrase."""
    with file.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


@contextmanager
def sealing(target: IO[bytes], passphrase: str, *, log_n: int = LOG_N) -> Iterator[IO[bytes]]:
    """A stream to write an archive to, which is whole when the block ends well.

    Args:
        log_n: what a guess at the passphrase costs, as the log2 of scrypt's n.

    Raises:
        InvalidInput: the passphrase is too short.
    """
    if len(passphrase) < LEAST_PASSPHRASE:
        raise InvalidInput(f"The backup's key has fewer than {LEAST_PASSPHRASE} characters.")
    header = MAGIC + bytes([log_n]) + os.urandom(SALT + PREFIX)
    target.write(header)
    writer = _Writer(target, header, _cipher(header, passphrase))
    yield writer  # type: ignore[misc]
    writer.finish()


class _Writer:
    """Gathers bytes into chunks and writes each sealed."""

    def __init__(self, target: IO[bytes], header: bytes, cipher: Any) -> None:
        self._target, self._header, self._cipher = target, header, cipher
        self._pending, self._number = bytearray(), 0

    def write(self, content: bytes) -> int:
        """Take bytes; a chunk is written when more than it are there, for the last is marked."""
        self._pending += content
        while len(self._pending) > CHUNK:
            self._write_chunk(bytes(self._pending[:CHUNK]), last=False)
            del self._pending[:CHUNK]
        return len(content)

    def finish(self) -> None:
        """Write what is left, as the last chunk."""
        self._write_chunk(bytes(self._pending), last=True)

    def _write_chunk(self, content: bytes, *, last: bool) -> None:
        nonce = _nonce(self._header, self._number, last=last)
        self._target.write(self._cipher.encrypt(nonce, content, self._header))
        self._number += 1


def unseal(file: Path, target: Path, passphrase: str) -> None:
    """Write to `target` what was sealed.

    Raises:
        InvalidInput: another passphrase, or a file that was changed or cut; `target` is then not
            to be used.
    """
    from cryptography.exceptions import InvalidTag

    with file.open("rb") as source, target.open("wb") as plain:
        header = source.read(HEADER)
        if len(header) < HEADER or header[len(MAGIC)] > MOST_LOG_N:
            raise InvalidInput(f"{file} is not a whole archive.", hint="Copy it again.")
        cipher, number = _cipher(header, passphrase), 0
        content = source.read(CHUNK + TAG)
        while True:
            following = source.read(CHUNK + TAG)
            nonce = _nonce(header, number, last=not following)
            try:
                plain.write(cipher.decrypt(nonce, content, header))
            except InvalidTag:
                raise _wrong(file, first=number == 0) from None
            if not following:
                return
            content, number = following, number + 1


def _wrong(file: Path, *, first: bool) -> InvalidInput:
    if first:
        return InvalidInput(
            f"{file} cannot be opened: the key is another one, or the file was changed.",
            hint="Give the key with which it was made: STROP_BACKUP_KEY.",
        )
    return InvalidInput(f"{file} was changed or cut.", hint="Copy it again.")


def _cipher(header: bytes, passphrase: str) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    salt = header[len(MAGIC) + 1 : len(MAGIC) + 1 + SALT]
    derive = Scrypt(salt=salt, length=32, n=2 ** header[len(MAGIC)], r=R, p=P)
    return AESGCM(derive.derive(passphrase.encode("utf-8", "surrogateescape")))


def _nonce(header: bytes, number: int, *, last: bool) -> bytes:
    return header[-PREFIX:] + number.to_bytes(4, "big") + bytes([last])
