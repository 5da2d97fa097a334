"""`strop review open|status|close|rubrics|import`: queues for experts, and how they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli import review_gold, review_import, review_quality
from backend.cli.common import (
    JsonOption,
    ProjectOption,
    print_json,
    print_table,
    working_in_project,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.tables.review import ReviewQueue

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Review queues for experts.")
app.command("import")(review_import.command)
app.add_typer(review_gold.app, name="gold")
app.command()(review_quality.pause)
app.command()(review_quality.resume)
app.command()(review_quality.adjudications)
app.command()(review_quality.marks)
DEFAULT_RUBRICS = {"single": "summary_faithfulness", "pair": "blind_pair"}


@app.command("open")
def open_(
    queue: Annotated[str, typer.Option(help="Name of the new queue.")],
    run: Annotated[int, typer.Option(help="Run whose outputs are reviewed.")],
    models: Annotated[str | None, typer.Option(help="Rate outputs of these: base,v1.")] = None,
    pair: Annotated[str | None, typer.Option(help="Blind A/B of these: base,v1.")] = None,
    rubric: Annotated[str | None, typer.Option(help="Rubric: a name or a YAML file.")] = None,
    reviewers: Annotated[
        str | None, typer.Option(help="User names, with commas; default: the project's experts.")
    ] = None,
    items: Annotated[int | None, typer.Option(min=1, help="How many items; default: all.")] = None,
    overlap: Annotated[int, typer.Option(min=1, help="People per overlap item.")] = 1,
    overlap_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the items that several people review.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of sample, order and sides.")] = 7,
    lease_seconds: Annotated[int | None, typer.Option(help="Life of a lease.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Open a queue: single outputs (--models) or blind pairs (--pair) of a run."""
    from backend.errors import InvalidInput
    from backend.rubrics import find_rubric
    from backend.services import review, scoring
    from backend.services.model_versions import find_model

    if (models is None) == (pair is None):
        raise InvalidInput("Give either --models or --pair.", hint="For example: --pair base,v1")
    kind, labels = ("single", models) if pair is None else ("pair", pair)
    with working_in_project(project) as (installation, session, found):
        version = review.save_rubric(
            session, found.id, find_rubric(rubric or DEFAULT_RUBRICS[kind])
        )
        scored = scoring.list_score_runs(session, run)
        opened = review.open_queue(
            session,
            project_id=found.id,
            name=queue,
            kind=kind,
            generation_run_id=run,
            rubric_version_id=version.id,
            model_ids=[find_model(session, found.id, label).id for label in _names(labels)],
            reviewer_ids=_reviewer_ids(session, found.id, reviewers),
            seed=seed,
            n_items=items,
            overlap_share=overlap_share,
            overlap=overlap,
            score_run_id=scored[-1].id if scored else None,
            lease_seconds=lease_seconds or installation.settings.lease_seconds,
        )
        status = _status(session, opened)
    if json:
        print_json(status)
    else:
        typer.echo(_sentence(status))


@app.command()
def status(
    queue: Annotated[str | None, typer.Argument(help="Queue; default: all.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show how queues stand and, for pairs, how the votes fell."""
    from backend.services import review

    with working_in_project(project) as (_, session, found):
        queues = (
            review.list_queues(session, found.id)
            if queue is None
            else [review.find_queue(session, found.id, queue)]
        )
        rows = [_status(session, opened) for opened in queues]
    if json:
        print_json(rows)
        return
    print_table(rows, columns=["queue", "kind", "run", "total", "done", "leased", "open"])
    for row in rows:
        if queue is not None:
            columns = ["reviewer", "submitted", "skipped", "minutes", "simulated"]
            kept = ["known answers met", "contested", "paused"]
            columns += [name for name in kept if any(one[name] for one in row["reviewers"])]
            print_table(row["reviewers"], columns=columns, title="Reviewers")
            if row["adjudications"]["opened"]:
                print_table(
                    [row["adjudications"]],
                    columns=list(row["adjudications"]),
                    title="Disagreements",
                )
        if row["votes"]:
            print_table(row["votes"], columns=list(row["votes"][0]), title=f"Votes: {row['queue']}")


@app.command()
def agreement(
    queue: Annotated[str, typer.Argument(help="Queue with items that several people reviewed.")],
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show how far reviewers agree on each criterion, with intervals."""
    from backend.services import review

    with working_in_project(project) as (_, session, found):
        opened = review.find_queue(session, found.id, queue)
        measured = review.queue_agreement(session, opened.id)
    rows = [
        {
            "criterion": row.criterion,
            "metric": row.coefficient,
            **(row.figure.as_dict() if row.figure is not None else {"error": row.error}),
        }
        for row in measured
    ]
    if json:
        print_json(rows)
        return
    columns = ["criterion", "metric", "value", "low", "high", "n", "error"]
    print_table(rows, columns=columns, title=f"Agreement in {queue}, 95% intervals")


@app.command()
def close(
    queue: Annotated[str, typer.Argument(help="Queue to close.")], project: ProjectOption = None
) -> None:
    """Give out no more items; what people hold they may still submit."""
    from backend.db import utc_now
    from backend.services import review

    with working_in_project(project) as (_, session, found):
        opened = review.find_queue(session, found.id, queue)
        review.close_queue(session, opened.id, now=utc_now())
        typer.echo(f"{queue} is closed.")


@app.command()
def rubrics(
    name: Annotated[str | None, typer.Argument(help="Rubric to print as YAML.")] = None,
) -> None:
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


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _reviewer_ids(session: Session, project_id: int, names: str | None) -> list[int]:
    from backend.errors import InvalidInput
    from backend.services.users import find_user, list_users
    from backend.tables.users import Role

    if names is not None:
        return [find_user(session, name).id for name in _names(names)]
    members = list_users(session, project_id=project_id)
    experts = [user.id for user in members if user.active and user.role == Role.EXPERT]
    if not experts:
        raise InvalidInput(
            "This project has no experts.",
            hint="Add one: strop user add NAME --role expert, or name --reviewers.",
        )
    return experts


def _status(session: Session, queue: ReviewQueue) -> dict[str, Any]:
    from backend.services import review

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


def _sentence(status: dict[str, Any]) -> str:
    design = status["design"]
    parts = [
        f"{status['queue']}: {design['n_items']} of {design['n_candidates']} items,"
        f" {design['n_slots']} reviews asked of {len(status['reviewers'])} people."
    ]
    if design["n_without_output"]:
        parts.append(f"{design['n_without_output']} outputs failed and are left out.")
    if design["n_identical"]:
        parts.append(f"{design['n_identical']} pairs with the same text are left out as ties.")
    return " ".join(parts)
