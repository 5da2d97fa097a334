"""`strop adapter add|list|preflight`: adapters on the project's base model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.common import (
    JsonOption,
    ProjectOption,
    open_installation,
    print_json,
    print_table,
    working_in_project,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Adapters on the base model.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name, for example v1.")],
    path: Annotated[Path, typer.Argument(help="PEFT folder below the artifact root.")],
    project: ProjectOption = None,
) -> None:
    """Register an adapter folder; a changed folder is a new revision of the name."""
    from backend.db import reading
    from backend.services.models.versions import look_at_adapter, register_adapter
    from backend.services.projects import get_project

    installation = open_installation()
    settings, sessions = installation.settings, installation.sessions
    with reading(sessions) as session:
        found = get_project(session, project)
    seen = look_at_adapter(sessions, found.id, name, path, settings=settings)
    with sessions.begin() as session:
        model = register_adapter(session, found.id, name, path, settings=settings, seen=seen)
        typer.echo(f"{model.label}: rank {model.adapter_rank}, sha256 {model.adapter_sha256}.")
        if not model.training_facts:
            typer.echo("It has no strop.json: what it was trained on is not known.")
    for note in seen.folder.notes:
        typer.echo(note)


@app.command("list")
def list_(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the base and its adapters with their digests."""
    from backend.services.models.versions import alias_target, list_models

    with working_in_project(project) as (_, session, found):
        champion = alias_target(session, found.id, "champion")
        rows = [
            {
                "model": model.label,
                "champion": "yes" if champion and champion.id == model.id else "",
                "rank": model.adapter_rank,
                "kind": model.kind,
                "sha256": (model.adapter_sha256 or model.base_sha256)[:12],
                "trained here": "yes" if model.training_run_id else "",
                "added": f"{model.created_at:%Y-%m-%d %H:%M}",
            }
            for model in list_models(session, found.id)
        ]
    if json:
        print_json(rows)
    else:
        print_table(rows, columns=list(rows[0]) if rows else ["model"])


@app.command()
def preflight(
    name: Annotated[str, typer.Argument(help="Adapter or fully trained model, for example v1.")],
    dataset: Annotated[str, typer.Option(help="Dataset whose prompts are the probes.")],
    engine: Annotated[str | None, typer.Option(help="local or vllm.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Check that what would be served is this model; exit code 2 when that is not shown."""
    from dataclasses import asdict

    from backend.engines import open_engine
    from backend.errors import EngineError, EngineUnavailable, InvalidInput
    from backend.jobs.generate import check_and_record, refuse_models
    from backend.services.datasets.conversations import chat_messages
    from backend.services.datasets.versions import get_dataset_version, list_examples
    from backend.services.models.preflight.report import PROBES
    from backend.services.models.versions import (
        find_model,
        refuse_outputs,
        register_base,
        served_model,
    )

    with working_in_project(project) as (installation, session, found):
        model = find_model(session, found.id, name)
        refuse_outputs(model, "check")
        models = [model] if model.is_own_base else [register_base(session, found.id), model]
        version = get_dataset_version(session, found.id, dataset)
        probes = [chat_messages(e) for e in list_examples(session, version.id)[: 4 * PROBES]]
    settings, sessions = installation.settings, installation.sessions
    models = list(dict.fromkeys(models))
    with open_engine(engine or settings.engine, settings) as opened:
        try:
            opened.load([served_model(model) for model in models])
        except EngineUnavailable:
            raise
        except (EngineError, InvalidInput) as error:
            raise refuse_models(sessions, opened.name, models, error) from error
        report = check_and_record(sessions, opened, models[0], models, probes, settings=settings)
    rows = [asdict(check) for check in report.checks]
    if json:
        print_json({"passed": report.passed, "checks": rows})
    else:
        said = {True: "passed", False: "FAILED", None: "note"}
        shown = [{**row, "state": said[row["passed"]]} for row in rows]
        print_table(shown, columns=["name", "state", "detail"])
    raise typer.Exit(0 if report.passed else 2)
