"""Which prompt is best for a model: wordings, numbers of shots and ways to choose them.

Everything is tried in one run on the validation split, by one stated metric, and the winner is kept
as a prompt with the record of all that was tried. The test split is never looked at. Equal values
go to the prompt with fewer tokens. A prompt without answers to more than MOST_FAILED of the
examples, as one that is too long for its model, stands behind all others: its value is of the rest.
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.engines.base import SamplingParams
from backend.errors import CannotCompute, InvalidInput
from backend.services import queue
from backend.services.datasets.prompts.prompts import (
    BEST_PROMPT,
    MOST_SHOTS,
    Choose,
    PromptSpec,
    ShotsSpec,
    add_prompt,
    find_prompt,
    prompt_spec,
)
from backend.services.datasets.prompts.shots import encoder_folder
from backend.services.datasets.versions import list_examples
from backend.services.metric_specs import AllowedMetrics
from backend.services.models.candidates import with_prompt
from backend.services.runs.figures import ModelFigure, metric_traits, model_figures
from backend.services.runs.generation import create_run
from backend.services.runs.scoring import create_score_run
from backend.tables.datasets import DatasetVersion, Split
from backend.tables.models import ModelVersion, Prompt
from backend.tables.runs import Generation, ScoreRun

MOST_TRIED = 40
MOST_FAILED = 0.05


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What a search tries: every wording with every number of shots, chosen in every way.

    Attributes:
        prompts: labels; their own shots, if any, give way.
        limit: only so many validation examples, drawn by the seed of `params`.
        encoder: its folder among the project's files, where one chooses shots.
    """

    prompts: tuple[str, ...]
    ks: tuple[int, ...]
    chosen_by: tuple[Choose, ...]
    metric: str
    limit: int | None = None
    encoder: str | None = None


@dataclass(frozen=True, slots=True)
class PromptSearch:
    """A search that was laid down: its run, its scores, and the job that both wait for."""

    run_id: int
    score_run_id: int
    job_id: int


def check_kept_name(model: ModelVersion, name: str) -> None:
    """Raise InvalidInput where the winner for another model would stand for that of the base."""
    if name == BEST_PROMPT and not model.is_base:
        raise InvalidInput(
            f"{BEST_PROMPT} stands for the base with its best prompt, and this search asks "
            f"{model.label}.",
            hint="Keep what it finds under another name: --name",
        )


def start_search(
    session: Session,
    model: ModelVersion,
    version: DatasetVersion,
    plan: SearchPlan,
    *,
    engine: str,
    params: SamplingParams,
    allowed: AllowedMetrics,
    encoders: Path | None = None,
    created_by_id: int | None = None,
) -> PromptSearch:
    """Lay down one run of the model as it is and with every prompt, and queue it with its scores.

    Args:
        encoders: the folder below which the encoder of the plan lies.

    Raises:
        InvalidInput: nothing to try, too much of it, a family of metrics, an encoder that is not
            there, or a prompt that cannot be rendered for an example.
        NotFound: no such prompt.
    """
    _check_encoder(plan, encoders)
    bare = model.without_prompt
    tried = [with_prompt(session, bare, prompt) for prompt in _prompts(session, bare, plan)]
    run = create_run(
        session,
        project_id=bare.project_id,
        dataset_version_id=version.id,
        split=Split.VALIDATION,
        model_ids=[bare.id, *dict.fromkeys(candidate.id for candidate in tried)],
        engine=engine,
        params=params,
        example_ids=_draw(session, version, plan.limit, params.seed),
        created_by_id=created_by_id,
    )
    scores = create_score_run(
        session, generation_run_id=run.id, metrics=[plan.metric], allowed=allowed
    )
    if len(scores.metrics) != 1:
        names = ", ".join(entry["metric"] for entry in scores.metrics)
        raise InvalidInput(f"{plan.metric} stands for {names}.", hint="Choose by one of them.")
    asked = {"then_score": [scores.id]}
    job = queue.enqueue_job(session, queue.JobKind.GENERATE, run.id, arguments=asked)
    return PromptSearch(run.id, scores.id, job.id)


def _prompts(session: Session, model: ModelVersion, plan: SearchPlan) -> list[Prompt]:
    """Each combination as a prompt of its own, under a name that says it; found where it is."""
    if not plan.prompts or not plan.ks or not plan.chosen_by:
        raise InvalidInput("The search tries nothing.", hint="Name prompts, k and how to choose.")
    if wrong := [k for k in plan.ks if not 0 <= k <= MOST_SHOTS]:
        raise InvalidInput(f"{wrong[0]} shots cannot be shown.", hint=f"0 to {MOST_SHOTS}.")
    found = []
    for label in plan.prompts:
        wording = find_prompt(session, model.project_id, label)
        for shots in _shots_tried(plan):
            found.append(_with_shots(session, wording, shots))
    if len(found) > MOST_TRIED:
        raise InvalidInput(
            f"The search tries {len(found)} prompts.", hint=f"Try at most {MOST_TRIED} at once."
        )
    return found


def _check_encoder(plan: SearchPlan, encoders: Path | None) -> None:
    """Whether an encoder is named where one chooses, and nowhere else, and is there."""
    if (Choose.ENCODER in plan.chosen_by) != (plan.encoder is not None):
        raise InvalidInput(
            "Shots are chosen by an encoder that is named, and by none that is not asked for.",
            hint="Write --choose encoder --encoder FOLDER.",
        )
    if plan.encoder is not None:
        encoder_folder(encoders, plan.encoder)


def _shots_tried(plan: SearchPlan) -> list[ShotsSpec | None]:
    """Without shots there is nothing to choose."""
    with_some: list[ShotsSpec | None] = [
        ShotsSpec(k=k, choose=choose, encoder=plan.encoder if choose is Choose.ENCODER else None)
        for k in plan.ks
        if k
        for choose in plan.chosen_by
    ]
    return [*([None] if 0 in plan.ks else []), *with_some]


def _with_shots(session: Session, wording: Prompt, shots: ShotsSpec | None) -> Prompt:
    changed = prompt_spec(wording).model_copy(update={"shots": shots})
    if changed == PromptSpec():
        raise InvalidInput(f"{wording.label} says nothing without its shots.", hint="Leave out 0.")
    if changed.digest == wording.digest:
        return wording
    suffix = f".v{wording.version}." + (f"k{shots.k}.{shots.choose}" if shots else "k0")
    name = f"{wording.name[: 40 - len(suffix)]}{suffix}"
    return add_prompt(session, wording.project_id, name, changed, like=wording, tried=True)


def _draw(
    session: Session, version: DatasetVersion, limit: int | None, seed: int
) -> list[int] | None:
    ids = [example.id for example in list_examples(session, version.id, Split.VALIDATION)]
    if not ids:
        raise InvalidInput(
            f"{version.dataset.name}@{version.number} has no validation split to choose on.",
            hint="Split it: strop dataset split",
        )
    if limit is None or limit >= len(ids):
        return None
    return sorted(random.Random(seed).sample(ids, limit))


def conclude_search(
    session: Session, score_run_id: int, *, name: str, created_by_id: int | None = None
) -> tuple[Prompt, dict[str, Any]]:
    """Keep the best prompt of a finished search under a name, with all that was tried.

    Raises:
        CannotCompute: no prompt has a value.
    """
    scores = session.get_one(ScoreRun, score_run_id)
    run = scores.generation_run
    models = {model.id: model for model in run.models}
    figures = model_figures(session, score_run_id)
    tokens = _prompt_tokens(session, run.id)
    higher = metric_traits(figures[0].spec.metric)["better"] == "higher"
    rows = [(one, _row(one, tokens)) for one in figures]
    valued = [(one, row) for one, row in rows if row.get("value") is not None]
    valued.sort(key=lambda pair: _rank(pair[1], higher=higher))
    best = next((one for one, _ in valued if models[one.model_version_id].prompt), None)
    if best is None:
        raise CannotCompute(f"No prompt has a value: {rows[0][1].get('error')}.")
    winner = models[best.model_version_id].prompt
    assert winner is not None
    ordered = [row for _, row in valued] + [r for _, r in rows if r.get("value") is None]
    version = run.dataset_version
    record = {
        "title": f"Tried on the validation split of {version.dataset.name}@{version.number} "
        f"(run {run.id}), {'highest' if higher else 'lowest'} {best.spec.metric} first",
        "run": run.id,
        "score_run": score_run_id,
        "winner": winner.label,
        "tried": ordered,
        "notes": _notes(winner, best, valued[0][0], models, len(figures)),
    }
    kept = add_prompt(
        session,
        run.project_id,
        name,
        prompt_spec(winner),
        created_by_id=created_by_id,
        search=record,
        like=winner,
    )
    return kept, record


def _rank(row: dict[str, Any], *, higher: bool) -> tuple[bool, float, float]:
    value, tokens = float(row["value"]), row["tokens in"]
    unknown, failed = math.inf if tokens is None else tokens, row.get("failed") or 0
    fails = bool(failed) and failed / (failed + row["n"]) > MOST_FAILED
    return (fails, -value if higher else value, unknown)


def _row(one: ModelFigure, tokens: dict[int, float]) -> dict[str, Any]:
    told = one.as_dict()
    keys = ("metric", "value", "low", "high", "n", "failed", "signature", "error")
    found: dict[str, Any] = {key: told[key] for key in keys if told.get(key) is not None}
    return {"candidate": one.model, **found, "tokens in": tokens.get(one.model_version_id)}


def _notes(
    winner: Prompt, best: ModelFigure, first: ModelFigure, models: dict[int, ModelVersion], n: int
) -> list[str]:
    said = [
        f"{winner.label} was chosen as the best of {n} on these very examples: its own figure "
        "looks better than it is. Judge it on the test split."
    ]
    told = best.as_dict()
    if told.get("failed"):
        said.append(
            f"{told['failed']} answers to it failed: its figure is of the other {told['n']}."
        )
    if models[first.model_version_id].prompt is None:
        said.append(f"Without any prompt {first.model} is at least as good here.")
    return said


def _prompt_tokens(session: Session, run_id: int) -> dict[int, float]:
    """The mean number of prompt tokens of each model's answers."""
    query = select(Generation.model_version_id, Generation.prompt_tokens).where(
        Generation.run_id == run_id, Generation.error.is_(None), Generation.prompt_tokens > 0
    )
    found: dict[int, list[int]] = {}
    for model_id, count in session.execute(query):
        found.setdefault(model_id, []).append(count)
    return {model_id: round(statistics.mean(counts), 1) for model_id, counts in found.items()}
