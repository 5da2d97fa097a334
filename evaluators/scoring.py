"""Scores many samples with many metrics, chunk by chunk, on one core or several.

Only a few chunks are on their way at any time, and scores come back packed (`evaluators.columns`):
memory grows with the samples' numbers, not with their texts.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from evaluators.columns import PackedScores, ScoreColumn, pack_scores
from evaluators.errors import EvaluatorError
from evaluators.metric import Metric
from evaluators.types import Sample, Score

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

CHUNK = 250
IN_FLIGHT = 4  # chunks for each process: enough that none waits, however long one chunk takes
WORTH_SHARING = 2000  # samples; starting a process costs about what scoring these does
LOADS_A_MODEL = (
    "embedding:", "bertscore:", "entailment:", "checker:", "self_consistency:", "evaluate:"
)  # fmt: skip

Progress = Callable[[int], None]
Chunk = TypeVar("Chunk")
Scored = TypeVar("Scored")


def score_samples(
    metrics: Sequence[Metric],
    samples: Sequence[Sample],
    *,
    processes: int | None = 1,
    progress: Progress | None = None,
) -> dict[str, list[Score]]:
    """Scores by metric name, in the order of the samples.

    A chunk goes through all metrics before the next, so that texts are prepared once.

    Args:
        processes: worker processes; None takes what `fitting_processes` says.
        progress: called with the number of samples that were just done.

    Raises:
        EvaluatorError: a worker process has died.
    """
    count = _processes(metrics, len(samples), processes)
    if count > 1:
        columns = score_columns(metrics, samples, len(samples), processes=count, progress=progress)
        return {name: list(column) for name, column in columns.items()}
    scores: dict[str, list[Score]] = {metric.name: [] for metric in metrics}
    for chunk in _cut(samples):
        with _collecting_later():
            for metric in metrics:
                scores[metric.name].extend(metric.score(chunk))
        if progress is not None:
            progress(len(chunk))
    return scores


def score_columns(
    metrics: Sequence[Metric],
    samples: Iterable[Sample],
    count: int,
    *,
    processes: int | None = 1,
    progress: Progress | None = None,
) -> dict[str, ScoreColumn]:
    """As `score_samples`, with the scores packed: for samples by the hundred thousand.

    Args:
        samples: each is asked for when its turn comes, and let go when it is scored.
        count: how many there are.
    """
    names = [metric.name for metric in metrics]
    columns = {name: ScoreColumn() for name in names}
    shared, chunks = _processes(metrics, count, processes), _cut(samples)
    alone = map(partial(pack_chunk, metrics), chunks)
    for packed in _share(names, chunks, shared) if shared > 1 else alone:
        for name, chunk in zip(names, packed, strict=True):
            columns[name].add(chunk)
        if progress is not None and packed:
            progress(packed[0].size)
    return columns


def _processes(metrics: Sequence[Metric], samples: int, asked: int | None) -> int:
    """As asked, or as many as fit; one chunk is for one process."""
    if samples <= CHUNK:
        return 1
    return fitting_processes([m.name for m in metrics], samples) if asked is None else asked


def fitting_processes(names: Sequence[str], samples: int) -> int:
    """All cores where many samples are scored; one where each process would load a model."""
    if samples < WORTH_SHARING or any(name.startswith(LOADS_A_MODEL) for name in names):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cut(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    rest = iter(samples)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _share(
    names: Sequence[str], chunks: Iterator[list[Sample]], processes: int
) -> Iterator[list[PackedScores]]:
    """Chunks scored by several processes, in order."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    try:
        yield from _in_turn(pool, partial(score_named, names), chunks, IN_FLIGHT * processes)
    except BrokenProcessPool as error:
        raise EvaluatorError(
            "A process that scores has ended of itself, perhaps for want of memory.",
            hint="Score with one process.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _in_turn(
    pool: ProcessPoolExecutor,
    score: Callable[[Chunk], Scored],
    chunks: Iterator[Chunk],
    at_once: int,
) -> Iterator[Scored]:
    """As `pool.map`, which however takes all chunks before it gives the first result."""
    waiting: deque[Future[Scored]] = deque()
    for chunk in chunks:
        waiting.append(pool.submit(score, chunk))
        if len(waiting) == at_once:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def pack_chunk(metrics: Sequence[Metric], samples: Sequence[Sample]) -> list[PackedScores]:
    """Scores of one chunk, packed metric by metric."""
    with _collecting_later():
        return [pack_scores(metric.score(samples)) for metric in metrics]


@contextmanager
def _collecting_later() -> Iterator[None]:
    """No garbage is looked for within one chunk.

    What a chunk makes is kept (scores, and what is remembered of its texts) or goes with its last
    reference; to search it for cycles every 700 objects takes an eighth of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on and not gc.get_freeze_count():
            # Counts as old at once, without being gone through: it is, most of it.
            gc.freeze()
            gc.unfreeze()
        if was_on:
            gc.enable()


def score_named(names: Sequence[str], samples: Sequence[Sample]) -> list[PackedScores]:
    """The same in another process, which looks the metrics up by name."""
    from evaluators.registry import resolve_metrics

    return pack_chunk(resolve_metrics(names), samples)
