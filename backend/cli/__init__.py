"""The command line: `strop NOUN VERB`, loaded command by command so that help is instant.

Each command lives in a module of its own: an attribute `app` (a typer.Typer with verbs) or
`command` (one function). This module knows their names and how an error is shown: one line on
stderr, an exit code, a traceback only with `--debug`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer import Option
from typer.core import TyperCommand, TyperGroup

from backend.errors import StropError, reason_of

SHOWN_FINDINGS = 10
# What libraries ask before they tell their makers of being used; children inherit it.
QUIET = ("DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "VLLM_NO_USAGE_STATS")

COMMANDS: dict[str, tuple[str, str]] = {
    # on plain files, no database
    "score": ("backend.cli.files.score", "Score a file of predictions."),
    "compare": (
        "backend.cli.verdicts.compare",
        "Compare two score files, or two models of a project.",
    ),
    "agreement": ("backend.cli.files.agreement", "Agreement of raters, with intervals."),
    "preferences": ("backend.cli.files.preferences", "Win rates and judge agreement from votes."),
    "estimate": ("backend.cli.files.estimate", "Mean from few ratings and many scores."),
    "calibrate": ("backend.cli.files.calibrate", "A risk of hallucination from labels and scores."),
    "meta": ("backend.cli.files.meta", "Does a score agree with people?"),
    "mask": (
        "backend.cli.datasets.masking",
        "Mask people's names and numbers in a file; a project's masking policy.",
    ),
    "plan": ("backend.cli.files.plan", "How many ratings it takes, simulated."),
    "export": (
        "backend.cli.exchange.export",
        "Training data or a queue in the formats of other tools.",
    ),
    # the installation
    "init": ("backend.cli.operations.init", "Make the database and the first project."),
    "up": ("backend.cli.operations.up", "Serve dashboard and API on one port, with a worker."),
    "worker": ("backend.cli.operations.worker", "Run queued jobs."),
    "serve": ("backend.cli.models.serve", "Start a vLLM server for the base and its adapters."),
    "doctor": ("backend.cli.operations.doctor", "Check what is installed and what is reachable."),
    "demo": ("backend.cli.demo.loop", "Run the whole loop on the demo project."),
    "user": ("backend.cli.accounts.users", "People: add, list, roles, projects, sign-outs."),
    "token": ("backend.cli.accounts.tokens", "Bearer tokens of programs."),
    "backup": ("backend.cli.operations.backup", "Write the whole installation into one archive."),
    "restore": ("backend.cli.operations.restore", "Unpack a backup into a new folder."),
    "audit": ("backend.cli.operations.audit", "Who did what: list, export, head, verify."),
    # a project, in the order of the loop
    "manifest": ("backend.cli.projects", "The bar: set it before training."),
    "dataset": (
        "backend.cli.datasets.datasets",
        "Import, split and show datasets; how healthy they are.",
    ),
    "prompt": ("backend.cli.datasets.prompts", "Prompts in versions: add, try, search the best."),
    "adapter": ("backend.cli.models.adapter", "Register, merge, export and preflight adapters."),
    "model": ("backend.cli.models.model", "Other bases, and models served elsewhere."),
    "run": ("backend.cli.runs.run", "Generate with several models and score what they wrote."),
    "job": ("backend.cli.queue", "Long work: list it, cancel it."),
    "report": ("backend.cli.runs.report", "Figures of a run, with intervals."),
    "check": ("backend.cli.checks.check", "What checks find of planted errors; train checkers."),
    "judge": ("backend.cli.checks.judge", "Judges: models that rate or compare, with a licence."),
    "risk": ("backend.cli.checks.risk", "Risks learned from the project's own reviews."),
    "fairness": (
        "backend.cli.fairness.group",
        "Gaps between groups, counterfactual pairs, mentions in training data.",
    ),
    "rubric": ("backend.cli.review.rubrics", "Rubrics: list, check, add and export them."),
    "review": ("backend.cli.review.queues", "Open review queues and see how they stand."),
    "webhook": ("backend.cli.webhooks", "Tell other programs what happens in queues."),
    "synthetic": ("backend.cli.synthetic.drafts", "Rows that a model drafts and experts approve."),
    "set": ("backend.cli.curation.sets", "Freeze reviewed answers into a training set."),
    "train": ("backend.cli.training", "Train an adapter on a frozen set."),
    "round": ("backend.cli.rounds", "A whole turn of the loop, which waits for people."),
    "yield": ("backend.cli.yields", "What became of a round's corrections."),
    "costs": ("backend.cli.costs", "What runs, trainings, rounds and reviewed items took."),
    "example": ("backend.cli.erasure.examples", "Erase an example wherever its text stands."),
    "person": ("backend.cli.erasure.people", "Erase somebody who left: name, secrets, comments."),
    "erasure": ("backend.cli.erasure.erasures", "What was erased, and what still waits."),
    "retention": ("backend.cli.erasure.retention", "For how many days things are kept."),
    "lineage": ("backend.cli.lineage", "What a thing was made of, and what it went into."),
    "gate": ("backend.cli.verdicts.gate", "Judge a candidate by the manifest."),
    "dossier": ("backend.cli.verdicts.dossier", "One signed archive on a candidate."),
    "promote": ("backend.cli.verdicts.promote", "Point an alias at a model."),
    "rollback": ("backend.cli.verdicts.rollback", "Point an alias back at the model before."),
}


class LazyGroup(TyperGroup):
    """A group whose commands are imported only when one of them is run."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order of the table above."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in that knows only its help line; enough for the list of commands."""
        entry = COMMANDS.get(cmd_name)
        return entry and TyperCommand(cmd_name, callback=lambda: None, help=entry[1])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command, imported now."""
        if args and args[0] in COMMANDS:
            return args[0], load_command(args[0]), args[1:]
        return super().resolve_command(ctx, args)


def load_command(name: str) -> Any:
    """Import one command of the table."""
    module_name, help_line = COMMANDS[name]
    module = import_module(module_name)
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False)
        app.command(help=module.command.__doc__ or help_line)(module.command)
    loaded = typer.main.get_command(app)
    loaded.name = name
    return loaded


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    help="Evaluate LoRA adapters with experts in the loop; prove the next one before it ships.",
    epilog="Exit codes: 0 done or PASS, 1 could not run, 2 a finding, 3 INCONCLUSIVE.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"strop {version('strop')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Without a callback typer would turn a one-command group into a command."""


ERROR_ROOTS = {"evaluators.errors": "EvaluatorError", "training.config": "TrainingError"}


def _expected_errors() -> tuple[type[Exception], ...]:
    """The roots of the error trees that were imported so far."""
    loaded = {name: sys.modules[name] for name in ERROR_ROOTS if name in sys.modules}
    return (StropError, *(getattr(module, ERROR_ROOTS[name]) for name, module in loaded.items()))


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    if debug:
        arguments.remove("--debug")
    for name in QUIET:
        os.environ.setdefault(name, "1")
    try:
        code = app(args=arguments, prog_name="strop", standalone_mode=False)
    except Exception as error:  # the outermost edge: what is expected is shown in one line
        code = _show_error(error, debug=debug)
    raise SystemExit(code if isinstance(code, int) else 0)


def _show_findings(findings: Sequence[Mapping[str, object]]) -> None:
    """What an error found, one below the other: the keys, and the texts side by side."""
    for finding in findings[:SHOWN_FINDINGS]:
        for name, value in finding.items():
            typer.echo(f"  {name:>13}: {' '.join(str(value).split())}", err=True)
        typer.echo("", err=True)
    if len(findings) > SHOWN_FINDINGS:
        typer.echo(f"  and {len(findings) - SHOWN_FINDINGS} more", err=True)


def _show_error(error: Exception, *, debug: bool) -> int:
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # wrong usage, said by typer
        error.show()
        return 1
    if isinstance(error, typer.Abort):  # a question that was answered with no, or by nobody
        typer.echo("\nStopped: nothing was done.", err=True)
        return 1
    if debug or not isinstance(error, (*_expected_errors(), FileNotFoundError, PermissionError)):
        if debug:
            raise error
        text = f"{reason_of(error)} (this is a defect; --debug shows where)"
    else:
        text = str(error)
    from backend.cli.terminal.printing import shown_text

    typer.echo(f"error: {shown_text(text)}", err=True)
    _show_findings(getattr(error, "findings", ()))
    return int(getattr(error, "exit_code", 1))
