"""What each step costs an output as a run grows: processor, memory and bytes on disk.

python -m tests.benchmarks.growth --out growth.json
python -m tests.benchmarks.growth --out growth.json --n 10000 100000 1000000 --metrics cheap
python -m tests.benchmarks.growth --out growth.json --database postgresql

The data are simulated: n outputs of two models over n / 2 examples, some forty words each, with
token log probabilities. Every stage runs in a process of its own, on the database that the stage
before has left: the outputs are imported from a file, scored with nine metrics, reported,
compared by a manifest, opened as a queue of at most 2,000 by the active design, explored page by
page, exported; and the progress of both ledgers is asked for, as whoever waits does. The table
gives processor seconds by output, and beside them the ratio to the smallest n; the plot beside
FILE (.svg) draws the ratios. On PostgreSQL the processor of the server is not in the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session, sessionmaker

from backend.db import connect, migrate, reading, utc_now
from backend.settings import Settings
from tests.benchmarks._growth_plot import ALLOWED, draw_growth
from tests.benchmarks._ratios import Ratio, keep

SIZES = (2_000, 10_000, 50_000)
METRICS = {
    "usual": "grounding,invented,rouge1,rougeL,bleu,chrf,token_f1,exact_match,confidence",
    "cheap": "overlap,novel_words,token_f1,exact_match,length,repetition,refusal,confidence,tokens",
}
MODELS = ("old", "new")
ITEMS = 2_000
PAGES = 40
POLLS = 50
INSERTED = 5_000
MEMORY_MB = 2_048
MANIFEST = """
name: growth
lines:
  - {metric: token_f1, direction: higher, margin: 0.0}
  - {metric: exact_match, direction: higher, threshold: 0.01}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a size is measured; `n` is its number of outputs."""

    home: Path
    url: str
    n: int
    metrics: str

    @property
    def file(self) -> Path:
        """The outputs that are imported."""
        return self.home / "outputs.jsonl"

    def sessions(self) -> sessionmaker[Session]:
        """Sessions on the database, as a process of the product has them."""
        return connect(Settings(home=self.home, database_url=self.url))


# Simulated data


def words_of(rng: random.Random, count: int) -> list[str]:
    """Made-up words of a made-up trade, some of them numbers."""
    return [
        f"EUR {rng.randrange(10, 900)}.50" if rng.random() < 0.08 else f"word{rng.randrange(3_000)}"
        for _ in range(count)
    ]


def example_of(number: int) -> dict[str, Any]:
    """One example of some forty words of source and twelve of reference."""
    rng = random.Random(number)
    source = words_of(rng, 40)
    return {
        "external_id": f"e{number}",
        "input": f"Summarise case {number} in one sentence.",
        "context": " ".join(source) + ".",
        "references": [" ".join(source[:12]) + "."],
        "group": None,
        "slices": {"task": f"t{number % 4}"},
        "split": "test",
        "content_digest": f"{number:064x}",
    }


def outputs_of(number: int) -> Iterator[dict[str, Any]]:
    """What both models say of an example: words of its source, the new model fewer others."""
    rng = random.Random(number)
    source = words_of(rng, 40)
    for model, share in zip(MODELS, (0.3, 0.2), strict=True):
        said = [w if rng.random() > share else f"word{rng.randrange(3_000)}" for w in source[:36]]
        yield {
            "id": f"e{number}",
            "model": model,
            "prediction": " ".join(said) + ".",
            "logprobs": [round(-rng.expovariate(3), 4) for _ in range(40)],
            "tokens": 40,
            "prompt_tokens": 60,
            "seconds": round(0.2 + rng.random(), 3),
        }


def lay_down(place: Place) -> int:
    """An installation with a project, people, a dataset of n / 2 examples, and the file; the bytes
    of its database."""
    from backend.services.datasets.versions import import_dataset
    from backend.services.projects import set_manifest
    from backend.tables.datasets import Example
    from tests.fixtures_review import build_desk, make_rows

    place.home.mkdir(parents=True, exist_ok=True)
    migrate(place.url)
    sessions = place.sessions()
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": 2}, name="growth")
        rows = make_rows({"train": 1})
        version = import_dataset(session, desk.project.id, "grown", rows, source_name="simulated")
        set_manifest(session, desk.project.id, MANIFEST)
        for start in range(0, place.n // 2, INSERTED):
            numbers = range(start, min(start + INSERTED, place.n // 2))
            made = [{"dataset_version_id": version.id, **example_of(n)} for n in numbers]
            session.execute(insert(Example), made)
    with place.file.open("w") as out:
        for number in range(place.n // 2):
            out.writelines(json.dumps(row) + "\n" for row in outputs_of(number))
    return disk_of(place)


# Stages: each is given its place and returns what it has to say besides


Facts = dict[str, Any]


def _import(place: Place) -> Facts:
    from backend.services.metric_specs import BUILT_IN
    from backend.services.projects import get_project
    from backend.services.runs.importing.imported import import_outputs, queue_scoring
    from backend.services.runs.importing.output_rows import read_outputs
    from evaluators.files.readers import read_table_lazily

    given = read_outputs(read_table_lazily(place.file))
    with place.sessions().begin() as session:
        project = get_project(session, "growth")
        found = import_outputs(session, project.id, given, dataset="grown", split="test")
        queue_scoring(session, found, place.metrics.split(","), allowed=BUILT_IN)
        return {"outputs": found.outputs}


def _score(place: Place) -> Facts:
    from backend.engines.fake import FakeEngine
    from backend.jobs.running.parts import Workshop
    from backend.jobs.score import score_parts
    from backend.services import queue

    sessions = place.sessions()
    settings = Settings(home=place.home, database_url=place.url, processes=1)
    nothing: Callable[..., None] = lambda *_, **__: None  # noqa: E731
    kinds = {"score": score_parts}
    shop = Workshop(settings, sessions, "growth", lambda *_: FakeEngine(), nothing, kinds)
    with sessions.begin() as session:
        job = queue.find_job(session, queue.JobKind.SCORE, 1)
        assert job is not None
        job_id, attempt = job.id, job.attempt
    parts = 1
    while shop.take_part(job_id, attempt):
        parts += 1
    with reading(sessions) as session:
        ended = queue.get_job(session, job_id)
        assert ended.state == "done", ended.error
    return {"parts": parts}


def _report(place: Place) -> Facts:
    from backend.cli.runs.report import make_report

    with reading(place.sessions()) as session:
        [scores] = make_report(session, _run_id(session))["scores"]
    assert all(one["error"] is None for one in scores["figures"]), scores["figures"]
    return {"figures": len(scores["figures"]) + len(scores["differences"])}


def _compare(place: Place) -> Facts:
    from backend.services.models.versions import find_model
    from backend.services.projects import current_manifest, get_project, manifest_of
    from backend.services.runs.slices import find_flips, sliced_figures
    from backend.services.verdicts.comparison import compare_models
    from backend.services.verdicts.detail import describe_comparison
    from backend.tables.runs import ScoreRun

    with place.sessions().begin() as session:
        project = get_project(session, "growth")
        old, new = (find_model(session, project.id, name) for name in MODELS)
        manifest = current_manifest(session, project.id)
        made = compare_models(
            session,
            manifest_row=manifest,
            score_run=session.get_one(ScoreRun, 1),
            baseline=old,
            candidate=new,
        )
        describe_comparison(session, made)
        sliced_figures(session, 1, old.id, new.id, bar=manifest_of(manifest))
        flips = find_flips(session, 1, old.id, new.id, metric="token_f1")
        return {"verdict": str(made.verdict), "flips": flips.better + flips.worse}


def _open(place: Place) -> Facts:
    from backend.services import review
    from backend.services.models.versions import find_model
    from backend.services.projects import get_project
    from backend.services.review.opening.design import DesignKind, SamplingDesign, Target
    from backend.tables.accounts import User
    from backend.tables.review import ReviewItem, RubricVersion

    names = ("high_risk", "models_disagree", "low_confidence")
    design = SamplingDesign(DesignKind.ACTIVE, targets=tuple(Target(name) for name in names))
    with place.sessions().begin() as session:
        project = get_project(session, "growth")
        rubric = select(RubricVersion.id).where(RubricVersion.name == "telecom_desk")
        queue = review.open_queue(
            session,
            "doubtful",
            review.Opening(
                project_id=project.id,
                kind="single",
                generation_run_id=_run_id(session),
                rubric_version_id=session.scalars(rubric).one(),
                model_ids=[find_model(session, project.id, name).id for name in MODELS],
                reviewer_ids=list(session.scalars(select(User.id).order_by(User.id))),
                seed=7,
                n_items=min(ITEMS, place.n // 4),
                score_run_id=1,
                design=design,
            ),
        )
        of_queue = select(func.count(ReviewItem.id)).where(ReviewItem.queue_id == queue.id)
        return {"items": session.scalar(of_queue)}


def _explore(place: Place) -> Facts:
    """Pages at the start, in the middle and at the end, of one model; and each page's outputs."""
    import base64

    from backend.services import overview
    from backend.services.pages import PageAsk, page_of
    from backend.services.runs.scoring import load_generations
    from backend.tables.runs import Generation, GenerationRunModel

    with reading(place.sessions()) as session:
        run_id = _run_id(session)
        taking_part = select(GenerationRunModel.model_version_id)
        model_ids = session.scalars(taking_part.where(GenerationRunModel.run_id == run_id)).all()
        begun = time.process_time()
        for page in range(PAGES):
            cursor = base64.urlsafe_b64encode(
                str(page * (place.n - 100) // PAGES).encode()
            ).decode()
            asked = [{"model_version_id": model_id} for model_id in model_ids]
            for of_model in (*asked, {}):
                ask = PageAsk(50, cursor)
                found = page_of(
                    session, Generation, ask, newest_first=False, run_id=run_id, **of_model
                )
            assert len(found.rows) == 50 or page == PAGES - 1
            load_generations(session, [found.rows[0].id])
            assert len(overview.scores_of_generation(session, found.rows[0].id)) == 9
            session.expunge_all()
        return {"ms_a_page": 1000 * (time.process_time() - begun) / (3 * PAGES)}


def _export(place: Place) -> Facts:
    from backend.schemas.runs import ScoreOut
    from backend.services import overview

    written = 0
    with reading(place.sessions()) as session, Path(os.devnull).open("w") as out:
        for score in overview.each_score(session, 1):
            out.write(ScoreOut.model_validate(score).model_dump_json())
            written += 1
    assert written == 9 * place.n, written
    return {"lines": written}


def _poll(place: Place) -> Facts:
    from backend.services.runs.generation import run_progress
    from backend.services.runs.scoring import score_progress

    sessions = place.sessions()
    begun = time.process_time()
    for _ in range(POLLS):
        with reading(sessions) as session:
            assert run_progress(session, _run_id(session)).done == place.n
            assert score_progress(session, 1).done == 9 * place.n
    return {"ms_a_poll": 1000 * (time.process_time() - begun) / POLLS}


def _run_id(session: Session) -> int:
    from backend.tables.runs import IMPORT, GenerationRun

    return session.scalars(select(GenerationRun.id).where(GenerationRun.engine == IMPORT)).one()


STAGES: Mapping[str, Callable[[Place], Facts]] = {
    "import": _import,
    "score": _score,
    "report": _report,
    "compare": _compare,
    "open": _open,
    "explore": _explore,
    "export": _export,
    "poll": _poll,
}
FLAT = {"explore": "ms_a_page", "poll": "ms_a_poll"}
"""Stages whose cost is one of a page or of a poll, and not of an output."""


LOADED = (
    *("backend.api.app", "backend.cli.runs.report", "backend.jobs.score", "numpy", "scipy.sparse"),
    *("scipy.special", "sacrebleu", "evaluators.registry", "evaluators.aggregate"),
)
"""Loaded before any stage begins: what a process costs once is no cost of an output."""


def run_stage(place: Place, stage: str) -> Facts:
    """One stage in this process: what it took, and what it says."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    begun, wall = usage.ru_utime + usage.ru_stime, time.perf_counter()
    facts = STAGES[stage](place)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "stage": stage,
        "n": place.n,
        "cpu_s": usage.ru_utime + usage.ru_stime - begun + children.ru_utime + children.ru_stime,
        "wall_s": time.perf_counter() - wall,
        "peak_mb": max(usage.ru_maxrss, children.ru_maxrss) / 1024,
        "disk": disk_of(place),
        **facts,
    }


def disk_of(place: Place) -> int:
    """Bytes of the database."""
    with place.sessions()() as session:
        if session.get_bind().dialect.name == "postgresql":
            return int(session.scalar(text("SELECT pg_database_size(current_database())")) or 0)
        pages = session.scalar(text("PRAGMA page_count")) or 0
        return int(pages * (session.scalar(text("PRAGMA page_size")) or 0))


# The parent


def measure(place: Place, stages: Sequence[str]) -> list[Facts]:
    """Every stage in a process of its own, one after another."""
    before, found = apart(lambda: {"disk": lay_down(place)})["disk"], []
    for stage in stages:
        made = apart(partial(run_stage, place, stage))
        made["bytes_per_output"] = (made["disk"] - before) / place.n
        before = made["disk"]
        found.append(made)
        print(line_of(made), flush=True)
    return found


def apart(work: Callable[[], Facts]) -> Facts:
    """What work gives in a process of its own, which has loaded what this one has loaded."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            os.write(writer, json.dumps(work()).encode())
            ended = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(ended)
    os.close(writer)
    with os.fdopen(reader) as said:
        found = said.read()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit("a stage failed")
    return dict(json.loads(found))


def cost_of(made: Facts) -> float:
    """Microseconds of processor by output; of a page or a poll, where that is what is asked."""
    if made["stage"] in FLAT:
        return float(1000 * made[FLAT[made["stage"]]])
    return float(1e6 * made["cpu_s"] / made["n"])


def with_ratios(found: Sequence[Facts]) -> list[Facts]:
    """The figures with `cost_us` and its `ratio` to the smallest n of the same stage."""
    smallest: dict[str, float] = {}
    for made in sorted(found, key=lambda one: one["n"]):
        smallest.setdefault(made["stage"], cost_of(made))
    return [
        {**made, "cost_us": cost_of(made), "ratio": cost_of(made) / smallest[made["stage"]]}
        for made in found
    ]


def goals_of(figures: Sequence[Facts], database: str, load: tuple[float, float]) -> list[Ratio]:
    """What the largest size is held against: its cost by output, and the memory of a process."""
    sizes = sorted({one["n"] for one in figures})
    least, most = sizes[0], sizes[-1]
    found = [
        Ratio(
            f"growth on {database} (simulated), {one['stage']}: cost at {most:,} to that at "
            f"{least:,}",
            [one["ratio"]],
            at_most=ALLOWED,
            load=load,
        )
        for one in figures
        if one["n"] == most and most > least
    ]
    peak = max(one["peak_mb"] for one in figures)
    name = f"growth on {database} (simulated): most memory of a process at {most:,}"
    return [*found, Ratio(name, [peak], at_most=MEMORY_MB, unit="MB", load=load)]


def line_of(made: Facts) -> str:
    """One row of the table."""
    unit = FLAT.get(made["stage"], "output").rpartition("_")[2]
    ratio = f"  x{made['ratio']:.2f}" if "ratio" in made else ""
    return (
        f"{made['stage']:8} {made['n']:>9,}  {made['cpu_s']:8.1f} s cpu  {made['wall_s']:8.1f} s "
        f"wall  {made['peak_mb']:7.0f} MB  {cost_of(made):9.1f} us/{unit}"
        f"{ratio}  {made['bytes_per_output']:8.0f} bytes/output"
    )


@contextmanager
def _url_of(kind: str, folder: Path) -> Iterator[Callable[[int], str]]:
    """How to name a fresh database for each size."""
    from tests.fixtures_postgres import database_of, execute, find_binaries, running_postgres

    if kind == "sqlite":
        yield lambda n: f"sqlite:///{folder / str(n) / 'strop.db'}"
        return
    binaries = find_binaries()
    if binaries is None:
        sys.exit("PostgreSQL is not installed.")
    with running_postgres(binaries) as server:

        def fresh(n: int) -> str:
            execute(server, f"CREATE DATABASE growth_{n}")
            return database_of(server, f"growth_{n}")

        yield fresh


def main() -> None:
    """Measure, print the table, write the figures and the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--n", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--metrics", default="usual", help="usual, cheap, or nine names")
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--home", type=Path, help="folder for the databases; by default a new one")
    asked = parser.parse_args()
    metrics = METRICS.get(asked.metrics, asked.metrics)
    begun = os.getloadavg()[0]
    for module in LOADED:
        import_module(module)
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="growth-", dir=asked.home))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        url_of = stack.enter_context(_url_of(asked.database, folder))
        found: list[Facts] = []
        for n in sorted(asked.n):
            place = Place(folder / str(n), url_of(n), n, metrics)
            found += measure(place, asked.stages.split(","))
            shutil.rmtree(place.home, ignore_errors=True)
    figures = with_ratios(found)
    print(f"\nsimulated outputs on {asked.database}; metrics: {metrics}")
    print("\n".join(line_of(made) for made in sorted(figures, key=_order)))
    if asked.out:
        load = os.getloadavg()
        kept = {"simulated": True, "database": asked.database, "metrics": metrics, "load": load}
        kept["at"] = utc_now().isoformat()
        asked.out.write_text(json.dumps({**kept, "figures": figures}, indent=1))
        draw_growth(figures, asked.out.with_suffix(".svg"), title=f"Cost by size, {asked.database}")
        keep(asked.out, goals_of(figures, asked.database, (begun, load[0])))


def _order(made: Facts) -> tuple[int, int]:
    return list(STAGES).index(made["stage"]), made["n"]


if __name__ == "__main__":
    main()
