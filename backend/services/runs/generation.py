"""Generation runs: what is to be written by which model, what is there, and what is still lacking.

The ledger is the table: one row for each (run, model, example, sample), whether a text or the
reason why there is none. A failed prompt is final, unless `clear_failed` takes it out again.
Knows nothing of engines but their values; a transaction is never open while a model works.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from backend.db import portions
from backend.engines import ELSEWHERE, check_engine
from backend.engines.base import GenerationRequest, GenerationResult, SamplingParams
from backend.errors import Conflict, EngineError, InvalidInput, NotFound
from backend.schemas.runs import RunProgress
from backend.services.datasets.erased import PREFIX
from backend.services.datasets.leaks import Acceptance
from backend.services.datasets.masking.stored import refuse_unmasked_version
from backend.services.datasets.prompts.prompts import Choose, prompt_spec, refuse_leaking_wording
from backend.services.datasets.prompts.shots import render_all, require_enough
from backend.services.ledger import add_to_run, counts_of, recount
from backend.services.models.candidates import require_answers
from backend.services.models.versions import refuse_outputs
from backend.services.runs.leaks import settle_run_leaks
from backend.tables.datasets import DatasetVersion, Example, Split
from backend.tables.models import ModelKind, ModelVersion
from backend.tables.review import ReviewItem
from backend.tables.runs import (
    IMPORT,
    Generation,
    GenerationRun,
    GenerationRunModel,
    Score,
    ScoreRun,
)

Unit = tuple[int, int, int]  # model version, example, sample


def create_run(
    session: Session,
    *,
    project_id: int,
    dataset_version_id: int,
    split: str,
    model_ids: Sequence[int],
    engine: str,
    params: SamplingParams,
    example_ids: Sequence[int] | None = None,
    samples: int = 1,
    created_by_id: int | None = None,
    accept_leaks: Acceptance | None = None,
) -> GenerationRun:
    """Lay down a run of several models on the same examples.

    Args:
        example_ids: only these examples of the split; None is all of them.
        samples: texts for each example and model; more than 1 needs a temperature above 0.
        accept_leaks: who lets the run measure a model by what it was nearly trained on, and why.

    Raises:
        LeakRefused: a model was trained on near-duplicates of the examples, or a prompt holds a
            text that is held out.
        InvalidInput: no model, one of which only outputs are known, no example, an example of
            elsewhere, greedy repeats, or a prompt that cannot be rendered for one of the examples.
        NotFound: the dataset version or a model is not of this project.
        UnknownName: no engine of that name.
    """
    check_engine(engine)
    version = session.get(DatasetVersion, dataset_version_id)
    if version is None or version.dataset.project_id != project_id:
        raise NotFound(f"The project has no dataset version {dataset_version_id}.")
    _check_models(session, project_id, model_ids, engine)
    _check_examples(session, dataset_version_id, split, example_ids)
    _check_samples(samples, params)
    example_ids = _without_erased(session, dataset_version_id, split, example_ids)
    settle_run_leaks(
        session, project_id, version, split, model_ids, example_ids, accept=accept_leaks
    )
    refuse_unmasked_version(
        session, project_id, version.id, f"A run on {version.dataset.name} is refused"
    )
    run = GenerationRun(
        project_id=project_id,
        dataset_version_id=dataset_version_id,
        split=str(split),
        example_ids=None if example_ids is None else list(example_ids),
        engine=engine,
        params=asdict(params),
        samples=samples,
        created_by_id=created_by_id,
    )
    session.add(run)
    session.flush()
    run.n_examples = count_examples(session, run)
    add_models(session, run, model_ids)
    _check_prompts(session, run)
    return run


def _check_samples(samples: int, params: SamplingParams) -> None:
    if samples < 1 or (samples > 1 and params.temperature == 0):
        raise InvalidInput(
            f"{samples} samples of the same prompt cannot be drawn at temperature 0.",
            hint="Ask for one sample, or set a temperature above 0.",
        )


def add_models(session: Session, run: GenerationRun, model_ids: Sequence[int]) -> None:
    """Let models take part in a run, after those that do."""
    taken = session.scalar(select(func.count()).where(GenerationRunModel.run_id == run.id))
    for position, model_id in enumerate(model_ids, start=taken or 0):
        session.add(GenerationRunModel(run_id=run.id, model_version_id=model_id, position=position))
    session.flush()
    session.expire(run, ["models"])
    _answer_erased(session, run)


def _check_prompts(session: Session, run: GenerationRun) -> None:
    """Render every prompt for every example, and fixed shots for one; of others, which are chosen
    later, there have to be enough."""
    examples: list[Example] = []
    prompts = {model.prompt_id: model.prompt for model in run.models}.values()
    specs = {prompt.label: prompt_spec(prompt) for prompt in prompts if prompt is not None}
    refuse_leaking_wording(session, run.project_id, specs)
    for prompt in prompts:
        if prompt is not None:
            examples = examples or examples_of_run(session, run)
            render_all(session, run.project_id, examples, prompt, with_shots=False)
            shots = prompt_spec(prompt).shots
            if shots is not None:
                require_enough(session, run.dataset_version, shots, prompt.label)
            if shots is not None and shots.choose is Choose.FIXED:
                render_all(session, run.project_id, examples[:1], prompt)


def _check_models(session: Session, project_id: int, model_ids: Sequence[int], engine: str) -> None:
    if not model_ids or len(set(model_ids)) != len(model_ids):
        raise InvalidInput(
            "A run needs at least one model, and each only once.", hint="Name them with --models."
        )
    query = select(ModelVersion).where(
        ModelVersion.id.in_(model_ids), ModelVersion.project_id == project_id
    )
    known = list(session.scalars(query))
    if unknown := set(model_ids) - {model.id for model in known}:
        raise NotFound(f"The project has no model version {min(unknown)}.")
    here = [model.label for model in known if model.kind != ModelKind.SERVED]
    if engine == ELSEWHERE and here:
        raise InvalidInput(
            f"The engine {ELSEWHERE} only asks models that are served elsewhere, and "
            f"{', '.join(here)} is none.",
            hint="Name the engine of the other models, for example --engine local; those served "
            f"elsewhere are asked by {ELSEWHERE} all the same.",
        )
    for model in known:
        require_answers(model, "run")
        refuse_outputs(model, "run", hint="Let them join a run: strop run import FILE --with-run N")


def _check_examples(
    session: Session, dataset_version_id: int, split: str, example_ids: Sequence[int] | None
) -> None:
    if split not in set(Split):
        raise InvalidInput(f"There is no split {split!r}.", hint="Use train, validation or test.")
    of_split = select(Example.id).where(
        Example.dataset_version_id == dataset_version_id,
        Example.split == split,
        Example.erasure_id.is_(None),
    )
    known = set(session.scalars(of_split))
    if not known or example_ids == []:
        raise InvalidInput(f"The split {split!r} of this dataset has no examples to run on.")
    if strangers := set(example_ids or ()) - known:
        raise InvalidInput(f"Example {min(strangers)} is not in the split {split!r}.")


def _without_erased(
    session: Session, dataset_version_id: int, split: str, example_ids: Sequence[int] | None
) -> Sequence[int] | None:
    """A whole split of which something was erased is what is left of it, by id."""
    if example_ids is not None:
        return example_ids
    standing = Example.erasure_id.is_(None)
    query = select(Example.id, standing).where(
        Example.dataset_version_id == dataset_version_id, Example.split == split
    )
    found = session.execute(query.order_by(Example.id)).all()
    left = [id_ for id_, stands in found if stands]
    return None if len(left) == len(found) else left


def get_run(session: Session, run_id: int, *, project_id: int | None = None) -> GenerationRun:
    """A run by its id, of one project if one is named.

    Raises:
        NotFound: there is none.
    """
    run = session.get(GenerationRun, run_id)
    if run is None or (project_id is not None and run.project_id != project_id):
        raise NotFound(f"There is no run {run_id}.", hint="See `strop report` for the runs.")
    return run


def require_resumable(run: GenerationRun) -> None:
    """Raise Conflict for a run whose texts were brought from elsewhere."""
    if run.engine == IMPORT:
        raise Conflict(
            f"Run {run.id} was imported: no engine here can write what it lacks.",
            hint="Import the file again with --metrics to score it by others.",
        )


def require_complete(session: Session, run_id: int) -> None:
    """Raise EngineError where the ledger of a run lacks an answer."""
    if missing := run_progress(session, run_id).missing:
        raise EngineError(f"The engine left out {missing} answers of run {run_id}.")


def list_runs(session: Session, project_id: int, *, limit: int = 100) -> list[GenerationRun]:
    """The newest runs of a project first."""
    query = select(GenerationRun).where(GenerationRun.project_id == project_id)
    return list(session.scalars(query.order_by(GenerationRun.id.desc()).limit(limit)))


def run_params(run: GenerationRun) -> SamplingParams:
    """The decoding parameters of a run; engines give every request a seed of its own from these."""
    return SamplingParams(**run.params)


def _of_split(run: GenerationRun, *columns: Any) -> Select[Any]:
    of_version = Example.dataset_version_id == run.dataset_version_id
    return select(*columns).where(of_version, Example.split == run.split)


def examples_of_run(
    session: Session, run: GenerationRun, *, between: tuple[int, int] | None = None
) -> list[Example]:
    """The examples that a run covers, in order of id; all, or from one id to another."""
    query = _of_split(run, Example)
    if between is not None:
        query = query.where(Example.id.between(*between))
    found = session.scalars(query.order_by(Example.id))
    if run.example_ids is None:
        return list(found)
    chosen = set(run.example_ids)
    return [example for example in found if example.id in chosen]


def _covered(session: Session, run: GenerationRun, *columns: Any, by: Sequence[Any] = ()) -> Any:
    """Rows of the id and these columns of the examples that a run covers; no other is read.

    They are in order of id, or as `by` says.
    """
    query = _of_split(run, Example.id, *columns).order_by(*by, Example.id)
    chosen = None if run.example_ids is None else set(run.example_ids)
    return (row for row in session.execute(query) if chosen is None or row[0] in chosen)


def slices_of_run(session: Session, run: GenerationRun) -> list[dict[str, Any]]:
    """The slices of each example that a run covers, in order of id."""
    return [slices for _, slices in _covered(session, run, Example.slices)]


def covered_ids(session: Session, run: GenerationRun) -> dict[str, int]:
    """The ids of the examples that a run covers by those of their file, in order."""
    return {said: id_ for id_, said in _covered(session, run, Example.external_id)}


def count_examples(session: Session, run: GenerationRun) -> int:
    """How many examples a run covers; versions do not change, so that it is counted once."""
    if run.n_examples is not None:
        return run.n_examples
    if run.example_ids is not None:
        return len(set(run.example_ids))
    return session.scalar(_of_split(run, func.count(Example.id))) or 0


def example_ids_of_run(session: Session, run: GenerationRun) -> list[int]:
    """The ids of the examples that a run covers, in order."""
    return [id_ for (id_,) in _covered(session, run)]


def count_written(session: Session, run_id: int, models: Collection[int]) -> int:
    """How many answers of these models the ledger of a run has."""
    query = select(func.count(Generation.id)).where(
        Generation.run_id == run_id, Generation.model_version_id.in_(models)
    )
    return session.scalar(query) or 0


def written_units(
    session: Session, run_id: int, models: Collection[int], between: tuple[int, int] | None = None
) -> set[Unit]:
    """What the ledger of a run has of these models, of all examples or those between two ids."""
    there = select(Generation.model_version_id, Generation.example_id, Generation.sample).where(
        Generation.run_id == run_id, Generation.model_version_id.in_(models)
    )
    if between is not None:
        there = there.where(Generation.example_id.between(*between))
    return {(row[0], row[1], row[2]) for row in session.execute(there)}


def pending_requests(
    session: Session,
    run: int | GenerationRun,
    *,
    encoders: Path | None = None,
    models: Collection[int] | None = None,
    most: int | None = None,
    between: tuple[int, int] | None = None,
) -> list[GenerationRequest]:
    """Requests for what the ledger lacks and an engine can write, with the model's prompt.

    Their key is the unit.

    Args:
        run: its id; or the run itself, with its models and their prompts as they were loaded.
        encoders: the folder below which a prompt may name an encoder that chooses its shots.
        models: only what these lack.
        most: so many of the shortest examples are enough.
        between: only of the examples with these ids and those between them; reads no others.

    Raises:
        InvalidInput: a prompt cannot be rendered for an example.
    """
    run = run if isinstance(run, GenerationRun) else get_run(session, run)
    asking = [
        model
        for model in run.models
        if not model.only_outputs and (models is None or model.id in models)
    ]
    there = written_units(session, run.id, [model.id for model in asking], between)
    if most is None:
        examples = examples_of_run(session, run, between=between)
    else:
        written = Counter(example_id for _, example_id, _ in there)
        each = len(asking) * run.samples
        examples = _shortest(session, run, most, lacking=lambda id_: written[id_] < each)
    units = {
        example: [
            (model, unit)
            for model in asking
            for sample in range(run.samples)
            if (unit := (model.id, example.id, sample)) not in there
        ]
        for example in examples
    }
    asked = [example for example, lacking in units.items() if lacking]
    prompts = {model.prompt_id: model.prompt for model in asking}
    rendered = {
        prompt_id: render_all(session, run.project_id, asked, prompt, encoders=encoders)
        for prompt_id, prompt in prompts.items()
    }
    return [
        GenerationRequest(unit_key(unit), model.serving_name, rendered[model.prompt_id][place])
        for place, example in enumerate(asked)
        for model, unit in units[example]
    ]


def _shortest(
    session: Session, run: GenerationRun, most: int, *, lacking: Callable[[int], bool]
) -> list[Example]:
    """The shortest examples of a run that lack something; of the others only ids are read."""
    length = func.length(Example.input) + func.length(func.coalesce(Example.context, ""))
    ids = (id_ for (id_,) in _covered(session, run, by=[length]) if lacking(id_))
    chosen = list(islice(ids, most))
    found = {e.id: e for e in session.scalars(select(Example).where(Example.id.in_(chosen)))}
    return [found[id_] for id_ in chosen]


def missing_units(
    session: Session, run: GenerationRun, example_ids: Sequence[int], said: str
) -> list[dict[str, Any]]:
    """The rows that a run's ledger would lack of these examples, as errors."""
    covered: list[int] = []
    chosen = None if run.example_ids is None else set(run.example_ids)
    for some in portions(example_ids):
        query = _of_split(run, Example.id).where(Example.id.in_(some))
        covered += [id_ for id_ in session.scalars(query) if chosen is None or id_ in chosen]
    return [
        {
            "model_version_id": model.id,
            "example_id": id_,
            "sample": sample,
            "text": None,
            "error": said,
            "token_logprobs": [],
        }
        for model in run.models
        if not model.only_outputs
        for id_ in covered
        for sample in range(run.samples)
    ]


def _answer_erased(session: Session, run: GenerationRun) -> None:
    """What was erased of a run's examples is answered by nobody who joins it."""
    query = select(Example.id, Example.input).where(
        Example.dataset_version_id == run.dataset_version_id, Example.erasure_id.is_not(None)
    )
    for id_, said in session.execute(query).all():
        add_to_run(session, GenerationRun, run.id, missing_units(session, run, [id_], said))


def unit_key(unit: Unit) -> str:
    """A unit of the ledger as the key of its request."""
    return ":".join(str(part) for part in unit)


def parse_unit_key(key: str) -> Unit:
    """The unit of the ledger that a request's key names."""
    model_id, example_id, sample = (int(part) for part in key.split(":"))
    return model_id, example_id, sample


def save_generations(session: Session, run_id: int, results: Iterable[GenerationResult]) -> int:
    """Write answers into the ledger; what is there already stays. Returns how many were new."""
    return add_to_run(session, GenerationRun, run_id, [_ledger_row(r) for r in results])


def _ledger_row(result: GenerationResult) -> Mapping[str, Any]:
    model_id, example_id, sample = parse_unit_key(result.key)
    return {
        "model_version_id": model_id,
        "example_id": example_id,
        "sample": sample,
        "text": result.text,
        "error": result.error,
        "finish_reason": result.finish_reason,
        "token_logprobs": [round(p, 4) for p in result.token_logprobs],
        "prompt_tokens": result.prompt_tokens,
        "completion_tokens": result.completion_tokens,
        "truncated_tokens": result.truncated_tokens,
        "latency_s": result.latency_s,
    }


def clear_failed(session: Session, run_id: int) -> int:
    """Take failed prompts (and their scores) out of the ledger so that they are tried again.

    Those of imported outputs stay: nobody here could try them.
    """
    failed = (
        select(Generation.id)
        .join(ModelVersion, ModelVersion.id == Generation.model_version_id)
        .where(ModelVersion.kind != ModelKind.OUTPUTS)
        .where(Generation.run_id == run_id, Generation.error.is_not(None))
        .where(~Generation.error.startswith(PREFIX))
        .where(~select(ReviewItem.id).where(ReviewItem.generation_a_id == Generation.id).exists())
        .where(~select(ReviewItem.id).where(ReviewItem.generation_b_id == Generation.id).exists())
    )
    ids = list(session.scalars(failed))
    for some in portions(ids):
        session.execute(delete(Score).where(Score.generation_id.in_(some)))
        session.execute(delete(Generation).where(Generation.id.in_(some)))
    if ids:
        recount(session, GenerationRun, run_id)
        scorings = select(ScoreRun.id).where(ScoreRun.generation_run_id == run_id)
        for score_run_id in session.scalars(scorings).all():
            recount(session, ScoreRun, score_run_id)
    return len(ids)


def run_progress(session: Session, run_id: int) -> RunProgress:
    """How much of a run is written."""
    run = get_run(session, run_id)
    found = counts_of(session, GenerationRun, run_id)
    total = count_examples(session, run) * len(run.models) * run.samples
    return RunProgress(done=found.done, total=total, failed=found.failed)
