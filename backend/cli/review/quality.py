"""`strop review pause|resume|adjudications|marks|withdraw`: people and what they said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import acting_person, in_project, on_queue
from backend.cli.options import AsOption, JsonOption, ProjectOption
from backend.cli.terminal.printing import print_json, print_rows, print_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

QueueArgument = Annotated[str, Argument(help="Queue.")]
PersonArgument = Annotated[str, Argument(help="Reviewer, by pseudonym.")]
SHOWN = 500


def pause(
    queue: QueueArgument,
    reviewer: PersonArgument,
    reason: Annotated[str, Option(help="Why, for the record; the person is told kindly.")],
    project: ProjectOption = None,
) -> None:
    """Give a reviewer nothing more of a queue for now; what they hold they may submit."""
    from backend.db import utc_now
    from backend.services.review.quality.pauses import find_reviewer, pause_reviewer

    with on_queue(queue, project) as (session, opened):
        person = find_reviewer(session, opened.id, reviewer)
        pause_reviewer(session, opened.id, person.id, reason=reason, now=utc_now())
    typer.echo(f"{reviewer} is paused.")


def resume(queue: QueueArgument, reviewer: PersonArgument, project: ProjectOption = None) -> None:
    """Let a paused reviewer work on; their known answers are counted anew from here."""
    from backend.services.review.quality.pauses import find_reviewer, lift_pause

    with on_queue(queue, project) as (session, opened):
        lift_pause(session, opened.id, find_reviewer(session, opened.id, reviewer).id)
    typer.echo(f"{reviewer} may work on.")


def adjudications(
    queue: QueueArgument, project: ProjectOption = None, json: JsonOption = False
) -> None:
    """List the disagreements of a queue and how they were decided, the newest first."""
    from backend.services.pages import PageAsk
    from backend.services.review.quality.adjudication import list_adjudications

    with on_queue(queue, project) as (session, opened):
        page = list_adjudications(session, opened.id, PageAsk(limit=SHOWN))
        rows = [
            {
                "id": one.id,
                "example": one.item.generation_a.example.external_id,
                "disagreement": one.disagreement,
                "differ": one.reason,
                "decided by": None if one.review is None else one.review.reviewer.pseudonym,
                "opened": one.opened_at,
                "decided": one.decided_at,
            }
            for one in page.rows
        ]
    columns = ["id", "example", "disagreement", "differ", "decided by"]
    print_rows(rows, columns=columns, title=f"Disagreements in {queue}", json=json)


def marks(queue: QueueArgument, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Score marked errors by the rubric's weights: penalty per 100 words (MQM), by model."""
    from backend.services.review.reports.marks import queue_mark_scores

    with on_queue(queue, project) as (session, opened):
        rows: list[dict[str, Any]] = [
            {name: getattr(score, name) for name in score.__slots__}
            for score in queue_mark_scores(session, opened.id)
        ]
    if json:
        print_json(rows)
        return
    columns = ["model", "value", "low", "high", "n", "n_marks", "n_simulated", "error", "note"]
    for row in rows:
        left_out = [f"{n} left out: {reason}" for reason, n in row["left_out"].items()]
        row["note"] = " ".join(filter(None, (row["note"], *left_out)))
    title = f"Penalty per 100 words in {queue}, lower is better, 95% intervals"
    print_table(rows, columns=columns, title=title)


def standing_rows(session: Session, queue_id: int) -> dict[str, dict[str, Any]]:
    """How reviewers stand on known answers, by pseudonym: columns for `strop review status`."""
    from backend.services.review.quality.pauses import gold_progress

    return {
        one.pseudonym: {
            "known answers met": (
                f"{one.met} of {one.n} [{one.low:.2f}, {one.high:.2f}]"
                if one.low is not None and one.high is not None
                else ""
            ),
            "contested": one.n_contested or "",
            "paused": one.pause_reason or "",
        }
        for one in gold_progress(session, queue_id)
    }


def adjudication_counts(session: Session, queue_id: int) -> dict[str, int]:
    """How far the adjudications of a queue have come."""
    from backend.services.review.quality.adjudication import adjudication_progress

    return adjudication_progress(session, queue_id).model_dump()


def withdraw(
    review_id: Annotated[int, Argument(help="Review.")],
    reason: Annotated[str, Option(help="Why; it stays with the review.")],
    as_: AsOption = None,
    project: ProjectOption = None,
) -> None:
    """Take a review back: it counts for nothing from now on; name what holds it already."""
    from backend.db import utc_now
    from backend.errors import NotFound
    from backend.services.derivation import review_in_project
    from backend.services.lineage.trace import trace
    from backend.services.review.desk.revise import withdraw_review

    with in_project(project) as (_, session, found):
        if review_in_project(session, found.id, review_id) is None:
            raise NotFound(f"There is no finished review {review_id} in this project.")
        user_id = acting_person(session, as_).id
        withdraw_review(session, review_id, user_id=user_id, reason=reason, now=utc_now())
        nodes = trace(session, found.id, f"review:{review_id}").nodes
        held = [
            f"{n.kind} {n.title}" for n in nodes if any("withdrawn since" in m for m in n.marks)
        ]
    typer.echo(f"Review {review_id} is withdrawn. Held by: {', '.join(held) or 'nothing'}.")
