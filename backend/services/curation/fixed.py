"""The metric that a recipe judges replayed answers by, looked up before anything is frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.services.curation.recipes import EQUAL, FixedRule
from backend.services.metric_specs import BUILT_IN

if TYPE_CHECKING:
    from evaluators.metric import Metric


def fixed_metric(rule: FixedRule) -> Metric | None:
    """The metric that a rule names, None for equality; errors as `resolve`."""
    if rule.metric == EQUAL:
        return None
    return BUILT_IN.resolve([rule.metric])[0]
