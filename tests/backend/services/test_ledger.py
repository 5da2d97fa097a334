"""Counts of ledgers, with several who write at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import open_database, session_factory
from backend.services import ledger
from backend.services.ledger import Counts, add_to_run, counts_of, recount
from backend.services.runs.scoring import save_scores
from backend.tables.runs import Generation, GenerationRun, Score, ScoreRun
from tests.fixtures_runs import lay_down_project, lay_down_run


@pytest.fixture
def several(postgres_url: str) -> Iterator[sessionmaker[Session]]:
    """Sessions of PostgreSQL, where several write at once; SQLite lets in one after the other."""
    engine = open_database(postgres_url)
    yield session_factory(engine)
    engine.dispose()


def _run_of(sessions: sessionmaker[Session]) -> tuple[int, Callable[[int], list[dict[str, Any]]]]:
    with sessions.begin() as session:
        laid = lay_down_project(session, examples=4, adapters=0)
        run = lay_down_run(session, laid)
        rows = [
            {"model_version_id": laid.models[0], "example_id": example, "text": "so", "error": None}
            for example in laid.examples
        ]
        return run.id, lambda sample: [{**row, "sample": sample} for row in rows]


def _add(sessions: sessionmaker[Session], run_id: int, rows: list[dict[str, Any]]) -> None:
    with sessions.begin() as session:
        add_to_run(session, GenerationRun, run_id, rows)


@pytest.mark.postgres
def test_two_who_write_into_one_run_do_not_wait_for_each_other_for_ever(
    several: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, rows = _run_of(several)
    both, insert = Barrier(2, timeout=20), ledger._insert

    def insert_together(*args: Any) -> list[Any]:
        found = insert(*args)
        both.wait()
        return found

    monkeypatch.setattr(ledger, "_insert", insert_together)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda sample: _add(several, run_id, rows(sample)), (1, 2)))
    with several() as session:
        assert counts_of(session, GenerationRun, run_id) == Counts(8, 0)


@pytest.mark.postgres
def test_what_comes_in_while_a_run_is_counted_is_counted_too(
    several: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, rows = _run_of(several)
    _add(several, run_id, rows(1))
    count = ledger._count
    with ThreadPoolExecutor(1) as pool:
        others: list[Future[None]] = []

        def count_slowly(*args: Any) -> Counts:
            found = count(*args)
            others.append(pool.submit(_add, several, run_id, rows(2)))
            wait(others, timeout=0.5)
            return found

        monkeypatch.setattr(ledger, "_count", count_slowly)
        with several.begin() as session:
            recount(session, GenerationRun, run_id)
        others[0].result()
    with several() as session:
        assert counts_of(session, GenerationRun, run_id) == Counts(8, 0)


def test_rows_come_in_by_their_unit_whatever_the_order_in_which_they_are_given(
    session: Session,
) -> None:
    """Two who write the same rows in two orders would wait for each other."""
    laid = lay_down_project(session, examples=3, adapters=0)
    run = lay_down_run(session, laid)
    rows = [
        {"model_version_id": laid.models[0], "example_id": example, "text": "so", "error": None}
        for example in reversed(laid.examples)
    ]
    assert add_to_run(session, GenerationRun, run.id, rows) == 3
    query = select(Generation.example_id).order_by(Generation.id)
    assert session.scalars(query).all() == sorted(laid.examples)


AWKWARD = ("NULL", "", "null", '{"a": [1]}', "a,b", "back\\slash", 'it\'s "so" {x}', "ü\n\t💬")


def test_whatever_a_row_holds_comes_back_as_it_was_given(session: Session) -> None:
    """On PostgreSQL rows go in as arrays, of which commas, braces and backslashes are a part."""
    run_id, rows = _score_rows(session)
    assert save_scores(session, run_id, rows) == len(rows)
    found = session.scalars(select(Score).order_by(Score.generation_id, Score.metric)).all()
    given = sorted(rows, key=lambda row: (row["generation_id"], row["metric"]))
    for score, row in zip(found, given, strict=True):
        assert {name: getattr(score, name) for name in row} == row
        assert score.annotator_kind == "code"
    failed = sum(row["error"] is not None for row in rows)
    assert counts_of(session, ScoreRun, run_id) == Counts(len(rows), failed)
    assert save_scores(session, run_id, rows) == 0  # what is there stays
    assert save_scores(session, run_id, [*rows, {**rows[0], "metric": "new"}]) == 1


def _score_rows(session: Session) -> tuple[int, list[dict[str, Any]]]:
    laid = lay_down_project(session, examples=4, adapters=0)
    run = lay_down_run(session, laid)
    told = {"model_version_id": laid.models[0], "text": "so", "error": None, "token_logprobs": []}
    add_to_run(session, GenerationRun, run.id, [{**told, "example_id": e} for e in laid.examples])
    ids = list(session.scalars(select(Generation.id).order_by(Generation.id)))
    scored = ScoreRun(generation_run_id=run.id, metrics=[])
    session.add(scored)
    session.flush()
    rows = []
    for n, text in enumerate(AWKWARD):
        marks = [{"start": 0, "end": n, "reason": text, "kind": "name"}] * (n % 3)
        rows.append(
            {
                "generation_id": ids[n % 4],
                "metric": f"m{n}",
                "value": None if n % 2 else n / 7,
                "error": text if n % 2 else None,
                "not_applicable": n == 3,
                "label": None if n == 2 else text,
                "explanation": text,
                "spans": marks,
                "stats": [[], [0.5, -1e300], [1.0, 2.0], ["a", text]][n % 4],
                "signature": f"m{n}:{text}",
            }
        )
    return scored.id, rows


@pytest.mark.postgres
def test_a_statement_has_as_many_parameters_as_columns_and_not_as_cells(
    several: sessionmaker[Session],
) -> None:
    """A list of cells that is rendered and parsed anew costs more than the scores it is of."""
    run_id, rows = _run_of(several)
    sent: list[tuple[str, int]] = []
    event.listen(
        several.kw["bind"],
        "before_cursor_execute",
        lambda *given: sent.append((given[2], len(given[3]))),
    )
    _add(several, run_id, [row for sample in range(1, 100) for row in rows(sample)])
    inserts = [n for statement, n in sent if statement.startswith("INSERT INTO generations")]
    assert len(inserts) == 1
    assert inserts[0] < 20


def test_whole_and_broken_numbers_stand_in_one_column(session: Session) -> None:
    """A driver that is given arrays has one type for all that stands in one."""
    run_id, rows = _score_rows(session)
    mixed = [{**row, "metric": f"m{n}", "error": None} for n, row in enumerate(rows)]
    values = (1, 0.5, True, 2**40, None)
    given = [{**row, "value": values[n % len(values)]} for n, row in enumerate(mixed)]
    assert save_scores(session, run_id, given) == len(given)
    found = session.scalars(select(Score).order_by(Score.id)).all()
    by_key = {(row["generation_id"], row["metric"]): row["value"] for row in given}
    assert {(s.generation_id, s.metric): s.value for s in found} == by_key
