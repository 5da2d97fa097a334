"""What trainers leave in a folder beside an adapter, and what of it has to be said.

PEFT, TRL, Unsloth, LLaMA-Factory and Axolotl all write PEFT's two files; around them lie
checkpoints, pickles of the trainer's state, logs, cards, and often the tokeniser and the chat
template that were trained with. No file is loaded here but JSON and templates, which are text.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.engines.adapters.folders import CONFIG_FILE, FACTS_FILE, WEIGHTS_FILE, AdapterConfig
from backend.engines.adapters.unsafe import PICKLE_SUFFIXES, leads_into
from backend.errors import InvalidInput
from training.config import TrainingError
from training.weights.digest import TOKENIZER_FILES, read_template

CARD_FILE = "README.md"
_TAKEN = (CONFIG_FILE, WEIGHTS_FILE, FACTS_FILE, CARD_FILE)
_MOST_OF_CARD = 1 << 20  # bytes
_NAMED = 4  # files or tokens that a sentence names; the rest is counted
_CHECKPOINT = re.compile(r"checkpoint-([0-9]{1,18})")
_FOUR_BITS = re.compile(r"[-_](?:unsloth-)?(?:bnb[-_])?4bit$", re.IGNORECASE)
_IN_CACHE = re.compile(r"models--([^/]+)/snapshots/")


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file of an adapter, as it was when it was looked at.

    Attributes:
        place: a folder, links resolved, below which it lies.
        inside: from there to the file itself, links followed.
        device, inode: by which it is known again when it is opened.
    """

    name: str
    place: Path
    inside: Path
    device: int
    inode: int

    def copy_to(self, target: Path) -> None:
        """Copy what was looked at, and nothing that was put in its place since.

        It is opened from folder to folder without following a link, so that no link that was put
        there meanwhile, or in a folder above it, brings in a file from elsewhere.

        Raises:
            InvalidInput: it is another file now, or none.
        """
        try:
            with os.fdopen(_open_below(self.place, self.inside), "rb") as stream:
                found = os.fstat(stream.fileno())
                if (found.st_dev, found.st_ino) != (self.device, self.inode):
                    raise self._swapped()
                with target.open("wb") as copy:
                    shutil.copyfileobj(stream, copy)
        except OSError as error:
            raise self._swapped() from error

    def _swapped(self) -> InvalidInput:
        return InvalidInput(
            f"{self.name} was swapped for another file while it was read.",
            hint="Add the folder again when nobody writes to it.",
        )


def _open_below(place: Path, inside: Path) -> int:
    """A descriptor of a regular file below a folder, reached over no link."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    at = os.open(place, flags | os.O_DIRECTORY)
    try:
        for part in inside.parts[:-1]:
            below = os.open(part, flags | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = below
        file = os.open(inside.name, flags, dir_fd=at)
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"{inside.name} is no regular file")
    return file


@dataclass(frozen=True, slots=True)
class TrainerFolder:
    """What lies at the top of a folder.

    Attributes:
        taken: the files that make the adapter, and its card, each with what it was when it was
            looked at.
        pickles: files that could run code when they are loaded; they never are.
        checkpoints: its checkpoint-N folders that hold an adapter, in order of their steps.
        others: how many further files and folders there are.
    """

    path: Path
    taken: tuple[TakenFile, ...]
    pickles: tuple[str, ...]
    checkpoints: tuple[Path, ...]
    others: int

    @property
    def left_out(self) -> list[str]:
        """What a copy does not hold, in one sentence, or none."""
        parts = []
        if self.pickles:
            parts.append(f"{_listed(self.pickles)} (pickles, which can run code)")
        if self.checkpoints:
            parts.append(_count(len(self.checkpoints), "checkpoint"))
        if self.others:
            parts.append(_count(self.others, "other file"))
        return [f"Left out: {'; '.join(parts)}."] if parts else []


def read_trainer_folder(folder: Path) -> TrainerFolder:
    """Look at a folder that holds an adapter.

    Raises:
        InvalidInput: it holds none, and what to name instead: the newest checkpoint, where there
            is one; or a file of the adapter is a link to a file of somebody else's.
    """
    files = sorted(folder.iterdir())
    checkpoints = _checkpoints(files)
    taken = tuple(file for file in files if file.name in _TAKEN and file.is_file())
    taken = tuple(f for f in taken if f.name != CARD_FILE or f.stat().st_size <= _MOST_OF_CARD)
    if WEIGHTS_FILE not in {file.name for file in taken}:
        raise _no_adapter(folder, checkpoints)
    looked_at = tuple(_look_at(folder, taken))
    ends = {file.name: {suffix.lower() for suffix in file.suffixes} for file in files}
    pickles = tuple(name for name, suffixes in ends.items() if suffixes & PICKLE_SUFFIXES)
    known = {*taken, *checkpoints} | {folder / name for name in pickles}
    return TrainerFolder(folder, looked_at, pickles, checkpoints, len(set(files) - known))


def _look_at(folder: Path, taken: Iterable[Path]) -> Iterator[TakenFile]:
    """What a copy may hold; it would bring what lies elsewhere, a secret maybe, to where adapters
    are served from."""
    inside = folder.resolve()
    allowed = [inside, *_blobs(inside)]
    for file in taken:
        place = next((place for place in allowed if leads_into(file, place)), None)
        if place is None:
            raise InvalidInput(
                f"{folder.name} holds {file.name}, a link that leads out of it.",
                hint="Put the file itself there.",
            )
        itself = file.resolve()
        found = itself.stat()
        yield TakenFile(file.name, place, itself.relative_to(place), found.st_dev, found.st_ino)


def _blobs(folder: Path) -> Iterator[Path]:
    """Where the hub's cache keeps the files that a snapshot links to: of its own repository."""
    for above in folder.parents:
        if above.name == "snapshots" and above.parent.name.startswith("models--"):
            yield above.parent / "blobs"


def _checkpoints(files: Iterable[Path]) -> tuple[Path, ...]:
    steps = {file: m for file in files if (m := _CHECKPOINT.fullmatch(file.name))}
    found = [file for file in steps if (file / WEIGHTS_FILE).is_file()]
    return tuple(sorted(found, key=lambda file: int(steps[file][1])))


def _no_adapter(folder: Path, checkpoints: tuple[Path, ...]) -> InvalidInput:
    if checkpoints:
        state = _json(checkpoints[-1] / "trainer_state.json") or {}
        best = Path(str(state.get("best_model_checkpoint") or "")).name
        by_loss = "" if best in ("", checkpoints[-1].name) else f" (its trainer's best was {best})"
        return InvalidInput(
            f"{folder.name} holds {_count(len(checkpoints), 'checkpoint')} and no adapter of its "
            f"own; the newest is {checkpoints[-1].name}{by_loss}.",
            hint=f"Name it: {checkpoints[-1]}",
        )
    if (folder / "adapter_model.bin").is_file():
        return InvalidInput(
            f"{folder.name} holds its weights as adapter_model.bin, a pickle, which is never "
            "loaded.",
            hint="Save it again where it was trained, with safe_serialization=True.",
        )
    if any(folder.glob("model*.safetensors")):
        return InvalidInput(
            f"{folder.name} is a whole model and no adapter.",
            hint="Make it the base of a project: strop init NAME --base-model FOLDER",
        )
    return InvalidInput(f"{folder.name} has no {WEIGHTS_FILE}.", hint="Name a PEFT adapter folder.")


def said_of_origin(
    folder: Path, config: AdapterConfig, *, base: Path, base_model: str
) -> Iterator[str]:
    """What differs between the base here and what the adapter was trained on; sentences.

    Args:
        folder: as the trainer left it.
        base: the folder of the base; base_model: how the project names it.
    """
    yield from _said_of_base(config.base_model_name_or_path or "", base_model)
    if not any((folder / name).is_file() for name in (*TOKENIZER_FILES, _TEMPLATE)):
        return
    yield from _said_of_template(folder, base)
    yield from _said_of_tokens(folder, base)
    yield from _said_of_end(folder, base)


_TEMPLATE = "chat_template.jinja"


def _said_of_base(named: str, base_model: str) -> Iterator[str]:
    if not named or _plain(named) == _plain(base_model):
        return
    if _FOUR_BITS.search(named.rstrip("/")):
        yield (
            f"It was trained on a base in 4 bits ({named[:200]}) and is measured on "
            f"{base_model}, whose shapes it fits."
        )
        return
    yield (
        f"It names {named[:200]} as its base; it is registered on {base_model}. Its shapes fit, "
        "which does not show that the weights are the same."
    )


def _plain(name: str) -> str:
    """The name of a model without where it lies: the last part of a hub name or of a folder."""
    cached = _IN_CACHE.search(name)
    plain = cached[1].rpartition("--")[2] if cached else Path(name).name
    return plain.lower()


def _said_of_template(folder: Path, base: Path) -> Iterator[str]:
    try:
        theirs, ours = read_template(folder), read_template(base)
    except (TrainingError, ValueError, OSError, TypeError, KeyError, AttributeError):
        yield "Its tokeniser has no chat template: how its training prompts looked is not known."
        return
    if theirs.strip() != ours.strip():
        yield (
            "It was trained with another chat template than the base's, which is the one that it "
            "is asked with here: its figures may be worse than it is."
        )


def _said_of_tokens(folder: Path, base: Path) -> Iterator[str]:
    theirs, ours = _tokens(folder), _tokens(base)
    if not theirs or not ours:
        return
    other = [token for token, number in theirs.items() if ours.get(token) != number]
    if other:
        yield (
            f"Its tokeniser has {_count(len(other), 'token')} that the base's has not, or under "
            f"another number ({_listed([repr(token[:40]) for token in other])})."
        )


def _tokens(folder: Path) -> dict[str, int]:
    content = _json(folder / "tokenizer.json") or {}
    vocabulary = (content.get("model") or {}).get("vocab") or {}
    if isinstance(vocabulary, list):  # unigram: pairs of token and score, in order
        vocabulary = {str(pair[0]): number for number, pair in enumerate(vocabulary)}
    added = {str(one.get("content")): one.get("id") for one in content.get("added_tokens") or []}
    return {**vocabulary, **added}


def _said_of_end(folder: Path, base: Path) -> Iterator[str]:
    theirs, ours = _end_token(folder), _end_token(base)
    if theirs and ours and theirs != ours:
        yield f"It was trained to end an answer with {theirs[:40]!r}, the base with {ours[:40]!r}."


def _end_token(folder: Path) -> str:
    found = (_json(folder / "tokenizer_config.json") or {}).get("eos_token")
    return str(found.get("content") if isinstance(found, dict) else found or "")


def _json(file: Path) -> dict[str, Any] | None:
    """The object in a file that only remarks are made of; None where there is none to read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
