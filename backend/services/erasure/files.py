"""Files of an installation that hold an erased text: rows of trainings, records, logs.

What is a row of JSON goes as a row; elsewhere the text is blacked out. Weights hold no text that
could be cut out: their models are named by the erasure instead. Archives, tables in binary form and
files of others are named, not opened.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backend.services.erasure.passages import Passages, json_or_text

WEIGHTS = frozenset({".safetensors", ".pt", ".bin", ".pth", ".lock"})
ROWS = frozenset({".jsonl"})
JSON = frozenset({".json"})
TEXT = frozenset({".yaml", ".yml", ".md", ".txt", ".log", ".csv", ".tsv", ".jinja", ".html"})
NO_TEXT_OF_OURS = frozenset({"tokenizer.json", "tokenizer_config.json", "vocab.json"})


@dataclass(slots=True)
class Cleaned:
    """What became of the files, by path below their root."""

    changed: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def clean_files(roots: Sequence[Path], passages: Passages) -> Cleaned:
    """Take erased texts out of every file below these folders; doing it again changes nothing."""
    found = Cleaned()
    for root in roots:
        for path in _files(root):
            _clean(path, root, passages, found)
    return found


def black_out_logs(home: Path, passages: Passages) -> list[str]:
    """Overwrite erased texts in the logs of an installation where they stand, byte for byte: a
    process that is writing one goes on with it. Returns the names of those that held some.
    """
    changed = []
    for path in sorted(home.glob("*.log")):
        if path.is_symlink() or not path.is_file():
            continue
        said = path.read_bytes().decode("utf-8", "surrogateescape")
        found = passages.stretches(said)
        with path.open("r+b") as stream:
            for start, end in found:
                stream.seek(len(said[:start].encode("utf-8", "surrogateescape")))
                stream.write(b"#" * len(said[start:end].encode("utf-8", "surrogateescape")))
            stream.flush()
            os.fsync(stream.fileno())
        if found:
            changed.append(path.name)
    return changed


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink() and name not in NO_TEXT_OF_OURS:
                yield path


def _clean(path: Path, root: Path, passages: Passages, found: Cleaned) -> None:
    if path.suffix in WEIGHTS:
        return
    name = str(path.relative_to(root.parent))
    if path.suffix not in ROWS | JSON | TEXT:
        found.unread.append(name)
        return
    try:
        old = path.read_text(encoding="utf-8")
        new = _cleaned(path.suffix, old, passages)
    except (UnicodeDecodeError, ValueError):
        found.unread.append(name)
        return
    except FileNotFoundError:  # a training rotates its files
        return
    if new is not None:
        _replace(path, new)
        found.changed.append(name)


def _cleaned(suffix: str, old: str, passages: Passages) -> str | None:
    """The text without what was erased; None where there is nothing of it."""
    if suffix in ROWS:
        lines = old.splitlines(keepends=True)
        kept = [line for line in lines if not passages.holds(json_or_text(line))]
        return None if len(kept) == len(lines) else "".join(kept)
    if suffix in JSON:
        value = json.loads(old)
        if not passages.holds(value):
            return None
        return json.dumps(passages.blacked(value), indent=2, ensure_ascii=False) + "\n"
    blacked = passages.blacked(old)
    return None if blacked == old else str(blacked)


def _replace(path: Path, text: str) -> None:
    """Overwrite the old bytes where they lie, then put the new file in place: neither is lost in
    a crash, and the blocks of the old one hold zeros."""
    fresh = path.with_name(path.name + ".erasing")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(path.stat().st_mode & 0o777)
    with fresh.open("rb") as stream:
        os.fsync(stream.fileno())
    old = path.with_name(path.name + ".erased")
    os.replace(path, old)
    os.replace(fresh, path)
    _zero(old)


def _zero(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.write(bytes(size))
        stream.flush()
        os.fsync(stream.fileno())
    path.unlink()


def clear_leftovers(roots: Sequence[Path]) -> None:
    """What a crash between the steps of `_replace` left."""
    for root in roots:
        for path in root.rglob("*.erased"):
            _zero(path)
        for path in root.rglob("*.erasing"):
            target = path.with_name(path.name.removesuffix(".erasing"))
            if target.exists():
                path.unlink()
            else:
                path.rename(target)
