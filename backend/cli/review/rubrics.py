"""`strop rubric list|show|check|add|export`: rubrics as YAML, and their versions in a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project
from backend.cli.options import JsonOption, ProjectOption, group
from backend.cli.terminal.output import ForceOption, whole_file
from backend.cli.terminal.printing import print_json, print_result, print_rows

if TYPE_CHECKING:
    from backend.rubrics import Rubric
    from backend.services.review.rubrics import SavedRubric

app = group("Rubrics and their versions.")
FileArgument = Annotated[Path, Argument(help="YAML file.", exists=True, dir_okay=False)]


@app.command("list")
def list_(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the rubrics that come with Strop and, in a project, its own."""
    from backend.errors import NotFound
    from backend.rubrics import find_rubric, library_names, rubric_from_content
    from backend.services.review.rubrics import list_rubrics

    rows = [_row(find_rubric(name), "library", None) for name in library_names()]
    try:
        with in_project(project) as (_, session, found):
            stored = list_rubrics(session, found.id)
            rows += [_row(rubric_from_content(s.content), found.name, s.version) for s in stored]
    except NotFound:
        if project is not None:
            raise
    print_rows(rows, columns=["rubric", "where", "version", "asks", "marks"], json=json)


@app.command()
def show(
    name: Annotated[str, Argument(help="One of the library, a file, or of the project.")],
    version: Annotated[int | None, Option(help="Version in the project.")] = None,
    project: ProjectOption = None,
) -> None:
    """Print a rubric as YAML: of the project where it has one, else of the library or a file."""
    from backend.rubrics import dump_rubric

    typer.echo(dump_rubric(_find(name, version, project)), nl=False)


@app.command()
def check(file: FileArgument, json: JsonOption = False) -> None:
    """Check a rubric file: exit code 1 and the place when it is wrong."""
    from backend.rubrics import find_rubric

    rubric = find_rubric(str(file))
    row = {**_row(rubric, str(file), None), "ok": True, "digest": rubric.digest}
    if json:
        print_json(row)
        return
    typer.echo(f"{rubric.name} is sound. It asks {row['asks'] or 'for the vote alone'}.")
    for criterion in rubric.criteria:
        if not criterion.help and criterion.level is not None:
            typer.echo(f"  {criterion.name}: no help; say what to do in doubt.")


@app.command()
def add(file: FileArgument, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Store a rubric as the next version of its name, and say what stays as it is."""
    from backend.rubrics import find_rubric
    from backend.services.review.rubrics import edit_rubric

    rubric = find_rubric(str(file))
    with in_project(project) as (_, session, found):
        saved = edit_rubric(session, found.id, rubric)
    print_result(_saved(saved), saved.sentence(), json=json)


@app.command()
def export(
    name: Annotated[str, Argument(help="One of the library, or of the project.")],
    out: Annotated[Path | None, Option(help="File to write; default: NAME.yaml.")] = None,
    force: ForceOption = False,
    version: Annotated[int | None, Option(help="Version in the project.")] = None,
    project: ProjectOption = None,
) -> None:
    """Write a rubric to a YAML file, to be edited and added again."""
    from backend.rubrics import dump_rubric

    rubric = _find(name, version, project)
    path = out or Path(f"{rubric.name}.yaml")
    with whole_file(path, force=force) as file:
        file.write(dump_rubric(rubric))
    typer.echo(f"Wrote {path}.")


def _find(name: str, version: int | None, project: str | None) -> Rubric:
    """The project's version where there is a project with such a rubric, else library or file."""
    from backend.errors import NotFound, UnknownName
    from backend.rubrics import find_rubric, rubric_from_content
    from backend.services.review.rubrics import find_version

    try:
        with in_project(project) as (_, session, found):
            return rubric_from_content(find_version(session, found.id, name, version).content)
    except (NotFound, UnknownName):
        if version is not None or project is not None:
            raise
    return find_rubric(name)


def _row(rubric: Rubric, where: str, version: int | None) -> dict[str, Any]:
    return {
        "rubric": rubric.name,
        "where": where,
        "version": version,
        "asks": ", ".join(f"{c.name} ({c.scale})" for c in rubric.criteria),
        "marks": ", ".join(rubric.span_kinds),
    }


def _saved(saved: SavedRubric) -> dict[str, Any]:
    return {
        "rubric": saved.stored.name,
        "version": saved.stored.version,
        "is_new": saved.is_new,
        "changes": list(saved.changes),
        "staying": [
            {"queue": queue.name, "version": queue.version, "n_open": queue.n_open}
            for queue in saved.staying
        ],
    }
