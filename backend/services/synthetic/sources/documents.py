"""Documents to draft from: a file or a folder of texts, cut into passages at blank lines."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.errors import InvalidInput
from backend.schemas.common import unstorable

TEXTS = frozenset({".txt", ".md"})
PASSAGE_CHARACTERS = 3000
MOST_DOCUMENTS = 10_000
MOST_CHARACTERS = 2_000_000


@dataclass(frozen=True, slots=True)
class TitledText:
    """A text with the name that people know it by."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Digest of the text, by which its drafts are found again."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_documents(path: Path) -> list[TitledText]:
    """The documents of a .txt, .md or .jsonl file ({"text", "name"?} a line), or of a folder.

    Raises:
        InvalidInput: there is nothing, or something is no text.
    """
    try:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        texts = [f for f in files if f.is_file() and f.suffix.lower() in (*TEXTS, ".jsonl")]
        found = [document for file in texts for document in _read_file(file)]
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path}: {error}.", hint="Give UTF-8 texts.") from error
    return check_documents(found, str(path))


def check_documents(documents: Sequence[TitledText], where: str) -> list[TitledText]:
    """The documents that have a text, each once.

    Raises:
        InvalidInput: there is none, there are too many, or one cannot be stored.
    """
    once: dict[str, TitledText] = {}
    for one in documents:
        if one.text.strip():
            once.setdefault(one.sha256, one)
    kept = list(once.values())
    if not kept:
        raise InvalidInput(
            f"{where}: there is no document in it.",
            hint='Give .txt, .md or .jsonl files; a line of the last is {"text": "..."}.',
        )
    if len(kept) > MOST_DOCUMENTS:
        raise InvalidInput(f"{where}: more than {MOST_DOCUMENTS:,} documents.", hint="Give fewer.")
    for one in kept:
        if unstorable(one.text) or unstorable(one.name):
            raise InvalidInput(
                f"{where}: {one.name!r} holds a character that is not text (NUL or a lone "
                "surrogate).",
                hint="Remove it.",
            )
        if len(one.text) > MOST_CHARACTERS:
            raise InvalidInput(
                f"{where}: {one.name!r} has more than {MOST_CHARACTERS:,} characters.",
                hint="Split it into several documents.",
            )
    return kept


def _read_file(path: Path) -> Iterator[TitledText]:
    text = path.read_text("utf-8")
    if path.suffix.lower() != ".jsonl":
        yield TitledText(path.name, text)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        row = json.loads(line)
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise ValueError(f"{path.name}, line {number} has no text")
        yield TitledText(str(row.get("name") or f"{path.name}:{number}")[:200], row["text"])


def passages(text: str, *, most: int = PASSAGE_CHARACTERS) -> list[str]:
    """The text in pieces of at most so many characters, cut at blank lines, else at sentences."""
    pieces: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        for part in _fitting(paragraph.strip(), most):
            if pieces and len(pieces[-1]) + len(part) + 2 <= most:
                pieces[-1] += f"\n\n{part}"
            elif part:
                pieces.append(part)
    return pieces


def _fitting(paragraph: str, most: int) -> Iterator[str]:
    while len(paragraph) > most:
        cut = max(paragraph.rfind(mark, 0, most) for mark in (". ", "\n", "! ", "? "))
        cut = cut + 1 if cut > 0 else most
        yield paragraph[:cut].strip()
        paragraph = paragraph[cut:].strip()
    yield paragraph
