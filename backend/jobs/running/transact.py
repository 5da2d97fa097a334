"""The job engine: DBOS Transact, set up so that its known traps are shut.

The executor's name is stable and ours, since by default two processes run one job; the version is
fixed, since by default every change of code strands what is pending; everything is serialised as
JSON, since by default it is pickle. Results go to our own tables and never through the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url

from backend.private_files import make_file
from backend.settings import Settings, sqlite_file, sqlite_url

APPLICATION = "strop"
VERSION = "1"  # raised only if the arguments of the workflow change
WORKFLOW = "run_job"
HELP = "help_with_job"
BEHIND = 1  # the priority of help; a job has 0, which comes first
RECOVERIES = 10
LISTENER_SECONDS = 4.0  # shutting down waits for it
SLOWER = 1.5  # a poll of the engine costs several statements, one of ours a single one
KEEP_FINISHED = timedelta(days=14)

Take = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class WorkflowState:
    """What the engine knows of a workflow."""

    status: str
    executor_id: str | None


def system_url(settings: Settings) -> str:
    """Where the engine keeps its own tables.

    On SQLite in a file beside the database, so that its polling never waits for our writers nor
    they for it; on PostgreSQL in the schema `dbos` of the same database.
    """
    if (file := settings.database_file) is None:
        url = make_url(settings.url).set(drivername="postgresql+psycopg")
        return url.render_as_string(hide_password=False)
    return sqlite_url(file.with_name(file.stem + "-jobs.db"))


def _sqlite_engine(url: str) -> Engine:
    if (file := sqlite_file(url)) is not None:
        make_file(file)
    engine = create_engine(url, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        settings = "journal_mode=WAL synchronous=NORMAL busy_timeout=30000 foreign_keys=ON"
        for pragma in settings.split():
            connection.execute(f"PRAGMA {pragma}")

    return engine


def launch(
    settings: Settings, *, executor_id: str, queues: Sequence[str], take: Take, help_with: Take
) -> None:
    """Start the engine in this process, listening to the queues.

    Args:
        take: does one part of (job, attempt); True if another part is to follow.
        help_with: the same of a job that another worker leads.
    """
    from dbos import DBOS, DBOSPortableJSONSerializer

    url = system_url(settings)
    DBOS(
        config={
            "name": APPLICATION,
            "application_version": VERSION,
            "executor_id": executor_id,
            "system_database_url": url,
            "system_database_engine": _sqlite_engine(url) if url.startswith("sqlite") else None,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
            "use_listen_notify": False,  # nothing here waits for events
            "notification_listener_polling_interval_sec": LISTENER_SECONDS,
            "scheduler_polling_interval_sec": 3600.0,
        }
    )

    def run_job(job_id: int, attempt: int) -> None:
        while DBOS.run_step({"name": "part"}, take, job_id, attempt):
            pass

    def help_with_job(job_id: int, attempt: int) -> None:
        while DBOS.run_step({"name": "part"}, help_with, job_id, attempt):
            pass

    DBOS.workflow(name=WORKFLOW, max_recovery_attempts=RECOVERIES)(run_job)
    DBOS.workflow(name=HELP, max_recovery_attempts=RECOVERIES)(help_with_job)
    DBOS.listen_queues(list(queues))
    DBOS.launch()
    set_pace(queues, settings.worker_poll_seconds)


def set_pace(queues: Sequence[str], seconds: float) -> None:
    """How often the engine looks into these queues; it reads this anew before each look."""
    from dbos import DBOS

    for queue in queues:
        DBOS.register_queue(queue, worker_concurrency=1, polling_interval_sec=SLOWER * seconds)


def shut_down() -> None:
    """End the engine in this process; `launch` starts it again, and takes up what was pending."""
    from dbos import DBOS

    DBOS.destroy(destroy_registry=True)


def enqueue(workflow_id: str, *, queue: str, job_id: int, attempt: int) -> None:
    """Hand an attempt to the engine; the same attempt a second time changes nothing."""
    _enqueue(WORKFLOW, queue, job_id, attempt, workflow_id=workflow_id)


def enqueue_help(executor_id: str, *, queue: str, job_id: int, attempt: int) -> None:
    """Offer help with an attempt, behind every job that waits on the queue.

    Each worker offers its own, at most one at a time for all the help that it can give; whichever
    worker is idle first takes it.
    """
    own = f"help-{executor_id}-{job_id}-{attempt}"
    again = {"deduplication_id": own, "duplication_policy": "return-existing"}
    _enqueue(HELP, queue, job_id, attempt, priority=BEHIND, **again)


def _enqueue(workflow: str, queue: str, job_id: int, attempt: int, **how: Any) -> None:
    from dbos import DBOS

    named = {"workflow_name": workflow, "queue_name": queue, "app_version": VERSION}
    DBOS.enqueue_workflow_with_options({**named, **how}, job_id, attempt)


def find_workflows(workflow_ids: Iterable[str]) -> Mapping[str, WorkflowState]:
    """What the engine knows of these workflows, those it knows."""
    from dbos import DBOS

    found = DBOS.list_workflows(
        workflow_ids=list(workflow_ids), load_input=False, load_output=False
    )
    return {w.workflow_id: WorkflowState(str(w.status), w.executor_id) for w in found}


def cancel(workflow_id: str) -> None:
    """Forget an attempt that was superseded, so that its executor does not take it up again."""
    from dbos import DBOS

    DBOS.cancel_workflow(workflow_id)


def delete_finished(*, now: datetime) -> int:
    """Delete the engine's records of what ended long ago; returns how many."""
    from dbos import DBOS

    old = DBOS.list_workflows(
        status=["SUCCESS", "ERROR", "CANCELLED"],
        end_time=(now - KEEP_FINISHED).isoformat(),
        load_input=False,
        load_output=False,
    )
    DBOS.delete_workflows([workflow.workflow_id for workflow in old])
    return len(old)
