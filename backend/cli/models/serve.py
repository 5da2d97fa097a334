"""`strop serve`: a vLLM server that holds the base and the adapters named, until it is stopped.

Runs point at it through STROP_VLLM_URL. Adapters are models of the project (`v1`, `v1@2`, an
alias), or NAME=FOLDER, which needs no database.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from backend.cli.common import in_project
from backend.cli.inputs import names_in
from backend.cli.options import HomeOption, ProjectOption
from backend.cli.terminal.printing import print_json
from backend.errors import InvalidInput

if TYPE_CHECKING:
    from backend.engines.base import ServedModel
    from backend.settings import Settings


def command(
    models: Annotated[
        str, Option(help="Comma-separated: base, v1, v1@2, champion or NAME=FOLDER.")
    ] = "base",
    port: Annotated[int, Option(help="Port; 0 picks a free one.")] = 8000,
    host: Annotated[str, Option(help="Address to bind to.")] = "127.0.0.1",
    base_model: Annotated[str | None, Option(help="Base model, when no project is meant.")] = None,
    max_loras: Annotated[int, Option(min=1, help="Different adapters in one batch.")] = 2,
    max_lora_rank: Annotated[
        int | None, Option(help="Largest rank that can be loaded; default: what is needed.")
    ] = None,
    max_model_len: Annotated[
        int | None, Option(help="Tokens of prompt and answer; default: the base's.")
    ] = None,
    project: ProjectOption = None,
    home: HomeOption = None,
    json: Annotated[bool, Option("--json", help="Print address and pid as JSON.")] = False,
) -> None:
    """Start a vLLM server for the base and its adapters; Ctrl-C stops it."""
    from backend.engines.vllm.serve import ServerPlan, vllm_server
    from backend.settings import LOCAL_ADDRESSES, child_environment, load_settings

    settings = load_settings(home=home, base_model=base_model)
    if host not in LOCAL_ADDRESSES and settings.vllm_api_key is None:
        raise InvalidInput(
            f"{host} can be reached from other machines.", hint="Set STROP_VLLM_API_KEY first."
        )
    base, adapters = resolve_models(models, settings, project=project, alone=base_model is not None)
    plan = ServerPlan(
        base,
        settings.home / "vllm.log",
        adapters,
        host=host,
        port=port,
        max_loras=max(max_loras, len(adapters)),
        max_lora_rank=max_lora_rank,
        max_model_len=max_model_len,
    )
    key = settings.vllm_api_key
    token = {} if key is None else {"VLLM_API_KEY": key.get_secret_value()}
    environment = child_environment(settings, **token)
    with _ending_on_sigterm(), _progress() as tell:
        server = vllm_server(plan, environment=environment, on_wait=tell)
        with server as running:
            tell(-1.0)
            if json:
                print_json({"url": running.url, "pid": running.pid, "log": str(running.log_path)})
            else:
                typer.echo(f"vLLM answers at {running.url} after {running.startup_s:.0f} s.")
                typer.echo(f"Use it with STROP_VLLM_URL={running.url}; its log: {plan.log_path}")
            sys.stdout.flush()
            running.wait()


def resolve_models(
    names: str, settings: Settings, *, project: str | None, alone: bool
) -> tuple[ServedModel, list[ServedModel]]:
    """The base and the adapters that a comma-separated list means.

    Args:
        alone: look at no database; the base is that of the settings.

    Raises:
        NotFound: a name that the project does not have.
    """
    from backend.engines.base import ServedModel

    named = names_in(names)
    wanted = [name for name in named if name != "base"]
    of_project = [name for name in wanted if "=" not in name]
    file = settings.database_file
    missing = file is not None and not file.exists()
    if alone or (not of_project and missing):
        if of_project:
            raise InvalidInput(
                f"{', '.join(of_project)}: models of a project cannot be named with --base-model.",
                hint="Write NAME=FOLDER, or leave --base-model out.",
            )
        base = ServedModel("base", settings.base_model)
        adapters: list[ServedModel] = []
    else:
        here = ["base", *of_project] if "base" in named else of_project
        base, adapters = _models_of_project(here, settings, project)
    for name in wanted:
        if "=" in name:
            label, _, folder = name.partition("=")
            adapters.append(ServedModel(label, base.base_model, Path(folder)))
    return base, adapters


def _models_of_project(
    names: list[str], settings: Settings, project: str | None
) -> tuple[ServedModel, list[ServedModel]]:
    from backend.services.models.versions import (
        find_model,
        require_weights,
        served_model,
        serving_groups,
    )

    with in_project(project, home=settings.home) as (_, session, found):
        named = [find_model(session, found.id, name, checkers=True) for name in names]
        named = [model.without_prompt for model in named]
        chosen = list(dict.fromkeys(named))
        for model in chosen:
            require_weights(model, "serve")
        groups = serving_groups(find_model(session, found.id, "base"), chosen)
        if len(groups) > 1:
            first = groups[-1][0]
            raise InvalidInput(
                f"{first.label} is a base of its own and needs a server of its own.",
                hint="strop serve --port 0 --models "
                + ",".join(model.label for model in groups[-1]),
            )
        base, *adapters = [served_model(model) for model in groups[0]]
    return base, adapters


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that the server is stopped on the way out."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """A line on the terminal that counts the seconds; told -1 when it is over."""
    from rich.console import Console

    status = Console(stderr=True).status("Starting vLLM (half a minute to two minutes) ...")

    def tell(seconds: float) -> None:
        if seconds < 0:
            status.stop()
        else:
            status.update(f"Starting vLLM: {seconds:.0f} s (half a minute to two minutes)")

    with status:
        yield tell
