"""`strop dataset health`: whether data are fit to train and to test on, of a file or of a dataset.

strop dataset health rows.jsonl --json                        needs no project
strop dataset health train=a.csv test=b.csv --bar bar.yaml    with splits, and sizes against a bar
strop dataset health                                          the project's one dataset; kept
strop dataset health tickets --only label_errors,residue      a dataset; the report is kept
strop dataset health tickets --review labels --only label_errors --items 50

Exit code 2 where something as grave as --fail-on was found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import acting_person, in_project, open_installation
from backend.cli.inputs import distinct_names, read_rows
from backend.cli.options import FILE_HELP, AsOption, JsonOption, MapOption, ProjectOption, takes
from backend.cli.terminal.output import ForceOption, check_target, whole_file
from backend.cli.terminal.printing import print_json, print_notes, print_table, shown_text

if TYPE_CHECKING:
    from backend.services.datasets.health.findings import Flagged, HealthMaterial
    from backend.services.datasets.health.kinds import Examination
    from backend.services.datasets.versions import ExampleRow

COLUMNS = ["kind", "severity", "flagged", "of", "share", "first"]
NEVER = "never"
FIRST, MOST_EXCERPT, SHORT = 3, 160, 80
MORE = 200


@dataclass(frozen=True, slots=True)
class HealthOptions:
    """What `strop dataset health` is asked for."""

    what: Annotated[
        list[str] | None,
        Argument(
            help="DATASET of the project (by default the only one), or FILE, or train=FILE "
            f"test=FILE. {FILE_HELP}"
        ),
    ] = None
    only: Annotated[str | None, Option(help="Kinds of findings, separated by commas; all.")] = None
    encoder: Annotated[
        str | None, Option(help="Folder of an encoder, for meaning and for labels.")
    ] = None
    alike: Annotated[
        float, Option(min=0.01, max=1, help="Least cosine of what means the same.")
    ] = 0.95
    task: Annotated[
        str | None, Option(help="What references are, classes or texts; else it is told.")
    ] = None
    seed: Annotated[int, Option(min=0, help="Seed of folds, draws and permutations.")] = 0
    bar: Annotated[Path | None, Option(help="Manifest to hold sizes against; of files only.")] = (
        None
    )
    show: Annotated[int, Option(min=0, help="Examples shown of each kind.")] = FIRST
    out: Annotated[Path | None, Option(help="Write every flagged row here, as JSONL.")] = None
    force: ForceOption = False
    fail_on: Annotated[
        str, Option(help="Exit code 2 from this severity on: severe, warning, note, never.")
    ] = "severe"
    review: Annotated[str | None, Option(help="Open a queue of this name on what was found.")] = (
        None
    )
    split: Annotated[str, Option(help="Of --review: the split; test stays quarantined.")] = "train"
    items: Annotated[int | None, Option(min=1, help="Of --review: so many, at random; all.")] = None
    reviewers: Annotated[
        str | None, Option(help="Of --review: user names; the project's experts.")
    ] = None
    map_: MapOption = None
    slice_: Annotated[
        list[str] | None, Option("--slice", help="Column of the file that is a slice.")
    ] = None
    as_: AsOption = None
    project: ProjectOption = None
    json: JsonOption = False

    @property
    def named(self) -> list[str]:
        """The dataset or the files; none where the project's one dataset is meant."""
        return self.what or []


@takes(HealthOptions)
def command(asked: HealthOptions) -> None:
    """Find copies, wrong labels, contradictions, residue, cuts, drift and more in data.

    A file needs no project. Of a dataset the report is kept, and shown on the page Health.
    """
    from backend.services.datasets.health.kinds import check_kinds

    _check(asked)
    kinds = check_kinds(distinct_names(asked.only))
    if _is_file(asked.named):
        found, material, extra = _of_files(asked, kinds)
    else:
        found, material, extra = _of_dataset(asked, kinds)
    by_id = {row.external_id: row for row in material.rows}
    if asked.out is not None:
        with whole_file(asked.out, force=asked.force) as file:
            for line in _lines(found, by_id):
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    if asked.json:
        print_json({**found.as_dict(), **extra})
    else:
        _print(found, by_id, asked.show)
        _print_extra(extra)
    if _is_grave(found, asked.fail_on):
        raise typer.Exit(2)


def _check(asked: HealthOptions) -> None:
    from backend.errors import InvalidInput, UnknownName
    from backend.services.datasets.health.findings import FindingSeverity

    if asked.fail_on not in (*FindingSeverity, NEVER):
        raise UnknownName("severity", asked.fail_on, [*FindingSeverity, NEVER])
    if asked.out is not None:
        check_target(asked.out, force=asked.force, inputs=asked.named)
    if _is_file(asked.named):
        if asked.review is not None:
            raise InvalidInput(
                "Experts look at a dataset of a project, not at a file.",
                hint="strop dataset import FILE first.",
            )
    elif asked.bar is not None or len(asked.named) > 1 or asked.map_ or asked.slice_:
        missing = f"There is no file {asked.named[0]!r}" if asked.named else "No file is named"
        raise InvalidInput(
            f"{missing}, and of a dataset bar, columns and slices are those of the project.",
            hint="Name one dataset alone, or files that are there.",
        )


def _is_file(what: Sequence[str]) -> bool:
    """Whether all of them are read as files: they are there, are stdin, or name their split."""
    from backend.services.datasets.importing.incoming import split_and_path

    named = [split_and_path(one) for one in what]
    there = (split is not None or path == "-" or Path(path).exists() for split, path in named)
    return bool(named) and all(there)


Looked = tuple["Examination", "HealthMaterial", dict[str, Any]]


def _of_files(asked: HealthOptions, kinds: Sequence[str]) -> Looked:
    """Files, whose rows are examined as they stand; those that are no examples are counted."""
    from backend.errors import InvalidInput
    from backend.services.datasets.health.findings import HealthMaterial
    from backend.services.datasets.health.reports import lines_of, task_of
    from backend.services.datasets.importing.incoming import first_of
    from backend.services.projects import parse_manifest
    from evaluators.files.mapping import Notes

    bar = [] if asked.bar is None else parse_manifest(_text_of(asked.bar)).lines
    notes = Notes()
    readings = read_rows(asked.named, notes, asked.map_, asked.slice_, need_reference=False)
    print_notes(notes)
    rows = [row for reading in readings for row in reading.rows]
    refused = [
        {
            "file": one.name,
            "rows": len(one.refused),
            "first": first_of([row.row for row in one.refused]),
            "why": one.refused[0].reason,
        }
        for one in readings
        if one.refused
    ]
    if refused and not rows:
        first = next(row for reading in readings for row in reading.refused)
        raise InvalidInput(
            f"None of {sum(len(one.refused) for one in readings)} rows can be read; "
            f"row {first.row}: {first.reason}",
            hint=first.hint,
        )
    material = HealthMaterial(
        rows=rows,
        seed=asked.seed,
        task_given=task_of(asked.task),
        encoder=asked.encoder,
        alike=asked.alike,
        bar=lines_of(bar),
    )
    return _look(material, kinds, quiet=asked.json), material, {"refused": refused}


def _text_of(path: Path) -> str:
    from backend.errors import InvalidInput

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as text.", hint="Mend --bar.") from error


def _look(material: HealthMaterial, kinds: Sequence[str], *, quiet: bool) -> Examination:
    """Every kind, with a bar that says which one it is at."""
    from rich.console import Console
    from rich.progress import Progress

    from backend.services.datasets.health.kinds import KINDS, look_for, put_together

    reports = []
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=len(kinds))
        for kind in kinds:
            bar.update(task, description=KINDS[kind].title)
            reports.append(look_for(kind, material))
            bar.advance(task)
    return put_together(material, reports)


def _of_dataset(asked: HealthOptions, kinds: Sequence[str]) -> Looked:
    """A dataset of the project; nothing is held while it is examined."""
    from backend.db import reading, utc_now
    from backend.services.datasets.health.reports import (
        HealthRequest,
        ask_report,
        keep_report,
        read_material,
    )
    from backend.services.datasets.versions import only_dataset
    from backend.services.metric_specs import allowed_metrics

    with in_project(asked.project) as (installation, session, found):
        name = asked.named[0] if asked.named else only_dataset(session, found.id)
        wanted = HealthRequest(
            name, tuple(kinds), asked.seed, asked.task, asked.encoder, asked.alike
        )
        allowed = allowed_metrics(installation.settings, found.id)
        report_id = ask_report(session, found.id, wanted, allowed=allowed).id
    sessions = open_installation().sessions
    with reading(sessions) as session:
        material = read_material(session, report_id, allowed=allowed)
    examined = _look(material, kinds, quiet=asked.json)
    with in_project(asked.project) as (_, session, found):
        keep_report(session, report_id, examined, now=utc_now())
        extra = {"report": report_id, **_told(session, found.id)}
    if asked.review is not None:
        extra["queue"] = _send(asked, report_id)
    return examined, material, extra


def _told(session: Any, project_id: int) -> dict[str, Any]:
    """What the project knows of itself: findings confirmed so far, and the curve of candidates."""
    from backend.errors import CannotCompute
    from backend.services.checks.flagged import confirmed_shares
    from backend.services.yields import forecast_curve

    confirmed = confirmed_shares(session, project_id)
    try:
        curve = forecast_curve(session, project_id, more=MORE).model_dump(mode="json")
    except CannotCompute as error:
        curve = {"problem": str(error)}
    return {
        "confirmed": {kind: share.model_dump() for kind, share in confirmed.items()},
        "forecast": curve,
    }


def _send(asked: HealthOptions, report_id: int) -> dict[str, Any]:
    from backend.services.accounts.users import find_member
    from backend.services.checks.flagged import FindingsRequest, send_to_review
    from backend.services.metric_specs import allowed_metrics

    with in_project(asked.project) as (installation, session, found):
        people = [
            find_member(session, found.id, name).id for name in distinct_names(asked.reviewers)
        ]
        user_id = None if asked.as_ is None else acting_person(session, asked.as_).id
        sent = send_to_review(
            session,
            FindingsRequest(
                report_id=report_id,
                name=str(asked.review),
                kinds=distinct_names(asked.only),
                split=asked.split,
                n_items=asked.items,
                reviewer_ids=tuple(people),
                lease_seconds=installation.settings.lease_seconds,
            ),
            allowed=allowed_metrics(installation.settings, found.id),
            user_id=user_id,
        )
        return {"name": sent.queue.name, "items": sent.n_items, "notes": list(sent.notes)}


def _is_grave(found: Examination, fail_on: str) -> bool:
    from backend.services.datasets.health.findings import FindingSeverity

    if fail_on == NEVER or found.worst is None:
        return False
    order = list(FindingSeverity)
    return order.index(found.worst) <= order.index(FindingSeverity(fail_on))


def _lines(found: Examination, rows: dict[str, ExampleRow]) -> Iterator[dict[str, Any]]:
    for kind in found.kinds:
        for flag in kind.found.rows if kind.found is not None else ():
            yield {
                "kind": kind.kind,
                "id": flag.id,
                "split": rows[flag.id].split,
                "part": flag.part,
                "start": flag.start,
                "end": flag.end,
                "why": flag.why,
                "score": flag.score,
                "others": list(flag.others),
            }


def _print(found: Examination, rows: dict[str, ExampleRow], shown: int) -> None:
    from evaluators.files.mapping import count_rows

    splits = ", ".join(f"{name} {n}" for name, n in found.splits.items())
    typer.echo(
        f"{count_rows(found.n)}{f' ({splits})' if splits else ''}, references are {found.task}; "
        f"digest {found.digest[:12]}, seed {found.recipe['seed']}."
    )
    told = [kind.as_dict() for kind in found.kinds]
    print_table([_row(one) for one in told if one["problem"] is None], columns=COLUMNS)
    for one, kind in zip(told, found.kinds, strict=True):
        if one["severity"] is not None or one["details"]:
            _print_kind(one)
            flags = () if kind.found is None else kind.found.rows
            for flag in flags[:shown]:
                _print_flag(flag, rows[flag.id])
    for one in told:
        if one["problem"] is not None:
            typer.echo(f"not looked for: {one['title'].lower()}: {shown_text(one['problem'])}")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    share = one["share"]
    return {
        "kind": one["kind"],
        "severity": one["severity"] or "",
        "flagged": one["flagged"],
        "of": one["n"],
        "share": f"{share['value']:.2%} [{share['low']:.2%}, {share['high']:.2%}]" if share else "",
        "first": ", ".join(dict.fromkeys(row["id"] for row in one["rows"][:FIRST])),
    }


def _print_kind(one: dict[str, Any]) -> None:
    typer.echo(f"\n{one['title']} ({one['severity'] or 'told'})")
    if one["details"]:
        rows = [{k: _short(v) for k, v in row.items()} for row in one["details"][:10]]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        print_table(rows, columns=columns)
    for sentence in (one["gain"]["sentence"], *one["notes"]):
        typer.echo(f"  {shown_text(sentence)}")
    if one["severity"] is not None:
        typer.echo(f"  To do: {one['remedy']}")


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else ("" if value is None else value)


def _print_flag(flag: Flagged, row: ExampleRow) -> None:
    from backend.services.datasets.health.outliers import PARTS

    text = PARTS[flag.part](row)
    start = max(0, (flag.start or 0) - MOST_EXCERPT // 2)
    excerpt = " ".join(text[start : start + MOST_EXCERPT].split())
    before = "... " if start else ""
    after = " ..." if start + MOST_EXCERPT < len(text) else ""
    typer.echo(shown_text(f"  {flag.id}, {flag.part}: {flag.why}"))
    asked = " ".join(row.input[:MOST_EXCERPT].split())
    lead = f"{asked} -> " if flag.part == "reference" and len(text) <= SHORT else ""
    typer.echo(shown_text(f"      {lead}{before}{excerpt}{after}"))


def _print_extra(extra: dict[str, Any]) -> None:
    for one in extra.get("refused", ()):
        numbers = ", ".join(map(str, one["first"]))
        typer.echo(f"no examples: {one['rows']} rows of {one['file']} ({numbers}): {one['why']}")
    for kind, share in extra.get("confirmed", {}).items():
        typer.echo(f"confirmed by experts, {kind}: {_confirmed(share)}")
    if (curve := extra.get("forecast")) is not None:
        typer.echo(f"curve of candidates: {_forecast(curve)}")
    if "report" in extra:
        typer.echo(f"Kept as health report {extra['report']}.")
    if (queue := extra.get("queue")) is not None:
        typer.echo(f"Opened the queue {queue['name']} with {queue['items']} items.")
        for note in queue["notes"]:
            typer.echo(f"Note: {note}")


def _confirmed(share: dict[str, Any]) -> str:
    if share["value"] is None:
        return str(share["error"])
    note = f"; {share['note']}" if share["note"] else ""
    return f"{share['value']:.0%} [{share['low']:.0%}, {share['high']:.0%}] n={share['n']}{note}"


def _forecast(curve: dict[str, Any]) -> str:
    if "problem" in curve:
        return str(curve["problem"])
    told = curve["forecast"]
    if told["value"] is None:
        return str(told["error"])
    return (
        f"{curve['metric']} {told['value']:.3f} [{told['low']:.3f}, {told['high']:.3f}] "
        f"n={told['n']} with {curve['target']} examples"
    )
