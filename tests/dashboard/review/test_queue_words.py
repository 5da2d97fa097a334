"""A queue in words: its design, chances, rules, and which version of its rubric it asks."""

from __future__ import annotations

from typing import Any

import pytest

from backend.rubrics import find_rubric
from backend.schemas.review.quality import RubricOut
from backend.schemas.review.queues import StratumOut
from backend.schemas.review.reports import Measured
from backend.services.review.rules import QueueRules
from dashboard.components.figures.measured import (
    interval_points,
    measured_cell,
    measured_text,
    share_words,
)
from dashboard.components.frame import FigureText
from dashboard.components.review.queue_words import (
    design_sentences,
    rule_sentences,
    strata_of,
    strata_rows,
)
from dashboard.views.review.opening.rubric_choice import version_sentence
from tests.dashboard.review_figures import NOW, measured, unknown

DESIGN: dict[str, Any] = {"n_items": 25, "n_candidates": 100, "seed": 7}
PART = {"name": "high_risk", "why": "At risk.", "n_frame": 40, "n_asked": 10, "n_drawn": 9}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (measured(0.713, spread=0.05), "0.71 [0.66, 0.76], n = 20"),
        (measured(1.5, unit="minutes"), "1.50 [1.40, 1.60] minutes, n = 20"),
        (Measured(value=0.5, n=3, rough=True), "0.50 (no interval), n = 3, rough"),
        (Measured(value=-0.001, low=-0.004, high=0.2, n=9), "0.00 [0.00, 0.20], n = 9"),
        (unknown("No item was shared."), "cannot be said: No item was shared."),
        (Measured(), "cannot be said: no reason was given"),
    ],
)
def test_a_number_is_never_without_its_n_or_its_reason(number: Measured, text: str) -> None:
    assert measured_text(number) == text


def test_a_reason_stands_where_the_number_would() -> None:
    assert measured_cell(unknown("why not")) == "why not"
    assert measured_cell(measured(0.5)) == FigureText("0.50 [0.40, 0.60], n = 20")


def test_what_has_no_value_is_not_a_point() -> None:
    points = interval_points([("a", measured(0.5)), ("b", unknown("none"))])
    assert [point["line"] for point in points] == ["a"]
    assert points[0]["low"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.0, "every one"), (0.62, "about 6 in 10"), (0.25, "1 in 4"), (0.5, "1 in 2"),
     (0.01, "1 in 100"),
     (0.99, "about 9 in 10"), (0.0, "none")],
)  # fmt: skip
def test_chances_in_words(share: float, words: str) -> None:
    assert share_words(share) == words


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "A simple random sample: 25 of 100 items, each with the same chance (1 in 4)."),
        ({"n_items": 100}, "All 100 items that there are."),
        ({"kind": "stratified", "strata": [{**PART, "name": "ward=a"}]}, "within each ward: 25 of"),
        ({"kind": "active"}, "a random anchor that stands for the whole"),
        ({"kind": "of another day"}, "25 of 100 items, by the design of another day."),
        ({"overlap": 2, "n_overlap": 5}, "5 of the 25 items go to 2 different people each"),
        ({"overlap": 2, "n_overlap": 0}, "agreement cannot be measured"),
        ({"n_without_output": 3}, "3 outputs could not be written"),
        ({"n_identical": 4}, "4 pairs had the same text on both sides"),
    ],
)
def test_designs_in_words(changed: dict[str, Any], words: str) -> None:
    assert words in " ".join(design_sentences({**DESIGN, **changed}))


def test_parts_of_a_design() -> None:
    row = strata_rows([StratumOut.model_validate({**PART, "n_without": 2})])[0]
    told = [
        "high risk",
        40,
        FigureText("9 of 10 asked for"),
        "1 in 4",
        "At risk. 2 lacked its measure.",
    ]
    assert row == told


def test_parts_of_another_shape_are_left_out() -> None:
    assert strata_of({"strata": [{"name": "old"}]}) == []


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (QueueRules(), "A skipped item goes to somebody else."),
        (QueueRules(), "Disagreements are not sent to an adjudicator."),
        (QueueRules(), "No items with a known answer are mixed in."),
        (QueueRules(), "The names of the models are blacked out in the outputs."),
        (QueueRules(), "A person may revise an own answer for 60 minutes."),
        (QueueRules(skip_policy="out"), "A skipped item leaves the queue."),
        (QueueRules(max_share=0.4), "at most 40% of the reviews"),
        (QueueRules(extra_below=0.5), "agree less than 50% gets one more reviewer"),
        (QueueRules(adjudicate_above=0.3), "above 0.3 (0 to 1) waits for an adjudicator"),
        (QueueRules(gold_onboarding=3, gold_every=9), "3 at the start and one after every 9"),
        (QueueRules(gold_every=9, gold_bound=0.8), "fewer than 80% of at least 4 is paused"),
        (QueueRules(revise_minutes=0), "cannot be taken back"),
        (QueueRules(mask=("Qwen",)), "The names of the models and 1 more text that would give"),
        (QueueRules(mask=("a1", "b2"), mask_models=False), "2 more texts that would give"),
        (QueueRules(minutes_budget=90), "90 minutes of active review"),
        (QueueRules(cost_per_hour=80, currency="EUR"), "An hour of review costs 80 EUR."),
    ],
)
def test_rules_in_words(rules: QueueRules, words: str) -> None:
    assert words in " ".join(rule_sentences(rules.as_dict()))


def rubric_version(name: str, version: int) -> RubricOut:
    rubric = find_rubric(name)
    return RubricOut(
        id=version, name=name, version=version, digest=rubric.digest, created_at=NOW, rubric=rubric,
        source="",
    )  # fmt: skip


def test_which_version_is_asked_and_what_an_edit_does() -> None:
    asked, later = rubric_version("telecom_desk", 2), rubric_version("blind_pair", 3)
    said = version_sentence(asked.rubric, [asked, later])
    for words in ("version 2", "Version 3 is newer", "open ones too", "opened after it"):
        assert words in said
    assert "version 2, the newest" in version_sentence(asked.rubric, [asked])


def test_a_rubric_that_is_not_stored_has_no_version() -> None:
    assert "version" not in version_sentence(find_rubric("telecom_desk"), [])
