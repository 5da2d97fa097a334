"""Six ways through the house, each walked once on SQLite while the calls are noted.

Not imported but given to an interpreter within the tree that is measured, this one or an earlier
one whose modules have other names: `python -c "$(cat tests/ways.py)" FOLDER`. Prints of each way
how many modules of `backend.services` had a function that ran, and its hops: how many modules of
ours, of any package, stood on the call stack that held most of them. What is imported on the way
does not count. A way that cannot be walked has its error instead.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import CO_OPTIMIZED
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy.orm import Session, sessionmaker

from backend.db import connect, migrate
from backend.engines.fake import FakeEngine
from backend.jobs.worker import KINDS
from backend.services import curation, queue, review
from backend.services.projects import set_manifest
from backend.services.rounds.advance import advance_round
from backend.settings import Settings
from tests.fixtures_review import BAD, GOOD, NOW, build_desk, review_next
from tests.fixtures_runs import lay_down_project, lay_down_run
from tests.fixtures_trial import Trial

PACKAGES = ("backend", "evaluators", "training")
BAR = "name: bar\nlines: [{metric: exact_match, margin: 0.2}]"
Walk = Callable[[], object]
Way = Callable[[sessionmaker[Session], Settings], Walk]


def either(now: str, before: str) -> Any:
    """A module by its name of today, or of revision 09fb884."""
    try:
        return import_module(now)
    except ModuleNotFoundError:
        return import_module(before)


scoring = either("backend.services.runs.scoring", "backend.services.scoring")
training = either("backend.services.training.runs", "backend.services.training")
verdicts = either("backend.services.verdicts.comparison", "backend.services.comparison")
parts = either("backend.jobs.running.parts", "backend.jobs.parts")
loops = either("tests.backend.services.rounds.test_rounds", "tests.backend.services.test_rounds")


def claim(sessions: sessionmaker[Session], settings: Settings) -> Walk:
    """An expert is given an item."""
    return _desk(sessions)[0]


def submit(sessions: sessionmaker[Session], settings: Settings) -> Walk:
    """The expert's answer is stored."""
    take, give = _desk(sessions)
    claimed = take()
    return lambda: give(claimed)


def _desk(sessions: sessionmaker[Session]) -> tuple[Callable[[], Any], Callable[[Any], object]]:
    session = sessions()
    desk = build_desk(session)
    opened, user = desk.open(session), desk.experts[0]

    def give(claimed: Any) -> object:
        return review.submit_review(
            session,
            slot_id=claimed.slot_id,
            version=claimed.version,
            user_id=user.id,
            answer=review.Answer(GOOD),
            now=NOW,
        )

    review_next(session, opened, user, review.Answer(GOOD))
    return lambda: review.claim_review_item(session, opened.id, user.id, now=NOW), give


def run(sessions: sessionmaker[Session], settings: Settings) -> Walk:
    """Twelve answers of a base and an adapter are asked for, written and scored.

    By two jobs, as a worker does; the models have no files that a preflight could check.
    """
    with sessions.begin() as session:
        laid = lay_down_project(session)
    shop = _workshop(sessions, settings)

    def walk() -> None:
        with sessions.begin() as session:
            made = lay_down_run(session, laid)
            scores = scoring.create_score_run(
                session, generation_run_id=made.id, metrics=["exact_match", "rougeL"]
            )
            then = {"then_score": [scores.id]}
            jobs = [queue.enqueue_job(session, "generate", made.id, arguments=then).id]
            jobs.append(jobs[0] + 1)
        for job in jobs:
            while shop.take_part(job, 1):
                pass
        with sessions() as session:
            assert all(queue.get_job(session, job).state == "done" for job in jobs)

    return walk


def _workshop(sessions: sessionmaker[Session], settings: Settings) -> Any:
    return parts.Workshop(
        settings=settings,
        sessions=sessions,
        executor_id="w1",
        open_engine=lambda *_: FakeEngine(),
        preflight=lambda *_, **__: None,
        kinds=KINDS,
    )


def correction_to_adapter(sessions: sessionmaker[Session], settings: Settings) -> Walk:
    """Corrections become a frozen set by a recipe, then a training job that starts its trainer."""
    project_id, _ = _corrected(sessions)
    shop = _workshop(sessions, settings)
    recipe = curation.Recipe.model_validate({"queues": ["corrections"]})

    def walk() -> None:
        with sessions.begin() as session:
            frozen = curation.freeze_training_set(
                session, project_id=project_id, name="s", recipe=recipe
            )
            made = training.create_training_run(
                session,
                project_id=project_id,
                training_set_id=frozen.id,
                adapter_name="v9",
                config={},
                settings=settings,
            )
            job = queue.enqueue_job(session, "train", made.id)
        with patch("backend.jobs.train.start_trainer") as start:
            start.return_value.poll.return_value = None  # it lives
            with patch("backend.jobs.train.PART_SECONDS", 0.0):
                assert shop.take_part(job.id, 1)
        assert start.called

    return walk


def _corrected(sessions: sessionmaker[Session]) -> tuple[int, int]:
    """Ids of a project with a bar and two corrections, and of an expert."""
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": 2, "test": 2})
        set_manifest(session, desk.project.id, BAR)
        opened = desk.open(session, "corrections")
        for number in range(int(opened.design["n_items"])):
            answer = review.Answer(BAD, correction=f"fix {number}")
            review_next(session, opened, desk.experts[0], answer)
        return desk.project.id, desk.experts[0].id


def round_step(sessions: sessionmaker[Session], settings: Settings) -> Walk:
    """A round takes up what its trainer left, and asks for the answers of the candidate."""
    loop = loops.Loop(sessions, settings, *_corrected(sessions))
    step = _without_files(loop.advance)
    number = loop.start()
    step()
    loop.finish_training()
    advance_round(sessions, number, settings=settings, now=loop.clock)
    return step


def _without_files(act: Walk) -> Walk:
    """The same where the base, which has no files here, counts as registered."""

    def patched() -> object:
        with patch("backend.services.rounds.steps.register_base"):
            return act()

    return patched


def comparison_figure(sessions: sessionmaker[Session], settings: Settings) -> Walk:
    """A base and an adapter are compared by a metric: the difference with its interval."""
    trial = Trial(sessions(), right=0.8, metrics=["exact_match"])
    bar = set_manifest(trial.session, trial.laid.project, BAR)
    return lambda: verdicts.compare_models(
        trial.session,
        manifest_row=bar,
        score_run=trial.scores,
        baseline=trial.base,
        candidate=trial.v1,
    )


WAYS: dict[str, Way] = {
    "a claim": claim,
    "a submit": submit,
    "a run": run,
    "correction to adapter": correction_to_adapter,
    "a round step": round_step,
    "a comparison figure": comparison_figure,
}


@contextmanager
def noted(root: Path) -> Iterator[tuple[set[str], list[set[str]]]]:
    """While this is open: modules of services that ran, and the fullest call stack so far."""
    ours = tuple(f"{root / package}/" for package in PACKAGES)
    services, seen = f"{root / 'backend' / 'services'}/", set[str]()
    fullest: list[set[str]] = [set()]

    def note(frame: Any, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if event != "call" or not name.startswith(ours):
            return
        stack = set()
        while frame is not None:
            if frame.f_code.co_filename.startswith(ours):
                if not frame.f_code.co_flags & CO_OPTIMIZED:  # no function: something is imported
                    return
                stack.add(frame.f_code.co_filename)
            frame = frame.f_back
        fullest[0] = max(fullest[0], stack, key=len)
        if name.startswith(services):
            seen.add(name)

    sys.setprofile(note)
    try:
        yield seen, fullest
    finally:
        sys.setprofile(None)


def measure(template: Path, way: Way) -> tuple[int, int]:
    """How many modules of services a way runs through, and how many hops it has.

    Args:
        template: a database without rows, which is copied.
    """
    home = template.parent / way.__name__
    home.mkdir()
    url = f"sqlite:///{shutil.copy(template, home / 'strop.db')}"
    settings = Settings(home=home, database_url=url)
    walk = way(connect(settings), settings)
    with noted(Path.cwd()) as (services, fullest):
        walk()
    return len(services), len(fullest[0])


def main() -> None:
    """Print the ways as JSON: name -> modules and hops, or what went wrong."""
    template = Path(sys.argv[1]) / "template.db"
    migrate(f"sqlite:///{template}")
    found: dict[str, tuple[int, int] | str] = {}
    for name, way in WAYS.items():
        try:
            found[name] = measure(template, way)
        except Exception as error:  # of an earlier tree: the others can be walked nevertheless
            found[name] = repr(error)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
