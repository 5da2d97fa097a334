"""What a run over counterfactual pairs says: do answers move with a person's group?"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute, InvalidInput, NotFound, raised_as
from backend.schemas.fairness import (
    CounterfactualExample,
    CounterfactualReportOut,
)
from backend.services.fairness.pairs import (
    CONTROL,
    DIRECTION,
    KIND,
    LANGUAGE,
    OF,
    ORIGINAL,
    SIDE,
    SWAPPED,
    WORDS,
    is_pairs,
)
from backend.services.metric_specs import metric_specs
from backend.services.runs.figures import metric_traits
from backend.services.runs.generation import examples_of_run, get_run
from backend.services.runs.scoring import list_score_runs
from backend.tables.datasets import Example
from backend.tables.runs import Generation, GenerationRun, Score
from evaluators.errors import EvaluatorError

if TYPE_CHECKING:
    from evaluators.fairness.contrast import Sides

SHOWN_ROWS = 10


def counterfactual_report(
    session: Session, run_id: int, *, model_id: int | None = None, level: float = 0.95
) -> list[CounterfactualReportOut]:
    """Of each model of a run over pairs, or of one; metrics are those of its newest score run.

    Raises:
        InvalidInput: the run is not over counterfactual pairs.
        NotFound: the model takes no part in the run.
        CannotCompute: no pair has all its answers.
    """
    from evaluators.fairness.contrast import contrasts, shifts
    from evaluators.fairness.lexicon import LANGUAGES, shipped_lexicon

    run = get_run(session, run_id)
    if not is_pairs(run.dataset_version):
        raise InvalidInput(
            f"Run {run.id} is not over counterfactual pairs.",
            hint="Make them: strop fairness pairs --dataset NAME, and run models on them.",
        )
    models = [model for model in run.models if model_id in (None, model.id)]
    if not models:
        raise NotFound(f"Model version {model_id} takes no part in run {run.id}.")
    scales = _metrics(session, run)
    recipe, reports = run.dataset_version.split_recipe, []
    seed = int(recipe["seed"])
    lexicons = {name: shipped_lexicon(name) for name in LANGUAGES}
    for model in models:
        rows = read_sides(session, run, model.id, list(scales))
        with raised_as(CannotCompute, EvaluatorError):
            found = contrasts(rows, lexicons, metrics=scales, level=level, seed=seed)
        reports.append(
            CounterfactualReportOut(
                model_version_id=model.id,
                model=model.label,
                run_id=run.id,
                samples=run.samples,
                pairs=recipe["pairs"],
                skipped=recipe["skipped"],
                contrasts=found,
                shifts=shifts(rows, metrics=scales, level=level, seed=seed),
                examples=_changed_most(rows),
            )
        )
    return reports


def _metrics(session: Session, run: GenerationRun) -> dict[str, float | None]:
    """Name -> scale of the metrics of the newest score run."""
    scored = list_score_runs(session, run.id)
    names = dict.fromkeys(spec.metric for spec in metric_specs(scored[-1])) if scored else {}
    return {name: metric_traits(name)["scale"] for name in names}


def read_sides(
    session: Session, run: GenerationRun, model_id: int, metrics: Sequence[str]
) -> list[Sides]:
    """Every pair and sample of a model, with what is lacking as None."""
    from evaluators.fairness.contrast import Sides

    examples = examples_of_run(session, run)
    texts = _texts(session, run.id, model_id)
    values = _values(session, run, model_id, metrics)
    places: dict[tuple[str, str], dict[str, Example]] = {}
    originals: dict[str, Example] = {}
    for example in examples:
        slices = example.slices
        if slices.get(SIDE) == ORIGINAL:
            originals[slices[OF]] = example
        elif {OF, KIND, SIDE, WORDS, LANGUAGE} <= slices.keys():  # what was erased has lost them
            places.setdefault((slices[OF], slices[KIND]), {})[slices[SIDE]] = example
    rows = []
    for (of, kind), sides in places.items():
        if of not in originals or {SWAPPED, CONTROL} - sides.keys():
            continue  # the run was drawn of some examples, and not of all of a pair
        trio = {ORIGINAL: originals[of], **sides}
        words, control_words = (
            tuple((was, now) for was, now in json.loads(sides[side].slices[WORDS]))
            for side in (SWAPPED, CONTROL)
        )
        for sample in range(run.samples):
            said = {side: texts.get((e.id, sample)) for side, e in trio.items()}
            rows.append(
                Sides(
                    row=of,
                    group=str(trio[ORIGINAL].group or of),
                    kind=kind,
                    direction=str(sides[SWAPPED].slices.get(DIRECTION, "")),
                    language=str(sides[SWAPPED].slices[LANGUAGE]),
                    original=said[ORIGINAL],
                    swapped=said[SWAPPED],
                    control=said[CONTROL],
                    words=words,
                    control_words=control_words,
                    values={s: values.get((e.id, sample), {}) for s, e in trio.items()},
                )
            )
    return rows


def _texts(session: Session, run_id: int, model_id: int) -> dict[tuple[int, int], str | None]:
    query = select(Generation.example_id, Generation.sample, Generation.text).where(
        Generation.run_id == run_id, Generation.model_version_id == model_id
    )
    return {(row[0], row[1]): row[2] for row in session.execute(query)}


def _values(
    session: Session, run: GenerationRun, model_id: int, metrics: Sequence[str]
) -> dict[tuple[int, int], dict[str, float | None]]:
    scored = list_score_runs(session, run.id)
    if not scored or not metrics:
        return {}
    query = (
        select(Generation.example_id, Generation.sample, Score.metric, Score.value)
        .join(Score, Score.generation_id == Generation.id)
        .where(Score.score_run_id == scored[-1].id, Score.metric.in_(metrics))
        .where(Generation.model_version_id == model_id)
    )
    found: dict[tuple[int, int], dict[str, float | None]] = defaultdict(dict)
    for example_id, sample, metric, value in session.execute(query):
        found[example_id, sample][metric] = value
    return found


def _changed_most(rows: Sequence[Sides]) -> list[CounterfactualExample]:
    """The rows whose answers moved most with the group, beyond the control, to be read."""
    from evaluators.fairness.contrast import ANSWER, MEASURES
    from evaluators.fairness.lexicon import shipped_lexicon

    read = MEASURES[ANSWER]
    told = []
    for row in rows:
        if row.whole:
            lexicon = shipped_lexicon(row.language)
            moved = read(row, row.swapped or "", lexicon)
            told.append((moved - read(row, row.control or "", lexicon), moved, row))
    told.sort(key=lambda one: (-one[0], one[2].row))
    return [
        CounterfactualExample(
            row=row.row,
            kind=row.kind,
            direction=row.direction,
            change=moved,
            excess=excess,
            words=[list(pair) for pair in row.words],
            original=row.original or "",
            swapped=row.swapped or "",
            control=row.control or "",
        )
        for excess, moved, row in told[:SHOWN_ROWS]
        if excess > 0
    ]


def list_shipped() -> list[dict[str, Any]]:
    """Every list that ships, as it is read."""
    from evaluators.fairness.lexicon import LISTS, read_list

    return [{"file": path.name, **read_list(path)} for path in sorted(Path(LISTS).glob("*.yaml"))]
