"""What a Ray worker does with one item, on whichever node it runs.

A node takes part only with the installation that the driver has: else a score, whose signature
names no node, would depend on where it was computed. What the work raises comes back as a value,
so that Ray repeats only what was lost with a process or a node.
"""

from __future__ import annotations

import hashlib
import pickle
import platform
import socket
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HOUSE = ("backend", "evaluators")
SCORED_WITH = (
    "datasets", "datasketch", "evaluate", "google-re2", "jsonschema-rs", "numpy", "openpyxl",
    "pyarrow", "pyyaml", "rapidfuzz", "sacrebleu", "scikit-learn", "scipy", "tokenizers", "torch",
    "transformers",
)  # fmt: skip
_kept: dict[str, Callable[[Any], Any]] = {}


def do_item(wanted: Mapping[str, str], digest: str, work: bytes, item: bytes) -> tuple[str, Any]:
    """The result of one item, pickled.

    Args:
        wanted: `installation()` of the driver.
        digest: of `work`, a pickled function.

    Returns:
        ("done", pickled result), ("raised", pickled exception), or ("differs", a sentence).
    """
    if difference := _difference(wanted):
        return "differs", difference
    try:
        return "done", pickle.dumps(_function(digest, work)(pickle.loads(item)))
    except Exception as error:  # the outermost frame of the work: the driver raises it
        return "raised", _pickled(error)


def _function(digest: str, work: bytes) -> Callable[[Any], Any]:
    """The function, kept from item to item, with all that was bound to it."""
    if digest not in _kept:
        _kept.clear()
        _kept[digest] = pickle.loads(work)
    return _kept[digest]


def _pickled(error: Exception) -> bytes:
    """The error, or its words where it cannot travel."""
    try:
        packed = pickle.dumps(error)
        pickle.loads(packed)
    except Exception:  # whatever an error of somebody else's does in its own methods
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return packed


def _difference(wanted: Mapping[str, str]) -> str:
    """Where this node is not what the driver is; empty where it is."""
    here = installation()
    if here == dict(wanted):
        return ""
    names = [name for name in {**wanted, **here} if wanted.get(name) != here.get(name)]
    told = [f"{n} {here.get(n, 'missing')} for {wanted.get(n, 'none')}" for n in sorted(names)[:5]]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"The node {socket.gethostname()} has {', '.join(told)}{more}."


@lru_cache(maxsize=1)
def installation() -> dict[str, str]:
    """What a score may depend on: Python, our code by its digest, the libraries by version."""
    libraries = {name: _version(name) for name in SCORED_WITH}
    return {"Python": platform.python_version(), "Strop's code": _code(), **libraries}


def _code() -> str:
    """Digest of every file of the packages, by its place in them."""
    root, found = Path(__file__).parents[2], hashlib.sha256()
    for file in sorted(file for name in HOUSE for file in (root / name).rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            found.update(f"{file.relative_to(root)}\0".encode())
            found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:12]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
