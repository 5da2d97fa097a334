"""`strop agreement`: how far raters agree, with intervals, and who disagrees with whom.

    strop agreement ratings.csv [--scale ordinal] [--weights linear] [--dawid-skene] [--json]

A column `group` names what items have in common: those of one group are drawn together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer
from typer import Argument, Option

from backend.cli.inputs import column_names, names_in
from backend.cli.options import FILE_HELP, JsonOption, MapOption
from backend.cli.terminal.output import ForceOption, check_target
from backend.cli.terminal.printing import print_notes, print_shown, print_table
from evaluators.statistics import RESAMPLES

if TYPE_CHECKING:
    from evaluators.files.mapping import Notes
    from evaluators.files.people import CriterionRating
    from evaluators.statistics.agreement.coefficients import KappaWeights
    from evaluators.statistics.agreement.ratings import ItemRating, Scale
    from evaluators.statistics.bootstrap import Drawing

POOLED = "all"
ANY_RATERS = [
    "percent",
    "observed_agreement",
    "bennett_s",
    "fleiss_kappa",
    "krippendorff_alpha",
    "gwet_ac1",
    "gwet_ac2",
]
TWO_RATERS = ["cohen_kappa", "scott_pi"]
Choice = TypeVar("Choice", bound=StrEnum)
COLUMNS = ["criterion", "metric", "value", "low", "high", "n", "failed", "note"]


def command(
    ratings: Annotated[str, Argument(help=FILE_HELP)],
    scale: Annotated[
        str, Option(help="nominal, ordinal, interval or ratio: what the values allow.")
    ] = "nominal",
    values: Annotated[
        str | None, Option(help="All values of the scale, in order: 1,2,3,4,5.")
    ] = None,
    weights: Annotated[
        str | None,
        Option(
            help="How far different values agree: identity, linear, quadratic (by value), "
            "linear-ranks, quadratic-ranks or ordinal (by rank). Default: identity for nominal, "
            "quadratic-ranks for ordinal, quadratic for interval and ratio."
        ),
    ] = None,
    dawid_skene: Annotated[
        bool, Option("--dawid-skene", help="Infer the true label of each item.")
    ] = False,
    criteria: Annotated[
        list[str] | None, Option("--criterion", help="Criterion, if not all; several are allowed.")
    ] = None,
    map_: MapOption = None,
    html: Annotated[Path | None, Option(help="Write a report that opens offline.")] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    level: Annotated[float, Option(min=0.5, max=0.999, help="Confidence level.")] = 0.95,
    resamples: Annotated[int, Option(min=100, help="Bootstrap resamples.")] = RESAMPLES,
    seed: Annotated[int, Option(min=0, help="Seed of the bootstrap.")] = 0,
) -> None:
    """Agreement of raters, each coefficient with its interval; pairs of raters; odd raters."""
    from evaluators.files.mapping import Notes
    from evaluators.files.people import read_ratings
    from evaluators.statistics.agreement.coefficients import KappaWeights
    from evaluators.statistics.agreement.ratings import Scale
    from evaluators.statistics.bootstrap import Drawing

    if html is not None:
        check_target(html, force=force, inputs=[ratings])
    recipe = _Recipe(
        _one_of(Scale, scale, "scale"),
        None if weights is None else _one_of(KappaWeights, weights, "weighting"),
        _allowed(values),
        Drawing(seed, resamples, level),
    )
    notes, words = Notes(), names_in(values)
    rows = read_ratings(ratings, names=column_names(map_), notes=notes, named=words)
    rows = _measurable(_of_criteria(rows, criteria), recipe.scale, words, notes)
    print_notes(notes)
    report = _report_on(rows, recipe)
    if dawid_skene:
        report["labels"] = _infer([row.rating for row in rows])
    if html is not None:
        _write_html(html, ratings, report, force=force)
    print_shown(report, _print, json=as_json)
    if not any("value" in row for row in report["figures"]):
        raise typer.Exit(1)


def _report_on(rows: Sequence[CriterionRating], recipe: _Recipe) -> dict[str, list[dict[str, Any]]]:
    report: dict[str, list[dict[str, Any]]] = {"figures": [], "pairs": [], "raters": []}
    for criterion, chosen in _by_criterion(rows).items():
        for kind, found in _describe(chosen, recipe).items():
            report[kind] += [{"criterion": criterion, **row} for row in found]
    return report


class _Recipe(NamedTuple):
    scale: Scale
    weights: KappaWeights | None
    allowed: Sequence[float | str] | None
    drawing: Drawing


def _one_of(known: type[Choice], name: str, kind: str) -> Choice:
    from evaluators.errors import EvaluatorError

    try:
        return known(name)
    except ValueError:
        hint = f"Known: {', '.join(known)}."
        raise EvaluatorError(f"There is no {kind} {name!r}.", hint=hint) from None


def _of_criteria(
    rows: list[CriterionRating], wanted: Sequence[str] | None
) -> list[CriterionRating]:
    from evaluators.errors import EvaluatorError

    known = {row.criterion: None for row in rows}
    if unknown := [name for name in wanted or () if name not in known]:
        there = ", ".join(str(name) for name in known if name) or "none named"
        raise EvaluatorError(f"There is no criterion {unknown[0]!r}.", hint=f"There are: {there}.")
    return [row for row in rows if not wanted or row.criterion in wanted]


def _measurable(
    rows: list[CriterionRating], scale: Scale, words: Sequence[str], notes: Notes
) -> list[CriterionRating]:
    """Without the criteria of words that a scale of numbers cannot take, unless it takes none."""
    if scale == "nominal":
        return rows
    numbers = {row.criterion for row in rows if not isinstance(row.rating.value, str)}
    in_words = {row.criterion: None for row in rows} if not words else {}
    left = [str(name) for name in in_words if name not in numbers]
    if not left or not numbers:
        return rows
    notes.add(f"left out, as words are not {scale}: {', '.join(left)}.")
    return [row for row in rows if row.criterion in numbers]


def _allowed(values: str | None) -> list[float | str] | None:
    if values is None:
        return None
    parts = names_in(values)
    try:
        return [float(part) for part in parts]
    except ValueError:
        return list(parts)


def _by_criterion(rows: Sequence[CriterionRating]) -> dict[str, list[ItemRating]]:
    """Ratings of each criterion, and of all together where there are several."""
    criteria = list(dict.fromkeys(row.criterion for row in rows))
    if len(criteria) == 1:
        return {criteria[0] or POOLED: [row.told_apart for row in rows]}
    found = {str(c): [r.told_apart for r in rows if r.criterion == c] for c in criteria}
    kinds = {type(row.rating.value) for row in rows}
    return {**found, **({POOLED: _pooled(rows)} if len(kinds) == 1 else {})}


def _pooled(rows: Sequence[CriterionRating]) -> list[ItemRating]:
    """All criteria as one; what is said of one item under several is not independent."""
    from dataclasses import replace

    return [
        replace(
            row.told_apart,
            item=f"{row.criterion}: {row.rating.item}",
            group=row.rating.group or f"item {row.rating.item}",
        )
        for row in rows
    ]


def _describe(ratings: Sequence[ItemRating], recipe: _Recipe) -> dict[str, list[dict[str, Any]]]:
    from evaluators.statistics.agreement.raters import pairwise_table, rater_table
    from evaluators.statistics.agreement.ratings import tabulate

    table = tabulate(ratings, categories=recipe.allowed)
    names = [*ANY_RATERS, *(TWO_RATERS if len(table.raters) == 2 else [])]
    scale, weights, _, drawing = recipe
    pairs = pairwise_table(table, scale=scale, weights=weights, drawing=drawing)
    return {
        "figures": [_coefficient(name, table, recipe) for name in names],
        "pairs": [asdict(row) for row in pairs],
        "raters": [asdict(row) for row in rater_table(table, ratings)],
    }


def _coefficient(name: str, table: Any, recipe: _Recipe) -> dict[str, Any]:
    from evaluators.errors import UndefinedFigure
    from evaluators.statistics.agreement.coefficients import agreement

    try:
        return agreement(
            name, table, scale=recipe.scale, weights=recipe.weights, drawing=recipe.drawing
        ).as_dict()
    except UndefinedFigure as error:
        return {"metric": name, "error": str(error)}


def _infer(ratings: Sequence[ItemRating]) -> list[dict[str, Any]]:
    """One row per class, then one per item: what Dawid and Skene's model makes of the ratings."""
    from evaluators.statistics.agreement.dawid_skene import dawid_skene

    found = dawid_skene(ratings)
    classes = [
        {"category": category, "share": float(share)}
        for category, share in zip(found.categories, found.marginals, strict=True)
    ]
    items = [
        {"item": item, "label": label, "probability": float(row.max())}
        for item, label, row in zip(found.items, found.labels, found.posterior, strict=True)
    ]
    return [*classes, *items]


def _write_html(
    path: Path, source: str, report: dict[str, list[dict[str, Any]]], *, force: bool
) -> None:
    from backend.cli.runs.html_report import (
        forest_plot,
        matrix_plot,
        signatures,
        table,
        write_report,
    )

    named = [{**row, "name": f"{row['criterion']}: {row['metric']}"} for row in report["figures"]]
    sections = [("Coefficients", forest_plot(named, label="name"))]
    undefined = [row for row in report["figures"] if "error" in row]
    if undefined:
        sections.append(("Undefined", table(undefined, ["criterion", "metric", "error"])))
    for criterion in dict.fromkeys(row["criterion"] for row in report["pairs"]):
        pairs = [row for row in report["pairs"] if row["criterion"] == criterion]
        names = list(dict.fromkeys(name for row in pairs for name in (row["first"], row["second"])))
        cells = {(row["first"], row["second"]): row["kappa"] for row in pairs}
        sections.append(
            (f"Pairs of raters, {criterion} (Cohen's kappa)", matrix_plot(names, cells))
        )
    raters = [{**row, "warnings": "; ".join(row["warnings"])} for row in report["raters"]]
    sections.append(("Raters", table(raters, ["criterion", "rater", "n", "agrees", "warnings"])))
    found = [row["signature"] for row in (*report["figures"], *report["pairs"]) if _has_recipe(row)]
    sections.append(("Recipes", signatures(found)))
    write_report(path, f"Agreement in {Path(source).name}", sections, force=force)


def _print(report: dict[str, list[dict[str, Any]]]) -> None:
    figures = [{**row, "note": _note(row)} for row in report["figures"]]
    print_table(figures, columns=COLUMNS, title="Agreement")
    pair_columns = ["first", "second", "n", "percent", "kappa", "kappa_low", "kappa_high", "note"]
    print_table(report["pairs"], columns=pair_columns, title="Pairs of raters (Cohen's kappa)")
    raters = [{**row, "warnings": "; ".join(row["warnings"])} for row in report["raters"]]
    print_table(raters, columns=["rater", "n", "agrees", "warnings"], title="Raters")
    labels = report.get("labels", [])
    classes = [row for row in labels if "category" in row]
    if classes:
        print_table(classes, columns=["category", "share"], title="True classes (Dawid-Skene)")
        items = [row for row in labels if "item" in row]
        print_table(items, columns=["item", "label", "probability"])
    recipes = [row["signature"] for row in (*figures, *report["pairs"]) if _has_recipe(row)]
    for signature in dict.fromkeys(recipes):
        typer.echo(signature)


def _note(row: Mapping[str, Any]) -> str:
    if "error" in row:
        return str(row["error"])
    from evaluators.files.mapping import counted

    rough = (
        f"rough: {counted(row['clusters'], 'independent item')}"
        if row["low"] is not None and row["rough"]
        else ""
    )
    return "; ".join(part for part in (rough, row["note"]) if part)


def _has_recipe(row: Mapping[str, Any]) -> bool:
    return bool(row.get("signature"))
