"""Compares two files of predictions, pair by pair; `strop compare` comes here when given files.

strop compare a.jsonl b.jsonl --metric rougeL
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from backend.cli.common import print_json, print_table

if TYPE_CHECKING:
    from evaluators.types import Difference, Sample

COLUMNS = ["metric", "baseline", "candidate", "value", "low", "high", "p"]
COUNTS = ["wins", "losses", "ties", "n", "failed", "better"]


def compare_files(
    baseline: str,
    candidate: str,
    *,
    metrics: Sequence[str],
    as_json: bool = False,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Difference]:
    """Print the paired difference of each metric, candidate minus baseline, and return them.

    Samples are paired by id; ids that only one file has are named and counted, not used.

    Raises:
        EvaluatorError: a file cannot be read, no id is common, or nothing could be scored.
    """
    from evaluators.aggregate import paired_difference
    from evaluators.predictions import read_samples
    from evaluators.registry import resolve_metrics
    from evaluators.scoring import score_samples

    chosen = resolve_metrics(list(metrics))
    old, new, unpaired = pair_samples(read_samples(baseline), read_samples(candidate))
    before, after = score_samples(chosen, old), score_samples(chosen, new)
    groups = [sample.group for sample in old]
    found = [
        paired_difference(
            metric,
            before[metric.name],
            after[metric.name],
            groups,
            seed=seed,
            resamples=resamples,
            level=level,
        )
        for metric in chosen
    ]
    _print(found, unpaired, as_json=as_json)
    return found


def pair_samples(
    old: Sequence[Sample], new: Sequence[Sample]
) -> tuple[list[Sample], list[Sample], list[str]]:
    """Samples of both files with the same id, in the order of the first; ids of one file only.

    Raises:
        EvaluatorError: no id is common, or a pair was not scored against the same reference.
    """
    from evaluators.errors import EvaluatorError

    later = {sample.id: sample for sample in new}
    pairs = [(sample, later[sample.id]) for sample in old if sample.id in later]
    if not pairs:
        raise EvaluatorError("The two files have no id in common.", hint="Use the same ids.")
    for a, b in pairs:
        if (a.references, a.context) != (b.references, b.context):
            raise EvaluatorError(
                f"id {a.id!r} has another reference or context in the second file.",
                hint="Compare outputs for the same examples.",
            )
    common = {a.id for a, _ in pairs}
    unpaired = sorted({sample.id for sample in (*old, *new)} - common)
    return [a for a, _ in pairs], [b for _, b in pairs], unpaired


def _print(found: Sequence[Difference], unpaired: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json([{**difference.as_dict(), "unpaired": len(unpaired)} for difference in found])
        return
    rows = [difference.as_dict() for difference in found]
    print_table(rows, columns=COLUMNS, title="Candidate minus baseline")
    print_table(rows, columns=["metric", *COUNTS])
    for difference in found:
        typer.echo(difference.signature)
    if unpaired:
        shown = ", ".join(unpaired[:5])
        typer.echo(f"not compared: {len(unpaired)} ids are in one file only ({shown})", err=True)
