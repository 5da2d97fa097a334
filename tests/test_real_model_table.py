"""The parts of the real model's table that no model is needed for: shots, reading, forecast."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from evaluators.forecast import extrapolate
from evaluators.registry import resolve_metrics
from tests.benchmarks._real_report import forecast
from tests.benchmarks._real_tasks import OFF_LIST, Row, _as_turns, _topic_in, nearest_shots

TOPICS = ["cash withdrawal", "cash withdrawal charge", "card lost"]
POOL = [
    Row("a", "my card was stolen yesterday", "card lost"),
    Row("b", "the machine kept a fee for cash", "cash withdrawal charge"),
    Row("c", "where is my card", "card lost"),
    Row("d", "no cash came out of the machine", "cash withdrawal"),
]


@pytest.mark.parametrize(
    ("answer", "topic"),
    [
        ("card lost", "card lost"),
        ("Topic: Card_lost.", "card lost"),
        ("It is about a cash withdrawal charge", "cash withdrawal charge"),
        ("card lost or cash withdrawal", OFF_LIST),
        ("I am sorry to hear that", OFF_LIST),
        ("", OFF_LIST),
    ],
)
def test_an_answer_counts_as_the_one_topic_that_it_names(answer: str, topic: str) -> None:
    assert _topic_in(TOPICS, answer) == topic


def test_shots_are_the_likest_rows_the_likest_last() -> None:
    asked = Row("x", "A fee for cash from the machine?", "cash withdrawal charge")
    assert [one.id for one in nearest_shots(POOL, asked, 2)] == ["d", "b"]
    assert len(nearest_shots(POOL, asked, 9)) == len(POOL)


def test_shots_are_turns_that_were_answered() -> None:
    wording = partial(_as_turns, "Name it.", "Message: {}")
    found = wording(POOL[0], POOL[2:3])
    assert [(one["role"], one["content"]) for one in found] == [
        ("system", "Name it."),
        ("user", "Message: where is my card"),
        ("assistant", "card lost"),
        ("user", "Message: my card was stolen yesterday"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (0.6, 0.8, 1 - 0.2 * (500 / 300) ** -(np.log(2) / np.log(3))),
        (0.8, 0.6, 0.6),
        (0.9, 1.0, 1 - 0.01 * (500 / 300) ** -(np.log(10) / np.log(3))),
    ],
)
def test_the_forecast_is_a_power_law_of_the_error(first: float, second: float, told: float) -> None:
    found = extrapolate(np.array([first, second]), (100, 300), 500, least=0.01)
    assert float(found) == pytest.approx(told)


def test_the_forecast_is_held_against_what_was_measured() -> None:
    def answers(right: int) -> list[dict[str, Any]]:
        return [
            {"id": str(i), "prediction": "ab"[i % 2] if i < right else "c"}
            | {"reference": "ab"[i % 2], "context": None}
            for i in range(60)
        ]

    sides = {"l1": answers(24), "l2": answers(42), "l3": answers(50)}
    metric = resolve_metrics(["accuracy"])[0]
    found = forecast(metric, sides, {100: "l1", 300: "l2", 500: "l3"}, 500)
    assert found["came_to"] == pytest.approx(50 / 60)
    assert found["value"] == pytest.approx(
        float(extrapolate(np.array([0.4, 0.7]), (100, 300), 500, least=0.01))
    )
    assert found["low"] < found["value"] < found["high"]
    assert found["missed_low"] < found["missed_by"] < found["missed_high"]
