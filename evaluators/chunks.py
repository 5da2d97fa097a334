"""Scoring as a pure function: a chunk of outputs with the names of metrics -> rows of the ledger.

What goes in and what comes out can be pickled, so that it may be done in another process or on
another machine. A process that only scores loads this and the evaluators, and nothing else.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from evaluators.metric import Metric
from evaluators.registry import resolve_metrics
from evaluators.types import Sample, Score


@dataclass(frozen=True, slots=True)
class OutputToScore:
    """One output of a run as metrics are shown it, and the metrics that the ledger lacks of it.

    Attributes:
        error: why nothing was generated; no metric is shown the output then.
    """

    generation_id: int
    sample: Sample
    metrics: tuple[str, ...]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ScoreChunk:
    """Outputs that are scored together.

    Attributes:
        made_of: by whole name, what a metric with an argument is made of: a pattern, a module, or
            a path, which has to be the same wherever the chunk is scored.
    """

    outputs: tuple[OutputToScore, ...]
    made_of: Mapping[str, str] = field(default_factory=dict)


class TimedRows(NamedTuple):
    """Rows of the ledger with what they took.

    Attributes:
        processor_s: processor seconds of the process that made them, while it did.
        process: which process that was, by machine and number.
    """

    rows: list[dict[str, Any]]
    processor_s: float
    process: str


def this_process() -> str:
    """The name of this process, which no other one has at the same time."""
    return f"{platform.node()}/{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Timing:
    """Work on a chunk, timed where it is done; it can be pickled if the work can."""

    work: Callable[[ScoreChunk], list[dict[str, Any]]]

    def __call__(self, chunk: ScoreChunk) -> TimedRows:
        """What the work gives of a chunk, with what it took."""
        begun = time.process_time()
        rows = self.work(chunk)
        return TimedRows(rows, time.process_time() - begun, this_process())


def score_chunk(chunk: ScoreChunk) -> list[dict[str, Any]]:
    """Rows of the ledger for a chunk, all but the run to which they belong; none for no metric.

    Raises:
        EvaluatorError: a metric that there is none of.
        KeyError: `made_of` lacks a metric with an argument.
    """
    names = list(dict.fromkeys(name for output in chunk.outputs for name in output.metrics))
    if not names:
        return []
    return score_outputs(
        chunk.outputs, resolve_metrics(names, lambda name, takes, argument: chunk.made_of[name])
    )


def score_outputs(
    outputs: Sequence[OutputToScore], metrics: Sequence[Metric]
) -> list[dict[str, Any]]:
    """Rows for outputs, of each those metrics that it asks for."""
    rows: list[dict[str, Any]] = []
    for metric in metrics:
        rows += _score_with(metric, [one for one in outputs if metric.name in one.metrics])
    return rows


def _score_with(metric: Metric, outputs: Sequence[OutputToScore]) -> list[dict[str, Any]]:
    written = [output for output in outputs if output.error is None]
    scores = metric.score([output.sample for output in written])
    signature = metric.signature(scores)
    rows = [
        ledger_row(output.generation_id, metric, score, signature)
        for output, score in zip(written, scores, strict=True)
    ]
    for output in outputs:
        if output.error is not None:
            failed = Score(None, error=f"nothing was generated: {output.error}")
            rows.append(ledger_row(output.generation_id, metric, failed, signature))
    return rows


def ledger_row(generation_id: int, metric: Metric, score: Score, signature: str) -> dict[str, Any]:
    """A score as a row."""
    return {
        "generation_id": generation_id,
        "metric": metric.name,
        "value": score.value,
        "error": score.error,
        "not_applicable": score.not_applicable,
        "label": score.label,
        "explanation": score.explanation,
        "spans": [asdict(span) for span in score.spans],
        "stats": list(score.stats),
        "signature": signature,
    }
