"""Outputs that were made elsewhere as a run like any other: scored, reviewed, compared, corrected.

Nothing is proved of who wrote them. They are a model of the kind `outputs`, which is a name and
texts, in a run of their own, or beside the models of a run on the same examples, so that they can
be compared. What was taken before is known by its content, and not taken again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput
from backend.services import queue
from backend.services.datasets.masking.stored import masks
from backend.services.datasets.versions import get_dataset_version
from backend.services.ledger import add_to_run
from backend.services.metric_specs import AllowedMetrics, metric_specs, parse_metric_specs
from backend.services.models.versions import NO_FILES, add_model
from backend.services.projects import lock_project
from backend.services.runs.generation import add_models, covered_ids, get_run, run_progress
from backend.services.runs.importing.output_checks import (
    ExampleIndex,
    refuse_names,
    refuse_other_inputs,
    refuse_strangers,
)
from backend.services.runs.importing.output_rows import (
    DIGEST,
    ImportedOutput,
    ImportedOutputs,
    former_digest,
    outputs_digest,
)
from backend.services.runs.risks import name_risks
from backend.services.runs.scoring import create_score_run, list_score_runs
from backend.tables.datasets import Example, Split
from backend.tables.models import ModelKind, ModelVersion
from backend.tables.packed import to_four_places
from backend.tables.queue import Job
from backend.tables.runs import IMPORT, Generation, GenerationRun, ScoreRun
from evaluators.files.mapping import counted

NOT_GIVEN = "no output was given"
UNPROVED = "outputs imported, not proved to be of a model; no preflight"
AT_ONCE = 5_000
Place = tuple[int, int]  # example, sample


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file of outputs.

    Attributes:
        models: one for each name that the file has.
        repeated: all of it was there already, and nothing was stored.
        outputs: how many rows there are of it.
        notes: what a reader has to know, a sentence each.
    """

    run: GenerationRun
    models: Sequence[ModelVersion]
    repeated: bool
    outputs: int
    notes: Sequence[str]


def import_outputs(
    session: Session,
    project_id: int,
    given: ImportedOutputs,
    *,
    dataset: str | None = None,
    dataset_version: int | None = None,
    split: str | None = None,
    with_run: int | None = None,
    created_by_id: int | None = None,
) -> Imported:
    """Take outputs into a run of their own, or into one that is there; safe to repeat.

    A run of their own covers the examples that have an output. Where several models are given, and
    in a run that is joined, an output that lacks is a row with NOT_GIVEN as its error.

    Args:
        dataset, dataset_version, split: whose examples the ids are of, by default of the test
            split; a run that is joined says it itself.
        with_run: the run that the outputs join as further models of it.

    Raises:
        NotFound: there is no such dataset or run.
        Conflict: the run is not finished.
        InvalidInput: ids or inputs are not those of the examples, a name is a model's here, or
            the project masks and these are not masked (`mask_outputs`).
    """
    lock_project(session, project_id)
    refuse_unmasked_outputs(session, project_id, given)
    target = outputs_target(session, project_id, given, dataset, dataset_version, split, with_run)
    refuse_strangers(session, project_id, target, given)
    refuse_other_inputs(session, target, given)
    refuse_names(session, project_id, given)
    if target.run is None:
        return _own_run(session, target, given, created_by_id)
    return _join(session, target, target.run, given)


def refuse_unmasked_outputs(session: Session, project_id: int, given: ImportedOutputs) -> None:
    """Raise InvalidInput where the project masks what comes in, and these are not masked."""
    if masks(session, project_id) and not given.masked:
        raise InvalidInput(
            f"{given.source}: the project masks what comes in, and these outputs are not masked.",
            hint="Import them by strop run import, or by the API: both mask.",
        )


def outputs_target(
    session: Session,
    project_id: int,
    given: ImportedOutputs,
    dataset: str | None,
    dataset_version: int | None,
    split: str | None,
    with_run: int | None,
) -> ExampleIndex:
    """What the outputs are of; arguments and errors are those of `import_outputs`."""
    if with_run is None:
        return _dataset_target(session, project_id, dataset, dataset_version, split or Split.TEST)
    run = get_run(session, with_run, project_id=project_id)
    _refuse_other_run(run, dataset, dataset_version, split)
    return _run_target(session, run, given)


def _dataset_target(
    session: Session, project_id: int, dataset: str | None, number: int | None, split: str
) -> ExampleIndex:
    if dataset is None:
        raise InvalidInput("No dataset is named.", hint="Name it: --dataset NAME")
    if split not in set(Split):
        raise InvalidInput(f"There is no split {split!r}.", hint="Use train, validation or test.")
    version = get_dataset_version(session, project_id, dataset, number)
    return ExampleIndex(version, str(split), _ids_of(session, version.id, split))


def _ids_of(session: Session, version_id: int, split: str) -> dict[str, int]:
    """The ids of the standing examples of a split by those of its file, in order; no texts."""
    query = select(Example.external_id, Example.id).where(
        Example.dataset_version_id == version_id,
        Example.split == split,
        Example.erasure_id.is_(None),
    )
    rows = session.execute(query.order_by(Example.id), execution_options={"yield_per": AT_ONCE})
    return {row.external_id: row.id for row in rows}


def _count_split(session: Session, version_id: int, split: str) -> int:
    """How many examples a split has, with those of which something was erased."""
    query = select(func.count(Example.id)).where(
        Example.dataset_version_id == version_id, Example.split == split
    )
    return session.scalar(query) or 0


def _refuse_other_run(
    run: GenerationRun, dataset: str | None, number: int | None, split: str | None
) -> None:
    version = run.dataset_version
    there = (version.dataset.name, version.number, run.split)
    asked = (dataset or there[0], number or there[1], split or there[2])
    if asked != there:
        raise InvalidInput(
            f"Run {run.id} is on the {there[2]} split of {there[0]}@{there[1]}, not on the "
            f"{asked[2]} split of {asked[0]}@{asked[1]}.",
            hint="Leave dataset and split out: the run names them.",
        )


def _run_target(session: Session, run: GenerationRun, given: ImportedOutputs) -> ExampleIndex:
    version = run.dataset_version
    if missing := run_progress(session, run.id).missing:
        raise Conflict(
            f"Run {run.id} still lacks {missing} outputs of its own models.",
            hint=f"Finish it first: strop run --resume {run.id}",
        )
    if run.samples != given.samples:
        raise InvalidInput(
            f"{given.source}: {counted(given.samples, 'sample')} of each example, and run {run.id} "
            f"has {run.samples}.",
            hint="Import them as a run of their own, or as many samples.",
        )
    return ExampleIndex(version, run.split, _ids_of(session, version.id, run.split), run)


def _own_run(
    session: Session, target: ExampleIndex, given: ImportedOutputs, created_by_id: int | None
) -> Imported:
    """The outputs as a run of their own; the one that stands where it holds the very same."""
    ids = {row.id for row in given.rows}
    covered = {said: id_ for said, id_ in target.examples.items() if said in ids}
    written = _written(given, given.rows, covered)
    models = [_revision(session, target, name, outputs) for name, outputs in written.items()]
    revisions = {model.name: model.revision for model in models}
    digest = outputs_digest(given.rows, revisions)
    run = _same_run(session, target, digest, lambda: former_digest(given.rows, revisions))
    notes = _notes(target, models, written, lacking=len(target.examples) - len(covered))
    if run is not None:
        return Imported(run, models, True, len(given.rows), notes)
    whole = len(covered) == _count_split(session, target.version.id, target.split)
    run = GenerationRun(
        project_id=target.version.dataset.project_id,
        dataset_version_id=target.version.id,
        split=target.split,
        example_ids=None if whole else sorted(covered.values()),
        engine=IMPORT,
        params={"source": PurePath(given.source).name, "sha256": digest},
        samples=given.samples,
        n_examples=len(covered),
        created_by_id=created_by_id,
    )
    session.add(run)
    session.flush()
    add_models(session, run, [model.id for model in models])
    _store(session, run, models, written)
    return Imported(run, models, False, len(given.rows), notes)


def _same_run(
    session: Session, target: ExampleIndex, digest: str, former: Callable[[], str]
) -> GenerationRun | None:
    """The run that holds the very same; `former` is its digest as former versions made it."""
    query = select(GenerationRun).where(
        GenerationRun.dataset_version_id == target.version.id,
        GenerationRun.split == target.split,
        GenerationRun.engine == IMPORT,
    )
    runs = session.scalars(query.order_by(GenerationRun.id)).all()
    older = [run for run in runs if not str(run.params.get("sha256")).startswith(DIGEST)]
    known = {digest, former()} if older else {digest}
    return next((run for run in runs if run.params.get("sha256") in known), None)


def _join(
    session: Session, target: ExampleIndex, run: GenerationRun, given: ImportedOutputs
) -> Imported:
    """The outputs as further models of a run that is there; its own rows stay as they are."""
    covered = covered_ids(session, run)
    rows = [row for row in given.rows if row.id in covered]
    if not rows:
        raise InvalidInput(
            f"{given.source}: none of its outputs is of an example that run {run.id} covers.",
            hint="Import them as a run of their own.",
        )
    written = _written(given, rows, covered)
    models = [_revision(session, target, name, outputs) for name, outputs in written.items()]
    new = [model for model in models if model.id not in {one.id for one in run.models}]
    add_models(session, run, [model.id for model in new])
    _store(session, run, new, written)
    notes = _notes(target, models, written, lacking=0)
    if beyond := len(given.rows) - len(rows):
        notes.append(
            f"{counted(beyond, 'output')} left out: of examples that run {run.id} does not cover."
        )
    return Imported(run, models, not new, len(rows), notes)


def _written(
    given: ImportedOutputs, rows: Sequence[ImportedOutput], covered: Mapping[str, int]
) -> dict[str, dict[Place, ImportedOutput]]:
    """By model, what was given for every example and sample of a run, be it nothing."""
    known, samples = {row.unit: row for row in rows}, range(given.samples)
    return {
        name: {
            (example_id, sample): known.get((name, said, sample))
            or ImportedOutput(0, said, name, sample, error=NOT_GIVEN)
            for said, example_id in covered.items()
            for sample in samples
        }
        for name in given.models
    }


def _revision(
    session: Session, target: ExampleIndex, name: str, outputs: Mapping[Place, ImportedOutput]
) -> ModelVersion:
    """The revision of a name that said the same of most of it; the next one where all differ."""
    project_id = target.version.dataset.project_id
    query = select(ModelVersion).where(
        ModelVersion.project_id == project_id, ModelVersion.name == name
    )
    revisions = list(session.scalars(query.order_by(ModelVersion.revision.desc())))
    shared = {model: _shared(session, target, model, outputs) for model in revisions}
    agreeing = [model for model in revisions if shared[model] or model is revisions[0]]
    agreeing = [model for model in agreeing if shared[model] is not None]
    if agreeing:
        return max(agreeing, key=lambda model: shared[model] or 0)
    model = ModelVersion(
        project_id=project_id,
        name=name,
        revision=1 + max((model.revision for model in revisions), default=0),
        kind=ModelKind.OUTPUTS,
        base_model="",
        **NO_FILES,
    )
    return add_model(session, model)


def _shared(
    session: Session,
    target: ExampleIndex,
    model: ModelVersion,
    outputs: Mapping[Place, ImportedOutput],
) -> int | None:
    """How many of the outputs a model has given before; None where it gave others."""
    query = (
        select(Generation.example_id, Generation.sample, Generation.text, Generation.error)
        .join(Example, Example.id == Generation.example_id)
        .where(
            Generation.model_version_id == model.id,
            Example.dataset_version_id == target.version.id,
            Example.split == target.split,
        )
    )
    shared = 0
    with session.execute(query, execution_options={"yield_per": AT_ONCE}) as rows:
        for example, sample, text, error in rows:
            if (output := outputs.get((example, sample))) is not None:
                if (output.text, output.error) != (text, error):
                    return None
                shared += 1
    return shared


def _store(
    session: Session,
    run: GenerationRun,
    models: Sequence[ModelVersion],
    written: Mapping[str, Mapping[Place, ImportedOutput]],
) -> None:
    rows = (
        {
            "model_version_id": model.id,
            "example_id": example,
            "sample": sample,
            "text": output.text,
            "error": output.error,
            "finish_reason": output.finish_reason,
            "token_logprobs": to_four_places(output.logprobs),
            "prompt_tokens": output.prompt_tokens,
            "completion_tokens": output.tokens,
            "latency_s": output.seconds,
        }
        for model in models
        for (example, sample), output in written[model.name].items()
    )
    while some := list(islice(rows, AT_ONCE)):
        add_to_run(session, GenerationRun, run.id, some)


def _notes(
    target: ExampleIndex,
    models: Sequence[ModelVersion],
    written: Mapping[str, Mapping[Place, ImportedOutput]],
    *,
    lacking: int,
) -> list[str]:
    """What is not proved, not covered and not given."""
    labels = ", ".join(model.label for model in models)
    notes = [
        f"{labels}: {UNPROVED}.",
        f"What {labels} learned from is not known: leaks into it cannot be checked.",
    ]
    if lacking:
        notes.append(
            f"{lacking} of the {counted(len(target.examples), 'example')} of {target.name} have no "
            "output: the run covers the others."
        )
    for model in models:
        absent = Counter(one.error for one in written[model.name].values())[NOT_GIVEN]
        if absent:
            notes.append(
                f"{model.label}: {counted(absent, 'output')} not given, counted as failed."
            )
    if unsaid := _unsaid(written):
        notes.append(f"Not given, so nothing is said of them: {', '.join(unsaid)}.")
    return notes


def _unsaid(written: Mapping[str, Mapping[Place, ImportedOutput]]) -> list[str]:
    """What can be known of an answer, and no row says."""
    rows = [row for outputs in written.values() for row in outputs.values()]
    fields = ("tokens", "prompt_tokens", "seconds", "logprobs", "finish_reason")
    return [field for field in fields if not any(getattr(row, field) for row in rows)]


def queue_scoring(
    session: Session, imported: Imported, metrics: Sequence[str], *, allowed: AllowedMetrics
) -> list[Job]:
    """Queue the scoring of imported outputs, once; without metrics by those of the run's newest.

    Scores of before stay as they are: they speak of the models that were there.

    Raises:
        Forbidden, InvalidInput: as `create_score_run`.
    """
    run = imported.run
    scored = list_score_runs(session, run.id)
    if metrics:
        wanted = [
            spec.label for spec in parse_metric_specs(name_risks(session, run, metrics), allowed)
        ]
    else:
        wanted = [spec.label for spec in metric_specs(scored[-1])] if scored else []
    if not wanted:
        return []
    found = next((row for row in reversed(scored) if _covers(session, row, imported, wanted)), None)
    found = found or create_score_run(
        session, generation_run_id=run.id, metrics=wanted, allowed=allowed
    )
    return [queue.enqueue_job(session, queue.JobKind.SCORE, found.id)]


def _covers(session: Session, scored: ScoreRun, imported: Imported, wanted: Sequence[str]) -> bool:
    """Whether a scoring is by these metrics, and was asked for when the outputs were there."""
    given = select(func.max(Generation.created_at)).where(
        Generation.run_id == imported.run.id,
        Generation.model_version_id.in_([model.id for model in imported.models]),
    )
    newest = session.scalar(given)
    same = {spec.label for spec in metric_specs(scored)} == set(wanted)
    return same and newest is not None and scored.created_at >= newest


def provenance(session: Session, run: GenerationRun) -> list[str]:
    """What cannot be proved of a run, and what it does not cover; nothing for a run made here."""
    imported = [model.label for model in run.models if model.only_outputs]
    said = [f"{', '.join(imported)}: {UNPROVED}."] if imported else []
    if run.engine == IMPORT and run.example_ids is not None:
        total = _count_split(session, run.dataset_version_id, run.split)
        said.append(f"It covers {len(run.example_ids)} of the {total} {run.split} examples.")
    return said
