"""A request for drafts, laid down with its briefs: sources, shown examples, model and prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.engines import check_engine
from backend.engines.base import SamplingParams
from backend.errors import Conflict, InvalidInput
from backend.services import audit
from backend.services.datasets.prompts.prompts import add_prompt, find_prompt
from backend.services.datasets.prompts.shots import encoder_folder
from backend.services.datasets.versions import prepare_import, store_import
from backend.services.models.candidates import with_prompt
from backend.services.models.versions import find_model
from backend.services.projects import lock_project
from backend.services.synthetic.sifting import Bounds
from backend.services.synthetic.sources import briefs as brief_texts
from backend.services.synthetic.sources.sources import SourceAsk, find_sources, version_of
from backend.tables.datasets import Dataset, DatasetVersion, Example
from backend.tables.models import ModelVersion
from backend.tables.synthetic import Drafting, DraftShape, SourceKind

MOST_WANTED = 5000


@dataclass(frozen=True, slots=True)
class DraftAsk:
    """What is asked for, beside where it is drawn from.

    Attributes:
        n: drafts that are to survive the checks.
        prompt: NAME or NAME@VERSION; by default the one that is made here.
        given_input: what every draft answers (the model then writes answers alone); by default
            the input that nearly all train examples share, if there is one.
        attempts: at most so many briefs for each draft that is wanted.
        encoder: its folder among the project's files; finds texts of one meaning.
    """

    source: SourceAsk
    n: int = 100
    model: str = "base"
    prompt: str | None = None
    given_input: str | None = None
    name: str | None = None
    engine: str = "local"
    shots: int = 3
    attempts: int = 3
    seed: int = 7
    max_tokens: int = 400
    temperature: float = 0.9
    top_p: float = 0.95
    bounds: Bounds = field(default_factory=Bounds)
    encoder: str | None = None


@dataclass(frozen=True, slots=True)
class NewDrafting:
    """A drafting that was laid down, the sources that were refused, and notes."""

    drafting: Drafting
    refused: dict[str, str]
    notes: list[str]


def lay_down(
    session: Session,
    project_id: int,
    ask: DraftAsk,
    *,
    created_by_id: int | None = None,
    encoders: Path | None = None,
) -> NewDrafting:
    """Lay down a drafting with its briefs; a worker then drafts.

    Raises:
        Conflict: the project has a drafting or a dataset of this name.
        InvalidInput: bounds that mean nothing, no source, no such encoder.
        LeakRefused: the source is of the test split, or all sources repeat what is held out.
        NotFound: no such model, prompt, run or dataset.
    """
    _check(ask)
    lock_project(session, project_id)
    name = _free_name(session, project_id, ask.name)
    if ask.encoder is not None:
        encoder_folder(encoders, ask.encoder)
    version = version_of(session, project_id, ask.source)
    found = find_sources(session, project_id, ask.source, version)
    pool = brief_texts.shot_pool(session, project_id, version)
    given = _given_input(ask, pool)
    shape = DraftShape.PAIR if given is None else DraftShape.ANSWER
    model = _candidate(session, project_id, ask, created_by_id)
    rows = brief_texts.write_briefs(
        found.sources,
        pool,
        kind=ask.source.kind,
        shape=shape,
        given_input=given,
        shots=ask.shots,
        count=_count(ask, len(found.sources), shape),
        seed=ask.seed,
    )
    asked = prepare_import(rows, source_name=f"briefs of {name}")
    stored = store_import(session, project_id, f"{name} briefs", asked)
    drafting = Drafting(
        project_id=project_id,
        name=name,
        source_kind=str(ask.source.kind),
        shape=str(shape),
        asked=_as_record(ask, version, given, found.refused, found.notes, len(found.sources)),
        model_version_id=model.id,
        engine=ask.engine,
        params=asdict(_sampling(ask)),
        wanted=ask.n,
        briefs_version_id=stored.id,
        created_by_id=created_by_id,
    )
    session.add(drafting)
    session.flush()
    _note(session, drafting, model)
    return NewDrafting(drafting, found.refused, found.notes)


def _note(session: Session, drafting: Drafting, model: ModelVersion) -> None:
    audit.record(
        session,
        "drafting.asked",
        subject=f"drafting:{drafting.id}",
        project_id=drafting.project_id,
        detail={"from": drafting.source_kind, "model": model.label, "wanted": drafting.wanted},
    )


def _sampling(ask: DraftAsk) -> SamplingParams:
    return SamplingParams(
        max_tokens=ask.max_tokens,
        temperature=ask.temperature,
        top_p=ask.top_p,
        seed=ask.seed,
        truncate_prompt=False,
    )


def _check(ask: DraftAsk) -> None:
    check_engine(ask.engine)
    bounds = (
        (1 <= ask.n <= MOST_WANTED, f"n is from 1 to {MOST_WANTED:,}"),
        (1 <= ask.attempts <= 20, "attempts is from 1 to 20"),
        (0 <= ask.shots <= 20, "shots is from 0 to 20"),
        (0 <= ask.temperature <= 2, "temperature is from 0 to 2"),
        (0 < ask.top_p <= 1, "top_p is above 0 and at most 1"),
        (1 <= ask.max_tokens <= 4096, "max_tokens is from 1 to 4,096"),
        (0 <= ask.bounds.least_overlap <= 1, "least_overlap is from 0 to 1"),
        (0 < ask.bounds.semantic <= 1, "semantic is above 0 and at most 1"),
    )
    for holds, says in bounds:
        if not holds:
            raise InvalidInput(f"The drafts cannot be asked for so: {says}.")
    if ask.given_input is not None and ask.source.kind is not SourceKind.DOCUMENTS:
        raise InvalidInput(
            "An input is given, but only documents are answered one by one.",
            hint="Leave it out: from failures and slices the model writes inputs too.",
        )


def _free_name(session: Session, project_id: int, name: str | None) -> str:
    draftings = set(session.scalars(select(Drafting.name).where(Drafting.project_id == project_id)))
    datasets = set(session.scalars(select(Dataset.name).where(Dataset.project_id == project_id)))
    if name is None:
        numbers = (f"synthetic-{n}" for n in range(1, len(draftings) + len(datasets) + 2))
        return next(one for one in numbers if {one, f"{one} briefs"}.isdisjoint(datasets))
    if not name.strip() or len(name) > 80:
        raise InvalidInput("A drafting needs a name of at most 80 signs.")
    if name in draftings or not {name, f"{name} briefs"}.isdisjoint(datasets):
        raise Conflict(
            f"The project has a drafting or a dataset {name!r} already.", hint="Choose another."
        )
    return name


def _given_input(ask: DraftAsk, pool: Sequence[Example]) -> str | None:
    if ask.source.kind is not SourceKind.DOCUMENTS:
        return None
    if ask.given_input is not None:
        return ask.given_input.strip() or None
    return brief_texts.common_input(pool)


def _count(ask: DraftAsk, n_sources: int, shape: DraftShape) -> int:
    """Briefs in all; a document is answered once, and tried at most `attempts` times."""
    most = ask.n * ask.attempts
    return min(most, n_sources * ask.attempts) if shape is DraftShape.ANSWER else most


def _candidate(
    session: Session, project_id: int, ask: DraftAsk, created_by_id: int | None
) -> ModelVersion:
    model = find_model(session, project_id, ask.model)
    if ask.prompt is None:
        if model.prompt_id is not None:
            return model
        named = (brief_texts.PROMPT, brief_texts.DEFAULT)
        prompt = add_prompt(session, project_id, *named, created_by_id=created_by_id)
    else:
        prompt = find_prompt(session, project_id, ask.prompt)
    return with_prompt(session, model, prompt)


def _as_record(
    ask: DraftAsk,
    version: DatasetVersion | None,
    given: str | None,
    refused: dict[str, str],
    notes: list[str],
    n_sources: int,
) -> dict[str, Any]:
    source = ask.source
    return {
        "n": ask.n,
        "attempts": ask.attempts,
        "shots": ask.shots,
        "seed": ask.seed,
        "given_input": given,
        "dataset": None if version is None else f"{version.dataset.name}@{version.number}",
        "run_id": source.run_id,
        "worse_than": source.worse_than,
        "slice": None if source.slice is None else "=".join(source.slice),
        "sources": n_sources,
        "refused_sources": dict(list(refused.items())[:50]),
        "n_refused_sources": len(refused),
        "notes": notes,
        "bounds": asdict(ask.bounds),
        "encoder": ask.encoder,
    }
