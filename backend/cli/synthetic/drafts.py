"""`strop synthetic draft|list|show|open|compare`: rows that a model drafts and experts decide on.

strop synthetic draft --from documents manuals/ --n 100
strop synthetic draft --from failures 7 --worse-than "rougeL<0.3"
strop synthetic draft --from slice language=de
strop synthetic open synthetic-1 --queue drafts-1
strop set freeze round-2 --queue round-2 --queue drafts-1 --synthetic-share-max 0.3
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project, read_base_first
from backend.cli.inputs import names_in
from backend.cli.options import JsonOption, ProjectOption, group, takes
from backend.cli.synthetic import compare
from backend.cli.terminal.printing import print_json, print_result, print_rows, print_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.services.synthetic.asking import DraftAsk
    from backend.services.synthetic.sources.sources import SourceAsk
    from backend.settings import Settings

app = group("Rows that a model drafts and experts approve.")
app.command("compare")(compare.command)
DraftingArgument = Annotated[str, Argument(help="Drafting, by name or number.")]
DRAFTS = ["draft", "state", "why", "input", "answer", "by"]
SHOWN = 20
SHOWN_CHARACTERS = 70


@dataclass(frozen=True, slots=True)
class DraftOptions:
    """What `strop synthetic draft` is asked for."""

    from_: Annotated[
        tuple[str, str],
        Option(
            "--from",
            metavar="KIND WHAT",
            help="documents FOLDER|FILE, failures RUN, or slice KEY=VALUE.",
        ),
    ] = ("", "")
    n: Annotated[int, Option("--n", help="Drafts that are to survive the checks.")] = 100
    model: Annotated[str, Option(help="Who drafts: base, v1, a model served elsewhere.")] = "base"
    prompt: Annotated[
        str | None, Option(help="Prompt to draft with: drafts@2; one is made by default.")
    ] = None
    name: Annotated[str | None, Option(help="Name of the drafting.")] = None
    input: Annotated[
        str | None, Option(help='Documents: the input of every row; "" has the model write inputs.')
    ] = None
    dataset: Annotated[
        str | None, Option(help="NAME or NAME@VERSION of the slice and the shown examples.")
    ] = None
    worse_than: Annotated[
        str | None, Option(help="Failures: by a score, rougeL<0.3; default: by reviews.")
    ] = None
    wrong_when: Annotated[str, Option(help="Failures by reviews: marked, faithful=no.")] = "marked"
    engine: Annotated[str | None, Option(help="Engine; default: of the settings.")] = None
    shots: Annotated[int, Option(help="Train examples shown in each brief.")] = 3
    attempts: Annotated[int, Option(help="Most briefs for each draft wanted.")] = 3
    seed: Annotated[int, Option(help="Seed of briefs and sampling.")] = 7
    max_tokens: Annotated[int, Option(help="Longest draft.")] = 400
    temperature: Annotated[float, Option(help="Above 0, so that drafts differ.")] = 0.9
    top_p: Annotated[float, Option(help="Nucleus of sampling.")] = 0.95
    least_overlap: Annotated[
        float, Option(help="Least share of its words that stand in the source.")
    ] = 0.2
    encoder: Annotated[
        str | None,
        Option(help="Encoder among the project's files: drops what means the same, too."),
    ] = None
    semantic: Annotated[float, Option(help="Least cosine that counts as the same.")] = 0.9
    resume: Annotated[int | None, Option(help="Go on with this drafting.")] = None
    project: ProjectOption = None
    json: JsonOption = False


@app.command()
@takes(DraftOptions)
def draft(asked: DraftOptions) -> None:
    """Have a model draft rows, check them, and keep what is fit; wait until it is done."""
    from backend.cli.terminal.waiting import run_jobs

    read_base_first(asked.project)
    with in_project(asked.project) as (installation, session, found):
        drafting_id, job_id = _job(session, found.id, asked, installation.settings)
    stop = f"strop job cancel drafting {drafting_id}"
    typer.echo(f"Drafting {drafting_id} is queued; to stop it: {stop}", err=True)
    run_jobs(installation.sessions, installation.settings, [job_id], quiet=asked.json)
    show(str(drafting_id), project=asked.project, json=asked.json)


def _job(
    session: Session, project_id: int, asked: DraftOptions, settings: Settings
) -> tuple[int, int]:
    """Lay a drafting down, or take up one that was stopped; returns drafting and job."""
    from backend.services import queue
    from backend.services.models.adapter_files import project_artifacts
    from backend.services.synthetic.asking import lay_down
    from backend.services.synthetic.draftings import get_drafting

    if asked.resume is not None:
        drafting = get_drafting(session, asked.resume, project_id=project_id)
        job = queue.enqueue_job(session, queue.JobKind.DRAFT, drafting.id)
        return drafting.id, queue.resume_job(session, job.id).id
    ask = _ask(asked, settings)
    encoders = project_artifacts(settings, project_id)
    laid = lay_down(session, project_id, ask, encoders=encoders)
    for name, why in list(laid.refused.items())[:SHOWN]:
        typer.echo(f"not drafted from {name}: {why}", err=True)
    for note in laid.notes:
        typer.echo(f"note: {note}", err=True)
    job = queue.enqueue_job(session, queue.JobKind.DRAFT, laid.drafting.id)
    return laid.drafting.id, job.id


def _ask(asked: DraftOptions, settings: Settings) -> DraftAsk:
    from backend.services.synthetic.asking import DraftAsk
    from backend.services.synthetic.sifting import Bounds

    return DraftAsk(
        source=_source(asked),
        n=asked.n,
        model=asked.model,
        prompt=asked.prompt,
        given_input=asked.input,
        name=asked.name,
        engine=asked.engine or settings.engine,
        shots=asked.shots,
        attempts=asked.attempts,
        seed=asked.seed,
        max_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        bounds=Bounds(least_overlap=asked.least_overlap, semantic=asked.semantic),
        encoder=asked.encoder,
    )


def _source(asked: DraftOptions) -> SourceAsk:
    from backend.errors import InvalidInput, UnknownName
    from backend.services.synthetic.sources.documents import read_documents
    from backend.services.synthetic.sources.sources import SourceAsk, parse_slice
    from backend.tables.synthetic import SourceKind

    kind, what = asked.from_
    if kind not in set(SourceKind):
        if not kind:
            raise InvalidInput(
                "From what?", hint="--from documents FOLDER, failures RUN, slice K=V"
            )
        raise UnknownName("kind of source", kind, list(SourceKind))
    named: dict[str, Any] = {}
    match SourceKind(kind):
        case SourceKind.DOCUMENTS:
            named["documents"] = tuple(read_documents(Path(what)))
        case SourceKind.FAILURES:
            if not (what.isascii() and what.isdigit() and len(what) < 10):
                raise InvalidInput(f"{what[:40]!r} is no run.", hint="--from failures 7")
            named["run_id"] = int(what)
        case SourceKind.SLICE:
            named["slice"] = parse_slice(what)
    return SourceAsk(
        kind=SourceKind(kind),
        worse_than=asked.worse_than,
        wrong_when=asked.wrong_when,
        dataset=asked.dataset,
        **named,
    )


@app.command("list")
def list_(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the draftings, the newest first."""
    from backend.services.synthetic.draftings import list_draftings
    from backend.services.synthetic.records import drafting_record

    with in_project(project) as (_, session, found):
        records = [drafting_record(session, one) for one in list_draftings(session, found.id)]
    rows = [_row(record) for record in records]
    columns = ["id", "drafting", "from", "by", *_STATES, "ended"]
    empty = "Nothing was drafted yet: strop synthetic draft --from documents FOLDER"
    print_rows(rows, columns=columns, json=json, whole=records, empty=empty)


_STATES = ("drafted", "dropped", "waiting", "approved", "corrected", "refused")


def _row(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": record["id"],
        "drafting": record["name"],
        "from": record["from"],
        "by": record["model"],
        "drafted": sum(record["states"].values()),
        **record["states"],
        "ended": record["stopped"] or "not yet",
    }


@app.command()
def show(
    drafting: DraftingArgument,
    rows: Annotated[int, Option(min=0, help="Print so many drafts.")] = 0,
    state: Annotated[str | None, Option(help="Only these: dropped, waiting, approved, ...")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show what was drafted, what was dropped and why, and what experts said."""
    from backend.services.synthetic import records
    from backend.services.synthetic.draftings import find_drafting

    with in_project(project) as (_, session, found):
        one = find_drafting(session, found.id, drafting)
        record = records.drafting_record(session, one)
        listed = records.draft_records(session, one, state=state)[:rows] if rows else []
    if json:
        print_json({**record, "drafts": listed} if rows else record)
        return
    for sentence in record["in_words"]:
        typer.echo(sentence)
    if listed:
        print_table([_short(one) for one in listed], columns=DRAFTS)


def _short(record: dict[str, Any]) -> dict[str, Any]:
    def cut(text: str | None) -> str:
        return (text or "")[:SHOWN_CHARACTERS]

    return {
        **record,
        "draft": record["id"],
        "input": cut(record["input"]),
        "answer": cut(record["answer"]),
        "by": ", ".join(record["by"]) + (" (simulated)" if record["simulated"] else ""),
    }


@app.command("open")
def open_(
    drafting: DraftingArgument,
    queue: Annotated[str | None, Option(help="Name of the queue.")] = None,
    reviewers: Annotated[
        str | None, Option(help="User names, by commas; default: the project's experts.")
    ] = None,
    items: Annotated[int | None, Option(min=1, help="Only so many, at random.")] = None,
    overlap: Annotated[int, Option(min=1, help="People who see a shared draft.")] = 1,
    overlap_share: Annotated[float, Option(help="Share of drafts that several see.")] = 0.0,
    rubric: Annotated[str | None, Option(help="Rubric by name; default: synthetic_row.")] = None,
    approves: Annotated[str, Option(help="The answer that lets a draft in.")] = "usable=yes",
    risk_max: Annotated[
        float | None, Option(help="Drop drafts above this risk before anybody sees them.")
    ] = None,
    seed: Annotated[int, Option(help="Seed of the order.")] = 7,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Open the queue in which experts approve, correct or refuse the kept drafts."""
    from backend.services.accounts.users import find_member
    from backend.services.synthetic.desk import QueueAsk, open_queue
    from backend.services.synthetic.draftings import find_drafting

    with in_project(project) as (installation, session, found):
        one = find_drafting(session, found.id, drafting)
        ask = QueueAsk(
            name=queue or f"drafts of {one.name}",
            reviewer_ids=[find_member(session, found.id, name).id for name in names_in(reviewers)],
            n_items=items,
            overlap=overlap,
            overlap_share=overlap_share,
            rubric=rubric,
            approves=approves,
            risk_max=risk_max,
            seed=seed,
            lease_seconds=installation.settings.lease_seconds,
        )
        opened = open_queue(session, one, ask)
        n_items = _count_items(session, opened.id)
        shown = {"queue": opened.name, "id": opened.id, "items": n_items}
    print_result(shown, f"{shown['queue']} is open with {shown['items']} drafts.", json=json)


def _count_items(session: Session, queue_id: int) -> int:
    from sqlalchemy import func, select

    from backend.tables.review import ReviewItem

    query = select(func.count(ReviewItem.id)).where(ReviewItem.queue_id == queue_id)
    return session.scalar(query) or 0
