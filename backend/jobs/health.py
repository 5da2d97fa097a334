"""The health job: every kind of finding that a report asks for, one in each part.

What was found is kept at the end, in one transaction: after a crash the job begins anew.
"""

from __future__ import annotations

from dataclasses import replace

from backend.db import reading, utc_now
from backend.executors.spread import spread_over
from backend.jobs.running.parts import Parts, Workshop
from backend.services import queue
from backend.services.datasets.health.kinds import look_for, put_together
from backend.services.datasets.health.reports import (
    get_report,
    keep_report,
    read_material,
    requested_kinds,
)
from backend.services.metric_specs import allowed_metrics
from backend.tables.queue import Job, JobState


def health_parts(shop: Workshop, job: Job) -> Parts:
    """Look for one kind after the other.

    Raises:
        Forbidden: an encoder that the project may not use.
        CannotCompute: the version has no row.
    """
    with reading(shop.sessions) as session:
        report = get_report(session, job.subject_id)
        names, allowed = requested_kinds(report), allowed_metrics(shop.settings, report.project_id)
        material = read_material(session, job.subject_id, allowed=allowed)
    executor = shop.executor()
    material = replace(
        material, spread=spread_over(executor), spread_model=spread_over(executor, loads_model=True)
    )
    found = []
    for name in names:
        found.append(look_for(name, material))
        yield
    with shop.sessions.begin() as session:
        keep_report(session, job.subject_id, put_together(material, found), now=utc_now())
        queue.finish_job(session, job.id, job.attempt, JobState.DONE, now=utc_now(), exit_code=0)
