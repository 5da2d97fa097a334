"""Prompts: versioned, hashed, and the one rendering from (example, prompt, shots) to messages.

    system: You answer as a support agent. Never promise a date.
    template: |
      Classify this ticket.

      {{ input }}
    shots:
      k: 4
      choose: bm25

Generation, training, preflights and previews all render through `render_messages`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

import yaml
from pydantic import Field, ValidationError, model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.engines.base import Message
from backend.errors import InvalidInput, NotFound, UnknownName
from backend.schemas.common import RequestBody, row_number, unstorable
from backend.services.datasets.conversations import Prompted, chat_messages, prompt_text
from backend.services.datasets.leaks import refuse_leaking_texts
from backend.services.datasets.prompts.templates import (
    TemplateRefused,
    compile_template,
    render_template,
)
from backend.services.datasets.queries import in_project
from backend.services.projects import lock_project
from backend.tables.datasets import Dataset, DatasetVersion, Example, Split
from backend.tables.models import WITH, Prompt

BEST_PROMPT = "best-prompt"
"""The name under which a search keeps what it chose, unless another is given."""
MOST_SHOTS = 64
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


class Choose(StrEnum):
    """How shots are chosen: the same ones for all, or those that are most like what is asked."""

    FIXED = "fixed"
    BM25 = "bm25"
    ENCODER = "encoder"


class ShotsSpec(RequestBody):
    """Which solved examples stand before the question; they come from the train split alone."""

    k: int = Field(ge=0, le=MOST_SHOTS, strict=True, description="How many.")
    choose: Choose = Field(Choose.FIXED, description="fixed, bm25 or encoder.")
    ids: tuple[str, ...] = Field(
        (), description="fixed: these examples, by the ids of their file; else drawn by the seed."
    )
    seed: int = Field(7, ge=0, lt=2**32, strict=True, description="fixed: which are drawn.")
    encoder: str | None = Field(None, description="encoder: its folder among the project's files.")

    @model_validator(mode="after")
    def _says_what_it_needs(self) -> ShotsSpec:
        if self.ids and (self.choose is not Choose.FIXED or len(set(self.ids)) != self.k):
            raise ValueError("ids name k different fixed shots")
        if (self.choose is Choose.ENCODER) != bool(self.encoder):
            raise ValueError("choose: encoder needs the encoder's name, and nothing else takes one")
        return self


class PromptSpec(RequestBody):
    """What a prompt says: texts are templates over input, context and slices."""

    system: str | None = Field(None, min_length=1, description="System message.")
    template: str | None = Field(
        None,
        min_length=1,
        description="The user's message; default: the input and, below a blank line, the context.",
    )
    shots: ShotsSpec | None = Field(None, description="Solved examples before the question.")

    @property
    def digest(self) -> str:
        """SHA-256 of what it says; the order of keys and comments do not matter."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    def without_shots(self) -> PromptSpec:
        """The same wording with nothing solved before it."""
        return self.model_copy(update={"shots": None})


class TemplateFields(Prompted, Protocol):
    """What a template can show of an example."""

    @property
    def slices(self) -> Mapping[str, Any]: ...


def parse_prompt(source: str) -> PromptSpec:
    """Read a prompt from YAML.

    Raises:
        InvalidInput: not YAML, an unknown key (the nearest are named), a value of another kind, or
            a template that cannot be read, with its line.
    """
    try:
        content = yaml.safe_load(source)
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInput(f"The prompt is not YAML: {' '.join(str(error).split())}.") from error
    return prompt_from_content(content)


def prompt_from_content(content: object) -> PromptSpec:
    """Build a prompt from plain values; errors as `parse_prompt`."""
    if not isinstance(content, dict):
        keys = ", ".join(PromptSpec.model_fields)
        raise InvalidInput("The prompt is no mapping.", hint=f"Its keys: {keys}.")
    content = _with_train_split(content)
    try:
        spec = PromptSpec.model_validate(content)
    except ValidationError as error:
        raise _refusal(error) from error
    if spec.system is None and spec.template is None and spec.shots is None:
        raise InvalidInput("The prompt says nothing.", hint="Give system, template or shots.")
    for part in ("system", "template"):
        text = getattr(spec, part)
        try:
            if text is not None:
                compile_template(text)
        except TemplateRefused as error:
            raise InvalidInput(f"The prompt is wrong at {part}: {error}.") from error
    no_shots = spec.shots is not None and spec.shots.k == 0
    return spec.without_shots() if no_shots else spec


def _with_train_split(content: dict[str, Any]) -> dict[str, Any]:
    """A prompt may say that its shots are of the train split; of no other one they can be."""
    shots = content.get("shots")
    if not isinstance(shots, dict) or "split" not in shots:
        return content
    if shots["split"] != Split.TRAIN:
        raise InvalidInput(
            f"The prompt takes its shots from the {shots['split']} split.",
            hint="Shots come from the train split only: what is held out would be told.",
        )
    return {**content, "shots": {key: v for key, v in shots.items() if key != "split"}}


def _refusal(error: ValidationError) -> InvalidInput:
    first = error.errors(include_url=False, include_input=False)[0]
    *path, last = first["loc"] or ("the top",)
    keys: Mapping[str, Any] = (ShotsSpec if path else PromptSpec).model_fields
    if first["type"] == "extra_forbidden":
        return UnknownName("key of a prompt", str(last), keys)
    place = ".".join(str(part) for part in first["loc"]) or "the top"
    return InvalidInput(
        f"The prompt is wrong at {place}: {first['msg']}.", hint=f"Its keys: {', '.join(keys)}."
    )


def dump_prompt(spec: PromptSpec) -> str:
    """The prompt as YAML that `parse_prompt` reads back."""
    content = spec.model_dump(mode="json", exclude_defaults=True)
    return yaml.dump(content, Dumper=_AsWritten, sort_keys=False, allow_unicode=True, width=100)


class _AsWritten(yaml.SafeDumper):
    """Texts of several lines as blocks, as people write them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_AsWritten.add_representer(str, _text)


def render_messages(
    example: TemplateFields,
    spec: PromptSpec | None,
    shots: Sequence[Example] = (),
    *,
    name: str = "",
) -> list[dict[str, str]]:
    """What a model is asked: the system message, the shots as turns, then the example.

    Of a conversation, the template is put over the last message of the user, as `input`; the other
    turns stay as they are. The prompt's system message takes the place of the conversation's own.
    Without a prompt it is `chat_messages`.

    Args:
        shots: each with a reference, which is the answer shown.
        name: of the prompt and the example, for the sentence of an error.

    Raises:
        InvalidInput: the example lacks what the prompt shows.
    """
    if spec is None:
        return chat_messages(example)
    turns = _turns(example, spec, name)
    own_system = turns.pop(0) if turns[0]["role"] == "system" else None
    solved: list[dict[str, str]] = []
    for shot in shots:
        solved += [turn for turn in _turns(shot, spec, name) if turn["role"] != "system"]
        solved.append({"role": "assistant", "content": str(shot.references[0])})
    if spec.system is not None:
        own_system = {"role": "system", "content": _render(spec.system, example, name=name)}
    return [*([own_system] if own_system else []), *solved, *turns]


def _turns(example: TemplateFields, spec: PromptSpec, name: str) -> list[dict[str, str]]:
    if spec.template is None:
        return chat_messages(example)
    asked: Sequence[Message] = example.messages or [{"role": "user", "content": example.input}]
    turns = [dict(turn) for turn in asked]
    last = next(turn for turn in reversed(turns) if turn["role"] == "user")
    last["content"] = _render(spec.template, example, text=last["content"], name=name)
    return turns


def _render(
    template: str, example: TemplateFields, *, text: str | None = None, name: str = ""
) -> str:
    text = _last_question(example) if text is None else text
    what = f"The prompt {name}" if name else "The prompt"
    try:
        rendered = render_template(
            template, input=text, context=example.context, slices=example.slices
        )
    except TemplateRefused as error:
        raise InvalidInput(f"{what} cannot be rendered: {error}.") from error
    if fault := unstorable(rendered) if rendered.strip() else "nothing is left to ask":
        raise InvalidInput(f"{what} cannot be rendered: {fault}.")
    return rendered


def replaces_system(example: Prompted, spec: PromptSpec | None) -> bool:
    """Whether the prompt's system message takes the place of the conversation's own."""
    own = bool(example.messages) and example.messages[0]["role"] == "system"  # type: ignore[index]
    return own and spec is not None and spec.system is not None


def prompt_spec(prompt: Prompt) -> PromptSpec:
    """What a stored prompt says."""
    return PromptSpec.model_validate(prompt.spec)


def check_prompt_name(name: str) -> None:
    """Raise InvalidInput for what cannot name a prompt."""
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot name a prompt.",
            hint=f"Letters, digits, _ . and -, at most 40 signs; {WITH} and @ stand behind it.",
        )


def add_prompt(
    session: Session,
    project_id: int,
    name: str,
    spec: PromptSpec,
    *,
    created_by_id: int | None = None,
    search: Mapping[str, Any] | None = None,
    like: Prompt | None = None,
    tried: bool = False,
) -> Prompt:
    """Keep a prompt: the same content is the version that stands, other content the next one.

    Args:
        search: what a search tried, where one chose this prompt.
        like: a prompt of the same wording, which was looked through when it was kept.
        tried: made by a search; who adds it by hand after that has it in the lists.

    Raises:
        InvalidInput: the name cannot be one, or a shot is named that is held out.
        LeakRefused: it holds a text that is held out.
    """
    check_prompt_name(name)
    lock_project(session, project_id)
    _refuse_held_out_shots(session, project_id, spec)
    if like is None:
        refuse_leaking_wording(session, project_id, {name: spec})
    newest = _find(session, project_id, name)
    if newest is not None and newest.digest == spec.digest:
        _keep_search(newest, search)
        newest.tried = newest.tried and tried
        return newest
    row = Prompt(
        project_id=project_id,
        name=name,
        version=1 if newest is None else newest.version + 1,
        digest=spec.digest,
        spec=spec.model_dump(mode="json"),
        search=None if search is None else dict(search),
        tried=tried,
        created_by_id=created_by_id,
    )
    session.add(row)
    session.flush()
    return row


def _keep_search(prompt: Prompt, search: Mapping[str, Any] | None) -> None:
    """Put another search that chose the same wording before those that did so already."""
    known = prompt.search
    if search is None or (known and known["score_run"] == search["score_run"]):
        return
    before = [{**known, "earlier": []}, *known.get("earlier", [])] if known else []
    prompt.search = {**search, "earlier": before}


def refuse_leaking_wording(
    session: Session, project_id: int, specs: Mapping[str, PromptSpec]
) -> None:
    """Raise LeakRefused where a wording itself holds a text that is held out by now.

    Args:
        specs: by the labels of the prompts.
    """
    parts = {f"The prompt {name}": (spec.system, spec.template) for name, spec in specs.items()}
    refuse_leaking_texts(
        session, project_id, {k: "\n".join(filter(None, v)) for k, v in parts.items()}
    )


def _refuse_held_out_shots(session: Session, project_id: int, spec: PromptSpec) -> None:
    ids = spec.shots.ids if spec.shots is not None else ()
    told = select(Example.external_id, Example.split, Dataset.name, DatasetVersion.number)
    query = in_project(told, project_id).where(Example.external_id.in_(ids))
    found = session.execute(query.order_by(Example.id.desc())).all()
    trained = {row.external_id for row in found if row.split == Split.TRAIN}
    for shot, split, dataset, number in found:
        if shot not in trained:
            raise InvalidInput(
                f"The shot {shot!r} is in the {split} split of {dataset}@{number}.",
                hint="Shots come from the train split only: what is held out would be told.",
            )


def find_prompt(session: Session, project_id: int, label: str) -> Prompt:
    """The prompt that people mean by `brief` (its newest version) or `brief@2`.

    Raises:
        NotFound: there is none.
    """
    name, at, version = label.partition("@")
    number = row_number(version) if at else None
    found = None if at and number is None else _find(session, project_id, name, number)
    if found is None:
        known = [prompt.label for prompt in list_prompts(session, project_id)]
        near = difflib.get_close_matches(label, known, n=3, cutoff=0.4)
        names = ", ".join(dict.fromkeys([*near, *known[-10:]]))
        raise NotFound(
            f"There is no prompt {label[:80]!r}.",
            hint=f"Known: {names}." if known else "Add one: strop prompt add FILE",
        )
    return found


def _find(
    session: Session, project_id: int, name: str, version: int | None = None
) -> Prompt | None:
    query = select(Prompt).where(Prompt.project_id == project_id, Prompt.name == name)
    if version is not None:
        query = query.where(Prompt.version == version)
    return session.scalar(query.order_by(Prompt.version.desc()).limit(1))


def list_prompts(session: Session, project_id: int, *, tried: bool = False) -> list[Prompt]:
    """All versions of all prompts of a project, by name and version.

    Args:
        tried: those too that a search tried and nobody added.
    """
    query = select(Prompt).where(Prompt.project_id == project_id)
    if not tried:
        query = query.where(Prompt.tried.is_(False))
    return list(session.scalars(query.order_by(Prompt.name, Prompt.version)))


def diff_prompts(old: Prompt, new: Prompt) -> list[str]:
    """Lines of a unified diff of the two as YAML; none where they say the same."""
    one, other = (dump_prompt(prompt_spec(prompt)).splitlines() for prompt in (old, new))
    return list(difflib.unified_diff(one, other, old.label, new.label, lineterm=""))


def example_text(example: Prompted) -> str:
    """What shots are chosen by: the last message of the user, and the source below it."""
    return prompt_text(_last_question(example), example.context)


def _last_question(example: Prompted) -> str:
    turns = example.messages or ()
    return next((t["content"] for t in reversed(turns) if t["role"] == "user"), example.input)
