"""Opening input files: what may be read at all, unpacking, and the encoding of a text.

A file is regular, or standard input (`-`); pipes and devices are refused, since reading them may
never end. Gzip is unpacked whatever the name says, up to a bound. A text is UTF-8 with or without
its mark, UTF-16 or UTF-32 with theirs; UTF-16 without a mark and Windows-1252 are guessed, and the
guess is noted. Every refusal is one sentence with the file's name.
"""

from __future__ import annotations

import codecs
import gzip
import io
import os
import re
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from evaluators.errors import UnreadableRecord

STDIN = "-"
MAX_BYTES = 4_000_000_000
UNPACKED_FREELY = 32_000_000
MAX_RATIO = 200
"""What is packed more than so many times smaller, and is large, is not data: text reaches 100."""

_CHUNK = 1 << 20
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_VALID_BEYOND_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")


def unpacked_bytes(packed: int) -> int:
    """How much a file of so many bytes may unpack to."""
    return max(UNPACKED_FREELY, min(MAX_BYTES, MAX_RATIO * packed))


def file_name(source: str | Path) -> str:
    """The file as messages name it."""
    return "standard input" if str(source) == STDIN else str(source)


def over_long(name: str, row: int, limit: int) -> UnreadableRecord:
    """The refusal of a row of more than `limit` bytes."""
    return UnreadableRecord(
        f"{name}: row {row}: longer than {limit:,} bytes.",
        hint="Shorten the row, or raise the limit (STROP_MAX_ROW_BYTES).",
    )


@contextmanager
def open_bytes(source: str | Path) -> Iterator[IO[bytes]]:
    """A seekable stream over the content, unpacked.

    Raises:
        UnreadableRecord: there is no such regular file, or it unpacks to too much.
    """
    name = file_name(source)
    raw, size = _open_stdin() if str(source) == STDIN else _open_regular(Path(source), name)
    with raw:
        packed = raw.read(2) == b"\x1f\x8b" or (size > 0 and str(source).lower().endswith(".gz"))
        raw.seek(0)
        if not packed:
            yield raw
            return
        with _Unpacked(raw, name, size) as unpacked:
            yield io.BufferedReader(unpacked)


def _open_stdin() -> tuple[IO[bytes], int]:
    content = sys.stdin.buffer.read(MAX_BYTES)
    return io.BytesIO(content), len(content)


def _open_regular(path: Path, name: str) -> tuple[IO[bytes], int]:
    try:
        # Without blocking: opening a pipe would wait for its writer for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise UnreadableRecord(f"{name}: there is no such file.", hint="Check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableRecord(f"{name}: it cannot be opened ({reason}).") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise UnreadableRecord(f"{name}: this is a folder.", hint="Name a file.")
        raise UnreadableRecord(
            f"{name}: this is a pipe or a device, not a file.",
            hint="Name a file, or give - and pipe the rows in.",
        )
    return os.fdopen(descriptor, "rb"), found.st_size


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, refused beyond the bound."""

    def __init__(self, packed: IO[bytes], name: str, size: int) -> None:
        self._stream = gzip.GzipFile(fileobj=packed)
        self._name, self._allowed = name, unpacked_bytes(size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:
        try:
            content = self._stream.read(len(buffer))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UnreadableRecord(
                f"{self._name}: not a whole gzip file: {error}.", hint="Pack it again."
            ) from None
        if self._stream.tell() > self._allowed:
            raise UnreadableRecord(
                f"{self._name}: it unpacks to more than {self._allowed:,} bytes.",
                hint="Is it a file of rows? Unpack it first.",
            )
        buffer[: len(content)] = content
        return len(content)


@contextmanager
def open_text(stream: IO[bytes], name: str, said: list[str]) -> Iterator[io.TextIOWrapper]:
    """The text of a stream; every line end is `\\n`. A guess is added to `said`.

    Raises:
        UnreadableRecord: no encoding fits; names the row.
    """
    encoding = _encoding_of(stream, name, said)
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding=encoding)
    try:
        yield text
    finally:
        text.detach()


def _encoding_of(stream: IO[bytes], name: str, said: list[str]) -> str:
    head = stream.read(4096)
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    wide = None if marked else _unmarked_utf16(head)
    encoding = marked or wide or "utf-8"
    bad = _first_bad_byte(stream, encoding)
    if wide is None and b"\x00" in head and bad is None and marked is None:
        raise _holds_nul(name)
    if bad is None:
        if wide:
            said.append(f"{name}: read as UTF-16, a guess, as it has no mark.")
        return encoding
    if encoding == "utf-8" and b"\x00" not in head and _may_be_windows(stream):
        said.append(f"{name}: not UTF-8; read as Windows-1252, a guess. Look at its umlauts.")
        return "cp1252"
    row, place = bad
    if wide:
        raise _holds_nul(name)
    known = encoding.upper().replace("-SIG", "")
    raise UnreadableRecord(
        f"{name}: row {row}: not {known} (byte {place} of the row).", hint="Save the file as UTF-8."
    )


def _holds_nul(name: str) -> UnreadableRecord:
    return UnreadableRecord(
        f"{name}: it holds NUL bytes, which no text has.",
        hint="Is it a file of rows? Save it as UTF-8.",
    )


def _unmarked_utf16(head: bytes) -> str | None:
    """UTF-16 where every second byte is often NUL and the others never are.

    Of a text that is UTF-8 too, such as one of English words, it is so for most.
    """
    pairs = len(head) // 2
    first, second = head[0::2].count(0), head[1::2].count(0)
    share = 2 if _first_bad_byte(io.BytesIO(head[:-4]), "utf-8") is None else 20
    if pairs >= 2 and share * max(first, second) >= pairs and min(first, second) == 0:
        return "utf-16-le" if second else "utf-16-be"
    return None


def _first_bad_byte(stream: IO[bytes], encoding: str) -> tuple[int, int] | None:
    """Row and byte of it, from 1, where the content is not in this encoding; None: it is."""
    stream.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    rows, since = 0, 0
    while True:
        chunk = stream.read(_CHUNK)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            before = bytes(error.object[: error.start])
            rows += before.count(b"\n")
            cut = before.rfind(b"\n")
            return rows + 1, len(before) - cut - 1 + (since if cut < 0 else 0) + 1
        if not chunk:
            return None
        rows += text.count("\n")
        since = len(chunk) - chunk.rfind(b"\n") - 1 if b"\n" in chunk else since + len(chunk)


def _may_be_windows(stream: IO[bytes]) -> bool:
    """Whether it is Windows-1252 throughout, and nothing in it is UTF-8 beyond ASCII.

    Where something is, the rest is broken UTF-8, and a guess would garble what is whole.
    """
    stream.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    while chunk := stream.read(_CHUNK):
        if _VALID_BEYOND_ASCII.search(decoder.decode(chunk)):
            return False
    return _first_bad_byte(stream, "cp1252") is None
