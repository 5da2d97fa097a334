"""Prompts: their versions, what they say, and what they make of an example."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import CurrentUser, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.errors import NotFound
from backend.schemas.prompts import PromptDiff, PromptIn, PromptOut, RenderedPrompt
from backend.services.datasets.prompts import prompts
from backend.services.datasets.prompts.shots import render_all
from backend.services.models.adapter_files import project_artifacts
from backend.tables.datasets import Example
from backend.tables.models import Prompt

router = APIRouter(tags=["prompts"])


def _show(prompt: Prompt) -> PromptOut:
    return PromptOut.of(prompt, source=prompts.dump_prompt(prompts.prompt_spec(prompt)))


@router.get("/projects/{project_id}/prompts")
def list_prompts(project_id: int, session: SessionDep, tried: bool = False) -> list[PromptOut]:
    """All versions of all prompts, by name and version; those that a search only tried if asked."""
    return [_show(one) for one in prompts.list_prompts(session, project_id, tried=tried)]


@router.post("/projects/{project_id}/prompts", status_code=201)
def add_prompt(
    project_id: int, body: PromptIn, session: SessionDep, user: CurrentUser, once: OnceDep
) -> PromptOut:
    """A prompt in YAML as the next version of its name; the same content is what stands."""
    spec = prompts.parse_prompt(body.source)
    row = prompts.add_prompt(session, project_id, body.name, spec, created_by_id=user.id)
    return once.answer(_show(row))


@router.get("/prompts/{prompt_id}")
def show_prompt(prompt_id: int, session: SessionDep) -> PromptOut:
    """One version of a prompt."""
    return _show(session.get_one(Prompt, prompt_id))


@router.get("/prompts/{prompt_id}/diff")
def diff_prompts(
    prompt_id: int, session: SessionDep, against: Annotated[int, Query(ge=1, le=2**31 - 1)]
) -> PromptDiff:
    """What differs from an older prompt of the project, as a unified diff."""
    new, old = session.get_one(Prompt, prompt_id), session.get(Prompt, against)
    if old is None or old.project_id != new.project_id:
        raise NotFound(f"The project has no prompt {against}.")
    lines = prompts.diff_prompts(old, new)
    return PromptDiff(old=old.label, new=new.label, lines=lines)


@router.get("/prompts/{prompt_id}/messages")
def render_prompt(
    prompt_id: int,
    session: SessionDep,
    serving: ServingDep,
    example_id: Annotated[int, Query(ge=1, le=2**31 - 1)],
) -> RenderedPrompt:
    """The messages that the prompt makes of an example."""
    prompt = session.get_one(Prompt, prompt_id)
    example = session.get(Example, example_id)
    if example is None or example.dataset_version.dataset.project_id != prompt.project_id:
        raise NotFound(f"The project has no example {example_id}.")
    encoders = project_artifacts(serving.settings, prompt.project_id)
    (messages,) = render_all(session, prompt.project_id, [example], prompt, encoders=encoders)
    replaced = prompts.replaces_system(example, prompts.prompt_spec(prompt))
    return RenderedPrompt(
        prompt=prompt.label,
        example=example.external_id,
        messages=messages,
        system_replaced=replaced,
    )
