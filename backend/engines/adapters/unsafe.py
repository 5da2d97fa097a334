"""Files of a folder that could run code when they are loaded, or hide what they hold."""

from __future__ import annotations

from pathlib import Path

from backend.errors import InvalidInput

PICKLE_SUFFIXES = frozenset(
    {".bin", ".pt", ".pth", ".pkl", ".pickle", ".p", ".pk", ".dill", ".ckpt", ".joblib", ".npy"}
    | {".npz", ".mar", ".nemo", ".h5", ".hdf5", ".keras"}
)
# How files begin that hold a pickle (protocol 2 and later, NumPy), or hide what they hold.
_PICKLE_MAGIC = (*(b"\x80" + bytes([version]) for version in range(2, 6)), b"\x93NUMPY")
_PACKED_MAGIC = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    b"7z\xbc\xaf",
)


def refuse_unsafe_files(folder: Path) -> None:
    """Refuse what is loaded by running code, hides what it holds, or is no file of the folder.

    Raises:
        InvalidInput: such a file is there, or there is no such folder.
    """
    if not folder.is_dir():
        raise InvalidInput(
            f"There is no adapter folder {folder.name!r}.", hint="Name a PEFT folder."
        )
    inside = folder.resolve()
    for file in sorted(folder.rglob("*")):
        if file.is_symlink() and not leads_into(file, inside):
            raise InvalidInput(
                f"The adapter folder holds {file.name}, a link that leads out of it or nowhere.",
                hint="Copy the file itself.",
            )
        if not file.is_dir():
            _refuse_unsafe(file)


def leads_into(link: Path, folder: Path) -> bool:
    """Whether what a path stands for, links followed, lies in a folder (given without links)."""
    try:
        return link.resolve(strict=True).is_relative_to(folder)
    except (OSError, RuntimeError):  # it leads nowhere, or in a circle
        return False


def _refuse_unsafe(file: Path) -> None:
    if not file.is_file():
        raise InvalidInput(
            f"The adapter folder holds {file.name}, which is not a regular file.", hint="Remove it."
        )
    with file.open("rb") as stream:
        begins = stream.read(8)
    suffixes = {suffix.lower() for suffix in file.suffixes}
    if suffixes & PICKLE_SUFFIXES or begins.startswith(_PICKLE_MAGIC):
        raise InvalidInput(
            f"The adapter folder holds {file.name}, which may be a pickle and could run code.",
            hint="Save the adapter as safetensors and remove that file.",
        )
    if begins.startswith(_PACKED_MAGIC):
        raise InvalidInput(
            f"The adapter folder holds {file.name}, an archive whose content is not looked into.",
            hint="Remove it.",
        )
