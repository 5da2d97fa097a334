"""`strop review gold add|adjudicated|list|contests|resolve|withdraw`: known answers of a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project, on_queue
from backend.cli.options import AsOption, JsonOption, ProjectOption, group
from backend.cli.terminal.printing import print_result, print_rows

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.services.review.quality.gold_contests import Withdrawal
    from backend.tables.review import GoldAnswer

app = group("Known answers in a queue.")
QueueArgument = Annotated[str, Argument(help="Queue.")]
ReasonOption = Annotated[str, Option(help="Why.")]
SHOWN = 500


@app.command()
def add(
    queue: QueueArgument,
    file: Annotated[str, Argument(help="JSONL, or another file of rows.")],
    by: AsOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Add known answers from a JSONL file: all of them, or none when one is wrong.

    A line names an output, its known answer and why it is so:
    {"example": "t-1", "model": "base", "answer": {"ratings": {"faithful": "no"}},
    "explanation": "The price is invented."}
    """
    from backend.services.review.quality.gold_items import add_gold, read_gold_rows
    from evaluators.files.readers import read_table

    rows = read_gold_rows(read_table(file))
    with on_queue(queue, project) as (session, opened):
        added = add_gold(session, opened.id, rows, by=_user_id(session, by))
        has_gold = bool(opened.rules.get("gold_onboarding") or opened.rules.get("gold_every"))
    _print_added(queue, added, json=json)
    if not has_gold and not json:
        typer.echo("The queue's rules hand out none: see gold_onboarding and gold_every.")


@app.command()
def adjudicated(
    queue: QueueArgument,
    ids: Annotated[list[int] | None, Option("--id", help="This adjudication alone.")] = None,
    by: AsOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Make known answers of what was decided in the queue."""
    from backend.services.review.quality.gold_items import add_adjudicated

    with on_queue(queue, project) as (session, opened):
        added = add_adjudicated(
            session, opened.id, by=_user_id(session, by), adjudication_ids=ids or ()
        )
    _print_added(queue, added, json=json)


@app.command("list")
def list_(queue: QueueArgument, project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the known answers of a queue with how people did, the newest first."""
    from backend.services.pages import PageAsk
    from backend.services.review.quality.gold_items import count_results, list_gold

    with on_queue(queue, project) as (session, opened):
        page = list_gold(session, opened.id, PageAsk(limit=SHOWN))
        counted = count_results(session, [one.id for one in page.rows])
        rows = [
            {
                "id": one.id,
                "example": one.item.generation_a.example.external_id,
                "answer": _words(one.answer),
                "met": f"{counted[one.id].met} of {counted[one.id].n}",
                "contested": counted[one.id].contested,
                "withdrawn": one.withdrawn_reason,
                "explanation": one.explanation,
            }
            for one in page.rows
        ]
    columns = ["id", "example", "answer", "met", "contested", "withdrawn"]
    print_rows(rows, columns=columns, title=f"Known answers in {queue}", json=json)
    if page.next and not json:
        typer.echo(f"The newest {SHOWN} are shown.")


@app.command()
def contests(queue: QueueArgument, project: ProjectOption = None, json: JsonOption = False) -> None:
    """List what reviewers contest and nobody has looked at, the oldest first."""
    from backend.services.review.quality.adjudication import answers_of
    from backend.services.review.quality.gold_contests import list_contests

    with on_queue(queue, project) as (session, opened):
        waiting = list_contests(session, opened.id)
        said = answers_of(session, [one.review_id for one in waiting])
        rows = [
            {
                "result": one.id,
                "reviewer": one.user.pseudonym,
                "known": _words(one.gold.answer),
                "said": ", ".join(f"{n}={a.value}" for n, a in said[one.review_id].items()),
                "reason": one.contest_reason,
                "simulated": "simulated" if one.review.simulated else "",
            }
            for one in waiting
        ]
    columns = ["result", "reviewer", "known", "said", "reason", "simulated"]
    print_rows(rows, columns=columns, title=f"Contested in {queue}", json=json)


@app.command()
def resolve(
    result: Annotated[int, Argument(help="Result, as `contests` lists it.")],
    resolution: Annotated[str, Argument(help="upheld or withdrawn.")],
    reason: ReasonOption = "",
    by: AsOption = None,
    project: ProjectOption = None,
) -> None:
    """Uphold a contested known answer, or withdraw it and undo what rested on it."""
    from backend.db import utc_now
    from backend.services.accounts.access import require_in_project
    from backend.services.review.quality.gold_contests import resolve_contest

    with in_project(project) as (_, session, found):
        require_in_project(session, found.id, result_id=result)
        undone = resolve_contest(
            session, result, resolution, by=_user_id(session, by), reason=reason, now=utc_now()
        )
        text = "The known answer stands." if undone is None else _undone(session, undone)
    typer.echo(text)


@app.command()
def withdraw(
    gold: Annotated[int, Argument(help="Known answer, as `list` numbers it.")],
    reason: ReasonOption,
    by: AsOption = None,
    project: ProjectOption = None,
) -> None:
    """Withdraw a known answer and undo what rested on it."""
    from backend.db import utc_now
    from backend.services.accounts.access import require_in_project
    from backend.services.review.quality.gold_contests import withdraw_gold

    with in_project(project) as (_, session, found):
        require_in_project(session, found.id, gold_id=gold)
        undone = withdraw_gold(
            session, gold, by=_user_id(session, by), reason=reason, now=utc_now()
        )
        text = _undone(session, undone)
    typer.echo(text)


def _undone(session: Session, undone: Withdrawal) -> str:
    from backend.services.overview import pseudonym_of

    people = [pseudonym_of(session, id_) or "" for id_ in undone.unpaused_ids]
    freed = f" These may work on: {', '.join(people)}." if people else ""
    return f"Withdrawn; {undone.n_results} results no longer count.{freed}"


def _user_id(session: Session, name: str | None) -> int | None:
    from backend.services.accounts.users import find_user

    return None if name is None else find_user(session, name).id


def _words(answer: dict[str, Any]) -> str:
    parts = [f"{name}={value}" for name, value in answer.get("ratings", {}).items()]
    return ", ".join([*parts, *([f"winner={answer['winner']}"] if "winner" in answer else [])])


def _print_added(queue: str, added: list[GoldAnswer], *, json: bool) -> None:
    print_result(
        {"queue": queue, "ids": [one.id for one in added]},
        f"{queue}: {len(added)} known answers added.",
        json=json,
    )
