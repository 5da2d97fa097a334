"""`strop meta`: does a score agree with people, and one score more than another?

    strop meta scores.jsonl ratings.jsonl
    strop meta scores.jsonl labels.jsonl --train other_labels.jsonl

scores   what `strop score --out` wrote, or {"item" or "id", "metric"?, "value"}
ratings  {"item", "value", "rater"?, "criterion"?, "group"? (document), "model"? (system)}

Where two scores are compared, higher ratings are taken as better; --wrong says that they tell what
is wrong, as labels of `strop calibrate` do. Ratings of one item are averaged over its raters.
Labels are ratings of 0 and 1 alone; of an item on which raters of labels are split, none is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.inputs import column_names
from backend.cli.options import JsonOption, MapOption, takes
from backend.cli.terminal.printing import count_of, print_json, print_notes, print_table, shown_text
from evaluators.statistics import RESAMPLES

if TYPE_CHECKING:
    from evaluators.files.estimation import JoinedItems
    from evaluators.statistics.correlations import Rated, Threshold

MOST_NAMED = 3  # scores in a line of what was not computed
FIGURE = ["coefficient", "at", "value", "low", "high"]
COLUMNS = ["metric", *FIGURE, "n", "failed", "note"]
PAIRED = ["metric", "other", *FIGURE, "p", "p_holm", "n", "note"]


@dataclass(frozen=True)
class MetaOptions:
    """Options of `strop meta`."""

    scores: Annotated[str, Argument(help="What strop score --out wrote.")]
    ratings: Annotated[str, Argument(help="Rows with item and value; group, model.")]
    metric: Annotated[str | None, Option(help="Of the scores this one alone.")] = None
    criterion: Annotated[str | None, Option(help="Of the ratings this one.")] = None
    threshold: Annotated[
        float | None, Option(help="Score from which on an item counts as labelled 1.")
    ] = None
    below: Annotated[bool, Option("--below", help="Up to the threshold instead.")] = False
    train: Annotated[str | None, Option(help="Other labels, on which the threshold is chosen.")] = (
        None
    )
    train_scores: Annotated[
        str | None, Option(help="Their scores, where they are in a file of their own.")
    ] = None
    wrong: Annotated[
        bool, Option("--wrong", help="Ratings tell what is wrong: 1 is a hallucination.")
    ] = False
    against: Annotated[
        str | None, Option(help="Compare each score with this one alone: fewer tests.")
    ] = None
    map_: MapOption = None
    as_json: JsonOption = False
    level: Annotated[float, Option(min=0.5, max=0.999, help="Confidence level.")] = 0.95
    resamples: Annotated[int, Option(min=100, help="Bootstrap resamples.")] = RESAMPLES
    seed: Annotated[int, Option(min=0, help="Seed of the bootstrap.")] = 0


@takes(MetaOptions)
def command(options: MetaOptions) -> None:
    """Measure how a score agrees with people's ratings, and which score does better."""
    from evaluators.statistics.meta import meta_differences, meta_figures

    if options.threshold is not None and options.train is not None:
        raise typer.BadParameter("--threshold is a value and --train chooses one: say one of them.")
    joined, rated = _read(options, options.scores, options.ratings)
    thresholds = _thresholds(options, joined, rated)
    drawn: dict[str, Any] = {
        name: getattr(options, name) for name in ("seed", "resamples", "level")
    }
    turned = _turned(rated, wrong=options.wrong)
    found = meta_differences(rated, turned=turned, against=options.against, **drawn)
    figures = [asdict(f) for f in meta_figures(rated, thresholds=thresholds, **drawn)]
    differences = _with_holm([asdict(difference) for difference in found])
    notes = _notes(joined, rated, options)
    if turned and differences:
        notes.append(_say_turned(turned, wrong=options.wrong))
    if options.as_json:
        print_json({"figures": figures, "differences": differences, "notes": notes})
    else:
        _print(figures, differences, notes)
    if all(figure["value"] is None for figure in figures):
        raise typer.Exit(1)


def _read(options: MetaOptions, scores: str, ratings: str) -> tuple[JoinedItems, Rated]:
    import numpy as np

    from evaluators.files.estimation import join_files
    from evaluators.files.mapping import Notes
    from evaluators.statistics.correlations import Rated, is_binary

    names, notes = column_names(options.map_, several=True), Notes()
    joined = join_files(
        ratings,
        scores,
        metric=options.metric,
        criterion=options.criterion,
        names=names,
        notes=notes,
    )
    print_notes(notes)
    kept = [i for i, rating in enumerate(joined.ratings) if rating is not None]
    values = np.array([joined.ratings[i] for i in kept], dtype=np.float64)
    if set(values) <= {0.0, 0.5, 1.0} and not is_binary(values) and _are_labels(ratings, options):
        kept = [i for i in kept if joined.ratings[i] != 0.5]
        typer.echo(
            f"note: {len(values) - len(kept)} items left out, on which raters are split.", err=True
        )
        values = np.array([joined.ratings[i] for i in kept], dtype=np.float64)
    columns = {
        name: np.array([column[i] for i in kept], dtype=np.float64)  # None is NaN
        for name, column in joined.scores.items()
    }
    systems = tuple(joined.models[i] for i in kept)
    return joined, Rated(
        values, columns, tuple(joined.groups[i] for i in kept), systems if any(systems) else ()
    )


def _are_labels(ratings: str, options: MetaOptions) -> bool:
    """Whether every single rating is 0 or 1, so that a mean of one half is a split."""
    from evaluators.files.estimation import read_rated_rows

    names = column_names(options.map_, several=True)
    rows = read_rated_rows(ratings, criterion=options.criterion, names=names)
    return all(row.value in (0.0, 1.0) for row in rows)


def _turned(rated: Rated, *, wrong: bool) -> list[str]:
    """Scores that fall where the ratings rise; of a metric that is not known a higher is better."""
    return [name for name in rated.scores if _is_higher_better(name) == wrong]


def _is_higher_better(name: str) -> bool:
    from evaluators.registry import FITTED_NAME, METRICS

    if name.partition(":")[0] == FITTED_NAME:
        return False
    return name not in METRICS or METRICS[name].higher_is_better


def _say_turned(turned: Sequence[str], *, wrong: bool) -> str:
    if wrong:
        return f"higher is better, so turned round where compared: {', '.join(turned)}"
    listed = ", ".join(turned)
    return (
        f"lower is better, so turned round where compared: {listed}; higher ratings are taken as "
        "better, --wrong where they tell what is wrong"
    )


def _thresholds(
    options: MetaOptions, joined: JoinedItems, rated: Rated
) -> dict[str, Threshold] | None:
    """By score: what was stated, or what is best on the rows of another file."""
    from evaluators.statistics.correlations import Threshold, choose_threshold

    if options.threshold is not None:
        way = "at most" if options.below else "at least"
        words = f"1 where it is {way} {options.threshold:g}, as stated"
        stated = Threshold(options.threshold, options.below, words)
        return dict.fromkeys(rated.scores, stated)
    if options.train is None:
        return None
    train_items, train = _read(options, options.train_scores or options.scores, options.train)
    _refuse_shared(joined, train_items)
    found = {}
    for name in rated.scores:
        if name not in train.scores:
            continue
        chosen = choose_threshold(train.scores[name], train.ratings)
        way = "at most" if chosen.below else "at least"
        n = len(train.ratings)
        words = f"1 where it is {way} {chosen.value:.4g}, chosen on {n} other items"
        found[name] = replace(chosen, words=words)
    return found


def _refuse_shared(test: JoinedItems, train: JoinedItems) -> None:
    """A threshold is never measured on a row, or a document, on which it was chosen."""
    from backend.errors import InvalidInput

    def rated(joined: JoinedItems) -> list[int]:
        return [i for i, rating in enumerate(joined.ratings) if rating is not None]

    for what, column in (("item", "items"), ("document", "groups")):
        sides = [{getattr(joined, column)[i] for i in rated(joined)} for joined in (test, train)]
        if shared := (sides[0] & sides[1]) - {None}:
            raise InvalidInput(
                f"{count_of(len(shared), what, what + 's')} of the ratings, such as "
                f"{min(shared)!r}, are in --train too.",
                hint="Choose the threshold on other rows than those it is measured on.",
            )


def _with_holm(differences: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """p adjusted for all comparisons of one coefficient (Holm 1979)."""
    from evaluators.statistics.testing import holm

    for coefficient in {(row["coefficient"], row["at"]) for row in differences}:
        own = [r for r in differences if (r["coefficient"], r["at"]) == coefficient]
        tested = [row for row in own if row["p"] is not None]
        for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
            row["p_holm"] = p
    return [{"p_holm": None, **row} for row in differences]


def _notes(joined: JoinedItems, rated: Rated, options: MetaOptions) -> list[str]:
    import numpy as np

    from evaluators.statistics.correlations import is_binary

    found = []
    if joined.unscored:
        found.append(
            f"{count_of(len(joined.unscored), 'rated item has', 'rated items have')} no score"
        )
    unrated = len(joined.items) - len(rated.ratings)
    if unrated:
        found.append(f"{count_of(unrated, 'scored item has', 'scored items have')} no rating")
    if is_binary(rated.ratings) and options.threshold is None and options.train is None:
        found.append("balanced accuracy needs --threshold, or --train with other labels")
    if len(np.unique(rated.ratings)) > 2 and (options.threshold is not None or options.train):
        found.append("the ratings are no labels of 0 and 1, so the threshold is not used")
    return found


def _print(
    figures: Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]], notes: Sequence[str]
) -> None:
    for rows, columns, title in (
        (figures, COLUMNS, "Agreement with people"),
        (differences, PAIRED, "One score against another, on the same items and resamples"),
    ):
        shown = [row for row in rows if row["value"] is not None]
        if shown:
            print_table(shown, columns=columns, title=title)
        for reason in _reasons([row for row in rows if row["value"] is None]):
            typer.echo(f"not computed: {shown_text(reason)}", err=True)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    for signature in dict.fromkeys(row["signature"] for row in figures if row["value"] is not None):
        typer.echo(signature)


def _reasons(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line for each reason and level, with all that it concerns."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["at"], row["error"]), []).append(row)
    return [f"{_concerned(own)} at {at}: {error}" for (at, error), own in found.items()]


def _concerned(rows: Sequence[dict[str, Any]]) -> str:
    scores = list(dict.fromkeys(_compared(row) for row in rows))
    more = f" and {len(scores) - MOST_NAMED} more" if len(scores) > MOST_NAMED else ""
    coefficients = dict.fromkeys(row["coefficient"] for row in rows)
    return f"{', '.join(scores[:MOST_NAMED])}{more}: {', '.join(coefficients)}"


def _compared(row: dict[str, Any]) -> str:
    against = f" against {row['other']}" if "other" in row else ""
    return f"{row['metric']}{against}"
