"""`strop adapter add|merge|export|list|preflight`: adapters on the base, and other models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from backend.cli.common import engine_for, find_project, in_project
from backend.cli.options import JsonOption, ProjectOption, group
from backend.cli.terminal.printing import print_json, print_rows, print_table, shown_text

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.services.models.placing import Registered
    from backend.services.models.preflight.report import PreflightReport
    from backend.settings import Settings
    from backend.tables.models import ModelVersion

app = group("Adapters on a base model.")


@app.command()
def add(
    name: Annotated[str, Argument(help="Name, for example v1.")],
    path: Annotated[Path, Argument(help="Folder that a trainer left: PEFT, safetensors.")],
    base: Annotated[
        str | None, Option(help="Another base of the project that it is on, for example large.")
    ] = None,
    in_place: Annotated[
        bool, Option("--in-place", help="Use the folder where it lies; copy nothing.")
    ] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Register an adapter, copied below the artifact root; changed files are a new revision."""
    from backend.services.models.adopt import adopt_adapter

    installation, project_id = find_project(project)
    adopted = adopt_adapter(
        installation.sessions,
        project_id,
        name,
        path,
        settings=installation.settings,
        in_place=in_place,
        on=base,
    )
    _show_added(adopted.model, adopted.notes, json=json)


def _show_added(model: Registered, notes: Sequence[str], *, json: bool) -> None:
    """An adapter that was just registered, and what was said of it."""
    if json:
        print_json({**asdict(model), "notes": notes})
        return
    kind = f"rank {model.rank}" if model.rank else "a soft prompt"
    typer.echo(f"{model.label}: {kind}, sha256 {model.sha256}.")
    typer.echo(shown_text(f"It lies in {model.path}."))
    if not model.facts_known:
        typer.echo("It has no strop.json: what it was trained on is not known.")
    for note in notes:
        typer.echo(shown_text(note))


@app.command()
def merge(
    name: Annotated[str, Argument(help="Name of the new adapter.")],
    of: Annotated[str, Option("--of", help="Adapters and weights: v1=0.7,v2=0.3.")],
    method: Annotated[
        str, Option(help="PEFT's merge: svd, cat, linear, ties, dare_ties, ...")
    ] = "svd",
    density: Annotated[
        float, Option(help="Share of values that ties, dare and magnitude_prune keep.")
    ] = 0.5,
    seed: Annotated[int, Option(help="Draws what the dare methods keep.")] = 0,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Merge adapters into a new one, which has learned what each of them has."""
    from rich.console import Console

    from backend.services.models.merging import merge_models, parse_parts
    from training.weights.merging import Merge

    weights, how = parse_parts(of), Merge(method, density, seed)
    installation, project_id = find_project(project)
    with Console(stderr=True).status("Merging ..."):
        merged = merge_models(
            installation.sessions,
            project_id,
            name,
            weights,
            merge=how,
            settings=installation.settings,
        )
    _show_added(merged, ["What its parents were trained on counts as its own."], json=json)


@app.command()
def export(
    name: Annotated[str, Argument(help="Adapter, for example v1.")],
    out: Annotated[Path, Option(help="Folder to make; it must not be there yet.")],
    merged: Annotated[
        bool, Option("--merged", help="Into its base: safetensors, tokeniser, template.")
    ] = False,
    gguf: Annotated[bool, Option("--gguf", help="A GGUF, too, by llama.cpp's script.")] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Write an adapter and its base as one model, for servers that load no adapters."""
    from rich.console import Console

    from backend.errors import InvalidInput
    from backend.services.models.exporting import export_merged, find_converter

    if not merged:
        raise InvalidInput(
            "An adapter is exported merged into its base.",
            hint="Say --merged; strop adapter list --json names the adapter's own folder.",
        )
    converter = find_converter() if gguf else None
    installation, project_id = find_project(project)
    with Console(stderr=True).status("Writing the model ..."):
        written = export_merged(installation.sessions, project_id, name, out, converter=converter)
    if json:
        print_json(written)
        return
    typer.echo(
        shown_text(f"{written.label} and its base lie in {written.folder}, in {written.dtype}.")
    )
    if written.gguf is not None:
        typer.echo(shown_text(f"The GGUF is {written.gguf}."))


@app.command("list")
def list_(
    tried: Annotated[
        bool, Option("--all", help="With the prompts, too, that a search only tried.")
    ] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """List the bases and their adapters with their digests."""
    from backend.services.models.versions import alias_target, list_models

    with in_project(project) as (_, session, found):
        champion = alias_target(session, found.id, "champion")
        rows = [
            {
                "model": model.label,
                "champion": "yes" if champion and champion.id == model.id else "",
                "rank": model.adapter_rank,
                "kind": "checker" if model.is_checker else model.kind,
                "sha256": (model.adapter_sha256 or model.base_sha256)[:12],
                "folder": model.adapter_path or model.base_model,
                "served elsewhere as": model.base_model if model.kind == "served" else "",
                "trained here": "yes" if model.without_prompt.training_run_id else "",
                "added": f"{model.created_at:%Y-%m-%d %H:%M}",
            }
            for model in list_models(session, found.id, tried=tried)
        ]
    if json:
        print_json(rows)
    else:
        shown = [column for column in rows[0] if column != "folder"] if rows else ["model"]
        print_table(rows, columns=shown)


@app.command()
def preflight(
    name: Annotated[str, Argument(help="Model or candidate, for example v1 or v1+brief@2.")],
    dataset: Annotated[str, Option(help="Dataset whose prompts are the probes.")],
    engine: Annotated[
        str | None, Option(help="local or vllm; a model served elsewhere has its own.")
    ] = None,
    max_tokens: Annotated[
        int, Option(min=1, help="Of a model served elsewhere: longest answer, as of the run.")
    ] = 128,
    temperature: Annotated[
        float, Option(min=0, help="Of one served elsewhere, which may take no other.")
    ] = 0.0,
    top_p: Annotated[float, Option(help="Of one served elsewhere: nucleus.")] = 1.0,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Check that what would be served is this model; exit code 2 when that is not shown."""
    from backend.engines import open_engine
    from backend.engines.base import SamplingParams
    from backend.errors import EngineError, EngineUnavailable, InvalidInput
    from backend.jobs.preflight import check_and_record, refuse_models
    from backend.services.models.versions import (
        find_model,
        register_base,
        require_weights,
        served_model,
    )
    from backend.tables.models import ModelKind

    params = SamplingParams(max_tokens=max_tokens, temperature=temperature, top_p=top_p)
    with in_project(project) as (installation, session, found):
        model = find_model(session, found.id, name, checkers=True)
        bare = model.without_prompt
        if bare.kind != ModelKind.SERVED:
            require_weights(bare, "check")
        chosen = engine_for(bare, engine, installation.settings.engine)
        models = [bare.engine_base or register_base(session, found.id), bare]
        probes = _probes(session, found.id, dataset, model, installation.settings)
    settings, sessions = installation.settings, installation.sessions
    models = list(dict.fromkeys(models))
    asked = [model] if model.is_base else [*models[:-1], model]
    with open_engine(chosen, settings) as opened:
        try:
            opened.load([served_model(model) for model in models])
        except EngineUnavailable:
            raise
        except (EngineError, InvalidInput) as error:
            raise refuse_models(sessions, opened.name, models, error) from error
        report = check_and_record(
            sessions, opened, models[0], asked, probes, settings=settings, params=params
        )
    _show_checks(report, json=json)
    raise typer.Exit(0 if report.passed else 2)


def _show_checks(report: PreflightReport, *, json: bool) -> None:
    rows = [asdict(check) for check in report.checks]
    said = {True: "passed", False: "FAILED", None: "note"}
    shown = [{**row, "state": said[row["passed"]]} for row in rows]
    print_rows(
        shown,
        columns=["name", "state", "detail"],
        json=json,
        whole={"passed": report.passed, "checks": rows},
    )


def _probes(
    session: Session, project_id: int, dataset: str, model: ModelVersion, settings: Settings
) -> list[list[dict[str, str]]]:
    """Examples of a dataset as this candidate is asked them."""
    from backend.services.datasets.prompts.shots import render_all
    from backend.services.datasets.versions import get_dataset_version, list_examples
    from backend.services.models.adapter_files import project_artifacts
    from backend.services.models.preflight.report import PROBES

    version = get_dataset_version(session, project_id, dataset)
    examples = list_examples(session, version.id)[: 4 * PROBES]
    encoders = project_artifacts(settings, project_id)
    return render_all(session, project_id, examples, model.prompt, encoders=encoders)
