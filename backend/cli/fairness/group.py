"""The verbs of `strop fairness`; a file or a run named without a verb is asked for its gaps.

strop fairness preds.jsonl --by sex          the gaps of a file, without a database
strop fairness 12 --by language,site         those of a run of the project
"""

from __future__ import annotations

from backend.cli.fairness import data, pairs, parity
from backend.cli.options import group

app = group(default_verb="parity")
app.command("parity", help="Gaps between groups of a file, a run or a queue.")(parity.command)
app.command("pairs", help="Make counterfactual pairs of a dataset.")(pairs.make)
app.command("test", help="Do answers to pairs move with a person's group?")(pairs.show_test)
app.command("data", help="Mentions and skew in a training set.")(data.command)
app.command("lists", help="The lists of names, gendered words, ages and places.")(data.lists)
