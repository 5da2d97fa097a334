"""The test bench of checks: errors planted in outputs that are right, and what each check finds.

Recall is the share of planted errors at which a check raises an alarm, by kind; a false alarm is
one on an output as it was, before anything was planted in it. All of it is simulated: planted
errors are no sample of the errors that a model makes, and a recall here says which kinds a check
can see, not how many of a model's errors it will find.

A check that says yes or no (all its values are 0 or 1) is read as it is. A continuous one raises an
alarm from a threshold on: the lowest at which at most 5% of the outputs as they were would raise
one, chosen on one half of the groups; recall and false alarms are measured on the other half.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from evaluators.checks.planting.figures import (
    Bench,
    BenchReport,
    PlantedSample,
    measure_check,
    plantable,
)
from evaluators.checks.planting.plant import KINDS, plant_errors
from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.metric import Metric
from evaluators.spread import Spread, cut
from evaluators.types import Sample

BLOCK = 25
MOST_DONORS = 200


def build_bench(
    samples: Sequence[Sample],
    *,
    kinds: Sequence[str] = tuple(KINDS),
    seed: int = 0,
    spread: Spread = map,
) -> Bench:
    """Plant one error of each kind in each sample whose prediction is right.

    Outputs of other groups are the donors of names and sentences. A sample whose own prediction is
    empty, or that has no source, is left out and counted; one in which nothing can be planted
    (another language, say) stays among the outputs as they were.

    Args:
        spread: where errors are planted in blocks of samples.

    Raises:
        InvalidValues: an unknown kind.
        UndefinedFigure: no sample can be used, or none of them can be given an error.
    """
    usable, left_out = [], {"no source": 0, "empty output": 0}
    for sample in samples:
        if not sample.prediction.strip():
            left_out["empty output"] += 1
        elif not source_of(sample).strip():
            left_out["no source"] += 1
        else:
            usable.append(sample)
    left_out = {reason: count for reason, count in left_out.items() if count}
    if not usable:
        said = ", ".join(f"{reason}: {count}" for reason, count in left_out.items())
        raise UndefinedFigure(
            f"No output can be used ({said or 'there is none'}).",
            hint="Each needs a prediction that is right, and its source in 'context'.",
        )
    grounds = [_Ground(usable[i], i, _donors(usable, i, seed)) for i in range(len(usable))]
    work = partial(_plant, tuple(kinds), seed)
    planted = list(chain.from_iterable(spread(work, cut(grounds, BLOCK))))
    if not planted:
        raise UndefinedFigure(
            f"No error of the kinds {', '.join(kinds)} can be planted in {len(usable)} outputs.",
            hint="Errors are planted in English and German texts that say something.",
        )
    return Bench(tuple(usable), tuple(planted), tuple(kinds), seed, left_out)


def source_of(sample: Sample) -> str:
    """All that the model was given: the context, then the input; nothing without a context."""
    return (
        "\n".join(part for part in (sample.context, sample.input) if part)
        if (sample.context or "").strip()
        else ""
    )


@dataclass(frozen=True, slots=True)
class _Ground:
    """A sample with its place, and the outputs that names and sentences may be taken from."""

    sample: Sample
    place: int
    donors: list[str]


def _plant(kinds: tuple[str, ...], seed: int, grounds: Sequence[_Ground]) -> list[PlantedSample]:
    return [
        PlantedSample(
            replace(one.sample, id=f"{one.sample.id}#{p.kind}", prediction=p.text),
            one.place,
            p.kind,
            p.start,
            p.end,
        )
        for one in grounds
        for p in plant_errors(
            one.sample.prediction, source_of(one.sample), kinds=kinds, seed=seed, donors=one.donors
        )
    ]


def _donors(samples: Sequence[Sample], i: int, seed: int) -> list[str]:
    """Outputs of other groups and of other sources."""
    rng = random.Random(f"{seed}|{i}")
    own = samples[i]
    chosen = rng.sample(range(len(samples)), min(len(samples), MOST_DONORS))
    return [
        samples[j].prediction
        for j in chosen
        if samples[j].context != own.context
        and (own.group is None or samples[j].group != own.group)
    ]


def run_bench(
    bench: Bench, metrics: Sequence[Metric], *, level: float = 0.95, processes: int | None = 1
) -> BenchReport:
    """Recall by kind and false alarms of each check, with intervals over groups.

    Raises:
        InvalidValues: a check that asks a model, which a worker would have to serve.
    """
    from evaluators.scoring import score_samples
    from evaluators.statistics.clusters import number_clusters

    refuse_model_checks([metric.name for metric in metrics])
    texts = [*bench.unedited, *(planted.sample for planted in bench.planted)]
    scores = score_samples(metrics, texts, processes=processes)
    groups = number_clusters([sample.group for sample in bench.unedited])
    found = [measure_check(bench, metric, scores[metric.name], level) for metric in metrics]
    return BenchReport(
        n=len(bench.unedited),
        groups=int(groups.max()) + 1,
        seed=bench.seed,
        left_out=bench.left_out,
        plantable=tuple(plantable(bench, kind, level) for kind in bench.kinds),
        checks=tuple(found),
    )


def refuse_model_checks(names: Sequence[str]) -> None:
    """Refuse checks that ask a model, by name.

    Raises:
        InvalidValues: one of them is such a check.
    """
    from evaluators.registry import asks_model

    asked = [name for name in names if asks_model(name)]
    if asked:
        raise InvalidValues(
            f"The bench does not serve models, so {', '.join(asked)} cannot be measured on it.",
            hint="Name checks that read the texts themselves, such as invented or overlap.",
        )
