"""The risk of each output as a score: a probability, why it is what it is, and where to look.

The reason names the features that raise the log-odds most above those of an average output (each
put back to its average in turn); the spans are those that the checks behind the features marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evaluators.checks.risk import RiskModel, find_drift, log_odds, risk_of
from evaluators.types import Score

NAMED = 2
DRIFTED = "the outputs no longer look like those labelled"


def score_risk(
    model: RiskModel,
    checked: Sequence[Mapping[str, Score]],
    groups: Sequence[str | None] | None = None,
) -> list[Score]:
    """One score per output, lower is better; an error for all where the features have drifted.

    Args:
        checked: the scores of each output by the name of the metric, as the model's features are.
        groups: of each output; None, or a None among them, for an output of its own.
    """
    rows = [{name: score.value for name, score in scores.items()} for scores in checked]
    if not rows:
        return []
    drift = find_drift(model, rows, groups)
    if drift:
        return [Score(None, error=f"{DRIFTED}: {'; '.join(drift)}")] * len(rows)
    return [
        _score(model, scores, row, float(risk))
        for scores, row, risk in zip(checked, rows, risk_of(model, rows), strict=True)
    ]


def _score(
    model: RiskModel, scores: Mapping[str, Score], row: Mapping[str, float | None], risk: float
) -> Score:
    if all(row.get(name) is None for name in model.features):
        return Score(None, not_applicable=True, explanation="no check says anything of this output")
    spans = tuple(span for name in model.features if name in scores for span in scores[name].spans)
    return Score(risk, explanation=explain_risk(model, row), spans=spans, stats=(risk,))


def explain_risk(model: RiskModel, row: Mapping[str, float | None]) -> str:
    """The features that raise the risk of an output most, with their values."""
    usual = dict(zip(model.features, model.means, strict=True))
    present = [name for name in model.features if row.get(name) is not None]
    variants = [dict(row), *({**row, name: usual[name]} for name in present)]
    odds = log_odds(model, variants)
    raised = sorted(zip(odds[0] - odds[1:], present, strict=True), reverse=True)[:NAMED]
    named = [
        f"{name} is {row[name]:.3g} (usually {usual[name]:.3g})"
        for gain, name in raised
        if gain > np.finfo(np.float32).eps
    ]
    return "raised by " + " and ".join(named) if named else "nothing raises it above the average"
