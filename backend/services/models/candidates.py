"""Candidates: a model with a prompt, as a model version of its own.

What is run, reviewed, compared and promoted speaks of model versions, so that a model with a prompt
is one: it repeats the columns of its model, but for the training run, which is its model's alone.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound
from backend.services.projects import lock_project
from backend.tables.models import BASE, WITH, ModelVersion, Prompt

MOST_NAME = 80
_REPEATED = (
    "project_id",
    "kind",
    "base_model",
    "base_sha256",
    "tokenizer_sha256",
    "template_sha256",
    "adapter_path",
    "adapter_sha256",
    "adapter_rank",
    "training_facts",
)


def with_prompt(session: Session, model: ModelVersion, prompt: Prompt) -> ModelVersion:
    """The candidate of a model and a prompt, made the first time that somebody names it.

    Of a model that has a prompt already, the new one takes its place.

    Raises:
        NotFound: this session only reads, and nobody has named the candidate before.
        InvalidInput: the two names together are too long, or the model is a checker.
    """
    bare = model.without_prompt
    require_answers(bare, "give a prompt to")
    if (found := _find(session, bare, prompt)) is not None:
        return found
    if session.connection().get_execution_options().get("read_only"):
        raise NotFound(
            f"{candidate_label(bare, prompt)} was never run.",
            hint=f"strop run --models {candidate_label(bare, prompt)}",
        )
    lock_project(session, bare.project_id)  # of two at once, the second finds it
    return _find(session, bare, prompt) or _make(session, bare, prompt)


def require_answers(model: ModelVersion, act: str) -> None:
    """Raise InvalidInput for a checker, which is no candidate.

    Args:
        act: what was to be done with it: "compare", "train from".
    """
    if model.is_checker:
        raise InvalidInput(
            f"{model.label} is a checker: it says whether a source supports a sentence, which "
            f"is no answer to {act}.",
            hint=f"Use it as a metric: strop run --metrics {model.check_name}",
        )


def candidate_label(model: ModelVersion, prompt: Prompt) -> str:
    """How people write the candidate of a model and a prompt: `base:v1@2+brief@3`."""
    return f"{model.without_prompt.label}{WITH}{prompt.label}"


def candidates_of(session: Session, model_id: int) -> list[ModelVersion]:
    """The candidates that a model is, with prompts, in the order in which they were made."""
    query = select(ModelVersion).where(ModelVersion.bare_id == model_id)
    return list(session.scalars(query.order_by(ModelVersion.id)))


def candidates_with(session: Session, prompt_id: int) -> list[ModelVersion]:
    """The candidates that have a prompt."""
    query = select(ModelVersion).where(ModelVersion.prompt_id == prompt_id)
    return list(session.scalars(query.order_by(ModelVersion.id)))


def _find(session: Session, bare: ModelVersion, prompt: Prompt) -> ModelVersion | None:
    asked = select(ModelVersion).where(ModelVersion.prompt_id == prompt.id)
    return session.scalar(asked.where(ModelVersion.bare_id == bare.id))


def _make(session: Session, bare: ModelVersion, prompt: Prompt) -> ModelVersion:
    model = BASE if bare.name == BASE else f"{bare.name}@{bare.revision}"
    name = f"{model}{WITH}{prompt.name}"
    if len(name) > MOST_NAME:
        raise InvalidInput(
            f"{name} is longer than {MOST_NAME} signs.", hint="Give the prompt a shorter name."
        )
    row = ModelVersion(
        name=name,
        revision=prompt.version,
        bare=bare,
        prompt=prompt,
        base=bare.base,
        **{column: getattr(bare, column) for column in _REPEATED},
    )
    session.add(row)
    session.flush()
    return row
