"""Compares two files of predictions, pair by pair; `strop compare` comes here when given files.

strop compare a.jsonl b.jsonl --metric rougeL
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from backend.cli.inputs import column_names
from backend.cli.terminal.output import check_target
from backend.cli.terminal.printing import print_json, print_notes, print_table
from evaluators.statistics import RESAMPLES

if TYPE_CHECKING:
    from evaluators.metric import Metric
    from evaluators.types import Difference, Sample, Score

COLUMNS = ["metric", "baseline", "candidate", "value", "low", "high", "p"]
FLIPS = ["fixed", "broken", "both_right", "both_wrong"]
SHOWN_FAILURES = 5
COUNTS = ["wins", "losses", "ties", "n", "failed", "better"]


def compare_files(
    baseline: str,
    candidate: str,
    *,
    metrics: Sequence[str],
    as_json: bool = False,
    html: Path | None = None,
    force: bool = False,
    maps: Sequence[str] | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Difference]:
    """Print the paired difference of each metric, candidate minus baseline, and return them.

    Samples are paired by id, or by row where neither file has ids; ids that only one file has, and
    pairs that could not be scored, are named and counted, not used.

    Raises:
        EvaluatorError: a file cannot be read, no id is common, or nothing could be scored.
    """
    from evaluators.aggregate import paired_difference
    from evaluators.registry import resolve_metrics
    from evaluators.scoring import score_samples

    chosen = resolve_metrics(list(metrics))
    if html is not None:
        check_target(html, force=force, inputs=[baseline, candidate])
    old, new, unpaired = pair_samples(*_read(baseline, candidate, maps))
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
    extra = [_flips(metric, before[metric.name], after[metric.name]) for metric in chosen]
    rows = _corrected(found, extra)
    if html is not None:
        _write_html(html, (baseline, candidate), rows, force=force)
    _print(found, rows, unpaired, as_json=as_json)
    if not as_json:
        _print_failures(old, (before, after))
    return found


def _read(
    baseline: str, candidate: str, maps: Sequence[str] | None
) -> tuple[list[Sample], list[Sample]]:
    from evaluators.errors import EvaluatorError
    from evaluators.files.mapping import Notes
    from evaluators.files.predictions import read_samples, row_id

    names, notes = column_names(maps, several=True), Notes()
    old = read_samples(baseline, names=names, notes=notes)
    new = read_samples(candidate, names=names, notes=notes)
    names.check_met()
    print_notes(notes)
    by_row = all(s.id == row_id(i) for s_all in (old, new) for i, s in enumerate(s_all, start=1))
    if by_row and len(old) != len(new):
        raise EvaluatorError(
            f"Without ids rows are paired by number, and the files have {len(old)} and {len(new)}.",
            hint="Give both an id.",
        )
    return old, new


def _flips(metric: Metric, before: Sequence[Score], after: Sequence[Score]) -> dict[str, int]:
    """Fixed and broken outputs where the metric says yes or no of each; else nothing."""
    from evaluators.statistics.testing import count_flips

    pairs = [(b.value, a.value) for b, a in zip(before, after, strict=True)]
    known = [(b, a) for b, a in pairs if b is not None and a is not None]
    if any(value not in (0.0, 1.0) for pair in known for value in pair):
        return {}
    flips = count_flips([b for b, _ in known], [a for _, a in known])
    one, zero = flips.both_right, flips.both_wrong
    if metric.higher_is_better:
        return {"fixed": flips.fixed, "broken": flips.broken, "both_right": one, "both_wrong": zero}
    return {"fixed": flips.broken, "broken": flips.fixed, "both_right": zero, "both_wrong": one}


def _corrected(
    found: Sequence[Difference], extra: Sequence[dict[str, int]]
) -> list[dict[str, Any]]:
    """Rows with p corrected over the metrics: Holm against any false alarm, BH for their share."""
    from evaluators.statistics.testing import benjamini_hochberg, holm

    p = [difference.p for difference in found]
    return [
        {**difference.as_dict(), "p_holm": a, "p_bh": b, **more}
        for difference, a, b, more in zip(found, holm(p), benjamini_hochberg(p), extra, strict=True)
    ]


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


def _print(
    found: Sequence[Difference],
    rows: Sequence[dict[str, Any]],
    unpaired: Sequence[str],
    *,
    as_json: bool,
) -> None:
    if as_json:
        print_json([{**row, "unpaired": len(unpaired)} for row in rows])
        return
    corrected = ["p_holm"] if len(rows) > 1 else []
    told = "; p and interval are of one metric alone, p_holm is over all" if corrected else ""
    print_table(rows, columns=[*COLUMNS, *corrected], title=f"Candidate minus baseline{told}")
    print_table(rows, columns=["metric", *COUNTS])
    flipped = [row for row in rows if "fixed" in row]
    if flipped:
        print_table(flipped, columns=["metric", *FLIPS])
    for difference in found:
        if difference.note:
            typer.echo(f"{difference.metric}: {difference.note}.")
        typer.echo(difference.signature)
    if unpaired:
        shown = ", ".join(unpaired[:5])
        typer.echo(f"not compared: {len(unpaired)} ids are in one file only ({shown})", err=True)


def _print_failures(
    samples: Sequence[Sample], sides: tuple[Mapping[str, Sequence[Score]], ...]
) -> None:
    """Name the pairs that could not be scored, with the side at which it failed."""
    for name in sides[0]:
        failed = [
            f"not scored: {name}, id {sample.id} ({side}): {scores[name][i].error}"
            for i, sample in enumerate(samples)
            for side, scores in zip(("baseline", "candidate"), sides, strict=True)
            if scores[name][i].error
        ]
        for line in failed[:SHOWN_FAILURES]:
            typer.echo(line, err=True)
        if len(failed) > SHOWN_FAILURES:
            typer.echo(f"not scored: {name}, {len(failed) - SHOWN_FAILURES} more", err=True)


def _write_html(
    path: Path, files: tuple[str, str], rows: Sequence[dict[str, Any]], *, force: bool
) -> None:
    from backend.cli.runs.html_report import forest_plots, signatures, table, write_report

    flipped = [row for row in rows if "fixed" in row]
    noted = ["note"] if any(row.get("note") for row in rows) else []
    columns = [*COLUMNS, *(["p_holm", "p_bh"] if len(rows) > 1 else []), *COUNTS, *noted]
    sections = [
        ("Candidate minus baseline", table(rows, columns)),
        ("Plot", forest_plots(rows, zero=0.0)),
    ]
    if flipped:
        sections.append(("Flips", table(flipped, ["metric", *FLIPS])))
    sections.append(("Recipes", signatures([row["signature"] for row in rows])))
    write_report(
        path, f"{Path(files[1]).name} against {Path(files[0]).name}", sections, force=force
    )
