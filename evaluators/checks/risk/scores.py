"""The risk of each output as a score: a probability, why it is what it is, and where to look.

The reason names the checks that raise the log-odds most above those of an average output (what each
says put back to the average in turn); the spans are those that the checks which raise it marked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from evaluators.checks.grounding.relative import (
    AnswerKey,
    base_name,
    digest_text,
    is_relative,
    relative_name,
    relative_rows,
)
from evaluators.checks.risk.risk import RiskModel, Row, find_drift, log_odds, risk_of
from evaluators.errors import UndefinedFigure
from evaluators.metric import MEAN, Metric
from evaluators.types import Sample, Score

if TYPE_CHECKING:
    from evaluators.metric import Values

NAMED = 2
DRIFTED = "the outputs no longer look like those labelled"
RANKS = "ranks"  # in place of the statistics of a score that is no rate
_NOTHING = float(np.finfo(np.float32).eps)


def score_risk(
    model: RiskModel,
    checked: Sequence[Mapping[str, Score]],
    groups: Sequence[str | None] | None = None,
    answers: Sequence[AnswerKey] | None = None,
    *,
    despite_drift: bool = False,
) -> list[Score]:
    """One score per output, lower is better; an error for all where the features have drifted.

    Args:
        checked: the scores of each output by the name of the metric, as the model's features are.
        groups: of each output; None, or a None among them, for an output of its own.
        answers: what each answers; relative features are made over these outputs.
        despite_drift: score them all the same, and say so: such risks rank, and tell no rate, so
            that `risk_metric` makes no figure of them.
    """
    plain = [{name: score.value for name, score in scores.items()} for scores in checked]
    if not plain:
        return []
    rows = with_relative(model.features, plain, answers)
    drift = find_drift(model, rows, groups)
    if drift and not despite_drift:
        return [Score(None, error=f"{DRIFTED}: {'; '.join(drift)}")] * len(rows)
    found = [
        _score(model, scores, row, float(risk), gain)
        for scores, row, risk, gain in zip(
            checked, rows, risk_of(model, rows), _gains(model, rows), strict=True
        )
    ]
    return [_only_ranking(score) for score in found] if drift else found


def _only_ranking(score: Score) -> Score:
    if score.value is None:
        return score
    said = f"{score.explanation}; {DRIFTED}, so it tells no rate"
    return replace(score, explanation=said, stats=(RANKS,))


def risk_metric(name: str, model: RiskModel) -> Metric:
    """A fitted risk by its name: it can be summarised; `score_risk` scores with it."""

    def score(samples: Sequence[Sample]) -> list[Score]:
        raise UndefinedFigure(
            f"{name} is made of other scores.", hint="Score what it is made of, and it, in one go."
        )

    digest = digest_text(json.dumps(model.as_dict(), sort_keys=True))
    return Metric(
        name,
        model.version,
        score,
        summary=replace(MEAN, rows=_as_rates),
        higher_is_better=False,
        recipe=lambda scores: f"model:{digest}",
        description="probability that the output is wrong, learned from people's labels",
    )


def _as_rates(scores: Sequence[Score]) -> Values:
    if any(score.stats == (RANKS,) for score in scores):
        raise UndefinedFigure(
            f"{DRIFTED[0].upper()}{DRIFTED[1:]}: their risks rank them, and tell no rate.",
            hint="Label some of the new ones and calibrate again.",
        )
    rows: Values = MEAN.rows(scores)
    return rows


def with_relative(
    features: Sequence[str], rows: Sequence[Row], answers: Sequence[AnswerKey] | None
) -> list[dict[str, float | None]]:
    """The rows with those relative features that are named among the features."""
    wanted = [base_name(name) for name in features if is_relative(name)]
    if answers is None or not wanted:
        return [dict(row) for row in rows]
    return relative_rows(rows, answers, wanted)


def checks_of(features: Sequence[str]) -> list[str]:
    """The metrics that must be scored for a model of these features, each once."""
    return list(dict.fromkeys(base_name(name) for name in features))


def _score(
    model: RiskModel, scores: Mapping[str, Score], row: Row, risk: float, gain: Mapping[str, float]
) -> Score:
    if all(row.get(name) is None for name in model.features):
        return Score(None, not_applicable=True, explanation="no check says anything of this output")
    raised = [name for name in gain if gain[name] > _NOTHING]
    spans = tuple(span for name in raised if name in scores for span in scores[name].spans)
    named = [_say(model, name, row) for name in raised[:NAMED]]
    reason = f"raised by {' and '.join(named)}" if named else "no check by itself raises it"
    return Score(risk, explanation=reason, spans=spans, stats=(risk,))


def _gains(model: RiskModel, rows: Sequence[Row]) -> list[dict[str, float]]:
    """For each row the checks, and by how much each raises its log-odds, the most first.

    Against the same row with all that the check says put back to the average.
    """
    usual = dict(zip(model.features, model.means, strict=True))
    odds = log_odds(model, rows)
    gains = {}
    for check in checks_of(model.features):
        own = {name: usual[name] for name in usual if base_name(name) == check}
        gains[check] = odds - log_odds(model, [_put_back(row, own) for row in rows])
    order = [sorted(gains, key=lambda c: (-gains[c][i], c)) for i in range(len(rows))]
    return [{c: float(gains[c][i]) for c in checks} for i, checks in enumerate(order)]


def _put_back(row: Row, usual: Row) -> Row:
    """The row with its values put back to the usual ones; what is missing stays so."""
    return {**row, **{name: value for name, value in usual.items() if row.get(name) is not None}}


def _say(model: RiskModel, check: str, row: Row) -> str:
    """What a check says of an output, beside what it says of most."""
    usual = dict(zip(model.features, model.means, strict=True))
    plain, apart = row.get(check), row.get(relative_name(check))
    parts = [f"usually {usual[check]:.3g}"] if check in usual and plain is not None else []
    if apart is not None and relative_name(check) in usual:
        parts.append(f"{apart:+.3g} against the mean of the other answers")
    value = check if plain is None else f"{check} is {plain:.3g}"
    return f"{value} ({'; '.join(parts)})" if parts else value
