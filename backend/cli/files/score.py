"""`strop score`: metrics of a file of predictions, without a database.

strop score preds.jsonl --metrics rouge,bleu,grounding [--json] [--out scores.jsonl]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.inputs import column_names, names_in
from backend.cli.options import FILE_HELP, JsonOption, MapOption
from backend.cli.terminal.output import ForceOption, check_target, said_ending, whole_file
from backend.cli.terminal.printing import print_json, print_notes, print_table
from evaluators.statistics import RESAMPLES

if TYPE_CHECKING:
    from evaluators.checks.grounding.relative import AnswerKey
    from evaluators.checks.risk.risk import RiskModel
    from evaluators.columns import ScoreColumn
    from evaluators.metric import Metric
    from evaluators.types import Figure, Sample, Score

SLOW = 2000
SHOWN_ROWS = 50
SCORE_COLUMNS = (
    *("id", "metric", "value", "error", "not_applicable", "label", "explanation"),
    *("spans", "stats", "group", "source", "output"),
)
COLUMNS = ["metric", "value", "low", "high", "n", "failed", "n/a", "note"]
CLASS_COLUMNS = ["label", "support", "predicted", "precision", "recall", "f1", "note"]


def command(
    predictions: Annotated[str, Argument(help=FILE_HELP)],
    metrics: Annotated[
        str | None, Option(help="Names, separated by commas; rouge by default.")
    ] = None,
    risk: Annotated[
        Path | None, Option(help="Also the risk of this model, by strop calibrate --out.")
    ] = None,
    despite_drift: Annotated[
        bool,
        Option(help="With --risk: rank outputs that look unlike those labelled, too."),
    ] = False,
    as_json: JsonOption = False,
    map_: MapOption = None,
    out: Annotated[
        Path | None, Option(help="Write one row per sample and metric: .jsonl or .csv.")
    ] = None,
    html: Annotated[Path | None, Option(help="Write a report that opens offline.")] = None,
    force: ForceOption = False,
    by_class: Annotated[bool, Option(help="Also precision and recall per class.")] = False,
    level: Annotated[float, Option(min=0.5, max=0.999, help="Confidence level.")] = 0.95,
    resamples: Annotated[int, Option(min=100, help="Bootstrap resamples.")] = RESAMPLES,
    seed: Annotated[int, Option(min=0, help="Seed of the bootstrap.")] = 0,
    processes: Annotated[
        int | None, Option(min=1, help="Processes that score; all cores for large files.")
    ] = None,
) -> None:
    """Score a file of predictions: every metric with its interval, n and signature."""
    from evaluators.files.mapping import Notes
    from evaluators.files.predictions import read_samples
    from evaluators.registry import resolve_metrics

    model = _read_risk(risk, despite_drift=despite_drift)
    chosen = resolve_metrics(_names(metrics, model))
    ending = _check_targets(out, html, force=force, inputs=[predictions, *filter(None, [risk])])
    samples = read_samples(predictions, names=column_names(map_), notes=(notes := Notes()))
    print_notes(notes)
    ids, groups = [sample.id for sample in samples], [sample.group for sample in samples]
    samples = _with_others(samples) if any(one.reads_others for one in chosen) else samples
    named = [_named(sample) for sample in samples] if out else []
    answers = _answers(samples) if model else []
    scores = _score(chosen, samples, processes)
    if model is not None:
        chosen = _add_risk(chosen, scores, model, groups, answers, despite_drift=despite_drift)
    if out is not None:
        with whole_file(out, force=force) as file:
            _write_scores(file, ending, named, scores)
    how = {"seed": seed, "resamples": resamples, "level": level}
    figures, problems = _aggregate(chosen, scores, groups, how)
    classes = _class_rows(scores, level) if by_class else []
    if html is not None:
        failures = _failures(ids, scores)
        _write_html(html, predictions, figures, problems, classes, failures, force=force)
    if as_json:
        _print_json(figures, problems, classes if by_class else None)
    else:
        _print_figures(figures, problems, classes)
        _print_failures(ids, scores)
    if not figures:
        raise typer.Exit(1)


def _check_targets(
    out: Path | None, html: Path | None, *, force: bool, inputs: list[str | Path]
) -> str:
    """The ending of the file of scores; raises where a file may not be written."""
    for path in (out, html):
        if path is not None:
            check_target(path, force=force, inputs=[str(one) for one in inputs])
    return ".jsonl" if out is None else said_ending(out, [".jsonl", ".csv"], "scores")


def _print_json(
    figures: Sequence[Figure], problems: Sequence[dict[str, str]], classes: list[Any] | None
) -> None:
    listed = [*(figure.as_dict() for figure in figures), *problems]
    print_json(listed if classes is None else {"figures": listed, "classes": classes})


def _aggregate(
    chosen: Sequence[Metric],
    scores: Mapping[str, ScoreColumn],
    groups: Sequence[str | None],
    how: Mapping[str, Any],
) -> tuple[list[Figure], list[dict[str, str]]]:
    """The figures, and why others could not be computed."""
    from evaluators.aggregate import aggregate
    from evaluators.errors import UndefinedFigure

    figures, problems = [], []
    for metric in chosen:
        try:
            column = scores[metric.name].without_words()
            figures.append(aggregate(metric, column, groups, **how))
        except UndefinedFigure as error:
            problems.append({"metric": metric.name, "error": str(error)})
    return figures, problems


def _with_others(samples: list[Sample]) -> list[Sample]:
    from evaluators.checks.grounding.others import with_others

    return with_others(samples)


def _read_risk(path: Path | None, *, despite_drift: bool) -> RiskModel | None:
    from evaluators.checks.risk.risk import RiskModel
    from evaluators.errors import InvalidValues

    if path is None and despite_drift:
        raise InvalidValues("--despite-drift is given without a risk.", hint="Add --risk FILE.")
    if path is None:
        return None
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidValues(
            f"{path} cannot be read: {error.strerror}.", hint="Mend --risk."
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidValues(f"{path} is not JSON.", hint="Calibrate again.") from error
    if not isinstance(read, dict):
        raise InvalidValues(f"{path} is no risk model.", hint="Calibrate again.")
    return RiskModel.from_dict(read)


def _names(metrics: str | None, model: RiskModel | None) -> list[str]:
    """The metrics asked for, and those that the risk is made of."""
    from evaluators.checks.risk.scores import checks_of

    asked = "rouge" if metrics is None and model is None else metrics or ""
    return [*names_in(asked), *(checks_of(model.features) if model else [])]


def _answers(samples: Sequence[Sample]) -> list[AnswerKey]:
    from evaluators.checks.grounding.relative import answered

    return [answered(sample) for sample in samples]


def _add_risk(
    chosen: Sequence[Metric],
    scores: dict[str, ScoreColumn],
    model: RiskModel,
    groups: Sequence[str | None],
    answers: Sequence[AnswerKey],
    *,
    despite_drift: bool,
) -> list[Metric]:
    """Put the risk of each output beside the scores that it is made of; returns all metrics."""
    from evaluators.checks.risk.scores import checks_of, risk_metric, score_risk
    from evaluators.columns import ScoreColumn, pack_scores

    names = checks_of(model.features)
    rows = zip(*(scores[name] for name in names), strict=True)
    checked = [dict(zip(names, row, strict=True)) for row in rows]
    found, column = risk_metric("risk", model), ScoreColumn()
    risks = score_risk(model, checked, groups, answers, despite_drift=despite_drift)
    column.add(pack_scores(risks))
    scores[found.name] = column
    return [*chosen, found]


def _score(
    metrics: Sequence[Metric], samples: list[Sample], processes: int | None
) -> dict[str, ScoreColumn]:
    """All scores, with a progress bar where it will take a while; takes the samples away."""
    from evaluators.scoring import score_columns

    count = len(samples)
    score = partial(score_columns, metrics, _taken(samples), count, processes=processes)
    if count < SLOW:
        return score()
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Scoring", total=count)
        return score(progress=lambda done: bar.update(task, advance=done))


def _taken(samples: list[Sample]) -> Iterator[Sample]:
    """The samples in order, each gone from the list once it is given, and its texts with it."""
    samples.reverse()
    while samples:
        yield samples.pop()


def _named(sample: Sample) -> dict[str, str]:
    """What a row says of its sample: id and group, and by digest what it answers with what.

    So that the scores alone say which outputs answer one source (`strop calibrate`).
    """
    from evaluators.checks.grounding.relative import answered

    source, output = answered(sample)
    said = {"id": sample.id, "group": sample.group, "source": source, "output": output}
    return {key: value for key, value in said.items() if value is not None}


def _write_scores(
    file: IO[str], ending: str, named: Sequence[dict[str, str]], scores: dict[str, ScoreColumn]
) -> None:
    from backend.services.exchange.csv_cells import csv_line

    if ending == ".csv":
        file.write(csv_line(SCORE_COLUMNS))
    for name, column in scores.items():
        for said, score in zip(named, column, strict=True):
            row = {**said, "metric": name, **_plain(score)}
            if ending == ".csv":
                file.write(csv_line(_cell(row.get(column)) for column in SCORE_COLUMNS))
            else:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _cell(value: Any) -> Any:
    """Lists as JSON: spans and statistics."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | tuple) else value


def _plain(score: Score) -> dict[str, Any]:
    """The fields that say something; a value of 0 does."""
    dropped = [None, False, ()]
    return {k: v for k, v in asdict(score).items() if not any(v is empty for empty in dropped)}


def _class_rows(scores: dict[str, ScoreColumn], level: float) -> list[dict[str, Any]]:
    from evaluators.metrics.labels import classification_report

    paired = next((column for name, column in scores.items() if name.startswith("f1")), None)
    if paired is None:
        raise typer.BadParameter("--by-class needs the metric f1 among --metrics.")
    report = classification_report(paired.without_words(), level=level)
    return [asdict(row) for row in report]


def _print_figures(
    figures: Sequence[Figure], problems: Sequence[dict[str, str]], classes: Sequence[dict[str, Any]]
) -> None:
    rows = [
        {**figure.as_dict(), "n/a": figure.not_applicable, "note": _note(figure)}
        for figure in figures
    ]
    if rows:
        print_table(rows, columns=COLUMNS)
    if classes:
        print_table(classes, columns=CLASS_COLUMNS, title="Per class")
    for problem in problems:
        typer.echo(f"error: {problem['error']}", err=True)
    for figure in figures:
        typer.echo(figure.signature)


def _write_html(
    path: Path,
    source: str,
    figures: Sequence[Figure],
    problems: Sequence[dict[str, str]],
    classes: Sequence[dict[str, Any]],
    failures: Sequence[dict[str, str]],
    *,
    force: bool,
) -> None:
    from backend.cli.runs.html_report import forest_plots, signatures, table, write_report

    rows = [{**f.as_dict(), "n/a": f.not_applicable, "note": _note(f)} for f in figures]
    rows += [{**problem, "note": problem["error"]} for problem in problems]
    sections = [("Figures", table(rows, COLUMNS))]
    sections.append(("Plot", forest_plots(rows)))
    sections += [("Per class", table(classes, CLASS_COLUMNS))] if classes else []
    if failures:
        shown = table(failures[:SHOWN_ROWS], ["id", "metric", "error"])
        sections.append((f"Not scored: {len(failures)}, the first of them", shown))
    sections.append(("Recipes", signatures([f.signature for f in figures])))
    write_report(path, f"Scores of {Path(source).name}", sections, force=force)


def _note(figure: Figure) -> str:
    from evaluators.files.mapping import counted

    rough = f"rough: {counted(figure.clusters, 'group')}" if figure.rough else ""
    return "; ".join(part for part in (rough, figure.note) if part)


def _failures(ids: Sequence[str], scores: dict[str, ScoreColumn]) -> list[dict[str, str]]:
    """The rows that could not be scored, metric by metric; none is dropped in silence."""
    return [
        {"id": identity, "metric": name, "error": error}
        for name, column in scores.items()
        for identity, error in zip(ids, column.errors(), strict=True)
        if error is not None
    ]


def _print_failures(ids: Sequence[str], scores: dict[str, ScoreColumn]) -> None:
    failures = _failures(ids, scores)
    for name in scores:
        failed = [row for row in failures if row["metric"] == name]
        for row in failed[:5]:
            typer.echo(f"not scored: {name}, id {row['id']}: {row['error']}", err=True)
        if len(failed) > 5:
            typer.echo(f"not scored: {name}, {len(failed) - 5} more", err=True)
