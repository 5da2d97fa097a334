"""What is wrong with a training configuration, in sentences that say what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

_NO_MANIFEST = (
    "Training refuses to start without a success manifest: manifest_digest is missing. "
    "Set the bar first with `strop manifest set FILE` and write its sha256 here."
)


def describe_problem(
    problem: Mapping[str, Any], whole: type[BaseModel], sections: Mapping[str, type[BaseModel]]
) -> str:
    """One sentence on one problem.

    Args:
        problem: as pydantic's `ValidationError.errors` gives it.
        whole: the configuration; sections: its parts, by name.
    """
    where = [str(part) for part in problem["loc"]]
    name = ".".join(where)
    if problem["type"] == "extra_forbidden":
        return f"There is no key {name!r}{_nearest(where, sections.get(where[0], whole))}."
    if problem["type"] == "missing":
        return _NO_MANIFEST if name == "manifest_digest" else f"{name} is missing."
    if name == "manifest_digest":
        return f"{_NO_MANIFEST.split(':')[0]}: manifest_digest must be the 64 hexadecimal digits."
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    return f"{name}: {problem['msg'][0].lower()}{problem['msg'][1:]}, not {problem['input']!r}."


def _nearest(where: list[str], model: type[BaseModel]) -> str:
    near = difflib.get_close_matches(where[-1], model.model_fields, n=1, cutoff=0.0)
    prefix = ".".join(where[:-1])
    return f", did you mean {prefix + '.' if prefix else ''}{near[0]}" if near else ""
