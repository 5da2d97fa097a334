"""The metric that a recipe judges replayed answers by, looked up before anything is frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.errors import InvalidInput
from backend.services.curation.recipes import EQUAL, FixedRule

if TYPE_CHECKING:
    from evaluators.metric import Metric


def fixed_metric(rule: FixedRule) -> Metric | None:
    """The metric that a rule names, None for equality; InvalidInput lists the nearest."""
    from evaluators.errors import EvaluatorError
    from evaluators.registry import resolve_metrics

    if rule.metric == EQUAL:
        return None
    try:
        return resolve_metrics([rule.metric])[0]
    except EvaluatorError as error:
        raise InvalidInput(error.message, hint=error.hint) from error
