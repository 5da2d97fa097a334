"""A version or an id of more digits than its column holds is not found, on either database."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound
from backend.services.datasets.prompts.prompts import find_prompt
from backend.services.datasets.versions import find_version
from backend.services.lineage.trace import trace
from backend.services.models.versions import find_model
from backend.services.projects import create_project
from backend.services.runs.risks import find_risk

WIDE = "99999999999"
FINDS: dict[str, Callable[[Session, int], object]] = {
    "model": lambda session, project: find_model(session, project, f"v1@{WIDE}"),
    "prompt": lambda session, project: find_prompt(session, project, f"brief@{WIDE}"),
    "dataset": lambda session, project: find_version(session, project, f"notes@{WIDE}"),
    "review": lambda session, project: trace(session, project, f"review:{WIDE}"),
    "risk": lambda session, project: find_risk(session, project, WIDE),
}


def test_what_has_too_many_digits_is_not_found(session: Session) -> None:
    project_id = create_project(session, "desk", base_model="tiny").id
    for find in FINDS.values():
        with pytest.raises((NotFound, InvalidInput)):
            find(session, project_id)
