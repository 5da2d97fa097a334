"""`strop dossier CANDIDATE`: a signed archive on a candidate; its key, checker and answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from backend.cli.common import in_project, open_installation
from backend.cli.inputs import read_text
from backend.cli.options import JsonOption, ProjectOption, group
from backend.cli.terminal.printing import print_json, shown_text

app = group("One signed archive on a candidate: strop dossier CANDIDATE.", default_verb="make")


@app.command()
def make(
    candidate: Annotated[str, Argument(help="Model, for example v2.")],
    out: Annotated[
        Path | None, Option(help="File to write; default: dossier-CANDIDATE.tar.")
    ] = None,
    with_texts: Annotated[
        bool, Option("--with-texts", help="Put texts of examples and reviewers in.")
    ] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Sign what is known of a candidate: bar, data, figures, reviews, decisions."""
    from backend.db import reading
    from backend.services import audit
    from backend.services.dossier.make import comparison_of, make_dossier
    from backend.services.dossier.signing import signing_key
    from backend.services.models.versions import find_model
    from backend.services.projects import get_project

    installation = open_installation()
    signer = signing_key(installation.settings)
    with reading(installation.sessions) as session:
        found = get_project(session, project)
        model = find_model(session, found.id, candidate)
        row = comparison_of(session, found.id, model)
        made = make_dossier(session, row, signer, with_texts=with_texts)
        file = out or Path(f"dossier-{model.label.replace(':', '-')}.tar")
        subject, project_id = f"model:{model.id}", found.id
    with installation.sessions.begin() as session:  # noted before anybody has it
        detail = {"comparison": row.id, "with_texts": with_texts}
        audit.record(session, "dossier.made", subject=subject, project_id=project_id, detail=detail)
    _write(file, made.content)
    holds = len(made.checked) - len(made.not_recomputed)
    if json:
        print_json(
            {
                "file": str(file),
                "first_line": made.first,
                "comparison": row.id,
                "public_key": made.public_key,
                "bytes": len(made.content),
                "holds": holds,
                "not_recomputed": made.not_recomputed,
                "unanswered": made.unanswered,
            }
        )
        return
    typer.echo(shown_text(made.first))
    typer.echo(f"{file}: {len(made.content):,} bytes, signed by the key {made.public_key}.")
    typer.echo(f"Its own checker: {holds} things hold, {len(made.not_recomputed)} not recomputed.")
    if made.unanswered:
        typer.echo(f"Questions not answered: {len(made.unanswered)}. strop dossier answers")


def _write(file: Path, content: bytes) -> None:
    """For its owner alone, and whole or not at all."""
    import os
    import tempfile

    handle, draft = tempfile.mkstemp(dir=file.absolute().parent, prefix=f"{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


@app.command()
def key(json: JsonOption = False) -> None:
    """Print the public key, which is made where it is missing; give it to who checks."""
    from backend.services.dossier.signing import public_key, signing_key

    found = public_key(signing_key(open_installation().settings))
    print_json({"public_key": found}) if json else typer.echo(found)


@app.command()
def checker() -> None:
    """Print the checker that lies in every dossier: Python, and it needs no Strop."""
    from backend.services.dossier.make import checker_source

    typer.echo(checker_source().decode(), nl=False)


@app.command()
def check(
    file: Annotated[Path, Argument(help="A dossier.", exists=True, dir_okay=False)],
    public_key: Annotated[str, Argument(help="64 hex digits, from whoever signed.")],
) -> None:
    """Check a dossier as its own checker does; exit code 2 where something does not hold."""
    from backend.services.dossier import check_dossier

    raise typer.Exit(check_dossier.main([str(file), public_key]))


@app.command()
def answers(
    file: Annotated[
        Path | None,
        Argument(help="YAML; without it the form is printed.", exists=True, dir_okay=False),
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Answer what Strop cannot know: print the form, or keep a form that was filled."""
    from backend.services.dossier.answers import (
        QUESTIONS,
        answers_form,
        parse_answers,
        read_answers,
        save_answers,
    )

    with in_project(project) as (_, session, found):
        if file is None:
            form, fresh = answers_form(session, found.id), []
        else:
            form, fresh = "", save_answers(session, found.id, parse_answers(read_text(file)))
        known = read_answers(session, found.id)
    left = [name for name in QUESTIONS if name not in known]
    if json:
        texts = {name: answer.text for name, answer in known.items()}
        print_json({"answers": texts, "new": fresh, "unanswered": left})
    elif file is None:
        typer.echo(form)
    else:
        typer.echo(f"Kept {len(fresh)} new answers; {len(left)} questions are open.")
