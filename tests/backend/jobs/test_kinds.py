"""Every kind of job has its entry, and all that a kind needs is there for each."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.cli.terminal import progress
from backend.errors import UnknownName
from backend.jobs import worker
from backend.services.overview import jobs_of_project
from backend.services.queue import KINDS, JobKind, find_kind


def test_each_kind_is_in_every_table() -> None:
    assert set(KINDS) == set(JobKind) == set(worker.KINDS) == set(progress._STANDINGS)
    assert {entry.queue for entry in KINDS.values()} == set(worker.ALL_QUEUES)
    assert len({entry.word for entry in KINDS.values()}) == len(KINDS)


def test_jobs_of_each_kind_are_looked_for_in_a_project(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        assert jobs_of_project(session, 1) == []


def test_a_project_is_asked_for_subjects_of_the_kind() -> None:
    for entry in KINDS.values():
        [table] = entry.of_project(1).get_final_froms()
        assert f"{str(table).removesuffix('s')}_id" == entry.subject


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="generate"):
        find_kind("generat")
