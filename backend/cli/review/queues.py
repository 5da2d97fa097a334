"""`strop review status|close|rubrics` and the commands of its neighbours: queues for experts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument

from backend.cli.common import in_project, on_queue
from backend.cli.options import JsonOption, ProjectOption, group
from backend.cli.review import figures as review_figures
from backend.cli.review import gold as review_gold
from backend.cli.review import imports as review_import
from backend.cli.review import open as review_open
from backend.cli.review import quality as review_quality
from backend.cli.review import skipped as review_skipped
from backend.cli.terminal.printing import print_json, print_rows, print_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.tables.review import ReviewQueue

app = group("Review queues for experts.")
app.command("open")(review_open.open_)
app.command()(review_figures.agreement)
app.command()(review_figures.estimate)
app.command()(review_figures.watch)
app.command()(review_figures.effects)
app.command()(review_figures.reviewers)
app.command("import")(review_import.command)
app.add_typer(review_gold.app, name="gold")
app.command()(review_quality.pause)
app.command()(review_quality.resume)
app.command()(review_quality.adjudications)
app.command()(review_quality.withdraw)
app.command()(review_quality.marks)
app.command()(review_skipped.skipped)


@app.command()
def status(
    queue: Annotated[str | None, Argument(help="Queue; default: all.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show how queues stand and, for pairs, how the votes fell."""
    from backend.db import utc_now
    from backend.services import review
    from backend.services.review.reports.progress import queue_report

    with in_project(project) as (_, session, found):
        queues = (
            review.list_queues(session, found.id)
            if queue is None
            else [review.find_queue(session, found.id, queue)]
        )
        rows = []
        for opened in queues:
            report = queue_report(session, opened.id, now=utc_now()).model_dump()
            rows.append({**_status(session, opened), "report": report})
    if json:
        print_json(rows)
        return
    print_table(rows, columns=["queue", "kind", "run", "total", "done", "leased", "open"])
    for row in rows:
        if row["skipping"]:
            typer.echo(f"{row['queue']}: {row['skipping']}")
        if queue is not None:
            typer.echo(_standing(row["report"]))
            for waits in row["waits_for"]:
                typer.echo(f"{waits['n']} open: waits for {waits['sentence']}.")
            columns = ["reviewer", "submitted", "skipped", "minutes", "simulated"]
            kept = ["known answers met", "contested", "paused"]
            columns += [name for name in kept if any(one[name] for one in row["reviewers"])]
            print_table(row["reviewers"], columns=columns, title="Reviewers")
            if row["adjudications"]["opened"]:
                print_rows([row["adjudications"]], title="Disagreements")
        print_rows(row["votes"], title=f"Votes: {row['queue']}")


@app.command()
def close(
    queue: Annotated[str, Argument(help="Queue to close.")], project: ProjectOption = None
) -> None:
    """Give out no more items; what people hold they may still submit."""
    from backend.db import utc_now
    from backend.services import review

    with on_queue(queue, project) as (session, opened):
        review.close_queue(session, opened.id, now=utc_now())
        typer.echo(f"{queue} is closed.")


@app.command()
def rubrics(name: Annotated[str | None, Argument(help="Rubric to print as YAML.")] = None) -> None:
    """List the rubrics that come with Strop, or print one to start from."""
    from backend.rubrics import dump_rubric, find_rubric, library_names

    if name is not None:
        typer.echo(dump_rubric(find_rubric(name)), nl=False)
        return
    rows = [
        {"rubric": known, "asks": ", ".join(c.name for c in find_rubric(known).criteria)}
        for known in library_names()
    ]
    print_table(rows, columns=["rubric", "asks"])


def _status(session: Session, queue: ReviewQueue) -> dict[str, Any]:
    from backend.services import review
    from backend.services.review.waiting import queue_waits_for

    progress = review.queue_progress(session, queue.id)
    reviewers = review.reviewer_progress(session, queue.id)
    standing = review_quality.standing_rows(session, queue.id)
    return {
        "queue": queue.name,
        "id": queue.id,
        "kind": queue.kind,
        "run": queue.generation_run_id,
        "closed": queue.closed_at is not None,
        "total": progress.total,
        "done": progress.done,
        "leased": progress.leased,
        "open": progress.open,
        "skipping": progress.skipping,
        "design": queue.design,
        "reviewers": [
            {
                "reviewer": one.pseudonym,
                "submitted": one.submitted,
                "skipped": one.skipped,
                "minutes": round(one.active_seconds / 60, 1),
                "simulated": "simulated" if one.simulated else "",
                **standing[one.pseudonym],
            }
            for one in reviewers
        ],
        "adjudications": review_quality.adjudication_counts(session, queue.id),
        "waits_for": [one.model_dump() for one in queue_waits_for(session, queue.id)],
        "votes": _votes(session, queue),
    }


def _votes(session: Session, queue: ReviewQueue) -> list[dict[str, Any]]:
    from backend.services import review

    if queue.kind != "pair":
        return []
    return [
        {
            "a": pair.model_a,
            "b": pair.model_b,
            "a wins": pair.wins_a,
            "b wins": pair.wins_b,
            "ties": pair.ties,
            "both bad": pair.both_bad,
            "cannot judge": pair.cannot_judge,
            "left wins": pair.left_wins,
            "right wins": pair.right_wins,
            "simulated": pair.n_simulated,
            "b's win rate": _rate(pair.win_rate, pair.error),
        }
        for pair in review.preference_summary(session, queue.id)
    ]


def _rate(rate: Any, error: str | None) -> str:
    if rate is None:
        return error or ""
    return f"{rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}], n={rate.n}"


def _standing(report: dict[str, Any]) -> str:
    """The forecast, and what a review and a verdict take and cost."""
    time = report["time"]
    parts = [report["forecast"]["sentence"]]
    for name, what in [
        ("minutes_per_review", "minutes per review"),
        ("minutes_per_verdict", "minutes per verdict"),
        ("cost_per_verdict", f"{time['currency'] or ''} per verdict".strip()),
    ]:
        figure = time[name]
        if figure["value"] is not None:
            low, high, n = figure["low"], figure["high"], figure["n"]
            span = f"[{low:.2f}, {high:.2f}]" if low is not None else f"({figure['note']})"
            parts.append(f"{figure['value']:.2f} {what} {span}, n={n}.")
    return "\n".join(parts)
