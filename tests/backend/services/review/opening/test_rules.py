"""The rules of a queue: they survive the database, and what is no rule is refused in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.errors import InvalidInput
from backend.services.review.rules import QueueRules, rules_from

EVERYTHING = QueueRules(
    skip_policy="out",
    max_share=0.5,
    extra_below=0.6,
    adjudicate_above=0.25,
    gold_onboarding=3,
    gold_every=10,
    gold_bound=0.8,
    gold_minimum=2,
    adaptive_leases=False,
    mask=("Qwen", "<|im_end|>"),
    mask_models=False,
    cost_per_hour=90.5,
    currency="EUR",
    minutes_budget=600.0,
    revise_minutes=5,
)


@pytest.mark.parametrize("rules", [QueueRules(), EVERYTHING])
def test_rules_survive_the_database(rules: QueueRules) -> None:
    assert rules_from(json.loads(json.dumps(rules.as_dict()))) == rules


def test_rules_that_are_not_named_have_their_defaults() -> None:
    assert rules_from({"gold_every": 5}) == QueueRules(gold_every=5)
    assert rules_from({}) == QueueRules()


@pytest.mark.parametrize(
    "content",
    [
        {"skip_policy": "away"},
        {"skip_policy": ["others"]},
        {"max_share": 0},
        {"max_share": 1.5},
        {"max_share": True},
        {"extra_below": 0},
        {"extra_below": float("nan")},
        {"adjudicate_above": -0.1},
        {"adjudicate_above": "much"},
        {"gold_onboarding": -1},
        {"gold_every": 2.5},
        {"gold_bound": None},
        {"gold_bound": 70},
        {"gold_minimum": "4"},
        {"adaptive_leases": 1},
        {"mask": "Qwen"},
        {"mask": ["x"]},
        {"mask": [{"a": 1}]},
        {"mask": ["y" * 201]},
        {"mask_models": None},
        {"cost_per_hour": 0, "currency": "EUR"},
        {"cost_per_hour": 10},
        {"currency": "EUR"},
        {"minutes_budget": -1},
        {"revise_minutes": -1},
        {"revise_minutes": 10**9},
        {"gold_every": [1]},
    ],
)
def test_a_value_that_is_no_rule_is_refused_in_one_sentence(content: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_from(content)
    assert refused.value.message.count(".") <= 1 or "70" in refused.value.message


def test_an_unknown_rule_names_the_nearest() -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_from({"gold_evry": 5})
    assert "gold_every" in (refused.value.hint or "")
