"""Folders of rows: a dataset that Hugging Face `datasets` saved to disk, and Parquet in shards.

    notes/state.json, data-00000-of-00001.arrow          Dataset.save_to_disk: one part
    notes/dataset_dict.json, train/, test/               DatasetDict.save_to_disk: a part each split
    notes/train-00000-of-00002.parquet, ...              shards, a part each split that is named
    notes/train/0000.parquet, notes/test/0000.parquet    the same, in folders

Shards may lie one folder deeper, in `data`. Only names are looked at here, and no file outside the
folder is named by what is in it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluators.errors import UnreadableRecord
from evaluators.files.formats.opening import open_bytes

_SHARD = re.compile(r"(?P<name>.+?)(-\d+-of-\d+(-\w+)?)?\.parquet")
SPLITS = {
    "train": "train",
    "training": "train",
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    "test": "test",
}
"""What a split is called elsewhere -> its name here."""


@dataclass(frozen=True, slots=True)
class FolderPart:
    """Files that are read as one table.

    Attributes:
        name: the part as messages name it.
        files: of a folder, in order; empty where the source is a file itself.
        split: its name there, where the source has several or names it.
    """

    name: str
    files: tuple[Path, ...] = ()
    split: str | None = None


def parts_of(source: str | Path) -> list[FolderPart]:
    """The parts of a source of rows: a file is one, a folder has one or one a split.

    Raises:
        UnreadableRecord: a folder in which no rows lie, or whose list of files is broken.
    """
    if not os.path.isdir(source):
        return [FolderPart(str(source))]
    folder = Path(source)
    if (folder / "dataset_dict.json").is_file():
        listed = _listed(folder / "dataset_dict.json", "splits")
        splits = [_inside(folder, split) for split in listed]
        return [_saved(folder / split, split) for split in splits]
    if (folder / "state.json").is_file():
        return [_saved(folder, None)]
    if found := _shards(folder):
        return found
    raise UnreadableRecord(
        f"{folder}: this is a folder in which no rows lie.",
        hint="Name a file, a folder of .parquet files, or one of datasets' save_to_disk.",
    )


def only_part(source: str | Path) -> FolderPart:
    """The one part of a source; UnreadableRecord where there are several."""
    first, *others = parts_of(source)
    if others:
        names = ", ".join(str(part.split) for part in (first, *others))
        raise UnreadableRecord(
            f"{source}: this is a folder of several splits: {names}.",
            hint=f"Name the files of one, such as those of {first.split}.",
        )
    return first


def _saved(folder: Path, split: str | None) -> FolderPart:
    state = folder / "state.json"
    entries = _listed(state, "_data_files")
    names = [one.get("filename") if isinstance(one, dict) else one for one in entries]
    if not names:
        raise UnreadableRecord(f"{folder}: there is no record in it.", hint="Save it with rows.")
    return FolderPart(str(folder), tuple(folder / _inside(folder, name) for name in names), split)


def _inside(folder: Path, name: object) -> str:
    if not isinstance(name, str) or Path(name).name != name or name == ".." or "\0" in name:
        raise UnreadableRecord(
            f"{folder}: it names a file {name!r}, which is none of its own.",
            hint="Save it again (save_to_disk).",
        )
    return name


def _listed(file: Path, key: str) -> list[object]:
    with open_bytes(file) as stream:
        content = stream.read(1 << 24)
    try:
        found = json.loads(content).get(key)
    except (ValueError, AttributeError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise UnreadableRecord(
            f"{file}: it does not list {key!r}, as save_to_disk writes it.", hint="Save it again."
        )
    return found


def _shards(folder: Path) -> list[FolderPart]:
    """The parts of Parquet files in a folder; those in folders below it where it holds none."""
    places = [folder, folder / "data"]
    for place in places:
        if files := _parquet_in(place):
            names = [_prefix(file) for file in files]
            if set(names) & set(SPLITS):
                return _by_split(folder, names, files)
            return [FolderPart(str(folder), tuple(files))]
    below = [
        one for place in places if place.is_dir() for one in sorted(place.iterdir()) if one.is_dir()
    ]
    found = [(one.name, file) for one in below for file in _parquet_in(one)]
    return _by_split(folder, [name for name, _ in found], [file for _, file in found])


def _by_split(folder: Path, names: Iterable[str], files: Sequence[Path]) -> list[FolderPart]:
    found: dict[str, list[Path]] = {}
    for name, file in zip(names, files, strict=True):
        found.setdefault(name, []).append(file)
    return [FolderPart(f"{folder} ({name})", tuple(some), name) for name, some in found.items()]


def _parquet_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(one for one in folder.iterdir() if one.suffix == ".parquet" and one.is_file())


def _prefix(file: Path) -> str:
    found = _SHARD.fullmatch(file.name)
    return found["name"] if found else file.stem
