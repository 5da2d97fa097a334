"""Model versions (`base` or `base:adapter@rev`), prompts, candidates, and preflights."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import DatedTable

BASE = "base"
"""The name of a project's base model; no adapter may have it."""
WITH = "+"
"""Between the model and the prompt in the name of a candidate; neither may have it in its name."""


class ModelKind(StrEnum):
    """What is known of a model: its files, a name that a server elsewhere knows, or only texts."""

    WEIGHTS = "weights"
    SERVED = "served"
    OUTPUTS = "outputs"


class ModelPurpose(StrEnum):
    """What a model is for: to answer what the project is about, or to check such answers."""

    ANSWER = "answer"
    CHECK = "check"


CHECKER_PREFIX = "check-"
"""How the names of checkers begin, and no others."""


class Prompt(DatedTable):
    """One immutable version of a prompt; `digest` covers its spec.

    Attributes:
        spec: as `backend.services.datasets.prompts.prompts` reads it: system, template, shots.
        search: of a prompt that `strop prompt search` chose, all that was tried.
        tried: made by a search to be tried, so that lists leave it out unless it is asked for.
    """

    __tablename__ = "prompts"
    __table_args__ = (UniqueConstraint("project_id", "name", "version"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(40))
    version: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64), index=True)
    spec: Mapped[dict[str, Any]]
    search: Mapped[dict[str, Any] | None]
    tried: Mapped[bool] = mapped_column(default=False)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    @property
    def label(self) -> str:
        """How people write it: `brief@2`."""
        return f"{self.name}@{self.version}"


class ModelVersion(DatedTable):
    """A base model of a project, or one revision of an adapter on one or of a full training.

    A fully trained model has a name like an adapter and is a base of its own: its `base_model` is
    its own folder, and it has no adapter. The digests are what registration found;
    `training_facts` is what training recorded in the folder (empty for what was made elsewhere).

    What is run, reviewed, compared and promoted are candidates: a model as it is, or a model with a
    prompt. A model with a prompt is a row of its own, which repeats the columns of its model but
    for the training run: its name is `v1@2+brief`, its revision the version of the prompt.

    Attributes:
        kind: a ModelKind; where it is not `weights`, the digests are empty.
        base_model: folder or hub name of the base; the name that its server knows a `served` model
            by.
        purpose: a ModelPurpose; a checker is no candidate, it is asked by `check:NAME`.
        base_id: of an adapter on another base of the project than its own, that base; it is a base
            or a fully trained model.
        bare_id: of a candidate with a prompt, the model.
    """

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("project_id", "name", "revision"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(80))
    revision: Mapped[int]
    kind: Mapped[str] = mapped_column(String(8), default=ModelKind.WEIGHTS)
    purpose: Mapped[str] = mapped_column(
        String(8), default=ModelPurpose.ANSWER, server_default="answer"
    )
    base_model: Mapped[str]
    base_sha256: Mapped[str] = mapped_column(String(64))
    tokenizer_sha256: Mapped[str] = mapped_column(String(64))
    template_sha256: Mapped[str] = mapped_column(String(64))
    adapter_path: Mapped[str | None]
    adapter_sha256: Mapped[str | None] = mapped_column(String(64))
    adapter_rank: Mapped[int | None]
    training_facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    training_run_id: Mapped[int | None] = mapped_column(ForeignKey("training_runs.id"), unique=True)
    base_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id"))
    bare_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id"))
    prompt_id: Mapped[int | None] = mapped_column(ForeignKey("prompts.id"))

    base: Mapped[ModelVersion | None] = relationship(
        foreign_keys=[base_id], remote_side="ModelVersion.id", lazy="selectin", join_depth=2
    )
    bare: Mapped[ModelVersion | None] = relationship(
        foreign_keys=[bare_id], remote_side="ModelVersion.id", lazy="joined", join_depth=1
    )
    prompt: Mapped[Prompt | None] = relationship(lazy="joined")

    @property
    def without_prompt(self) -> ModelVersion:
        """The model of a candidate, which is itself where it has no prompt."""
        return self.bare or self

    @property
    def only_outputs(self) -> bool:
        """Whether only texts of it are known: it can be judged, not run, served or trained."""
        return self.kind == ModelKind.OUTPUTS

    @property
    def is_checker(self) -> bool:
        """Whether it says of a sentence whether a source supports it, and answers nothing else."""
        return self.purpose == ModelPurpose.CHECK

    @property
    def check_name(self) -> str:
        """The metric that asks a checker: `check:facts@1`."""
        return f"check:{self.name.removeprefix(CHECKER_PREFIX)}@{self.revision}"

    @property
    def prompt_label(self) -> str | None:
        """How people write its prompt: `brief@2`."""
        return None if self.prompt is None else self.prompt.label

    @property
    def is_base(self) -> bool:
        """Whether its weights are those of the project's base, with or without a prompt."""
        return self.without_prompt.name == BASE

    @property
    def is_own_base(self) -> bool:
        """Whether it is another base or a fully trained model, which no adapter of the project's
        base can share a server with."""
        own = self.adapter_path is None and self.serving_name != BASE
        return own and self.kind == ModelKind.WEIGHTS

    @property
    def engine_base(self) -> ModelVersion | None:
        """What an engine has to hold first to answer for it; None for the project's base.

        Another base and a model served elsewhere are that themselves.
        """
        bare = self.without_prompt
        if bare.is_own_base or bare.kind == ModelKind.SERVED:
            return bare
        return None if bare.base_id is None else bare.base

    @property
    def base_name(self) -> str:
        """What stands before the name of an adapter: `base`, or the name of its other base."""
        return BASE if self.base_id is None or self.base is None else self.base.name

    @property
    def label(self) -> str:
        """How people write it: `base`, `base:v1@2`, `large:v3@1` for an adapter on another base,
        `v1@2` for one that is no adapter.

        With its prompt: `base:v1@2+brief@3`.
        """
        name = BASE if self.name == BASE else f"{self.name}@{self.revision}"
        return name if self.adapter_path is None else f"{self.base_name}:{name}"

    @property
    def serving_name(self) -> str:
        """The name under which engines serve this model; its prompt is not their concern."""
        model, _, prompt = self.name.partition(WITH)
        if prompt or model == BASE:
            return model
        return f"{model}@{self.revision}"


class Preflight(DatedTable):
    """The checks made before a run; `checks` holds each with its figures.

    Attributes:
        fingerprint: {"probes": messages of each probe, "first_tokens": {serving name: for each
            probe the likeliest first tokens with their log-probability}}; None where nothing was
            asked.
    """

    __tablename__ = "preflights"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    generation_run_id: Mapped[int | None] = mapped_column(
        ForeignKey("generation_runs.id"), index=True
    )
    engine: Mapped[str] = mapped_column(String(32))
    model_ids: Mapped[list[Any]]
    passed: Mapped[bool]
    checks: Mapped[list[Any]]
    fingerprint: Mapped[dict[str, Any] | None]
