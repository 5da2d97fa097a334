"""`strop dataset import|check|split|show`: examples, their versions and their frozen splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.common import (
    FILE_HELP,
    AcceptLeaksOption,
    AsOption,
    JsonOption,
    MapOption,
    ProjectOption,
    leak_acceptance,
    print_json,
    print_notes,
    print_table,
    working_in_project,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.services.datasets.rows import ColumnMap
    from backend.services.datasets.versions import Row
    from backend.tables.datasets import DatasetVersion

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Examples and their splits.")

Files = Annotated[
    list[str],
    typer.Argument(help=f"FILE, or several as train=FILE test=FILE. {FILE_HELP}"),
]
Instruction = Annotated[
    str | None, typer.Option("--instruction", help="Sentence put before every input.")
]
SliceColumns = Annotated[
    list[str] | None, typer.Option("--slice", help="Column that becomes a slice.")
]
NoReferences = Annotated[
    bool, typer.Option("--no-references", help="Accept examples without a reference.")
]
Shares = Annotated[
    str | None,
    typer.Option(
        "--shares", help="Train/validation/test, for rows without a split; default 80/10/10."
    ),
]


@app.command("import")
def import_(
    files: Files,
    name: Annotated[str | None, typer.Option("--name", help="Default: the file's name.")] = None,
    map_: MapOption = None,
    instruction: Instruction = None,
    slice_: SliceColumns = None,
    no_references: NoReferences = False,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 7,
    shares: Shares = None,
    drop_leaks: Annotated[
        bool,
        typer.Option("--drop-leaks", help="Leave out training rows that repeat a held-out prompt."),
    ] = False,
    accept_leaks: AcceptLeaksOption = None,
    as_: AsOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Import examples as the next version of a dataset, whole or not at all.

    Rows that name no split are split by group; `strop dataset check` tells beforehand what a test
    split of that size can show.
    """
    from backend.services.datasets.splits import shares_of
    from backend.services.datasets.versions import prepare_import, store_import
    from backend.settings import load_settings

    fractions = None if shares is None else shares_of(shares)
    with working_in_project(project):
        pass  # there is one: else that would be told after all the reading
    rows = _read_files(
        files,
        _column_map(map_, instruction, slice_),
        need_reference=not no_references,
        limit=load_settings().max_row_bytes,
    )
    source = ", ".join(files)
    prepared = prepare_import(
        rows, source_name=source, seed=seed, fractions=fractions, drop_leaks=drop_leaks
    )
    with working_in_project(project) as (_, session, found):
        version = store_import(
            session,
            found.id,
            name or Path(_split_and_path(files[0])[1]).name.split(".")[0],
            prepared,
            accept_leaks=leak_acceptance(session, accept_leaks, as_),
        )
        _show_version(session, version, json=json)


@app.command()
def check(
    files: Files,
    map_: MapOption = None,
    instruction: Instruction = None,
    slice_: SliceColumns = None,
    no_references: NoReferences = False,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 7,
    shares: Shares = None,
) -> None:
    """Read files as an import would and say what is in them; nothing is stored.

    Rows without a split are split as an import would, and what the test split can show is told.

    Training rows that repeat a held-out prompt are listed, and the exit code is 2.
    """
    from backend.services.datasets.splits import shares_of
    from backend.services.datasets.versions import (
        groups_on_both_sides,
        prepare_import,
        refuse_leaks,
        warn_of_groups,
    )
    from backend.settings import load_settings

    rows = _read_files(
        files,
        _column_map(map_, instruction, slice_),
        need_reference=not no_references,
        limit=load_settings().max_row_bytes,
    )
    prompts = len({row.content_digest for row in rows})
    groups = len({row.group for row in rows if row.group is not None})
    typer.echo(f"{len(rows)} examples, {prompts} different prompts, {groups} groups.")
    if rows[0].split is not None and (told := warn_of_groups(groups_on_both_sides(rows))):
        typer.echo(f"note: {told}", err=True)
    source = ", ".join(files)
    refuse_leaks(rows, source_name=source)
    fractions = None if shares is None else shares_of(shares)
    _say_splits(prepare_import(rows, source_name=source, seed=seed, fractions=fractions).rows)


@app.command()
def split(
    name: Annotated[str, typer.Argument(help="Dataset.")],
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 7,
    shares: Shares = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Split the newest version anew by group; the result is a new version.

    An example that was ever held out stays so for training: its prompt is remembered.
    """
    from backend.services.datasets.splits import shares_of
    from backend.services.datasets.versions import get_dataset_version, import_dataset, unsplit_rows

    fractions = None if shares is None else shares_of(shares)
    with working_in_project(project) as (_, session, found):
        version = get_dataset_version(session, found.id, name)
        rows = unsplit_rows(session, version.id)
        source = f"{name} version {version.number}"
        new = import_dataset(
            session, found.id, name, rows, source_name=source, seed=seed, fractions=fractions
        )
        _show_version(session, new, json=json)


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="Dataset; default: all.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show versions with digest, splits and groups."""
    from backend.services.datasets.versions import list_dataset_versions

    with working_in_project(project) as (_, session, found):
        versions = list_dataset_versions(session, found.id)
        rows = [_version_row(session, v) for v in versions if name in (None, v.dataset.name)]
    if json:
        print_json(rows)
    else:
        columns = ["dataset", "version", "digest", "train", "validation", "test", "source"]
        print_table(rows, columns=columns)


def _column_map(
    maps: list[str] | None, instruction: str | None, slices: list[str] | None
) -> ColumnMap:
    from backend.services.datasets.rows import ColumnMap
    from evaluators.files.mapping import column_pairs

    pairs = column_pairs(maps or ())
    return ColumnMap(columns=pairs, instruction=instruction, slice_columns=slices or ())


def _split_and_path(text: str) -> tuple[str | None, str]:
    head, sep, tail = text.partition("=")
    return (head, tail) if sep and head in ("train", "validation", "test") else (None, text)


def _read_files(
    files: list[str], column_map: ColumnMap, *, need_reference: bool, limit: int
) -> list[Row]:
    from dataclasses import replace

    from backend.services.datasets.rows import rows_from_table
    from evaluators.files.mapping import Notes
    from evaluators.files.readers import read_table

    rows, notes = [], Notes()
    for text in files:
        split, path = _split_and_path(text)
        named = replace(column_map, id_prefix=split or "row")
        rows += rows_from_table(
            read_table(path, max_row_bytes=limit),
            named,
            notes=notes,
            split=split,
            need_reference=need_reference,
        )
    print_notes(notes)
    return rows


def _say_splits(rows: Sequence[Row]) -> None:
    """How many examples each split has, and what its test can show."""
    from backend.services.datasets.splits import what_a_test_shows

    names = [row.split for row in rows]
    splits = ", ".join(f"{name} {names.count(name)}" for name in ("train", "validation", "test"))
    tested = [row for row in rows if row.split == "test"]
    groups = {row.group for row in tested if row.group is not None}
    alone = sum(row.group is None for row in tested)
    typer.echo(f"{splits}.")
    typer.echo(what_a_test_shows(len(tested), len(groups) + alone))


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
    dropped = version.split_recipe.get("dropped_as_leaks", [])
    if dropped:
        typer.echo(f"{len(dropped)} training rows left out: they repeat a held-out prompt.")
