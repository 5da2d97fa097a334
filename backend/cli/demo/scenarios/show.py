"""The tables and the JSON of a scenario; every figure has its n and its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from backend.cli.terminal.printing import print_json, print_rows, print_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.cli.common import Installation
    from backend.cli.demo.scenarios import Scenario
    from backend.cli.demo.scenarios.claims import ScenarioClaim, ScenarioOutcome

SIMULATED = (
    "The experts are simulated: a script that knows the references and errs on purpose in 5 of "
    "100 answers. Nothing here says anything about people."
)
CLAIMS = ["claim", "value", "95% interval", "n", "aim", "result"]


def make_report(
    session: Session, scenario: Scenario, outcome: ScenarioOutcome, *, engine: str, seconds: float
) -> dict[str, Any]:
    """All that a scenario found, JSON-serialisable."""
    from backend.cli.runs.report import make_report as report_of_run

    return {
        "scenario": scenario.name,
        "promise": scenario.promise,
        "simulated": True,
        "experts": SIMULATED,
        "engine": engine,
        "arms": [arm.as_dict() for arm in outcome.arms],
        "claims": [claim.as_dict() for claim in outcome.claims],
        "notes": list(outcome.notes),
        "run": report_of_run(session, outcome.run_id),
        "seconds": round(seconds, 1),
    }


def show_outcome(
    installation: Installation,
    scenario: Scenario,
    outcome: ScenarioOutcome,
    *,
    engine: str,
    seconds: float,
    as_json: bool,
) -> None:
    """Print what a scenario found."""
    from backend.cli.runs.report import show_report
    from backend.db import reading

    if as_json:
        with reading(installation.sessions) as session:
            report = make_report(session, scenario, outcome, engine=engine, seconds=seconds)
        print_json(report)
        return
    arms = [arm.as_dict() for arm in outcome.arms]
    columns = list(dict.fromkeys(name for arm in arms for name in arm))
    print_table(arms, columns=columns, title="What was trained (reviews simulated)")
    show_report(installation, outcome.run_id, as_json=False)
    rows = [_claim_row(claim) for claim in outcome.claims]
    print_table(rows, columns=CLAIMS, title=f"{scenario.name}: {scenario.promise}")
    for note in (*outcome.notes, SIMULATED):
        typer.echo(note)
    typer.echo(f"Engine {engine}, {seconds:.0f} s.")


def _claim_row(claim: ScenarioClaim) -> dict[str, Any]:
    sign = "≥" if claim.at_least else "≤"
    return {
        "claim": claim.text,
        "value": claim.value,
        "95% interval": "none" if claim.low is None else f"{claim.low:.3f} to {claim.high:.3f}",
        "n": claim.n,
        "aim": f"{sign} {claim.aim:g}",
        "result": claim.result,
    }


def list_scenarios(*, as_json: bool) -> None:
    """Print the names and what each sets out to show."""
    from backend.cli.demo.scenarios import SCENARIOS

    rows = [{"scenario": s.name, "sets out to show": s.promise} for s in SCENARIOS.values()]
    print_rows(rows, columns=list(rows[0]), json=as_json)
