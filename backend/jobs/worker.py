"""The worker process: it says that it lives, hands queued rows to the job engine, and ends cleanly.

    strop worker [--queues gen,score,gpu] [--until-idle]

The jobs themselves run in threads of the job engine, one of each queue at a time. On SIGTERM or
SIGINT every job stops at its next part and goes back to the queue; on kill -9 the next worker takes
it up from the ledger.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import NoReturn

from sqlalchemy.exc import DBAPIError, OperationalError

from backend.db import Commits, connect, reading, utc_now
from backend.engines import open_engine
from backend.errors import InvalidInput
from backend.jobs.drafting import draft_parts
from backend.jobs.generate import generate_parts, help_to_generate
from backend.jobs.health import health_parts
from backend.jobs.preflight import check_models
from backend.jobs.running import transact
from backend.jobs.running.parts import Kind, OpenEngine, Preflight, Workshop
from backend.jobs.running.reconcile import offer_help, reconcile
from backend.jobs.score import help_to_score, score_parts
from backend.jobs.train import TrainerEnder, train_parts
from backend.jobs.webhooks import deliver_due, keep_delivering
from backend.services import queue
from backend.services.accounts.sealing import open_seal
from backend.services.audit import ACTOR, Actor
from backend.services.audit.heads import seal_and_note
from backend.services.erasure.acts import resume_erasures
from backend.services.erasure.clearing import BATCH, clear_outlived
from backend.services.erasure.retention import sweep
from backend.services.queue import ALL_QUEUES
from backend.services.rounds import advance_rounds
from backend.settings import Settings

STOP_SECONDS = 12.0
CLEAR_EVERY = timedelta(hours=1)
TEND_EVERY = timedelta(seconds=2)
ERASE_EVERY = timedelta(minutes=1)
REST_AFTER = timedelta(seconds=60)
LONGEST_POLL_SECONDS = 2.0
LOOK_SECONDS = 1.0  # where a commit is seen, without which no row has moved
RECONCILE_SECONDS = 0.5  # where no row has moved, which costs a tenth of asking the job engine
AT_WORK_SECONDS = 5.0  # the same where all that is left to do is done here
BUSY_POLL_SECONDS = 0.4  # for a worker at work, on queues where nothing waits,
BUSY_AFTER_SECONDS = 1.0  # once the work turns out to be no short one
AFTER_A_DEFECT_S = 30.0

KINDS: Mapping[str, Kind] = {
    queue.JobKind.GENERATE: generate_parts,
    queue.JobKind.SCORE: score_parts,
    queue.JobKind.TRAIN: train_parts,
    queue.JobKind.HEALTH: health_parts,
    queue.JobKind.DRAFT: draft_parts,
}

HELPERS: Mapping[str, Kind] = {
    queue.JobKind.GENERATE: help_to_generate,
    queue.JobKind.SCORE: help_to_score,
}
"""What a worker does of a job that another one leads; the other kinds are done by one alone."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class WorkerProcess:
    """One worker process at work.

    Attributes:
        until_idle: end when nothing is queued or running any more.
        pulse: a pipe on which whoever started this worker listens for signs of life.
    """

    shop: Workshop
    queues: Sequence[str]
    until_idle: bool = False
    pulse: int | None = None
    _clear_after: datetime | None = field(default=None)
    _tend_after: datetime | None = field(default=None)
    _erase_after: datetime | None = field(default=None)
    _engaged_at: datetime | None = field(default=None)
    _paces: dict[str, float] = field(default_factory=dict)
    _waiting: list[queue.JobMark] = field(default_factory=list)
    _waiting_since: float = field(default_factory=time.monotonic)
    _reconcile_after: float = field(default=0.0)
    _not_before: dict[str, float] = field(default_factory=dict)
    _trainers: TrainerEnder = field(init=False)
    _commits: Commits = field(init=False)

    def __post_init__(self) -> None:
        self._commits = Commits(self.shop.sessions.kw["bind"])
        self._trainers = TrainerEnder(self.shop.sessions, self.shop.settings)

    def start(self) -> None:
        """Take the name.

        Raises:
            Conflict: a living worker has the name.
        """
        with self.shop.sessions.begin() as session:
            queue.claim_worker_name(
                session, self.shop.executor_id, queues=self.queues, pid=os.getpid(), now=utc_now()
            )

    def run(self) -> None:
        """Work until told to stop, or until idle."""
        threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True).start()
        threading.Thread(target=self._keep_telling, name="webhooks", daemon=True).start()
        while not self.shop.stopping.is_set():
            unfinished = self._reconcile()
            self._tend(utc_now())
            idle = unfinished == 0 and self.until_idle
            if idle and self._end_trainers() == 0 and self.shop.wait_idle(0):
                seal = open_seal(self.shop.settings)
                private = self.shop.settings.webhook_private
                deliver_due(self.shop.sessions, private=private, seal=seal)
                return
            pause = max(self._pause(), LOOK_SECONDS if self._commits.are_seen else 0.0)
            self._commits.wait(pause, self.shop.stopping.wait)

    def stop(self) -> None:
        """Let every job stop at its next part, then give back engines and name."""
        self.shop.stopping.set()
        if self.shop.wait_idle(STOP_SECONDS):
            self.shop.give_back_jobs()
            self.shop.close_engines()
        self.shop.close_executor()
        self._commits.close()
        with self.shop.sessions.begin() as session:
            queue.leave_worker(session, self.shop.executor_id, pid=os.getpid())

    def _reconcile(self) -> int:
        """How many jobs are not finished; -1 where that cannot be told now."""
        return self._guarded("the jobs", self._bring_into_line)

    def _bring_into_line(self) -> int:
        """Keep the job engine running while there is work; its polling costs an idle worker most.

        A part that the engine had taken in the moment of its rest is taken up at its next start.
        """
        with reading(self.shop.sessions) as session:
            waiting = queue.unfinished_marks(session, self.queues)
        moved = waiting != self._waiting
        if moved:
            self._waiting, self._waiting_since = waiting, time.monotonic()
        self._keep_pace()
        if not waiting:
            self._rest(utc_now())
            return 0
        if not moved and time.monotonic() < self._reconcile_after:
            return len(waiting)
        name = self.shop.executor_id
        here = all((mark.state, mark.executor_id) == ("running", name) for mark in waiting)
        again = AT_WORK_SECONDS if here else RECONCILE_SECONDS
        # what has just begun is laid down by the next look, and help with it can be offered
        self._reconcile_after = 0.0 if moved else time.monotonic() + again
        self._engage(utc_now())
        unfinished = reconcile(self.shop.sessions, self.queues, executor_id=name, now=utc_now())
        offer_help(self.shop.sessions, self.queues, executor_id=name, may_help=self.shop.may_help)
        return unfinished

    def _engage(self, now: datetime) -> None:
        if self._engaged_at is None:
            transact.launch(
                self.shop.settings,
                executor_id=self.shop.executor_id,
                queues=self.queues,
                take=self.shop.take_part,
                help_with=self.shop.take_help,
            )
            transact.delete_finished(now=now)
            self._paces = dict.fromkeys(self.queues, self.shop.settings.worker_poll_seconds)
        self._engaged_at = now

    def _keep_pace(self) -> None:
        """Have the job engine look about as often as this loop; it is written to its tables.

        Less often where nothing waits while this worker is at work: a look costs the engine much.
        """
        if self._engaged_at is None:
            return
        unchanged = time.monotonic() - self._waiting_since
        at_work = any(mark.executor_id == self.shop.executor_id for mark in self._waiting)
        waited_for = {mark.queue for mark in self._waiting if mark.state == "queued"}
        for name, pace in self._paces.items():
            quiet = at_work and name not in waited_for and unchanged > BUSY_AFTER_SECONDS
            wanted = max(self._pause(), BUSY_POLL_SECONDS if quiet else 0.0)
            if not 0.5 < wanted / pace < 2.0:
                self._paces[name] = wanted
                transact.set_pace([name], wanted)

    def _pause(self) -> float:
        """Seconds until the next look: 2% of the time in which nothing changed, within bounds.

        A job of an hour need not be asked for ten times a second, and a chain of short ones is.
        Where nothing waits the next job is seen soon: to look costs one small read.
        """
        least = self.shop.settings.worker_poll_seconds
        if not self._waiting:
            return least
        unchanged = time.monotonic() - self._waiting_since
        return min(max(least, unchanged / 50), max(least, LONGEST_POLL_SECONDS))

    def _rest(self, now: datetime) -> None:
        if self._engaged_at is None or now < self._engaged_at + REST_AFTER:
            return
        if self.shop.wait_idle(0):
            transact.shut_down()
            self._engaged_at = None

    def _end_trainers(self) -> int:
        return self._guarded("cancelled trainings", self._trainers.end_cancelled)

    def _tend(self, now: datetime) -> None:
        """Now and then: end cancelled trainers, move rounds that wait, clear what is outlived."""
        if self._tend_after is not None and now < self._tend_after:
            return
        self._end_trainers()
        sessions, settings = self.shop.sessions, self.shop.settings
        self._guarded("the rounds", lambda: advance_rounds(sessions, settings, now=now))
        self._end_erasures(now)
        self._guarded("the audit log", self._seal_log)
        self._clear(now)
        self._tend_after = now + TEND_EVERY

    def _seal_log(self) -> int:
        settings = self.shop.settings
        seal_and_note(self.shop.sessions, settings.home, open_seal(settings), now=utc_now())
        return 0

    def _end_erasures(self, now: datetime) -> None:
        """Bring erasures to their end that are not; where one has to wait, a minute passes."""
        if self._erase_after is not None and now < self._erase_after:
            return
        sessions, settings = self.shop.sessions, self.shop.settings
        taken_up = self._guarded("erasures", lambda: resume_erasures(sessions, settings, now=now))
        self._erase_after = now + ERASE_EVERY if taken_up else None

    def _clear(self, now: datetime) -> None:
        """Clear a batch each hour, and the next at once while there is more."""
        if self._clear_after is not None and now < self._clear_after:
            return

        def clear() -> int:
            with self.shop.sessions.begin() as session:
                swept = [one.n for one in sweep(session, now=now)]
                return max(*clear_outlived(session, now=now).values(), 0, *swept)

        most = self._guarded("what has outlived its use", clear)
        if most >= 0:
            self._clear_after = now if most >= BATCH else now + CLEAR_EVERY

    def _guarded(self, what: str, act: Callable[[], int]) -> int:
        """Do one of the loop's acts; -1 where it failed, for which no other stands still.

        A database that is away may come back, and is asked again at once. A defect is logged and
        the act left alone for a while, so that neither the worker nor its next start dies of it;
        only a worker that is to end when idle ends by it, since it could never tell.
        """
        if time.monotonic() < self._not_before.get(what, 0.0):
            return -1
        try:
            return act()
        except OperationalError as error:
            log.warning("%s could not be seen to, will try again: %s", what, error)
        except Exception:
            if self.until_idle:
                raise
            log.exception("%s could not be seen to, by a defect", what)
            self._not_before[what] = time.monotonic() + AFTER_A_DEFECT_S
        return -1

    def _keep_telling(self) -> None:
        settings, stopping = self.shop.settings, self.shop.stopping
        keep_delivering(
            self.shop.sessions, stopping, private=settings.webhook_private, seal=open_seal(settings)
        )

    def _keep_beating(self) -> None:
        while not self.shop.stopping.wait(queue.HEARTBEAT_SECONDS):
            if self.pulse is not None:
                with contextlib.suppress(OSError):  # nobody listens any more
                    os.write(self.pulse, b".")
            try:
                with self.shop.sessions.begin() as session:
                    lives = queue.beat_heart(
                        session, self.shop.executor_id, pid=os.getpid(), now=utc_now()
                    )
                self.shop.extend_leases(utc_now())
            except DBAPIError as error:  # whatever it is: a worker that is silent counts as dead
                log.warning("no heartbeat: %s", error)
                continue
            if not lives:
                log.error("another process has taken the name %s; ending", self.shop.executor_id)
                self.shop.stopping.set()


def run_worker(
    settings: Settings,
    *,
    queues: Sequence[str] = ALL_QUEUES,
    until_idle: bool = False,
    pulse: int | None = None,
    engines: OpenEngine = open_engine,
    preflight: Preflight | None = None,
    kinds: Mapping[str, Kind] = KINDS,
    helpers: Mapping[str, Kind] = HELPERS,
) -> NoReturn:
    """Be a worker until told to stop; does not return.

    Args:
        pulse: a pipe for signs of life.
        engines, preflight, kinds, helpers: what it works with, as in `Workshop`.

    Raises:
        InvalidInput: a queue of that name does not exist.
        Conflict: a living worker has the name `settings.executor_id`.
    """
    if unknown := [name for name in queues if name not in ALL_QUEUES]:
        raise InvalidInput(
            f"There is no queue named {unknown[0]!r}.", hint=f"Known: {', '.join(ALL_QUEUES)}."
        )
    checks = preflight or partial(check_models, settings=settings)
    sessions = connect(settings)
    sessions.configure(info={ACTOR: Actor(via="worker", who=settings.executor_id)})
    shop = Workshop(settings, sessions, settings.executor_id, engines, checks, kinds, helpers)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: shop.stopping.set())
    worker = WorkerProcess(shop, queues, until_idle=until_idle, pulse=pulse)
    worker.start()
    code = 1
    try:
        worker.run()
        code = 0
    except Exception:  # a defect in the loop itself: say so, and end as cleanly as may be
        log.exception("the worker ends by a defect")
    finally:
        end_process(worker, code)


def end_process(worker: WorkerProcess, code: int) -> NoReturn:
    """End the process: the job engine's pollers take seconds, and nothing waits for them."""
    try:
        worker.stop()
    except Exception:  # the database is away; the name lapses with its heartbeat
        log.exception("the worker could not give its name back")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
