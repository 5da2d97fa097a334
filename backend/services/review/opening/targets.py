"""What targeted strata go by: one value for each candidate, the higher the more worth a look.

A measure that lacks its input is an error that says what to run; it is never replaced by chance.
Of a pair, the more extreme of the two outputs counts.

How unlike earlier cases a case is: the distance to the nearest one that was reviewed.

Words and pairs of words of input and source, weighted by TF-IDF with sublinear counts and unit
length (scikit-learn); the distance is 1 - cosine to the nearest example that has a counted review
in the project, 0 for the same text and 1 for no word in common.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute, InvalidInput, UnknownName
from backend.services.datasets.conversations import content_text
from backend.services.metric_specs import metric_specs
from backend.services.review.counted import counts
from backend.services.review.opening.design import Stratum, Target, most_extreme, spread_of_ranks
from backend.services.review.opening.frames import Frame, parse_slice, slices_of
from backend.tables.datasets import Example
from backend.tables.review import Review, ReviewItem, ReviewQueue
from backend.tables.runs import Generation, GenerationRunModel, Score, ScoreRun
from evaluators.spread import cut

SLICE = "slice:"
READ = {"yield_per": 10_000}
# Checks for what the source does not support; those of one family look at the same thing. A risk
# is made of the others and goes before them.
RISK = "risk"
FAMILIES: dict[str, str] = {
    "grounding": "source",
    "invented": "source",
    "entailment": "entailment",
    "checker": "entailment",
    "support": "support",
    "citations": "citations",
    "self_consistency": "samples",
    "confidence": "confidence",
    "confidence_min": "confidence",
    "token_entropy": "confidence",
}
Values = list[float | None]


@dataclass(frozen=True, slots=True)
class TargetMaterial:
    """What a measure may look at."""

    session: Session
    project_id: int
    frame: Frame
    score_run: ScoreRun | None


class TargetMeasure(NamedTuple):
    """How a stratum finds its items, what it goes by, and what is said of it to leads and experts.

    Attributes:
        title: what a lead chooses.
        why: what an expert reads after the answer.
    """

    title: str
    values: Callable[[TargetMaterial, Target], Values]
    what: str
    why: str


def target_stratum(material: TargetMaterial, target: Target, n: int) -> Stratum:
    """The items that a target names.

    Raises:
        UnknownName: no such target.
        CannotCompute: its input is missing (the hint says what to run), or nothing stands out.
        InvalidInput: no example is in the slice.
    """
    if target.name.startswith(SLICE):
        return _slice_stratum(material, target, n)
    if target.name not in MEASURES:
        raise UnknownName("stratum", target.name, [*MEASURES, f"{SLICE}key=value"])
    measure = MEASURES[target.name]
    values = measure.values(material, target)
    members = most_extreme(values, top=target.top, what=measure.what)
    return Stratum(target.name, measure.why, members, n, values.count(None))


def _slice_stratum(material: TargetMaterial, target: Target, n: int) -> Stratum:
    slices = slices_of(material.session, material.frame.candidates)
    key, value = parse_slice(target.name.removeprefix(SLICE), slices)
    members = tuple(i for i, found in enumerate(slices) if found.get(key) == value)
    why = f"Cases with {key} = {value} are looked at more closely."
    return Stratum(target.name[:80], why, members, n)


def _risk(material: TargetMaterial, target: Target) -> Values:
    run = _scored(material, target.name)
    scored = _fitted(run) + _checks(run) if target.metric is None else [_named(run, target.metric)]
    if not scored:
        raise _no_checks(run, "none")
    return _worst(material.frame, _risks(material, run, scored[0]))


def _checks_apart(material: TargetMaterial, target: Target) -> Values:
    run = _scored(material, target.name)
    checks = _checks(run)
    if len(checks) < 2:
        raise _no_checks(run, f"only {checks[0]}" if checks else "none")
    by_check = {name: _risks(material, run, name) for name in checks}
    return spread_of_ranks(
        {name: _worst(material.frame, risks) for name, risks in by_check.items()}
    )


def _models_apart(material: TargetMaterial, target: Target) -> Values:
    """1 - Dice overlap of words, with the other models' answers to the same, on average."""
    candidates = material.frame.candidates
    order = sorted(range(len(candidates)), key=lambda i: candidates[i].example_id)
    values: Values = [None] * len(candidates)
    for some in cut(order, CHUNK):  # the words of all outputs would be gigabytes
        ends = candidates[some[0]].example_id, candidates[some[-1]].example_id
        cells = _cells_between(material, ends)
        for i in some:
            cell = cells[candidates[i].example_id, candidates[i].sample]
            values[i] = _apart(cell, candidates[i].output_ids)
    if all(value is None for value in values):
        raise CannotCompute(
            f"Run {material.frame.run_id} has the outputs of one model only, so models cannot "
            "disagree.",
            hint="Run several: strop run --models base,v1 ...",
        )
    return values


def _cells_between(
    material: TargetMaterial, ends: tuple[int, int]
) -> dict[tuple[int, int], dict[int, Counter[str]]]:
    """The words of each output to an example with one of these ids or between them, by cell."""
    run_id = material.frame.run_id
    models = select(GenerationRunModel.model_version_id).where(GenerationRunModel.run_id == run_id)
    query = (
        select(Generation.id, Generation.example_id, Generation.sample, Generation.text)
        .where(Generation.run_id == run_id, Generation.example_id.between(*ends))
        .where(Generation.model_version_id.in_(models), Generation.text.is_not(None))
    )
    cells: dict[tuple[int, int], dict[int, Counter[str]]] = {}
    for generation_id, example_id, sample, text in material.session.execute(query):
        words = Counter(re.findall(r"\w+", (text or "").casefold()))
        cells.setdefault((example_id, sample), {})[generation_id] = words
    return cells


def _apart(cell: Mapping[int, Counter[str]], shown: Sequence[int]) -> float | None:
    own = cell[shown[0]]
    others = [cell[shown[1]]] if len(shown) == 2 else [w for i, w in cell.items() if i != shown[0]]
    if not others:
        return None
    return sum(1 - _dice(own, other) for other in others) / len(others)


def _dice(one: Counter[str], two: Counter[str]) -> float:
    total = one.total() + two.total()
    return 2 * (one & two).total() / total if total else 1.0


def _unsure(material: TargetMaterial, target: Target) -> Values:
    query = select(Generation.id, Generation.token_logprobs).where(
        Generation.run_id == material.frame.run_id
    )
    surprise = {
        generation_id: -math.fsum(logprobs) / len(logprobs) if logprobs else None
        for generation_id, logprobs in material.session.execute(query, execution_options=READ)
    }
    if all(value is None for value in surprise.values()):
        raise CannotCompute(
            f"Run {material.frame.run_id} kept no token probabilities, so confidence is not known.",
            hint="Generate with an engine that gives them: strop run --engine vllm or local.",
        )
    return _worst(material.frame, surprise)


def _new(material: TargetMaterial, target: Target) -> Values:
    distances = distances_to_reviewed(
        material.session, material.project_id, [c.example_id for c in material.frame.candidates]
    )
    return [distances[candidate.example_id] for candidate in material.frame.candidates]


MEASURES: dict[str, TargetMeasure] = {
    "high_risk": TargetMeasure(
        "High risk by a check",
        _risk,
        "risk",
        "An automatic check found more in this answer to worry about than in most.",
    ),
    "detectors_disagree": TargetMeasure(
        "Checks disagree",
        _checks_apart,
        "the checks' disagreement",
        "Two checks disagree about this answer.",
    ),
    "models_disagree": TargetMeasure(
        "Models disagree",
        _models_apart,
        "the models' disagreement",
        "Models answered this very differently from each other.",
    ),
    "low_confidence": TargetMeasure(
        "The model was unsure",
        _unsure,
        "confidence",
        "The model was less sure of this answer than of most others.",
    ),
    "new_cluster": TargetMeasure(
        "Unlike what was reviewed before",
        _new,
        "novelty",
        "This case is unlike those that were reviewed before it.",
    ),
}


def _scored(material: TargetMaterial, stratum: str) -> ScoreRun:
    if material.score_run is None:
        raise CannotCompute(
            f"The stratum {stratum} needs scores, and run {material.frame.run_id} has none.",
            hint=_how_to_score(material.frame.run_id),
        )
    return material.score_run


def _how_to_score(run_id: int) -> str:
    return f"Run: strop run --resume {run_id} --metrics grounding,confidence"


def _no_checks(run: ScoreRun, found: str) -> CannotCompute:
    return CannotCompute(
        f"Score run {run.id} has {found} of the checks that this stratum compares.",
        hint=_how_to_score(run.generation_run_id),
    )


def _fitted(run: ScoreRun) -> list[str]:
    """The risks of a score run, the newest first."""
    found = [spec.metric for spec in metric_specs(run) if not spec.slice]
    risks = [name for name in found if name.partition(":")[0] == RISK]
    return sorted(risks, key=lambda name: (len(name), name), reverse=True)


def _checks(run: ScoreRun) -> list[str]:
    """The checks of a score run, the first of each family, in the order of the run."""
    found: dict[str, str] = {}
    for spec in metric_specs(run):
        family = FAMILIES.get(spec.metric.partition(":")[0])
        if family is not None and not spec.slice:
            found.setdefault(family, spec.metric)
    return list(found.values())


def _named(run: ScoreRun, metric: str) -> str:
    names = [spec.metric for spec in metric_specs(run)]
    if metric not in names:
        raise InvalidInput(
            f"Score run {run.id} has no {metric!r}.", hint=f"It has: {', '.join(names)}."
        )
    return metric


def _risks(material: TargetMaterial, run: ScoreRun, metric: str) -> dict[int, float | None]:
    """Value of a metric by generation, turned so that higher is worse; None where it has none.

    Raises CannotCompute when outputs of the frame were not scored yet.
    """
    from evaluators.registry import resolve_metrics

    sign = -1.0 if resolve_metrics([metric])[0].higher_is_better else 1.0
    query = select(Score.generation_id, Score.value).where(
        Score.score_run_id == run.id, Score.metric == metric
    )
    found = {
        generation_id: None if value is None else sign * value
        for generation_id, value in material.session.execute(query, execution_options=READ)
    }
    due = {i for candidate in material.frame.candidates for i in candidate.output_ids}
    if lacking := len(due - set(found)):
        raise CannotCompute(
            f"Score run {run.id} lacks {metric} of {lacking} outputs.",
            hint="Let its job finish, or score the run anew. "
            + _how_to_score(run.generation_run_id),
        )
    return found


def _worst(frame: Frame, by_output: Mapping[int, float | None]) -> Values:
    """Of each candidate the highest value of its outputs."""
    return [
        max((value for i in one.output_ids if (value := by_output[i]) is not None), default=None)
        for one in frame.candidates
    ]


CHARACTERS = 20_000
CHUNK = 500
FEATURES = 100_000


def distances_to_reviewed(
    session: Session, project_id: int, example_ids: Sequence[int]
) -> dict[int, float]:
    """Of each of these examples the distance to the nearest reviewed one, 0 to 1.

    Raises:
        CannotCompute: nothing was reviewed in the project yet.
    """
    reviewed = sorted(_reviewed_examples(session, project_id))
    if not reviewed:
        raise CannotCompute(
            "Nothing was reviewed in this project yet, so everything is new.",
            hint="Open a random queue first: strop review open --design random",
        )
    fresh = sorted(set(example_ids))
    texts = _texts(session, sorted({*reviewed, *fresh}))
    distances = nearest_distances([texts[i] for i in fresh], [texts[i] for i in reviewed])
    return dict(zip(fresh, distances, strict=True))


def nearest_distances(texts: Sequence[str], reviewed: Sequence[str]) -> list[float]:
    """1 - cosine of TF-IDF vectors to the nearest of `reviewed`, for each text.

    Raises:
        CannotCompute: the texts have no words.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), max_features=FEATURES, token_pattern=r"(?u)\b\w+\b"
    )
    try:
        vectorizer.fit([*reviewed, *texts])
    except ValueError as error:
        raise CannotCompute("The cases have no words by which to tell them apart.") from error
    known = vectorizer.transform(reviewed).T.tocsr()
    new = vectorizer.transform(texts)
    found: list[float] = []
    for start in range(0, len(texts), CHUNK):
        likeness = (new[start : start + CHUNK] @ known).max(axis=1).toarray().ravel()
        found += [min(1.0, max(0.0, 1.0 - float(near))) for near in likeness]
    return found


def _reviewed_examples(session: Session, project_id: int) -> set[int]:
    query = (
        select(Generation.example_id)
        .join(ReviewItem, ReviewItem.generation_a_id == Generation.id)
        .join(Review, Review.item_id == ReviewItem.id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .where(ReviewQueue.project_id == project_id, *counts())
        .distinct()
    )
    return set(session.scalars(query))


def _texts(session: Session, example_ids: Sequence[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for some in cut(example_ids, CHUNK):
        for example in session.scalars(select(Example).where(Example.id.in_(some))):
            found[example.id] = content_text(example)[:CHARACTERS]
    return found
