"""Scores many samples with many metrics, chunk by chunk, on one core or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from evaluators.metric import Metric
from evaluators.types import Sample, Score

CHUNK = 500


def score_samples(
    metrics: Sequence[Metric],
    samples: Sequence[Sample],
    *,
    processes: int = 1,
    progress: Callable[[int], None] | None = None,
) -> dict[str, list[Score]]:
    """Scores by metric name, in the order of the samples.

    A chunk goes through all metrics before the next, so that texts are prepared once.

    Args:
        processes: worker processes; worth it from some thousand samples on.
        progress: called with the number of samples that were just done.
    """
    names = [metric.name for metric in metrics]
    out: dict[str, list[Score]] = {name: [] for name in names}
    for done in _scored_chunks(metrics, samples, processes):
        for name, scores in zip(names, done, strict=True):
            out[name].extend(scores)
        if progress is not None and done:
            progress(len(done[0]))
    return out


def _scored_chunks(
    metrics: Sequence[Metric], samples: Sequence[Sample], processes: int
) -> Iterator[list[list[Score]]]:
    chunks = (samples[start : start + CHUNK] for start in range(0, len(samples), CHUNK))
    if processes == 1 or len(samples) <= CHUNK:
        yield from (score_chunk(metrics, chunk) for chunk in chunks)
        return
    from multiprocessing import get_context

    names = [metric.name for metric in metrics]
    with get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(partial(score_named, names), chunks)


def score_chunk(metrics: Sequence[Metric], samples: Sequence[Sample]) -> list[list[Score]]:
    """Scores of one chunk: a list per metric."""
    return [metric.score(samples) for metric in metrics]


def score_named(names: Sequence[str], samples: Sequence[Sample]) -> list[list[Score]]:
    """The same in another process, which looks the metrics up by name."""
    from evaluators.registry import resolve_metrics

    return score_chunk(resolve_metrics(names), samples)
