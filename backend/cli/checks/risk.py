"""`strop risk fit|list|show`: one probability that an output is wrong, from the project's reviews.

strop run --resume 3 --metrics checks
strop risk fit
strop run --resume 4 --metrics checks,risk
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project, open_installation
from backend.cli.inputs import distinct_names, names_in
from backend.cli.options import JsonOption, ProjectOption, group
from backend.cli.terminal.printing import print_json, print_rows, print_shown, print_table

if TYPE_CHECKING:
    from backend.tables.checks.risk import RiskVersion

app = group("Risks learned from the project's reviews.")
FIGURES = ["predictor", "metric", "value", "low", "high", "n", "note"]
BINS = ["risk", "rate", "low", "high", "n"]


@app.command()
def fit(
    runs: Annotated[
        str | None, Option(help="Score runs, by commas; by default the newest of every run.")
    ] = None,
    wrong_when: Annotated[
        str | None,
        Option(
            help="Which answers count as wrong: marked, faithful=no, quality<3; default: marked, "
            "corrected, or a verdict that is no pass."
        ),
    ] = None,
    splits: Annotated[
        str, Option(help="Splits whose reviews count; after test no test run is scored.")
    ] = "train,validation",
    seed: Annotated[int, Option(min=0, help="Seed of folds and bootstrap.")] = 0,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Fit the next version on the reviews that count, and say how good it is out of fold."""
    from backend.db import reading
    from backend.services.checks import risk
    from backend.services.projects import get_project
    from evaluators.checks.risk.scores import checks_of

    sessions = open_installation().sessions
    with reading(sessions) as session:
        found = get_project(session, project)
        project_id = found.id
        material = risk.read_material(
            session,
            project_id,
            score_run_ids=_ids(runs),
            wrong_when=wrong_when,
            splits=_splits(splits),
        )
    fitted = risk.fit_material(material, seed=seed)
    with sessions.begin() as session:
        row = risk.save_risk(session, project_id, fitted)
        shown = _shown(row)
    if json:
        print_json(shown)
        return
    together = ",".join([*checks_of(shown["features"]), "risk"])
    typer.echo(
        f"Kept {shown['metric']}. Score with it: strop run --resume RUN --metrics {together}"
    )
    _print(shown)


@app.command("list")
def list_(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the versions, the newest first."""
    from backend.services.checks.risk import list_risks

    with in_project(project) as (_, session, found):
        rows = [_shown(row) for row in list_risks(session, found.id)]
    shown = [{**row, **_headline(row)} for row in rows]
    columns = ["metric", "auroc", "low", "high", "n", "positives", "simulated", "wrong_when"]
    empty = "No risk was fitted yet: strop risk fit"
    print_rows(shown, columns=columns, json=json, whole=rows, empty=empty)


@app.command()
def show(
    version: Annotated[int | None, Argument(help="The newest by default.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a version learned from, and how good it is out of fold."""
    from backend.services.runs.risks import find_risk

    with in_project(project) as (_, session, found):
        shown = _shown(find_risk(session, found.id, version))
    print_shown(shown, _print, json=json)


def _ids(text: str | None) -> list[int]:
    parts = names_in(text)
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise typer.BadParameter("--runs takes numbers of score runs, separated by commas.")
    return [int(part) for part in parts]


def _splits(text: str) -> list[str]:
    from backend.errors import UnknownName

    names = list(distinct_names(text))
    known = ["train", "validation", "test"]
    for name in names:
        if name not in known:
            raise UnknownName("split", name, known)
    if not names:
        raise typer.BadParameter("--splits names none.")
    return names


def _shown(row: RiskVersion) -> dict[str, Any]:
    from backend.services.checks.risk import REPORTED

    kept = ("id", "version", "metric", "wrong_when", "splits", "score_run_ids", "n", "positives")
    said = {name: getattr(row, name) for name in (*kept, "n_simulated", "created_at")}
    return {**said, **{name: row.report[name] for name in REPORTED}}


def _headline(row: dict[str, Any]) -> dict[str, Any]:
    """The AUROC out of fold, and how many of the outputs only scripts have judged."""
    of_risk: dict[str, Any] = next(
        (f for f in row["figures"] if (f["predictor"], f["metric"]) == ("risk", "auroc")), {}
    )
    bounds = {key: of_risk.get(key) for key in ("low", "high")}
    return {"auroc": of_risk.get("value"), **bounds, "simulated": row["n_simulated"]}


def _print(shown: dict[str, Any]) -> None:
    from evaluators.checks.grounding.relative import is_relative

    plain = [name for name in shown["features"] if not is_relative(name)]
    beside = " each also less its mean over the other answers" * (
        len(plain) < len(shown["features"])
    )
    typer.echo(
        f"{shown['metric']}: {shown['kind']} on {', '.join(plain)};{beside or ' plain'}. "
        f"Wrong means {shown['wrong_when']}; {shown['positives']} of {shown['n']} reviewed "
        f"outputs are, in {shown['n_groups']} groups of the splits {', '.join(shown['splits'])}; "
        f"as much as {shown['n_effective']:.0f} drawn with equal chances would tell."
    )
    if shown["n_simulated"]:
        typer.echo(f"{shown['n_simulated']} of these outputs have simulated reviews.")
    for what, n in shown["left_out"].items():
        typer.echo(f"left out: {n} {what}")
    print_table(shown["figures"], columns=FIGURES, title="Out of fold")
    print_table(shown["reliability"], columns=BINS, title="Reliability")
