"""`strop yield [ROUND|CANDIDATE]`: what became of the corrections, and of what was right before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import Installation, in_project
from backend.cli.options import JsonOption, ProjectOption
from backend.cli.terminal.printing import print_json, print_table, shown_text

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.schemas.review.reports import Measured
    from backend.schemas.yields import CurveForecastOut, RoundPointOut, YieldOut
    from backend.tables.models import ModelVersion
    from backend.tables.projects import Project
    from backend.tables.rounds import Round

COLUMNS = ["of", "share", "value", "interval", "n", "note"]
CURVE = ["round", "candidate", "trained on", "held back", "overall", "bottleneck"]


def command(
    what: Annotated[
        str | None, Argument(help="Number of a round, or a candidate; the newest round.")
    ] = None,
    replay: Annotated[
        bool, Option("--replay", help="Replay what was not replayed yet, and wait.")
    ] = False,
    engine: Annotated[str | None, Option(help="Of --replay; default: settings.")] = None,
    max_tokens: Annotated[int, Option(min=1, help="Of --replay, the longest answer.")] = 128,
    rule: Annotated[
        str | None, Option(help="Another rule than the set's: token_f1>=0.9, equal.")
    ] = None,
    examples: Annotated[int, Option(min=0, help="Show so many prompts, worst first.")] = 0,
    curve: Annotated[bool, Option("--curve", help="All rounds, oldest first.")] = False,
    forecast: Annotated[
        int | None, Option(min=1, help="What so many more examples would bring.")
    ] = None,
    metric: Annotated[
        str | None, Option(help="Of --forecast; default: the first line of the bar.")
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show the share of corrections that a candidate has learnt, trained on and held back."""
    from backend.services import yields
    from backend.services.curation import parse_fixed_rule

    if curve:
        with in_project(project) as (_, session, found):
            points = yields.yield_curve(session, found.id)
        _show_curve(points, as_json=json)
        return
    if forecast is not None:
        with in_project(project) as (_, session, found):
            told = yields.forecast_curve(session, found.id, metric=metric, more=forecast)
        _show_forecast(told, as_json=json)
        return
    chosen = None if rule is None else parse_fixed_rule(rule)
    if replay:
        _replay(what, project, engine=engine, max_tokens=max_tokens, quiet=json)
    with in_project(project) as (_, session, found):
        candidate, turn = _find(session, found, what)
        report = yields.candidate_yield(session, candidate, turn, rule=chosen, examples=examples)
    shown = [
        {"review": one.review_id, **one.model_dump(exclude={"review_id"})}
        for one in report.examples
    ]
    if json:
        print_json({**report.model_dump(), "round": turn and turn.number, "examples": shown})
        return
    _show(report, None if turn is None else turn.number)
    for one in shown:
        _show_example(one)


def _find(
    session: Session, project: Project, what: str | None
) -> tuple[ModelVersion, Round | None]:
    from backend.schemas.common import row_number
    from backend.services import yields
    from backend.services.models.versions import find_model
    from backend.services.rounds import find_round

    number = row_number(what or "")
    if what is None or number is not None:
        turn = find_round(session, project.id, number)
        return yields.candidate_of_round(session, turn), turn
    candidate = find_model(session, project.id, what)
    return candidate, yields.round_of_candidate(session, candidate)


def _replay(
    what: str | None, project: str | None, *, engine: str | None, max_tokens: int, quiet: bool
) -> None:
    """Start the replays that are lacking and wait for all of them."""
    from backend.cli.terminal.waiting import run_jobs
    from backend.engines.base import SamplingParams
    from backend.services import queue, yields

    with in_project(project) as (installation, session, found):
        candidate, _ = _find(session, found, what)
        replays = yields.start_replays(
            session,
            yields.candidate_set(session, candidate),
            candidate,
            engine=engine or installation.settings.engine,
            params=SamplingParams(max_tokens=max_tokens),
        )
        jobs = [
            queue.enqueue_job(session, queue.JobKind.GENERATE, one.generation_run_id)
            for one in replays
        ]
        waiting = [queue.resume_job(session, job.id).id for job in jobs if job.state != "done"]
        work: Installation = installation
    if waiting:
        run_jobs(work.sessions, work.settings, waiting, quiet=quiet)


def _show(report: YieldOut, number: int | None) -> None:
    where = "" if number is None else f" (round {number})"
    simulated = ", on simulated reviews" if report.simulated else ""
    typer.echo(f"Yield of {report.training_set} on {report.candidate}{where}{simulated}.")
    whose = "frozen with the set" if report.is_frozen_rule else "NOT the rule frozen with the set"
    typer.echo(f"An answer is right when: {report.rule} against the expert's text ({whose}).")
    rows = [
        _row("corrections, trained on", "fixed", report.trained),
        _row("corrections, held back", "fixed", report.held_back),
        _row("approved outputs, trained on", "newly broken", report.broken),
        _row("approved outputs, held back", "newly broken", report.broken_held_back),
        _row("held-out, right before", "newly broken", report.broken_elsewhere),
    ]
    print_table(rows, columns=COLUMNS)
    if report.by_type:
        print_table(_type_rows(report), columns=COLUMNS, title="By error type")
    typer.echo(_hour(report))
    counts = ", ".join(f"{n} {state}" for state, n in sorted(report.counts.items()))
    typer.echo(f"Prompts: {counts}; {report.unchanged} still wrong answered as before.")
    for reason, n in report.unknown_reasons.items():
        typer.echo(f"  {n} not judged: {shown_text(reason)}")
    typer.echo(f"Bottleneck: {report.diagnosis.bottleneck}. {report.diagnosis.sentence}")
    typer.echo(f"Rule: {report.diagnosis.rule}")
    typer.echo(f"Signature: {report.signature}")


def _type_rows(report: YieldOut) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for one in report.by_type:
        rows.append(_row(f"{one.error_type}, trained on", "fixed", one.trained))
        rows.append(_row(f"{one.error_type}, held back", "fixed", one.held_back))
    return rows


def _row(of: str, share: str, measured: Measured) -> dict[str, Any]:
    note = measured.error or measured.note
    known = measured.value is not None
    return {
        "of": of,
        "share": share,
        "value": f"{measured.value:.1%}" if known else "",
        "interval": ("" if measured.low is None else f"[{measured.low:.1%}, {measured.high:.1%}]"),
        "n": measured.n,
        "note": f"rough; {note}" if known and measured.rough and note else note,
    }


def _hour(report: YieldOut) -> str:
    hour = report.per_hour
    if hour.value is None:
        return f"Per reviewer hour: cannot be said: {hour.error}."
    span = f"({hour.note})" if hour.low is None else f"[{hour.low:.1f}, {hour.high:.1f}]"
    return (
        f"Per reviewer hour: {hour.value:.1f} {span} corrections fixed, "
        f"n={hour.n}, {report.active_minutes:g} active minutes."
    )


def _show_example(one: dict[str, Any]) -> None:
    part = "held back" if one["held_back"] else "trained on"
    typer.echo(f"\n{one['state']}: {one['example']} (review {one['review']}, {part})")
    for name in ("before", "wanted", "answer", "reason"):
        if one[name] is not None:
            typer.echo(f"  {name:>7}: {shown_text(' '.join(str(one[name]).split()))}")


def _show_curve(points: list[RoundPointOut], *, as_json: bool) -> None:
    if as_json:
        print_json(points)
        return
    if not points:
        typer.echo("No round has a candidate yet.")
        return
    print_table([_curve_row(point) for point in points], columns=CURVE)
    newest = points[-1].diagnosis
    if newest is not None:
        typer.echo(f"Newest: {newest.bottleneck}. {newest.sentence}")
        typer.echo(f"Rule: {newest.rule}")


def _curve_row(point: RoundPointOut) -> dict[str, Any]:
    simulated = " simulated" if point.simulated else ""
    overall = _share_text(point.overall, percent=False)
    return {
        "round": f"{point.number}{simulated}",
        "candidate": point.candidate,
        "trained on": _share_text(point.trained),
        "held back": _share_text(point.held_back),
        "overall": f"{point.overall_title} {overall}".strip(),
        "bottleneck": str(point.diagnosis.bottleneck) if point.diagnosis else "",
    }


def _show_forecast(told: CurveForecastOut, *, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    rows = [
        {
            "candidate": one.candidate,
            "examples": one.rows,
            told.metric: _share_text(one.figure, percent=False),
        }
        for one in told.points
    ]
    title = f"Learning curve on the {told.split} split (run {told.run_id})"
    title += ", simulated reviews" if told.simulated else ""
    print_table(rows, columns=["candidate", "examples", told.metric], title=title)
    if told.forecast.value is None:
        typer.echo(f"No forecast: {told.forecast.error}")
    else:
        shown = _share_text(told.forecast, percent=False)
        typer.echo(f"With {told.more} more examples, {told.target} in all: {shown} held-out rows.")
        typer.echo(f"Note: {told.forecast.note}.")
    for note in told.notes:
        typer.echo(note)


def _share_text(measured: Measured, *, percent: bool = True) -> str:
    if measured.value is None or measured.low is None or measured.high is None:
        return measured.error or ""
    form = ".0%" if percent else ".3f"
    low, high = format(measured.low, form), format(measured.high, form)
    return f"{format(measured.value, form)} [{low}, {high}] n={measured.n}"
