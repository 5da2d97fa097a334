"""`strop dataset import|check|split|show|health`: examples, their versions, splits and health."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project, leak_acceptance
from backend.cli.datasets import health
from backend.cli.inputs import read_rows
from backend.cli.options import (
    FILE_HELP,
    AcceptLeaksOption,
    AsOption,
    JsonOption,
    MapOption,
    ProjectOption,
    group,
    takes,
)
from backend.cli.terminal.printing import (
    print_json,
    print_notes,
    print_rows,
    print_table,
    shown_text,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.services.datasets.importing.incoming import Preview
    from backend.services.datasets.importing.rows import TableReading
    from backend.services.datasets.splits import Shares as SplitShares
    from backend.tables.datasets import DatasetVersion
    from evaluators.files.mapping import Notes

app = group("Examples and their splits.")
app.command("health")(health.command)
SHOWN, SHOWN_CHARACTERS, LAST_TURNS = 5, 240, 4

Seed = Annotated[int, Option(help="Seed of the split.")]
Shares = Annotated[
    str | None,
    Option("--shares", help="Train/validation/test, for rows without a split; default 80/10/10."),
]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What is to be read, and how."""

    files: Annotated[
        list[str], Argument(help=f"FILE or FOLDER, or several as train=FILE test=FILE. {FILE_HELP}")
    ]
    map_: MapOption = None
    instruction: Annotated[
        str | None, Option("--instruction", help="Sentence put before every input.")
    ] = None
    slice_: Annotated[list[str] | None, Option("--slice", help="Column that becomes a slice.")] = (
        None
    )
    no_references: Annotated[
        bool, Option("--no-references", help="Accept examples without a reference.")
    ] = False
    seed: Seed = 7
    shares: Shares = None
    drop_leaks: Annotated[
        bool, Option("--drop-leaks", help="Leave out training rows that repeat a held-out prompt.")
    ] = False
    drop_refused: Annotated[
        bool, Option("--drop-refused", help="Leave out rows that are no examples.")
    ] = False
    json: JsonOption = False


@dataclass(frozen=True, slots=True)
class DatasetImportOptions(ReadOptions):
    """What `strop dataset import` is asked for."""

    preview: Annotated[
        bool, Option("--preview", help="Show what would be stored, and store nothing.")
    ] = False
    name: Annotated[str | None, Option("--name", help="Default: the file's name.")] = None
    accept_leaks: AcceptLeaksOption = None
    as_: AsOption = None
    project: ProjectOption = None


@app.command("import")
@takes(DatasetImportOptions)
def import_(asked: DatasetImportOptions) -> None:
    """Import examples as the next version of a dataset, whole or not at all.

    Rows may be plain (input, context, reference), OpenAI's or ShareGPT's conversations, Alpaca's,
    SQuAD's, preferences, or prompts with their answers; --preview shows which, what each column
    becomes, three rows, what is refused and what the test split can show. It needs no project, and
    masks nothing; into a project with a masking policy rows come masked, or not at all.
    """
    if asked.preview:
        _preview(asked)
        return
    from backend.executors.spread import spreading
    from backend.services.datasets.importing.incoming import count_refused, rows_of, split_and_path
    from backend.services.datasets.importing.masked_import import prepare_masked
    from backend.services.datasets.masking.keys import keys_of
    from backend.services.datasets.masking.stored import masker_of
    from backend.services.datasets.versions import store_import
    from evaluators.files.mapping import Notes

    with in_project(asked.project) as (installation, session, found):
        # before all the reading: is there a project, and can it mask?
        masker = masker_of(session, found.id, keys_of(installation.settings.masking_keys))
    notes = Notes()
    readings = _read(asked, notes)
    print_notes(notes)
    with spreading(installation.settings) as spread:
        prepared = prepare_masked(
            rows_of(readings, drop_refused=asked.drop_refused),
            masker,
            source_name=", ".join(asked.files),
            seed=asked.seed,
            fractions=_fractions(asked.shares),
            drop_leaks=asked.drop_leaks,
            spread=spread,
        )
    if refused := count_refused(readings):
        prepared = replace(prepared, recipe={**prepared.recipe, "dropped_as_refused": refused})
    with in_project(asked.project) as (_, session, found):
        version = store_import(
            session,
            found.id,
            asked.name or Path(split_and_path(asked.files[0])[1]).name.split(".")[0],
            prepared,
            accept_leaks=leak_acceptance(session, asked.accept_leaks, asked.as_),
        )
        _show_version(session, version, json=asked.json)


@app.command()
@takes(ReadOptions)
def check(asked: ReadOptions) -> None:
    """What `strop dataset import --preview` shows, by a shorter name; nothing is stored.

    Training rows that repeat a held-out prompt are listed, and the exit code is 2.
    """
    _preview(asked)


@app.command()
def split(
    name: Annotated[str, Argument(help="Dataset.")],
    seed: Seed = 7,
    shares: Shares = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Split the newest version anew by group; the result is a new version.

    An example that was ever held out stays so for training: its prompt is remembered.
    """
    from backend.services.datasets.versions import get_dataset_version, import_dataset, unsplit_rows

    fractions = _fractions(shares)
    with in_project(project) as (_, session, found):
        version = get_dataset_version(session, found.id, name)
        rows = unsplit_rows(session, version.id)
        source = f"{name} version {version.number}"
        new = import_dataset(
            session, found.id, name, rows, source_name=source, seed=seed, fractions=fractions
        )
        _show_version(session, new, json=json)


@app.command()
def show(
    name: Annotated[str | None, Argument(help="Dataset; default: all.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show versions with digest, splits and groups."""
    from backend.services.datasets.versions import list_dataset_versions

    with in_project(project) as (_, session, found):
        versions = list_dataset_versions(session, found.id)
        rows = [_version_row(session, v) for v in versions if name in (None, v.dataset.name)]
    columns = ["dataset", "version", "digest", "train", "validation", "test", "source"]
    print_rows(rows, columns=columns, json=json)


def _fractions(shares: str | None) -> SplitShares | None:
    from backend.services.datasets.splits import shares_of

    return None if shares is None else shares_of(shares)


def _read(asked: ReadOptions, notes: Notes) -> list[TableReading]:
    return read_rows(
        asked.files,
        notes,
        asked.map_,
        asked.slice_,
        instruction=asked.instruction,
        need_reference=not asked.no_references,
    )


def _preview(asked: ReadOptions) -> None:
    """Show what an import would store; raises what it would be refused with."""
    from backend.services.datasets.importing.incoming import preview_import
    from evaluators.files.mapping import Notes

    notes = Notes()
    preview = preview_import(
        _read(asked, notes),
        source_name=", ".join(asked.files),
        notes=notes,
        seed=asked.seed,
        fractions=_fractions(asked.shares),
        drop_leaks=asked.drop_leaks,
        drop_refused=asked.drop_refused,
    )
    if asked.json:
        print_json(preview.as_dict())
    else:
        _show_preview(preview, "left out" if asked.drop_refused else "refused")
        print_notes(notes)
    if preview.problem is not None:
        raise preview.problem


def _show_preview(preview: Preview, refused: str) -> None:
    from evaluators.files.mapping import count_rows

    told = preview.as_dict()
    for file in told["files"]:
        typer.echo(f"{file['file']}: {file['layout']}, {count_rows(file['rows'])}.")
    becomes = {name: words for file in told["files"] for name, words in file["columns"].items()}
    rows = [{"column": name, "becomes": words or "not used"} for name, words in becomes.items()]
    print_table(rows, columns=["column", "becomes"])
    for row in told["rows"]:
        _show_row(row)
    typer.echo(
        f"{told['examples']} examples, {told['prompts']} different prompts, "
        f"{told['groups']} groups."
    )
    _show_left_out(told, refused)
    if told["splits"] is not None:
        typer.echo(", ".join(f"{name} {n}" for name, n in told["splits"].items()) + ".")
        typer.echo(told["test_shows"])
    typer.echo("Nothing was stored.")


def _show_left_out(told: Mapping[str, Any], refused: str) -> None:
    """Rows that are no examples, with what becomes of them, and those that repeat a prompt."""
    from evaluators.files.mapping import count_rows

    for one in told["refused"]:
        first = ", ".join(map(str, one["first"])) + (", ..." if one["rows"] > SHOWN else "")
        where = f"{count_rows(one['rows'])} of {one['file']} ({first})"
        typer.echo(shown_text(f"{refused}: {where}: {one['reason'].rstrip('.')}."))
    if told["dropped"]:
        first = ", ".join(told["dropped"][:SHOWN]) + (", ..." if told["dropped"][SHOWN:] else "")
        rows = count_rows(len(told["dropped"]))
        typer.echo(shown_text(f"left out: {rows} ({first}): a held-out prompt is repeated."))
    if not told["refused"] and not told["dropped"]:
        typer.echo("Every row becomes an example.")


def _show_row(row: Mapping[str, Any]) -> None:
    """An example as it would be stored, long texts cut."""
    apart = [row["split"], row["group"] and f"group {row['group']}"]
    apart += [f"{name}={value}" for name, value in row["slices"].items()]
    told = ", ".join(filter(None, apart))
    typer.echo(shown_text(f"{row['id']} ({told})" if told else row["id"]))
    asked = [(turn["role"], turn["content"]) for turn in row.get("messages", [])]
    if "input" in row:
        asked = [("input", row["input"])]
    between = len(asked) - 1 - LAST_TURNS
    for place, (name, text) in enumerate(asked):
        if between > 1 and place == 1:
            typer.echo(f"    ... {between} turns ...")
        if between <= 1 or place == 0 or place > between:
            _show_text(name, text)
    if row["context"]:
        _show_text("context", row["context"])
    for reference in row["references"]:
        _show_text("reference", reference)
    typer.echo()


def _show_text(name: str, text: str) -> None:
    more = f" ... ({len(text):,} characters)" if len(text) > SHOWN_CHARACTERS else ""
    lines = shown_text(text[:SHOWN_CHARACTERS]).strip().split("\n")
    typer.echo(f"    {name + ':':<11}" + f"\n{' ' * 15}".join(lines) + more)


def _version_row(session: Session, version: DatasetVersion) -> dict[str, object]:
    from backend.services.datasets.versions import split_counts

    counts = split_counts(session, version.id)
    return {
        "dataset": version.dataset.name,
        "version": version.number,
        "digest": version.digest[:12],
        **{s: counts.get(s, (0, 0))[0] for s in ("train", "validation", "test")},
        "source": version.source_name,
        "recipe": version.split_recipe,
    }


def _show_version(session: Session, version: DatasetVersion, *, json: bool) -> None:
    from backend.services.datasets.splits import what_a_test_shows
    from backend.services.datasets.versions import size_of_test, warn_of_groups

    row = _version_row(session, version)
    if json:
        print_json(row)
        return
    splits = ", ".join(f"{name} {row[name]}" for name in ("train", "validation", "test"))
    typer.echo(f"{row['dataset']} version {row['version']} ({row['digest']}): {splits}.")
    typer.echo(what_a_test_shows(*size_of_test(session, version.id)))
    if told := warn_of_groups(version.split_recipe.get("groups_on_both_sides", 0)):
        typer.echo(f"note: {told}", err=True)
    if refused := version.split_recipe.get("dropped_as_refused", 0):
        typer.echo(f"{refused} rows left out: they are no examples; --preview says why.")
    dropped = version.split_recipe.get("dropped_as_leaks", [])
    if erased := version.split_recipe.get("left_out_as_erased", 0):
        typer.echo(f"{erased} rows left out: they were erased from this project.")
    if dropped:
        typer.echo(f"{len(dropped)} training rows left out: they repeat a held-out prompt.")
