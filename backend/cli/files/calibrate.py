"""`strop calibrate`: one probability of a hallucination from scores and experts' labels.

    strop score preds.jsonl --metrics grounding,overlap,length,source_rouge --out scores.jsonl
    strop calibrate --labels labels.jsonl --scores scores.jsonl --out risk.json
    strop score new.jsonl --risk risk.json

With source_rouge among the scores, ROUGE to the source is a second naive baseline. Where several
outputs answer one source, each feature is also taken less its mean over the other answers.

labels  {"item" or "id", "value": 1 for a hallucination, else 0, "group"?, "source"?}
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from backend.cli.inputs import column_names
from backend.cli.options import JsonOption, MapOption
from backend.cli.terminal.output import ForceOption, check_target, whole_file
from backend.cli.terminal.printing import print_notes, print_shown, print_table

if TYPE_CHECKING:
    from evaluators.checks.risk.risk import Fitted
    from evaluators.files.labelling import LabelledRows

TRIAGE_COLUMNS = ["share", "labels", "n", "n_skipped", "errors", "upper", "note"]
FIGURE_COLUMNS = ["predictor", "metric", "value", "low", "high", "n", "note"]


def command(
    labels: Annotated[str, Option(help="Rows with item and value (1: hallucination).")],
    scores: Annotated[str, Option(help="What strop score --out wrote; metrics are features.")],
    out: Annotated[Path | None, Option(help="Write the model here, as JSON.")] = None,
    epsilon: Annotated[float, Option(help="Rate allowed among what skips review.")] = 0.05,
    delta: Annotated[float, Option(help="Chance of being wrong about it.")] = 0.1,
    criterion: Annotated[str | None, Option(help="Criterion of the labels, if several.")] = None,
    relative: Annotated[
        bool, Option(help="Also take features less their mean over the other answers.")
    ] = True,
    model: Annotated[str, Option(help="logistic, trees, or best: the better one.")] = ("logistic"),
    map_: MapOption = None,
    html: Annotated[Path | None, Option(help="Write a report that opens offline.")] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    seed: Annotated[int, Option(min=0, help="Seed of folds and bootstrap.")] = 0,
) -> None:
    """Fit and check a risk; say what may skip review."""
    from evaluators.checks.risk.kinds import MODELS
    from evaluators.checks.risk.risk import fit_risk
    from evaluators.checks.risk.triage import check_shares, triage
    from evaluators.files.labelling import join_labels
    from evaluators.files.mapping import Notes

    for path in (out, html):
        if path is not None:
            check_target(path, force=force, inputs=[labels, scores])
    check_shares(epsilon, delta)
    names, notes = column_names(map_, several=True), Notes()
    rows = join_labels(
        labels, scores, criterion=criterion, names=names, notes=notes, relative=relative
    )
    print_notes(notes)
    kinds = tuple(MODELS) if model == "best" else (model,)
    fitted = fit_risk(rows.features, rows.labels, rows.groups, seed=seed, kinds=kinds)
    triaged = triage(
        list(fitted.held_out), rows.labels, rows.groups, epsilon=epsilon, delta=delta, seed=seed
    )
    report = {
        **_report(rows, fitted, seed),
        "triage": asdict(triaged),
        "said_of_answers": _say_answers(rows, asked=relative),
    }
    if out is not None:
        with whole_file(out, force=force) as file:
            file.write(json.dumps(fitted.model.as_dict()))
    if html is not None:
        _write_html(html, report, force=force)
    print_shown(report, _print, json=as_json)


def _report(rows: LabelledRows, fitted: Fitted, seed: int) -> dict[str, Any]:
    from evaluators.checks.risk.report import reliability_curve

    curve = reliability_curve(fitted.held_out, rows.labels, rows.groups)
    return {
        "figures": _figures(rows, fitted.held_out, seed),
        "reliability": [asdict(bin_) for bin_ in curve],
        "model": fitted.model.kind,
        "features": list(fitted.model.features),
        "relative": rows.relative,
        "unlabelled": len(rows.unused),
    }


def _say_answers(rows: LabelledRows, *, asked: bool) -> str:
    """Whether relative features were taken, and what says which outputs answer one source."""
    if not asked:
        return "relative features: none, as asked."
    if not rows.source_by:
        return "relative features: none; no column source, document or group says what is answered."
    told = f"{rows.others:.0%} of the labelled outputs have another of the same {rows.source_by}"
    taken = "each also less its mean over the other answers" if rows.relative else "none"
    return f"relative features: {taken}; {told}."


def _figures(rows: LabelledRows, held_out: Any, seed: int) -> list[dict[str, Any]]:
    from evaluators.checks.risk.report import naive_risks, risk_figures

    overlap = [row.get("source_rouge") for row in rows.features]
    naive = naive_risks(rows.labels, rows.groups, overlap, seed=seed)
    found = risk_figures("risk", held_out, rows.labels, rows.groups, seed=seed)
    for name, said in naive.items():
        found += risk_figures(name, said, rows.labels, rows.groups, seed=seed)
    return [asdict(figure) for figure in found]


def _write_html(path: Path, report: dict[str, Any], *, force: bool) -> None:
    from backend.cli.runs.html_report import reliability_plot, signatures, table, write_report

    sections = [
        ("Held out", table(report["figures"], FIGURE_COLUMNS)),
        ("Reliability", reliability_plot(report["reliability"])),
        ("Triage", table([report["triage"]], TRIAGE_COLUMNS)),
        ("Recipes", signatures([report["triage"]["signature"]])),
    ]
    write_report(path, "Risk of hallucination", sections, force=force)


def _print(report: dict[str, Any]) -> None:
    from evaluators.checks.grounding.relative import is_relative
    from evaluators.checks.risk.triage import count_words

    plain = [name for name in report["features"] if not is_relative(name)]
    title = f"Held out, {report['model']} on {', '.join(plain)}"
    print_table(report["figures"], columns=FIGURE_COLUMNS, title=title)
    typer.echo(report["said_of_answers"])
    columns = ["risk", "rate", "low", "high", "n"]
    print_table(report["reliability"], columns=columns, title="Reliability")
    found = report["triage"]
    if found["threshold"] is None:
        typer.echo(f"may skip review: {found['note']}")
    else:
        typer.echo(
            f"may skip review: {found['share']:.0%} (risk up to {found['threshold']:.3f}), "
            f"{found['errors']} of {found['n_skipped']} were hallucinations, at most "
            f"{found['upper']:.1%} with confidence {1 - found['delta']:.0%}; by "
            f"{count_words(found['labels'], found['n'])}".rstrip(",")
        )
    typer.echo(found["signature"])
    if report["unlabelled"]:
        typer.echo(f"not used: {report['unlabelled']} labels without scores", err=True)
