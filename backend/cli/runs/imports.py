"""`strop run import FILE --model NAME`: outputs that were made elsewhere, as a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from backend.cli.common import in_project
from backend.cli.inputs import column_names
from backend.cli.options import FILE_HELP, JsonOption, MapOption, ProjectOption, takes
from backend.cli.terminal.printing import print_notes, shown_text

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.services.runs.importing.imported import Imported
    from backend.services.runs.importing.output_rows import ImportedOutputs
    from backend.settings import Settings
    from backend.tables.projects import Project


@dataclass(frozen=True, slots=True)
class OutputImportOptions:
    """What `strop run import` is asked for."""

    file: Annotated[str, Argument(help=f"Rows of id and prediction. {FILE_HELP}")]
    model: Annotated[
        str | None, Option(help="Whose outputs they are; default: the column model.")
    ] = None
    dataset: Annotated[str | None, Option(help="Dataset of the ids, NAME or NAME@VERSION.")] = None
    split: Annotated[str | None, Option(help="train, validation or test; default: test.")] = None
    with_run: Annotated[
        int | None, Option("--with-run", help="Run that they join, on the same examples.")
    ] = None
    metrics: Annotated[
        str | None, Option(help="Score with these, for example rouge,f1@task=intent.")
    ] = None
    map_: MapOption = None
    project: ProjectOption = None
    json: JsonOption = False


@takes(OutputImportOptions)
def command(asked: OutputImportOptions) -> None:
    """Take outputs made elsewhere as a run, and score them; the same file again is taken once.

    Rows are {"id", "prediction" or "error", "model"?, "sample"?, "tokens"?, "seconds"?, ...}.
    """
    from backend.cli.runs.report import show_report
    from backend.cli.terminal.waiting import run_jobs

    with in_project(asked.project):
        pass  # there is one: else that would be told after all the reading
    given = _masked(asked, _read(asked))
    with in_project(asked.project) as (installation, session, found):
        imported, job_ids = _import(session, found, asked, given, installation.settings)
        run_id = imported.run.id
        told = "were there already" if imported.repeated else "are imported"
        typer.echo(f"Run {run_id}: {imported.outputs} outputs {told}.", err=True)
        for note in imported.notes:
            typer.echo(f"note: {shown_text(note)}", err=True)
    run_jobs(installation.sessions, installation.settings, job_ids, quiet=asked.json)
    show_report(installation, run_id, as_json=asked.json)


def _read(asked: OutputImportOptions) -> ImportedOutputs:
    from backend.services.runs.importing.output_rows import read_outputs
    from backend.settings import load_settings
    from evaluators.files.mapping import Notes
    from evaluators.files.readers import read_table_lazily

    notes = Notes()
    table = read_table_lazily(asked.file, max_row_bytes=load_settings().max_row_bytes)
    given = read_outputs(table, model=asked.model, names=column_names(asked.map_), notes=notes)
    print_notes(notes)
    return given


def _masked(asked: OutputImportOptions, given: ImportedOutputs) -> ImportedOutputs:
    """Before the import itself, which holds the one writer of SQLite."""
    from backend.db import reading
    from backend.services.datasets.masking.keys import keys_of
    from backend.services.datasets.versions import parse_version
    from backend.services.runs.importing.masked_outputs import mask_outputs

    with in_project(asked.project) as (installation, _, found):
        project_id = found.id
    name, number = parse_version(asked.dataset) if asked.dataset else (None, None)
    with reading(installation.sessions) as session:
        return mask_outputs(
            session,
            project_id,
            given,
            keys_of(installation.settings.masking_keys),
            dataset=name,
            dataset_version=number,
            split=asked.split,
            with_run=asked.with_run,
        )


def _import(
    session: Session,
    project: Project,
    asked: OutputImportOptions,
    given: ImportedOutputs,
    settings: Settings,
) -> tuple[Imported, list[int]]:
    from backend.cli.runs.run import split_list
    from backend.services.datasets.versions import parse_version
    from backend.services.metric_specs import allowed_metrics
    from backend.services.runs.importing.imported import import_outputs, queue_scoring

    name, number = parse_version(asked.dataset) if asked.dataset else (None, None)
    imported = import_outputs(
        session,
        project.id,
        given,
        dataset=name,
        dataset_version=number,
        split=asked.split,
        with_run=asked.with_run,
    )
    allowed = allowed_metrics(settings, project.id)
    jobs = queue_scoring(session, imported, split_list(asked.metrics), allowed=allowed)
    return imported, [job.id for job in jobs]
