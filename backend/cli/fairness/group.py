"""The verbs of `strop fairness`; a file or a run named without a verb is asked for its gaps.

strop fairness preds.jsonl --by sex          the gaps of a file, without a database
strop fairness 12 --by language,site         those of a run of the project
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from backend.cli.fairness import data, pairs, parity


class _ParityFirst(TyperGroup):
    """A first argument that is no verb is what `parity` is asked for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in where it was left out."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["parity", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_ParityFirst, add_completion=False, no_args_is_help=True)
app.command("parity", help="Gaps between groups of a file, a run or a queue.")(parity.command)
app.command("pairs", help="Make counterfactual pairs of a dataset.")(pairs.make)
app.command("test", help="Do answers to pairs move with a person's group?")(pairs.show_test)
app.command("data", help="Mentions and skew in a training set.")(data.command)
app.command("lists", help="The lists of names, gendered words, ages and places.")(data.lists)
