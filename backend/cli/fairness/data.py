"""`strop fairness data SET` and `strop fairness lists`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project
from backend.cli.options import JsonOption, ProjectOption
from backend.cli.terminal.printing import print_json, print_shown, print_table, shown_text

if TYPE_CHECKING:
    from backend.schemas.fairness import SetMentions

MENTIONS = ["kind", "group", "rows", "share", "low", "high", "of", "words"]
SKEWS = ["kind", "group", "outcome", "odds ratio", "low", "high", "with", "others", "pmi", "q"]
MOST_SKEWS = 20


def command(
    set_: Annotated[str, Argument(metavar="SET", help="Name of a training set.")],
    language: Annotated[str | None, Option(help="en or de; by default told row by row.")] = None,
    level: Annotated[float, Option(min=0.5, max=0.999, help="Confidence level.")] = 0.95,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """How often a training set mentions which groups, and whether what it teaches goes with it.

    Exit code 2 where a skew is found.
    """
    from backend.services.curation import find_training_set
    from backend.services.fairness.training import set_mentions

    with in_project(project) as (_, session, found):
        frozen = find_training_set(session, found.id, set_)
        report = set_mentions(session, frozen.id, language=language, level=level)
    print_shown(report, _print, json=as_json)
    raise typer.Exit(2 if any(skew.found for skew in report.skews) else 0)


def _print(report: SetMentions) -> None:
    typer.echo(f"{report.name}: {report.n} rows in {report.groups} groups, {report.unread} unread")
    rows: list[dict[str, Any]] = [
        {
            **asdict(one),
            "share": one.value,
            "of": one.n,
            "words": ", ".join(f"{shown_text(word)} {n}" for word, n in one.words[:3]),
        }
        for one in report.mentions
    ]
    if rows:
        print_table(rows, columns=MENTIONS, title="mentions, in rows")
    else:
        typer.echo("no listed name, gendered word, age or place is mentioned")
    found = [skew for skew in report.skews if skew.found]
    typer.echo(
        f"{len(found)} of {report.looked_for} skews found ({report.outcomes}; at most "
        f"{report.false_share:.0%} of those found are false, on average)"
    )
    shown = [
        {
            **asdict(skew),
            "outcome": shown_text(skew.outcome),
            "odds ratio": skew.value,
            "with": f"{skew.with_outcome} of {skew.n}",
            "others": f"{skew.others_with} of {skew.n_others}",
        }
        for skew in found[:MOST_SKEWS]
    ]
    if shown:
        print_table(shown, columns=SKEWS)


def lists(
    kind: Annotated[str | None, Argument(help="name, place, gender or words.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the lists that ship; further ones are given with `strop fairness pairs --lists`."""
    import yaml

    from backend.errors import UnknownName
    from backend.services.fairness.answers import list_shipped
    from evaluators.fairness.lexicon import FILE_KINDS
    from evaluators.fairness.swap import KINDS

    if kind is not None and kind not in FILE_KINDS:
        raise UnknownName("kind of list", kind, FILE_KINDS)
    found = [entry for entry in list_shipped() if kind in (None, entry["kind"])]
    if as_json:
        print_json(found)
        return
    for name, what in KINDS.items():
        typer.echo(f"{name}: {what.about}; control: {what.control_about}")
    for entry in found:
        typer.echo(f"\n# {entry.pop('file')}")
        typer.echo(yaml.safe_dump(entry, allow_unicode=True, sort_keys=False, width=100).rstrip())
