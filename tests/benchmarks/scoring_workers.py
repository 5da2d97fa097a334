"""Wall time of scoring one run: one worker on one process beside more of either, in one run.

    python -m tests.benchmarks.scoring_workers [--out FILE.json] [--outputs 4000] [--turns 3]

Three sides take turns on copies of one SQLite database: one worker with `processes` 1, one worker
with `processes` 2, and two workers with `processes` 1 each. The workers are real processes that are
there before the job is queued; what is timed is the job, from its start to its end: a first one,
for which a pool of processes has to be started, and a second one on other outputs, which finds it
warm. Then what the chunks cost an output, beside reading all of what lacks once. The texts are
section texts of mts_dialog with their dialogues where that is at hand, each with a number of its
own, and are taken again until there are enough; without it they are made up (synthetic).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import migrate, open_database, session_factory, utc_now
from backend.engines.base import SamplingParams
from backend.jobs.running.sharing import chunk_sizes
from backend.jobs.score import CHUNK, FIRST_CHUNK
from backend.services import chunks, queue
from backend.services.ledger import insert_missing
from backend.services.runs import generation, scoring
from backend.settings import Settings, child_environment
from backend.tables.datasets import Dataset, DatasetVersion, Example
from backend.tables.models import ModelVersion
from backend.tables.projects import Project
from backend.tables.queue import Job, JobChunk, JobState
from backend.tables.runs import Generation, Score
from tests.benchmarks._ratios import Ratio, keep

METRICS = (
    *("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "chrf"),
    *("grounding", "overlap", "source_rouge"),
)
DATA = Path(os.environ.get("STROP_TEST_DATA") or Path(__file__).parents[3] / "shared/data")
JOBS = ("first job", "second job")
SIDES = {"one": (1, 1), "processes": (1, 2), "workers": (2, 1)}  # workers, processes of each


@dataclass(frozen=True, slots=True)
class Timed:
    """One scoring.

    Attributes:
        seconds: from the start of each job to its end.
        took: chunks by worker, of all jobs.
    """

    seconds: tuple[float, ...]
    took: dict[str, int]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--outputs", type=int, default=4000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--poll", type=float, default=0.25, help="STROP_WORKER_POLL_SECONDS")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.db"
        texts = read_texts()
        prepare(prepared, texts, options.outputs)
        timed = play(prepared, options.turns, options.poll)
        ledger = cost_of_chunks(prepared)
    load = (before, os.getloadavg()[0])
    ratios = [*wall_ratios(timed, load), *ledger_figures(ledger, options.outputs, load)]
    keep(options.out, ratios)
    if options.out is not None:
        told = {side: [[t.seconds, t.took] for t in some] for side, some in timed.items()}
        options.out.write_text(json.dumps({"sides": told, "ledger": ledger}, indent=2) + "\n")


def wall_ratios(timed: dict[str, list[Timed]], load: tuple[float, float]) -> list[Ratio]:
    """How many times as fast two are as one, of each way to be two and of each job."""
    found = []
    for place, job in enumerate(JOBS):
        one = [turn.seconds[place] for turn in timed["one"]]
        for side, word in (("processes", "two processes"), ("workers", "two workers")):
            ours = [turn.seconds[place] for turn in timed[side]]
            ratios = [a / b for a, b in zip(one, ours, strict=True)]
            sides = {"one, s": statistics.median(one), f"{word}, s": statistics.median(ours)}
            name = f"scoring by {word} beside one, {job}"
            found.append(Ratio(name, ratios, at_least=1.7, sides=sides, load=load))
    return found


def ledger_figures(
    ledger: dict[str, list[float]], outputs: int, load: tuple[float, float]
) -> list[Ratio]:
    """Microseconds of processor an output, of the chunks and of one look at all that lacks."""
    return [
        Ratio(name, [s / outputs * 1e6 for s in spent], unit="us an output", load=load)
        for name, spent in ledger.items()
    ]


def read_texts() -> list[tuple[str, str, str]]:
    """(output, reference, source) of real notes, or made-up ones."""
    files = sorted((DATA / "mts_dialog").glob("*.csv")) if DATA.is_dir() else []
    rows = [row for file in files for row in csv.DictReader(file.open(encoding="utf-8"))]
    texts = [(row.get("section_text", ""), row.get("dialogue", "")) for row in rows]
    texts = [(said, source) for said, source in texts if len(said.split()) > 20 and source]
    if len(texts) > 100:
        return [(said, texts[i - 1][0], source) for i, (said, source) in enumerate(texts)]
    draw = random.Random(7)
    words = [f"word{n}" for n in range(3000)]
    made = [" ".join(draw.choices(words, k=60)) for _ in range(1200)]
    return [(said, made[i - 1], " ".join(made[i - 5 : i])) for i, said in enumerate(made) if i > 5]


def prepare(file: Path, texts: Sequence[tuple[str, str, str]], outputs: int) -> None:
    """A database with a run of one model for each job, all written, that is to be scored.

    No output of a job is one of another: a worker that knows it, of which there is one in one
    process and half a one in two, would score it in a seventh of the time.
    """
    migrate(f"sqlite:///{file}")
    engine = open_database(f"sqlite:///{file}")
    with session_factory(engine).begin() as session:
        model = add_model(session)
        for place, _ in enumerate(JOBS):
            own = [_own(texts, n) for n in range(place * outputs, (place + 1) * outputs)]
            run_id, example_ids = lay_down(session, model, own)
            rows = [
                {
                    "run_id": run_id,
                    "model_version_id": model.id,
                    "example_id": id_,
                    "sample": 0,
                    "text": said,
                    "error": None,
                    "token_logprobs": [],
                }
                for id_, (said, *_) in zip(example_ids, own, strict=True)
            ]
            insert_missing(session, Generation, rows)
            scoring.create_score_run(session, generation_run_id=run_id, metrics=METRICS)
    engine.dispose()


def add_model(session: Session) -> ModelVersion:
    """The base of a new project."""
    project = Project(name="bench", base_model="tiny")
    session.add(project)
    session.flush()
    model = ModelVersion(
        project_id=project.id,
        name="base",
        revision=1,
        base_model="tiny",
        base_sha256="a" * 64,
        tokenizer_sha256="b" * 64,
        template_sha256="c" * 64,
    )
    session.add(model)
    session.flush()
    return model


def lay_down(
    session: Session, model: ModelVersion, texts: Sequence[tuple[str, ...]]
) -> tuple[int, list[int]]:
    """A run over a dataset of its own, and the ids of its examples."""
    count = session.scalar(select(func.count(Dataset.id)))
    dataset = Dataset(project_id=model.project_id, name=f"notes {count}")
    session.add(dataset)
    session.flush()
    version = DatasetVersion(
        dataset_id=dataset.id,
        number=1,
        digest="d" * 64,
        n_examples=len(texts),
        source_name="made",
        split_recipe={},
    )
    session.add(version)
    session.flush()
    examples = [
        Example(
            dataset_version_id=version.id,
            external_id=f"e{n}",
            input="Write the note.",
            context=source,
            references=[reference],
            slices={},
            split="test",
            content_digest=f"{n:064d}",
        )
        for n, (_, reference, source) in enumerate(texts)
    ]
    session.add_all(examples)
    session.flush()
    run = generation.create_run(
        session,
        project_id=model.project_id,
        dataset_version_id=version.id,
        split="test",
        model_ids=[model.id],
        engine="fake",
        params=SamplingParams(),
    )
    return run.id, [example.id for example in examples]


def _own(texts: Sequence[tuple[str, str, str]], number: int) -> tuple[str, ...]:
    """The texts of one output, none of which is another's: what an evaluator keeps of a text that
    it knows would favour processes that see every second one."""
    return tuple(f"{text} Visit {number}." for text in texts[number % len(texts)])


def play(prepared: Path, turns: int, poll: float) -> dict[str, list[Timed]]:
    """Every side once a turn, in an order that is reversed every other turn."""
    timed: dict[str, list[Timed]] = {side: [] for side in SIDES}
    for turn in range(turns):
        for side in list(SIDES) if turn % 2 == 0 else reversed(SIDES):
            with tempfile.TemporaryDirectory() as home:
                timed[side].append(score_once(prepared, Path(home), poll, *SIDES[side]))
            last = timed[side][-1]
            said = " and ".join(f"{seconds:.1f}" for seconds in last.seconds)
            print(f"{side}: {said} s, chunks {last.took}", flush=True)
    return timed


def score_once(prepared: Path, home: Path, poll: float, workers: int, processes: int) -> Timed:
    """Score a copy of the prepared run, by as many jobs as there are."""
    file = home / "strop.db"
    shutil.copy(prepared, file)
    settings = Settings(
        home=home,
        database_url=f"sqlite:///{file}",
        worker_poll_seconds=poll,
        processes=processes,
    )
    sessions = session_factory(open_database(settings.url))
    with running(settings, workers):
        wait_for(lambda: _workers(sessions) == workers)
        for number, _ in enumerate(JOBS, start=1):
            with sessions.begin() as session:
                queue.enqueue_job(session, "score", number)
            wait_for(lambda n=number: _state(sessions, n) not in queue.UNFINISHED)
    with sessions() as session:
        jobs = session.scalars(select(Job).order_by(Job.id)).all()
        if any(job.state != JobState.DONE for job in jobs):
            raise RuntimeError(f"a scoring ended {[(job.state, job.error) for job in jobs]}")
        owners = session.execute(
            select(JobChunk.owner, func.count()).group_by(JobChunk.owner)
        ).all()
        scores = session.scalar(select(func.count(Score.id)))
        outputs = session.scalar(select(func.count(Generation.id))) or 0
        if scores != outputs * len(METRICS):
            raise RuntimeError(f"{scores} scores of {outputs} outputs by {len(METRICS)} metrics")
        took = {str(owner).partition("/")[0]: n for owner, n in owners}
        return Timed(tuple(_seconds(job) for job in jobs), took)


def _seconds(job: Job) -> float:
    if job.started_at is None or job.finished_at is None:
        raise RuntimeError(f"job {job.id} says not when it began or ended")
    return (job.finished_at - job.started_at).total_seconds()


@contextmanager
def running(settings: Settings, workers: int) -> Iterator[None]:
    """Worker processes that are gone when the block ends."""
    command = [sys.executable, "-m", "backend.cli", "worker", "--queues", "score"]
    with (settings.home / "workers.log").open("ab") as log:
        started = [
            subprocess.Popen(
                command,
                env=child_environment(settings, STROP_EXECUTOR_ID=f"w{number}"),
                stdout=log,
                stderr=log,
            )
            for number in range(workers)
        ]
        try:
            yield
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(60)


def _workers(sessions: sessionmaker[Session]) -> int:
    with sessions() as session:
        return len(queue.live_workers(session, now=utc_now()))


def _state(sessions: sessionmaker[Session], subject_id: int) -> str:
    with sessions() as session:
        return session.scalars(select(Job.state).where(Job.subject_id == subject_id)).one()


def wait_for(condition: Any, *, seconds: float = 900.0) -> None:
    """Wait until it holds."""
    due = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > due:
            raise TimeoutError
        time.sleep(0.1)


def cost_of_chunks(prepared: Path, *, times: int = 5) -> dict[str, list[float]]:
    """Processor seconds: laying down, leasing, reading what lacks and marking done, chunk by chunk;
    and reading all that lacks once, as a job did that nobody shared."""
    spent: dict[str, list[float]] = {"chunks: lay down, lease, read, mark done": []}
    spent["no chunks: read all that lacks at once"] = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as home:
            file = Path(home) / "strop.db"
            shutil.copy(prepared, file)
            sessions = session_factory(open_database(f"sqlite:///{file}"))
            for name, act in zip(spent, (_in_chunks, _at_once), strict=True):
                began = time.process_time()
                act(sessions)
                spent[name].append(time.process_time() - began)
    return spent


def _at_once(sessions: sessionmaker[Session]) -> None:
    with sessions() as session:
        scoring.pending_units(session, 1)


def _in_chunks(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        job = queue.enqueue_job(session, "score", 1)
        total = scoring.count_generations(session, 1)
        sizes = chunk_sizes(total, least=FIRST_CHUNK, most=CHUNK)
        ranges = chunks.ranges_of(scoring.generation_ids(session, 1), sizes)
        chunks.lay_down_chunks(session, job.id, 1, ranges)
    while True:
        with sessions.begin() as session:
            held = chunks.lease_chunk(session, job.id, 1, owner="w/1", now=utc_now())
        if held is None:
            return
        with sessions() as session:
            scoring.pending_units(session, 1, between=(held.first, held.last))
        with sessions.begin() as session:
            chunks.finish_chunk(session, held)


if __name__ == "__main__":
    main()
