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
from backend.tables.packed import pack_logprobs, pack_stats, unpack
from backend.tables.runs import Generation, GenerationRun, Score, ScoreRun
from tests.backend.test_migrations import _empty_postgres, _empty_sqlite

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
    assert (unpack(None), unpack(b""), pack_logprobs([]), pack_stats(())) == ([], [], None, None)


def test_a_token_takes_two_bytes_and_a_rare_one_four() -> None:
    assert len(pack_logprobs([-0.1234] * 40) or b"") == 81
    assert len(pack_logprobs([-9.5] * 40) or b"") == 161
    assert len(pack_stats([3.0, 4.0, 12.0]) or b"") == 7


FLAG = {"start": 0, "end": 4, "reason": "not in the source", "kind": "name"}
OLD_SCORES: list[dict[str, Any]] = [
    {"metric": "bleu", "stats": [3.0, 4.0], "spans": [], "signature": "bleu|v1", "error": None},
    {"metric": "f1", "stats": ["billing", "été"], "spans": [], "signature": "f1|v1", "error": None},
    {"metric": "g", "stats": [], "spans": [FLAG], "signature": "bleu|v1", "error": "none there"},
]


@pytest.mark.parametrize(
    "make_empty", [_empty_sqlite, pytest.param(_empty_postgres, marks=pytest.mark.postgres)]
)
def test_old_rows_are_carried_over_and_back(
    make_empty: Callable[[Path, pytest.FixtureRequest], str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    url = make_empty(tmp_path, request)
    migrate(url)
    command.downgrade(alembic_config(url), BEFORE)
    engine = open_database(url)
    with session_factory(engine).begin() as session:
        _lay_down_old(session)
    migrate(url)
    with session_factory(engine)() as session:
        written = session.scalars(select(Generation).order_by(Generation.id)).all()
        assert [one.token_logprobs for one in written] == [[-0.1234, -9.5], []]
        scores = session.scalars(select(Score).order_by(Score.id)).all()
        for score, old in zip(scores, OLD_SCORES, strict=True):
            assert {name: getattr(score, name) for name in old} == old
        assert ledger.counts_of(session, GenerationRun, 1) == (2, 0)
        run = session.get_one(ScoreRun, 1)
        assert (run.n_done, run.n_failed) == (3, 1)
    command.downgrade(alembic_config(url), BEFORE)
    with session_factory(engine)() as session:
        rows = session.execute(text("SELECT stats, spans, signature FROM scores ORDER BY id"))
        back = [(_list(stats), _list(spans), said) for stats, spans, said in rows]
        assert back == [(old["stats"], old["spans"], old["signature"]) for old in OLD_SCORES]
        kept = session.execute(text("SELECT token_logprobs FROM generations ORDER BY id"))
        assert [_list(row[0]) for row in kept] == [[-0.1234, -9.5], []]
    engine.dispose()


def _list(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _lay_down_old(session: Session) -> None:
    """A project, two outputs and three scores as the version before kept them."""
    at = "'2026-05-04 09:00:00'"
    said = (
        f"INSERT INTO projects (id, name, base_model, created_at) VALUES (1, 'p', 'tiny', {at})",
        f"INSERT INTO datasets (id, project_id, name, created_at) VALUES (1, 1, 'd', {at})",
        "INSERT INTO dataset_versions (id, dataset_id, number, digest, n_examples, source_name, "
        f"split_recipe, created_at) VALUES (1, 1, 1, 'd', 1, 's', '{{}}', {at})",
        'INSERT INTO examples (id, dataset_version_id, external_id, input, "references", slices, '
        "split, content_digest) VALUES (1, 1, 'e', 'i', '[]', '{}', 'test', 'c')",
        "INSERT INTO model_versions (id, project_id, name, revision, kind, purpose, base_model, "
        "base_sha256, tokenizer_sha256, template_sha256, created_at) "
        f"VALUES (1, 1, 'm', 1, 'outputs', 'answer', '', '', '', '', {at})",
        "INSERT INTO generation_runs (id, project_id, dataset_version_id, split, engine, params, "
        f"samples, created_at) VALUES (1, 1, 1, 'test', 'import', '{{}}', 2, {at})",
        f"INSERT INTO score_runs (id, generation_run_id, metrics, seed, created_at) "
        f"VALUES (1, 1, '[]', 7, {at})",
    )
    for statement in said:
        session.execute(text(statement.replace(":", "\\:")))
    for number, logprobs in enumerate(([-0.1234, -9.5], []), start=1):
        session.execute(
            text(
                "INSERT INTO generations (id, run_id, model_version_id, example_id, sample, "
                "token_logprobs, prompt_tokens, completion_tokens, truncated_tokens, latency_s, "
                f"created_at) VALUES (:id, 1, 1, 1, :id, :kept, 0, 0, 0, 0, {at})".replace(
                    "09:00:00", "09\\:00\\:00"
                )
            ),
            {"id": number, "kept": json.dumps(logprobs)},
        )
    for number, old in enumerate(OLD_SCORES, start=1):
        session.execute(
            text(
                "INSERT INTO scores (id, score_run_id, generation_id, metric, error, "
                "not_applicable, spans, stats, signature, annotator_kind) VALUES "
                "(:id, 1, 1, :metric, :error, false, :spans, :stats, :signature, 'code')"
            ),
            {
                **old,
                "id": number,
                "spans": json.dumps(old["spans"]),
                "stats": json.dumps(old["stats"]),
            },
        )
