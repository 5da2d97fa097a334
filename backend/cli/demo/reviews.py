"""The steps of `strop demo` in which people answer: queues, simulated experts, the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from backend.cli.demo.steps import SEED, Demo
from backend.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.tables.review import ReviewQueue


def open_queue(
    demo: Demo, name: str, kind: str, run_id: int, models: Sequence[str], reviewers: Sequence[str]
) -> int:
    """A queue over what models of a run wrote, unless it is open already."""
    from backend.rubrics import find_rubric
    from backend.services import review
    from backend.services.accounts.users import find_user
    from backend.services.models.versions import find_model
    from backend.services.runs import scoring

    with demo.installation.sessions.begin() as session:
        queue = _find_queue(session, demo.project_id, name)
        people = [find_user(session, person).id for person in reviewers]
        if queue is None:
            library = "telecom_desk" if kind == "single" else "blind_pair"
            rubric = review.save_rubric(session, demo.project_id, find_rubric(library))
            queue = review.open_queue(
                session,
                name,
                review.Opening(
                    project_id=demo.project_id,
                    kind=kind,
                    generation_run_id=run_id,
                    rubric_version_id=rubric.id,
                    model_ids=[find_model(session, demo.project_id, m).id for m in models],
                    reviewer_ids=people,
                    seed=SEED,
                    score_run_id=scoring.list_score_runs(session, run_id)[-1].id,
                    lease_seconds=demo.installation.settings.lease_seconds,
                ),
            )
        review.add_reviewers(session, queue.id, people)
        typer.echo(f"Review queue {name!r} is open.")
        return queue.id


def _find_queue(session: Session, project_id: int, name: str) -> ReviewQueue | None:
    from backend.services.review import list_queues

    return next((q for q in list_queues(session, project_id) if q.name == name), None)


def simulated_expert(demo: Demo) -> str:
    """The scripted reviewer; nobody can sign in as it. Returns its name."""
    simulated_person(demo, "simulated expert", "expert")
    return "simulated expert"


def simulated_person(demo: Demo, name: str, role: str) -> int:
    """A member of the project who is no person and has no password; found again by name."""
    from backend.services.accounts import users

    with demo.installation.sessions.begin() as session:
        try:
            found = users.find_user(session, name)
        except NotFound:
            found = users.create_user(session, name, role, simulated=True)
        users.add_member(session, demo.project_id, found.id)
        return found.id


def simulate_reviews(demo: Demo, queue_name: str, reviewer: str) -> None:
    """Let the scripted reviewer answer what is left of a queue, through the services people use."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from backend.jobs.simulated_experts import answer_queue
    from backend.services.accounts.users import find_user
    from backend.services.review import add_reviewers

    with demo.installation.sessions.begin() as session:
        queue = _find_queue(session, demo.project_id, queue_name)
        if queue is None:
            raise NotFound(f"There is no queue {queue_name!r}.")
        queue_id, user_id = queue.id, find_user(session, reviewer).id
        add_reviewers(session, queue_id, [user_id])
        total = int(queue.design["n_items"])
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns) as bar:
        answering = bar.add_task(f"simulated reviews of {queue_name}", total=total)
        work = answer_queue(
            demo.installation.sessions,
            queue_id,
            user_id,
            seed=SEED,
            on_answer=lambda _: bar.advance(answering),
        )
    typer.echo(
        f"Simulated reviews of {queue_name!r}: {work.n_ratings} rated, {work.n_corrections} "
        f"corrected, {work.n_votes} votes; {work.n_slips} deliberate slips."
    )


def judge(demo: Demo, candidate: str, baseline: str) -> str:
    """Judge the candidate by the bar, promote or hold it, and say why; returns the verdict."""
    from backend.cli.terminal.printing import print_table
    from backend.services.models.versions import find_model
    from backend.services.projects import current_manifest
    from backend.services.verdicts import comparison
    from backend.services.verdicts.promotion import (
        decide_promotion,
        get_comparison,
        list_promotions,
    )

    with demo.installation.sessions.begin() as session:
        old = find_model(session, demo.project_id, baseline)
        new = find_model(session, demo.project_id, candidate)
        decisions = [
            p for p in list_promotions(session, demo.project_id) if p.model_version_id == new.id
        ]
        if decisions:
            row = get_comparison(session, decisions[-1].comparison_id)
            decision = decisions[-1]
        else:
            project_id = demo.project_id
            scores = comparison.newest_scores_of_both(session, project_id, old, new)
            row = comparison.compare_models(
                session,
                manifest_row=current_manifest(session, project_id),
                score_run=scores,
                baseline=old,
                candidate=new,
                queue=comparison.newest_pair_queue(session, project_id, old, new, scores=scores),
            )
            decision = decide_promotion(session, row, decided_by_id=None, simulated=True)
        print_table(row.lines, columns=["title", "verdict", "reason"])
        typer.echo(f"{row.verdict}: {new.label} is {decision.action} (simulated experts).")
        typer.echo(decision.reason)
        return row.verdict
