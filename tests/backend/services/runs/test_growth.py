"""What a run costs as it grows, counted: statements, rows fetched, tables touched, memory."""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, select, text
from sqlalchemy.orm import Session, sessionmaker

from backend.services import ledger, overview
from backend.services.review.opening.frames import identical_pairs, read_frame
from backend.services.runs import generation, score_columns, scoring
from backend.services.runs.importing.imported import import_outputs
from backend.services.runs.importing.output_rows import (
    ImportedOutput,
    ImportedOutputs,
    former_digest,
    read_outputs,
)
from backend.services.runs.score_columns import read_scores
from backend.tables.datasets import Example
from backend.tables.packed import pack_logprobs
from backend.tables.review import QueueKind
from backend.tables.runs import Generation, GenerationRun, Score, ScoreRun, ScoreSignature
from evaluators.files.formats import opening
from evaluators.files.readers import FileTable, read_table, read_table_lazily
from tests.fixtures_runs import Laid, lay_down_project

METRICS = ["exact_match", "token_f1", "length"]


def outputs(n: int) -> ImportedOutputs:
    """Right texts of two models for the examples of a laid project."""
    rows = [
        ImportedOutput(i + 1, f"e{i // 2}", f"m{i % 2}", text=f"say {i // 2}", tokens=2)
        for i in range(2 * n)
    ]
    return ImportedOutputs("out.jsonl", rows)


def scored(session: Session, n: int, metrics: list[str] | None = None) -> ScoreRun:
    """A run of two models over n examples, and its scores."""
    laid: Laid = lay_down_project(session, examples=n, adapters=0)
    found = import_outputs(session, laid.project, outputs(n), dataset="tickets")
    run = scoring.create_score_run(
        session, generation_run_id=found.run.id, metrics=metrics or METRICS
    )
    units = scoring.pending_units(session, run.id)
    written = scoring.load_generations(session, [unit.generation_id for unit in units])
    scoring.save_scores(session, run.id, scoring.score_units(units, written))
    session.flush()
    session.expire_all()
    return run


@contextmanager
def statements(session: Session) -> Iterator[list[str]]:
    """Every statement that is sent meanwhile."""
    engine = session.get_bind()
    assert isinstance(engine, Engine)
    sent: list[str] = []

    def note(*args: object) -> None:
        sent.append(str(args[2]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def peak_of(work: Callable[[], object]) -> int:
    """The most memory that Python held at once, above what it held before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def calls_of(work: Callable[[], object]) -> int:
    """How often a function was called or a generator gone on with, which no load changes."""
    count = 0

    def note(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_each_output_of_an_import_costs_the_same(session: Session) -> None:
    calls = {}
    for n in (50, 200):
        laid = lay_down_project(session, examples=n, adapters=0)
        given = outputs(n)
        work = partial(import_outputs, session, laid.project, given, dataset="tickets")
        calls[n] = calls_of(work)
        session.rollback()
    assert calls[200] < 4.1 * calls[50], "what is done once makes it less, and n times n far more"


@pytest.mark.parametrize("metrics", [METRICS, ["token_f1@task=intent", "length"]])
def test_progress_reads_no_example_and_no_row_of_a_ledger(
    session: Session, metrics: list[str]
) -> None:
    run = scored(session, 8, metrics)
    with statements(session) as sent:
        written = generation.run_progress(session, run.generation_run_id)
        found = scoring.score_progress(session, run.id)
    assert (written.done, written.total, written.failed) == (16, 16, 0)
    due = 48 if metrics == METRICS else 24
    assert (found.done, found.total, found.failed) == (due, due, 0)
    assert len(sent) <= 9
    for table in ("FROM examples", "FROM generations", "FROM scores", "JOIN examples"):
        assert not [one for one in sent if table in one], table


def test_counts_are_those_of_the_rows_after_every_way_to_write(session: Session) -> None:
    run = scored(session, 4)
    failed = session.scalars(select(Generation).order_by(Generation.id)).first()
    assert failed is not None
    rows = [{"model_version_id": failed.model_version_id, "example_id": failed.example_id}]
    more = [{**rows[0], "sample": 5, "text": None, "error": "broken"}]
    assert ledger.add_to_run(session, GenerationRun, run.generation_run_id, more) == 1
    assert ledger.add_to_run(session, GenerationRun, run.generation_run_id, more) == 0
    kept = ledger.counts_of(session, GenerationRun, run.generation_run_id)
    assert kept == ledger.Counts(9, 1)
    ledger.recount(session, GenerationRun, run.generation_run_id)
    assert ledger.counts_of(session, GenerationRun, run.generation_run_id) == kept


def test_a_run_that_nobody_counted_is_counted(session: Session) -> None:
    run = scored(session, 3)
    session.execute(text("UPDATE score_runs SET n_done = NULL, n_failed = NULL, n_due = NULL"))
    session.execute(text("UPDATE generation_runs SET n_done = NULL, n_failed = NULL"))
    session.expire_all()
    assert scoring.score_progress(session, run.id).model_dump() == {
        "done": 18,
        "total": 18,
        "failed": 0,
    }


def test_a_signature_is_stored_once(session: Session) -> None:
    run = scored(session, 5)
    signatures = session.scalars(select(ScoreSignature.text)).all()
    assert len(signatures) == len(METRICS)
    rows = session.execute(select(Score.metric, Score.signature)).all()
    assert {row.signature for row in rows} == set(signatures)
    assert all(row.signature.startswith(row.metric) for row in rows)
    assert {score.signature for score in overview.each_score(session, run.id)} == set(signatures)


def test_an_export_is_whole_and_in_order_whatever_the_page(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scored(session, 5)
    whole = [(s.generation_id, s.metric) for s in overview.each_score(session, run.id)]
    assert len(whole) == 30
    monkeypatch.setattr(overview, "EXPORTED_AT_ONCE", 7)
    with statements(session) as sent:
        paged = [(s.generation_id, s.metric) for s in overview.each_score(session, run.id)]
    assert paged == whole == sorted(whole)
    assert len([one for one in sent if "FROM scores" in one]) == 5


def test_pages_are_found_by_an_index(sqlite_sessions: sessionmaker[Session]) -> None:
    asked = {
        "SELECT * FROM generations WHERE run_id = 1 AND id > 5 ORDER BY id LIMIT 51": "run_id",
        "SELECT * FROM generations WHERE run_id = 1 AND model_version_id = 2 AND id > 5 "
        "ORDER BY id LIMIT 51": "model_version_id",
        "SELECT * FROM scores WHERE score_run_id = 1 AND (generation_id, metric) > (3, 'x') "
        "ORDER BY generation_id, metric LIMIT 1000": "score_run_id",
    }
    with sqlite_sessions() as session:
        for query, column in asked.items():
            rows = session.execute(text(f"EXPLAIN QUERY PLAN {query}"))
            plan = " ".join(row.detail for row in rows)
            assert "SCAN" not in plan
            assert "TEMP B-TREE" not in plan
            assert column in plan


def test_figures_read_one_stream_and_keep_small_columns(
    sqlite_sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_columns, "AT_ONCE", 50)
    peaks = {}
    for n in (50, 200):
        with sqlite_sessions() as session:
            run = scored(session, n)
            run.generation_run  # noqa: B018  # loaded before it is measured
            with statements(session) as sent:
                reads = read_scores(session, run, METRICS)
            assert len(sent) <= 5
            assert not [one for one in sent if "examples.input" in one]
            assert sum(len(column.values) for column in reads.columns.values()) == 6 * n
            peaks[n] = peak_of(partial(read_scores, session, run, METRICS))
            session.rollback()
    assert peaks[200] < 4.4 * peaks[50]
    assert peaks[200] / (6 * 200) < 400  # bytes a score; as rows of the ORM it is two thousand


def _lines(file: Path, n: int) -> Path:
    row = {"model": "m", "prediction": "say", "logprobs": [-0.25] * 40}
    file.write_text("".join(json.dumps({"id": f"e{i}", **row}) + "\n" for i in range(n)))
    return file


def _given(read: Callable[[Path], FileTable], file: Path) -> ImportedOutputs:
    return read_outputs(read(file))


def test_lines_are_read_lazily_and_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_CHUNK", 4096)  # what a file of any size takes is not measured
    files = {n: _lines(tmp_path / f"{n}.jsonl", n) for n in (200, 700)}
    assert read_outputs(read_table_lazily(files[200])) == read_outputs(read_table(files[200]))
    assert read_outputs(read_table_lazily(files[200])).rows[0].logprobs == pack_logprobs(
        [-0.25] * 40
    )

    def bytes_a_row(read: Callable[[Path], FileTable]) -> float:
        few, many = (peak_of(partial(_given, read, file)) for file in files.values())
        return (many - few) / 500

    lazily = bytes_a_row(read_table_lazily)
    assert lazily < bytes_a_row(read_table) / 2
    assert lazily < 1_000


def test_an_import_loads_no_texts_of_examples(session: Session) -> None:
    laid = lay_down_project(session, examples=6, adapters=0)
    session.expunge_all()
    with statements(session) as sent:
        import_outputs(session, laid.project, outputs(6), dataset="tickets")
    texts = [one for one in sent if "examples.input" in one]
    assert not [one for one in texts if "erasure_id IS NOT NULL" not in one]
    assert not [one for one in session.identity_map.values() if isinstance(one, Example)]


def test_outputs_that_a_former_version_took_are_known_again(session: Session) -> None:
    laid = lay_down_project(session, examples=3, adapters=0)
    made = import_outputs(session, laid.project, outputs(3), dataset="tickets")
    revisions = {model.name: model.revision for model in made.models}
    former = former_digest(outputs(3).rows, revisions)
    assert former != made.run.params["sha256"]
    made.run.params = {**made.run.params, "sha256": former}
    session.flush()
    again = import_outputs(session, laid.project, outputs(3), dataset="tickets")
    assert again.repeated
    assert again.run.id == made.run.id


def test_pairs_of_the_same_text_are_told_without_keeping_texts(session: Session) -> None:
    laid = lay_down_project(session, examples=4, adapters=0)
    rows = list(outputs(4).rows)
    rows[1] = replace(rows[1], text=f" {rows[1].text}\n")  # white space around it is no difference
    rows[3] = replace(rows[3], text="something else")
    made = import_outputs(session, laid.project, replace(outputs(4), rows=rows), dataset="tickets")
    models = [model.id for model in made.models]
    assert identical_pairs(session, made.run.id, models) == {tuple(models): 3}
    frame = read_frame(session, made.run.id, QueueKind.PAIR, models, model_names=["something"])
    assert len(frame.candidates) == 1
    assert (frame.n_identical, frame.giveaways) == (3, {"something": 1})
    alone = read_frame(session, made.run.id, QueueKind.SINGLE, models, only={1, 2})
    assert [one.a_id for one in alone.candidates] == [1, 2]
