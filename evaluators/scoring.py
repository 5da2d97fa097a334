"""Scores many samples with many metrics, chunk by chunk, on one core or several."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from evaluators.errors import EvaluatorError
from evaluators.metric import Metric
from evaluators.types import Sample, Score

CHUNK = 250
WORTH_SHARING = 2000  # samples; starting a process costs about what scoring these does
LOADS_A_MODEL = ("embedding:", "bertscore:", "entailment:", "evaluate:")

Packed = list[tuple[Any, ...]]


def score_samples(
    metrics: Sequence[Metric],
    samples: Sequence[Sample],
    *,
    processes: int | None = 1,
    progress: Callable[[int], None] | None = None,
) -> dict[str, list[Score]]:
    """Scores by metric name, in the order of the samples.

    A chunk goes through all metrics before the next, so that texts are prepared once.

    Args:
        processes: worker processes; None takes what `fitting_processes` says.
        progress: called with the number of samples that were just done.

    Raises:
        EvaluatorError: a worker process has died.
    """
    names = [metric.name for metric in metrics]
    out: dict[str, list[Score]] = {name: [] for name in names}
    count = fitting_processes(names, len(samples)) if processes is None else processes
    for done in _scored_chunks(metrics, samples, count):
        for name, scores in zip(names, done, strict=True):
            out[name].extend(scores)
        if progress is not None and done:
            progress(len(done[0]))
    return out


def fitting_processes(names: Sequence[str], samples: int) -> int:
    """All cores where many samples are scored; one where each process would load a model."""
    if samples < WORTH_SHARING or any(name.startswith(LOADS_A_MODEL) for name in names):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _scored_chunks(
    metrics: Sequence[Metric], samples: Sequence[Sample], processes: int
) -> Iterator[list[list[Score]]]:
    chunks = (samples[start : start + CHUNK] for start in range(0, len(samples), CHUNK))
    if processes == 1 or len(samples) <= CHUNK:
        yield from (score_chunk(metrics, chunk) for chunk in chunks)
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    names = [metric.name for metric in metrics]
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    try:
        for columns in pool.map(partial(score_named, names), chunks):
            yield [[Score(*fields) for fields in column] for column in columns]
    except BrokenProcessPool as error:
        raise EvaluatorError(
            "A process that scores has ended of itself, perhaps for want of memory.",
            hint="Score with one process.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def score_chunk(metrics: Sequence[Metric], samples: Sequence[Sample]) -> list[list[Score]]:
    """Scores of one chunk: a list per metric."""
    return [metric.score(samples) for metric in metrics]


def score_named(names: Sequence[str], samples: Sequence[Sample]) -> list[Packed]:
    """The same in another process, which looks the metrics up by name.

    Scores travel as plain tuples: these are pickled several times faster.
    """
    from evaluators.registry import resolve_metrics

    columns = score_chunk(resolve_metrics(names), samples)
    return [[_fields(score) for score in column] for column in columns]


def _fields(score: Score) -> tuple[Any, ...]:
    s = score
    return s.value, s.error, s.not_applicable, s.label, s.explanation, s.spans, s.stats
