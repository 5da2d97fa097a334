"""`strop judge add|list|show|notes|compare|licence|audit`: models that rate or compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import engine_for, in_project, read_base_first
from backend.cli.inputs import names_in, read_text
from backend.cli.options import FILE_HELP, AsOption, JsonOption, ProjectOption, group
from backend.cli.review.figures import tell
from backend.cli.terminal.printing import (
    print_json,
    print_result,
    print_rows,
    print_shown,
    print_table,
    shown_text,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker

    from backend.engines.base import Engine
    from backend.schemas.checks.judges import JudgedPairs, JudgedRate, LicenceOut
    from backend.services.checks.judges.pairs import Pair
    from backend.settings import Settings
    from backend.tables.checks.judges import Judge
    from backend.tables.models import ModelVersion
    from evaluators.checks.models.interface import Asker
    from evaluators.types import Sample

app = group("Judges: models that rate.")
JudgeArgument = Annotated[str, Argument(help="Judge, for example strict or strict@2.")]
PAIRS = 16  # before the judge at once, each in both orders
REFUSED = 2


@app.command()
def add(
    name: Annotated[str, Argument(help="Name, for example strict.")],
    model: Annotated[str, Option(help="Model that judges: base, v1@2, gpt@1, ...")],
    prompt: Annotated[str, Option(help="File with what to judge by, or built-in.")] = "built-in",
    criterion: Annotated[
        str | None, Option(help="Question of the project's rubrics that it answers.")
    ] = None,
    rubric: Annotated[str | None, Option(help="Whose criterion, if several have it.")] = None,
    kind: Annotated[str, Option(help="rater or comparer.")] = "rater",
    max_tokens: Annotated[int, Option(help="Most tokens of an answer.")] = 256,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Keep a judge: changed content is the next version, the same is the one that stands."""
    from backend.services.checks.judges.judges import BUILT_IN, add_judge

    text = prompt if prompt == BUILT_IN else read_text(Path(prompt))
    read_base_first(project)
    with in_project(project) as (_, session, found):
        judge = add_judge(
            session,
            found.id,
            name,
            model=model,
            prompt=text,
            criterion=criterion,
            rubric=rubric,
            kind=kind,
            max_tokens=max_tokens,
        )
        record = _record(judge)
    if json:
        print_json(record)
        return
    typer.echo(f"{record['judge']}: a {kind} by {record['model']}, sha256 {record['digest']}.")
    if kind == "rater":
        typer.echo(f"It rates as a metric: strop run ... --metrics {record['metric']}")
    else:
        typer.echo(f"It compares: strop judge compare {record['judge']} --run RUN --models a,b")
    typer.echo("It has no licence: what it says is said to be by a judge, and counts for nobody.")


def _record(judge: Judge) -> dict[str, Any]:
    return {
        "judge": judge.label,
        "metric": judge.metric,
        "kind": judge.kind,
        "model": judge.model.label,
        "criterion": judge.criterion,
        "answers": judge.scale.get("answers", []),
        "digest": judge.digest,
        "added": f"{judge.created_at:%Y-%m-%d %H:%M}",
    }


@app.command("list")
def list_(project: ProjectOption = None, json: JsonOption = False) -> None:
    """All versions of all judges, and where each stands."""
    from backend.services.checks.judges.judges import list_judges
    from backend.services.checks.judges.licences import licences_of

    with in_project(project) as (_, session, found):
        rows = []
        for judge in list_judges(session, found.id):
            states = [f"{one.criterion}: {one.state}" for one in licences_of(session, judge)]
            rows.append({**_record(judge), "licence": ", ".join(states) or "none"})
    print_rows(rows, columns=["judge", "kind", "model", "criterion", "licence", "added"], json=json)


@app.command()
def show(name: JudgeArgument, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Show what a judge is asked, and its licences."""
    from backend.services.checks.judges.judges import find_judge
    from backend.services.checks.judges.licences import licences_of

    with in_project(project) as (_, session, found):
        judge = find_judge(session, found.id, name)
        licences = licences_of(session, judge)
        record = {
            **_record(judge),
            "prompt": judge.prompt,
            "licences": [one.model_dump() for one in licences],
        }
    if json:
        print_json(record)
        return
    about = "" if judge.criterion is None else f", on {judge.criterion}"
    typer.echo(f"{record['judge']}: a {record['kind']} by {record['model']}{about}.\n")
    typer.echo(shown_text(judge.prompt))
    _print_licences(licences)


@app.command()
def notes(
    file: Annotated[str, Argument(help=f"Rows of id and note. {FILE_HELP}")],
    dataset: Annotated[
        str | None, Option(help="Dataset of the ids; default: the only one.")
    ] = None,
    by: AsOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Keep grading notes: what a right answer has to contain, shown to judges as {notes}."""
    from backend.services.accounts.users import find_user
    from backend.services.checks.judges.notes import add_notes, find_dataset, read_notes
    from evaluators.files.readers import read_table

    given = read_notes([one.values for one in read_table(file).records])
    with in_project(project) as (_, session, found):
        named = find_dataset(session, found.id, dataset)
        author = None if by is None else find_user(session, by).id
        noted = add_notes(session, named, given, created_by_id=author)
    print_result(
        {"new": noted.new, "changed": noted.changed, "same": noted.same},
        f"{noted.new} notes are new, {noted.changed} changed, {noted.same} stood already.",
        json=json,
    )


@app.command()
def compare(
    name: JudgeArgument,
    run: Annotated[int, Option(min=1, help="Run whose outputs are compared.")],
    models: Annotated[str, Option(help="Models, for example base,v1.")],
    engine: Annotated[
        str | None, Option(help="local or vllm; a model served elsewhere has its own.")
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Have a judge compare outputs in both orders; what it said already is not asked again."""
    from backend.db import reading
    from backend.services.checks.judges.judges import find_judge
    from backend.services.checks.judges.pairs import judged_pairs, pending_pairs, run_pairs
    from backend.services.models.versions import find_model
    from backend.services.runs.generation import get_run
    from backend.tables.checks.judges import Judge, JudgeKind
    from backend.tables.models import ModelVersion

    named = names_in(models)
    with in_project(project) as (installation, session, found):
        judge = find_judge(session, found.id, name, kind=JudgeKind.COMPARER)
        source = get_run(session, run, project_id=found.id)
        chosen = [find_model(session, found.id, word) for word in named]
        pairs = pending_pairs(session, judge, run_pairs(session, source, chosen).pairs)
    settings, sessions = installation.settings, installation.sessions
    if pairs:
        _ask(sessions, settings, judge, pairs, engine, quiet=json)
    with reading(sessions) as session:
        judge, source = session.get_one(Judge, judge.id), get_run(session, run)
        again = [session.get_one(ModelVersion, model.id) for model in chosen]
        report = judged_pairs(session, judge, source, again)
    print_shown(report, _print_pairs, json=json)


def _ask(
    sessions: sessionmaker[Session],
    settings: Settings,
    judge: Judge,
    pairs: Sequence[Pair],
    engine: str | None,
    *,
    quiet: bool,
) -> None:
    """Ask chunk by chunk; what was said is kept when the engine goes away."""
    from rich.console import Console
    from rich.progress import track

    from backend.db import reading
    from backend.engines import open_engine
    from backend.services.checks.asker import EngineAsker
    from backend.services.checks.judges.notes import note_reader
    from backend.services.checks.judges.pairs import judge_pairs, load_pairs, save_verdicts
    from backend.services.models.versions import register_base, served_model, serving_groups
    from backend.tables.models import ModelVersion

    with reading(sessions) as session:
        base = register_base(session, judge.project_id)
        model = session.get_one(ModelVersion, judge.model_version_id)
        group = next(g for g in serving_groups(base, [model]) if model in g)
        note_of = note_reader(session, judge.project_id)
    chunks = [pairs[i : i + PAIRS] for i in range(0, len(pairs), PAIRS)]
    with open_engine(engine_for(model, engine, settings.engine), settings) as opened:
        opened.load(list(dict.fromkeys(map(served_model, group))))
        _preflight(sessions, settings, opened, judge, group[0], model, pairs, note_of)
        asker = EngineAsker(opened, served_model(model))
        for chunk in track(chunks, "Judging", console=Console(stderr=True), disable=quiet):
            with reading(sessions) as session:
                shown = load_pairs(session, chunk)
            rows = judge_pairs(judge, chunk, shown, asker, note_of)
            with sessions.begin() as session:
                save_verdicts(session, rows)


def _preflight(
    sessions: sessionmaker[Session],
    settings: Settings,
    engine: Engine,
    judge: Judge,
    base: ModelVersion,
    model: ModelVersion,
    pairs: Sequence[Pair],
    note_of: Callable[[Sample], str | None],
) -> None:
    """Check that what is served is the judge, by questions that it is asked, and keep the check.

    Raises:
        PreflightFailed: that is not shown; nothing is judged.
    """
    from backend.db import reading
    from backend.engines.base import SamplingParams
    from backend.jobs.preflight import check_and_record
    from backend.services.checks.asker import first_questions
    from backend.services.checks.judges.pairs import judge_pairs, load_pairs
    from backend.services.models.preflight.report import require_passed

    def put(some: Sequence[Pair], asker: Asker) -> None:
        with reading(sessions) as session:
            shown = load_pairs(session, some)
        judge_pairs(judge, some, shown, asker, note_of)

    probes = first_questions(pairs, put)
    params = SamplingParams(max_tokens=judge.max_tokens)
    require_passed(
        check_and_record(sessions, engine, base, [model], probes, settings=settings, params=params)
    )


def _print_pairs(report: JudgedPairs) -> None:
    typer.echo(
        f"{report.n} pairs of run {report.run_id} by a judge, {report.judge}, in both orders; "
        f"{report.failed} without a usable answer, {report.identical} of equal texts not asked."
    )
    for sentence in report.said:
        typer.echo(shown_text(sentence))
    if report.missing:
        typer.echo(f"{report.missing} pairs are not judged yet: give the command again.")
    _print_rates("Win rates by a judge (not by people), a tie being half a win", report.rates)
    if report.no_strengths:
        typer.echo(f"No strengths: {report.no_strengths}")
    else:
        _print_rates("Strengths by a judge (Bradley-Terry, log-odds)", report.strengths)
    rows = [{"bias": name, "share": tell(found)} for name, found in report.biases.items()]
    print_table(rows, columns=["bias", "share"], title="Biases of the judge, 95% intervals")


def _print_rates(title: str, rates: Sequence[JudgedRate]) -> None:
    rows = [
        {"model": rate.model, "against": rate.against or "all", "figure": tell(rate.figure)}
        for rate in rates
    ]
    print_table(rows, columns=["model", "against", "figure"], title=title)


@app.command()
def licence(
    name: JudgeArgument,
    queue: Annotated[str, Option(help="Queue of single outputs that several people rated.")],
    annotators: Annotated[
        str, Option(help="Who rated: experts (epsilon .2), skilled (.15), crowd (.1).")
    ] = "experts",
    epsilon: Annotated[
        float | None, Option(min=0, max=0.99, help="Another price of a person's time.")
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Ask for a licence: may the judge stand in for one more person? Exit code 2 when not."""
    from backend.services.checks.judges.judges import find_judge
    from backend.services.checks.judges.licences import license_judge, show_licence
    from backend.services.review.queues import find_queue
    from backend.tables.checks.judges import JudgeKind

    with in_project(project) as (_, session, found):
        judge = find_judge(session, found.id, name, kind=JudgeKind.RATER)
        opened = find_queue(session, found.id, queue)
        rows = license_judge(session, judge, opened, annotators=annotators, epsilon=epsilon)
        shown = [show_licence(session, row) for row in rows]
    _print_or_dump(shown, json=json)


@app.command()
def audit(name: JudgeArgument, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Hold later reviews against the licences; what they refute lapses. Exit code 2 then."""
    from backend.errors import InvalidInput
    from backend.services.checks.judges.judges import find_judge
    from backend.services.checks.judges.licences import audit_judge

    with in_project(project) as (_, session, found):
        judge = find_judge(session, found.id, name)
        shown = audit_judge(session, judge)
        label = judge.label
    if not shown:
        raise InvalidInput(
            f"{label} was never given or refused a licence.",
            hint=f"Ask for one: strop judge licence {label} --queue QUEUE",
        )
    _print_or_dump(shown, json=json)


def _print_or_dump(shown: Sequence[LicenceOut], *, json: bool) -> None:
    print_shown(shown, _print_licences, json=json)
    if any(one.state != "licensed" for one in shown):
        raise typer.Exit(REFUSED)


def _print_licences(licences: Sequence[LicenceOut]) -> None:
    rows = [
        {
            "criterion": one.criterion,
            "licence": one.state,
            "winning rate": one.evidence.get("winning_rate"),
            "advantage": one.evidence.get("advantage"),
            "epsilon": one.evidence.get("epsilon"),
            "items": one.evidence.get("n_items"),
            "attempts": one.attempts,
            "agreement since": "" if one.audit is None else tell(one.audit),
            "must reach": one.bar,
        }
        for one in licences
    ]
    if not rows:
        typer.echo("It has no licence: strop judge licence NAME --queue QUEUE")
        return
    print_table(rows, columns=list(rows[0]), title="Licences")
    for one in licences:
        typer.echo(shown_text(f"{one.criterion}: {one.state}: {one.reason}."))
        if not one.recorded:
            typer.echo("  Nobody has written that down yet: strop judge audit NAME")
