"""Packed columns give back exactly what was written, and old rows are carried over."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from backend.db import alembic_config, migrate, open_database, session_factory
from backend.services import ledger
from backend.tables.packed import pack_logprobs, pack_stats, to_four_places, unpack
from backend.tables.runs import Generation, GenerationRun, Score, ScoreRun, ScoreSignature
from tests.backend.test_migrations import full_postgres, full_sqlite
from tests.fixtures_runs import lay_down_project, lay_down_run

BEFORE = "0034"

finite = st.floats(allow_nan=False)
numbers = st.one_of(
    finite,
    st.integers(0, 70_000).map(lambda n: -n / 10_000),
    st.integers(0, 2**33).map(lambda n: -n / 10_000),
    st.integers(0, 70_000).map(float),
)


@given(st.lists(numbers, max_size=8))
def test_log_probabilities_come_back_as_they_were(values: list[float]) -> None:
    found = unpack(pack_logprobs(values))
    assert found == values
    assert all(type(value) is float for value in found)


@given(
    st.one_of(
        st.lists(numbers, max_size=6),
        st.lists(st.integers(-3, 70_000), max_size=6),
        st.lists(st.one_of(finite, st.integers(), st.text(max_size=5)), max_size=6),
    )
)
def test_statistics_come_back_as_they_were_and_of_their_kind(values: list[Any]) -> None:
    found = unpack(pack_stats(values))
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_what_is_no_number_comes_back_too() -> None:
    assert math.isnan(unpack(pack_logprobs([math.nan, -1.0]))[0])
    assert unpack(pack_logprobs([-math.inf])) == [-math.inf]
    assert unpack(pack_logprobs([-1, None])) == [-1, None]
    assert list(map(type, unpack(pack_logprobs([-1, -1.5, True])))) == [int, float, bool]
    assert (unpack(None), unpack(b""), pack_logprobs([]), pack_stats(())) == ([], [], None, None)


@given(st.lists(numbers, min_size=1, max_size=8))
def test_to_four_places_is_to_round_each(values: list[float]) -> None:
    packed = pack_logprobs(values)
    assert packed is not None
    assert unpack(to_four_places(packed)) == [round(value, 4) for value in values]


def test_a_token_takes_two_bytes_and_a_rare_one_four() -> None:
    assert len(pack_logprobs([-0.1234] * 40) or b"") == 81
    assert len(pack_logprobs([-9.5] * 40) or b"") == 161
    assert len(pack_stats([3.0, 4.0, 12.0]) or b"") == 7


FLAG = {"start": 0, "end": 4, "reason": "not in the source", "kind": "name"}
OLD: list[dict[str, Any]] = [
    {"metric": "bleu", "stats": [3.0, 4.0], "spans": [], "signature": "bleu|v1", "error": None},
    {"metric": "f1", "stats": ["billing", "été"], "spans": [], "signature": "f1|v1", "error": None},
    {"metric": "g", "stats": [], "spans": [FLAG], "signature": "bleu|v1", "error": "none there"},
    {"metric": "h", "stats": [0.5], "spans": [{"start": 1}], "signature": "h", "error": None},
]
LOGPROBS: list[list[float]] = [[-0.1234, -9.5], [], [-0.12345678], [-1.0] * 12]


@pytest.mark.parametrize(
    "make_full", [full_sqlite, pytest.param(full_postgres, marks=pytest.mark.postgres)]
)
def test_old_rows_are_carried_over_and_back(
    make_full: Callable[[Path, pytest.FixtureRequest], str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Down to the version before they are JSON in each row, as they were; up again, packed."""
    url = make_full(tmp_path, request)
    engine = open_database(url)
    with session_factory(engine).begin() as session:
        _lay_down(session)
    command.downgrade(alembic_config(url), BEFORE)
    with session_factory(engine)() as session:
        rows = session.execute(text("SELECT stats, spans, signature FROM scores ORDER BY id"))
        back = [(_list(stats), _list(spans), said) for stats, spans, said in rows]
        assert back == [(old["stats"], old["spans"], old["signature"]) for old in OLD]
        kept = session.execute(text("SELECT token_logprobs FROM generations ORDER BY id"))
        assert [_list(row[0]) for row in kept] == LOGPROBS
    migrate(url)
    with session_factory(engine)() as session:
        _check(session)
    engine.dispose()


def _list(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _lay_down(session: Session) -> None:
    """A run of four outputs, and four scores of the first."""
    laid = lay_down_project(session, examples=4, adapters=0)
    run = lay_down_run(session, laid, models=1)
    for example, logprobs in zip(laid.examples, LOGPROBS, strict=True):
        cell = {"model_version_id": laid.models[0], "example_id": example, "text": "say"}
        session.add(Generation(run_id=run.id, token_logprobs=logprobs, **cell))
    session.flush()
    scores = ScoreRun(generation_run_id=run.id, metrics=[])
    session.add(scores)
    session.flush()
    first = session.scalars(select(Generation.id).order_by(Generation.id)).first()
    ids = ledger.text_ids(session, ScoreSignature, (old["signature"] for old in OLD))
    for old in OLD:
        kept = {key: value for key, value in old.items() if key != "signature"}
        by = {"score_run_id": scores.id, "generation_id": first}
        session.add(Score(**kept, **by, signature_id=ids[old["signature"]]))
        session.flush()


def _check(session: Session) -> None:
    written = session.scalars(select(Generation).order_by(Generation.id)).all()
    assert [one.token_logprobs for one in written] == LOGPROBS
    scores = session.scalars(select(Score).order_by(Score.id)).all()
    for score, old in zip(scores, OLD, strict=True):
        assert {name: getattr(score, name) for name in old} == old
    raw = session.execute(text("SELECT stats, spans FROM scores ORDER BY id")).all()
    assert bytes(raw[0][0]) == b"f\x03\x00\x04\x00"
    assert raw[0][1] is None
    assert raw[2][0] is None
    assert session.scalar(text("SELECT count(*) FROM score_signatures")) == 3
    run, scored = (
        session.scalars(select(GenerationRun)).one(),
        session.scalars(select(ScoreRun)).one(),
    )
    assert (run.n_done, run.n_failed) == (4, 0)
    assert (scored.n_done, scored.n_failed) == (4, 1)
