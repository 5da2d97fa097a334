"""What the reconciler decides, and how answers are cut into chunks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend.engines.base import GenerationResult
from backend.errors import EngineUnavailable
from backend.jobs.generate import chunks_of
from backend.jobs.reconcile import Action, decide
from backend.jobs.transact import Known, system_url
from backend.settings import Settings


@pytest.mark.parametrize(
    ("known", "action"),
    [
        (None, Action.ENQUEUE),
        (Known("ENQUEUED", None), Action.WAIT),
        (Known("PENDING", "me"), Action.WAIT),
        (Known("PENDING", "dead"), Action.SUPERSEDE),
        (Known("PENDING", None), Action.SUPERSEDE),
        (Known("SUCCESS", "me"), Action.SUPERSEDE),
        (Known("CANCELLED", "me"), Action.SUPERSEDE),
        (Known("ERROR", "me"), Action.GIVE_UP),
        (Known("MAX_RECOVERY_ATTEMPTS_EXCEEDED", "me"), Action.GIVE_UP),
    ],
)
def test_unfinished_row(known: Known | None, action: Action) -> None:
    assert decide(known, {"me"}) == action


def _answers(count: int, *, dies: bool = False) -> Iterator[GenerationResult]:
    yield from (GenerationResult(str(i), text="x") for i in range(count))
    if dies:
        raise EngineUnavailable("gone")


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (2, [2]), (4, [4]), (9, [4, 4, 1])])
def test_chunks_have_a_size(count: int, sizes: list[int]) -> None:
    assert [len(c) for c in chunks_of(_answers(count), size=4, seconds=60)] == sizes


def test_chunks_have_a_time() -> None:
    assert [len(c) for c in chunks_of(_answers(3), size=4, seconds=0)] == [1, 1, 1]


def test_what_arrived_before_the_engine_died_is_handed_on() -> None:
    chunks = chunks_of(_answers(3, dies=True), size=2, seconds=60)
    assert [len(next(chunks)), len(next(chunks))] == [2, 1]
    with pytest.raises(EngineUnavailable):
        next(chunks)


@pytest.mark.parametrize(
    ("url", "system"),
    [
        ("sqlite:////data/strop.db", "sqlite:////data/strop-jobs.db"),
        ("postgresql://u:p@db:5433/strop", "postgresql+psycopg://u:p@db:5433/strop"),
    ],
)
def test_job_engine_has_its_place(url: str, system: str) -> None:
    assert system_url(Settings(database_url=url)) == system
