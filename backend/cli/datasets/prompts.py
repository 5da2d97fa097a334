"""`strop prompt add|list|show|diff|try|search`: versioned prompts, and which of them is best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project, read_base_first
from backend.cli.inputs import distinct_names, read_text
from backend.cli.options import JsonOption, ProjectOption, group
from backend.cli.terminal.printing import (
    count_of,
    print_json,
    print_result,
    print_rows,
    print_shown,
    print_table,
    shown_text,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.services.runs.prompt_search import SearchPlan
    from backend.settings import Settings
    from backend.tables.datasets import Example
    from backend.tables.models import ModelVersion, Prompt

app = group("Prompts in versions.")
PromptArgument = Annotated[str, Argument(help="Prompt, for example brief or brief@2.")]
ChooseOption = Annotated[str, Option(help="How to choose shots: bm25, fixed, encoder.")]
EncoderOption = Annotated[
    str | None, Option(help="Folder among the project's files, for --choose encoder.")
]
DatasetOption = Annotated[str, Option(help="Dataset, for example tickets or tickets@2.")]


@app.command()
def add(
    file: Annotated[Path, Argument(help="YAML file.", exists=True, dir_okay=False)],
    name: Annotated[str | None, Option(help="Its name; default: the file's.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Keep a prompt: changed content is the next version, the same is the one that stands."""
    from backend.services.datasets.prompts.prompts import add_prompt, parse_prompt

    source = read_text(file)
    spec = parse_prompt(source)
    with in_project(project) as (_, session, found):
        record = _record(add_prompt(session, found.id, name or file.stem, spec))
    print_result(record, f"{record['prompt']}, sha256 {record['digest']}.", json=json)


@app.command("list")
def list_(
    tried: Annotated[bool, Option("--all", help="Those too that a search tried.")] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """All versions of all prompts, but for those that a search only tried."""
    from backend.services.datasets.prompts.prompts import list_prompts

    with in_project(project) as (_, session, found):
        rows = [_record(prompt) for prompt in list_prompts(session, found.id, tried=tried)]
    shown = [{**row, "digest": row["digest"][:12]} for row in rows]
    print_rows(
        shown, columns=["prompt", "digest", "shots", "searched", "added"], json=json, whole=rows
    )


@app.command()
def show(name: PromptArgument, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Show what a prompt says, and what a search tried that chose it."""
    from backend.services.datasets.prompts.prompts import dump_prompt, find_prompt, prompt_spec

    with in_project(project) as (_, session, found):
        prompt = find_prompt(session, found.id, name)
        record = {**_record(prompt), "spec": prompt.spec, "search": prompt.search}
        text = dump_prompt(prompt_spec(prompt))
    if json:
        print_json(record)
        return
    typer.echo(f"{record['prompt']}, sha256 {record['digest']}, added {record['added']}.\n")
    typer.echo(shown_text(text))
    if prompt.search:
        print_search(prompt.search)


@app.command()
def diff(
    old: PromptArgument,
    new: Annotated[str, Argument(help="The prompt to hold it against.")],
    project: ProjectOption = None,
) -> None:
    """Show what differs between two prompts; exit code 2 when something does."""
    from backend.services.datasets.prompts.prompts import diff_prompts, find_prompt

    with in_project(project) as (_, session, found):
        one, other = (find_prompt(session, found.id, name) for name in (old, new))
        lines = diff_prompts(one, other)
    typer.echo(shown_text("\n".join(lines)) or "No difference.")
    raise typer.Exit(2 if lines else 0)


@app.command("try")
def try_(
    name: PromptArgument,
    dataset: DatasetOption,
    example: Annotated[
        str | None, Option(help="Example by its id; default: the first to validate with.")
    ] = None,
    model: Annotated[str | None, Option(help="Have this model answer, too.")] = None,
    max_tokens: Annotated[int, Option(min=1, help="Most tokens of the answer.")] = 128,
    engine: Annotated[str | None, Option(help="local or vllm; default: settings.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show the messages that a prompt makes of an example, and how many tokens they are."""
    from backend.engines import ELSEWHERE
    from backend.engines.prompts import encode_prompt, load_tokenizer
    from backend.services.datasets.prompts.prompts import find_prompt, prompt_spec, replaces_system
    from backend.services.datasets.prompts.shots import render_all
    from backend.services.models.adapter_files import project_artifacts
    from backend.services.models.versions import find_model
    from backend.tables.models import ModelKind

    with in_project(project) as (installation, session, found):
        prompt = find_prompt(session, found.id, name)
        asked = _example(session, found.id, dataset, example)
        encoders = project_artifacts(installation.settings, found.id)
        (messages,) = render_all(session, found.id, [asked], prompt, encoders=encoders)
        answers = None if model is None else find_model(session, found.id, model).without_prompt
        base_model = found.base_model if answers is None else answers.base_model
        replaced = replaces_system(asked, prompt_spec(prompt))
    elsewhere = answers is not None and answers.kind == ModelKind.SERVED
    tokens = None if elsewhere else len(encode_prompt(load_tokenizer(base_model), messages))
    record: dict[str, Any] = {
        "prompt": prompt.label,
        "example": asked.external_id,
        "messages": messages,
        "tokens": tokens,
        "system_replaced": replaced,
    }
    if answers is not None:
        settings = installation.settings
        chosen = ELSEWHERE if elsewhere else engine or settings.engine
        record["answer"] = _answer(answers, messages, chosen, settings, max_tokens)
    print_shown(record, _print_tried, json=json)


@app.command()
def search(
    dataset: DatasetOption,
    prompts: Annotated[str, Option(help="Wordings to try: brief,long@2.")],
    metric: Annotated[str, Option(help="What the best is chosen by, for example f1.")],
    model: Annotated[str, Option(help="Model that is asked.")] = "base",
    k: Annotated[str, Option("--k", help="Numbers of shots to try.")] = "0,4,8",
    choose: ChooseOption = "bm25,fixed",
    encoder: EncoderOption = None,
    name: Annotated[str, Option(help="Name that the best prompt is kept under.")] = ("best-prompt"),
    limit: Annotated[int | None, Option(min=1, help="Only so many examples.")] = None,
    max_tokens: Annotated[int, Option(min=1, help="Longest answer in tokens.")] = 128,
    seed: Annotated[int, Option(help="Seed of --limit.")] = 0,
    engine: Annotated[str | None, Option(help="local or vllm.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Try wordings and shots on the validation split, and keep the best as a prompt."""
    from backend.cli.terminal.waiting import run_jobs
    from backend.engines.base import SamplingParams
    from backend.services.datasets.prompts.prompts import check_prompt_name
    from backend.services.datasets.versions import find_version
    from backend.services.metric_specs import allowed_metrics
    from backend.services.models.adapter_files import project_artifacts
    from backend.services.models.versions import find_model
    from backend.services.runs.prompt_search import check_kept_name, conclude_search, start_search

    check_prompt_name(name)
    plan = _plan(prompts, k, choose, metric, limit, encoder)
    read_base_first(project)
    with in_project(project) as (installation, session, found):
        asked = find_model(session, found.id, model)
        check_kept_name(asked, name)
        begun = start_search(
            session,
            asked,
            find_version(session, found.id, dataset),
            plan,
            engine=engine or installation.settings.engine,
            params=SamplingParams(max_tokens=max_tokens, seed=seed),
            allowed=allowed_metrics(installation.settings, found.id),
            encoders=project_artifacts(installation.settings, found.id),
        )
    stop = f"strop job cancel run {begun.run_id}"
    typer.echo(f"Run {begun.run_id} is queued; to stop it: {stop}", err=True)
    sessions, settings = installation.sessions, installation.settings
    run_jobs(sessions, settings, [begun.job_id], quiet=json)
    with sessions.begin() as session:
        kept, record = conclude_search(session, begun.score_run_id, name=name)
    if json:
        print_json({"prompt": kept.label, **record})
        return
    print_search(record)
    typer.echo(f"Kept as {kept.label}: strop run --models {model}+{kept.label} --split test")


def _plan(
    prompts: str, k: str, choose: str, metric: str, limit: int | None, encoder: str | None
) -> SearchPlan:
    from backend.errors import InvalidInput, UnknownName
    from backend.schemas.common import whole_number
    from backend.services.datasets.prompts.prompts import Choose
    from backend.services.runs.prompt_search import SearchPlan

    ks = [whole_number(part) for part in distinct_names(k)]
    ways = distinct_names(choose)
    for way in ways:
        if way not in set(Choose):
            raise UnknownName("way to choose shots", way, list(Choose))
    if None in ks:
        raise InvalidInput(f"{k!r} is no list of numbers.", hint="Write --k 0,4,8.")
    return SearchPlan(
        prompts=distinct_names(prompts),
        ks=tuple(number for number in ks if number is not None),
        chosen_by=tuple(Choose(way) for way in ways),
        metric=metric,
        limit=limit,
        encoder=encoder,
    )


def _print_tried(record: dict[str, Any]) -> None:
    for message in record["messages"]:
        typer.echo(f"[{message['role']}]\n{shown_text(message['content'])}\n")
    known = record["tokens"] is not None
    size = count_of(record["tokens"], "token", "tokens") if known else "tokens not known here"
    typer.echo(f"Example {record['example']} with {record['prompt']}: {size}.")
    if record["system_replaced"]:
        typer.echo("Its own system message is replaced by the prompt's.")
    if "answer" in record:
        typer.echo(f"\n[answer]\n{shown_text(record['answer'])}")


def _answer(
    model: ModelVersion,
    messages: list[dict[str, str]],
    engine: str,
    settings: Settings,
    max_tokens: int,
) -> str:
    """What the model answers, greedily."""
    from backend.engines import open_engine
    from backend.engines.base import GenerationRequest, SamplingParams, ServedModel
    from backend.errors import EngineError
    from backend.services.models.versions import served_model

    served = served_model(model)
    models = [served]
    if served.adapter_path is not None:
        other = model.engine_base
        base = ServedModel("base", model.base_model) if other is None else served_model(other)
        models = [base, served]
    request = GenerationRequest("try", served.name, messages)
    with open_engine(engine, settings) as opened:
        opened.load(models)
        (result,) = opened.generate([request], SamplingParams(max_tokens=max_tokens))
    if result.text is None:
        raise EngineError(f"{model.label} gave no answer: {result.error}")
    return result.text


def _example(session: Session, project_id: int, dataset: str, external_id: str | None) -> Example:
    from backend.errors import NotFound
    from backend.services.datasets.versions import find_version, list_examples
    from backend.tables.datasets import Split

    version = find_version(session, project_id, dataset)
    examples = list_examples(session, version.id)
    if external_id is not None:
        found = next((e for e in examples if e.external_id == external_id), None)
        if found is None:
            raise NotFound(
                f"{dataset} has no example {external_id!r}.", hint=f"Try {examples[0].external_id}."
            )
        return found
    return next((e for e in examples if e.split == Split.VALIDATION), examples[0])


def _record(prompt: Prompt) -> dict[str, Any]:
    shots = prompt.spec.get("shots")
    return {
        "prompt": prompt.label,
        "digest": prompt.digest,
        "shots": f"{shots['k']} {shots['choose']}" if shots else "",
        "searched": "yes" if prompt.search else "",
        "added": f"{prompt.created_at:%Y-%m-%d %H:%M}",
    }


def print_search(record: dict[str, Any]) -> None:
    """What a search tried, the best first, and what its figures are worth."""
    columns = ["candidate", "metric", "value", "low", "high", "n", "failed", "tokens in"]
    print_table(record["tried"], columns=columns, title=record["title"])
    for note in record["notes"]:
        typer.echo(note)
