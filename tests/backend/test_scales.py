"""Every scale answers all that is asked of a scale: the table is walked, so a new one is too."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, get_args

import pytest

from backend.errors import InvalidInput
from backend.rubrics import (
    SCALES,
    Control,
    Criterion,
    Multi,
    Number,
    Rubric,
    Text,
    parse_rubric,
    validate_answer,
)
from backend.services.exchange import argilla, label_studio

OPTIONS = [{"name": "a", "label": "An a"}, {"name": "b", "label": "A b"}]
NEEDED: dict[str, dict[str, Any]] = {
    "category": {"options": OPTIONS},
    "multi": {"options": OPTIONS},
    "number": {"min": 0, "max": 10, "step": 0.5},
}


def made(kind: type[Any]) -> tuple[Rubric, Any]:
    """A rubric with one question of the scale."""
    (scale,) = get_args(kind.model_fields["scale"].annotation)
    question = {"name": "q", "question": "Q?", "scale": scale, **NEEDED.get(scale, {})}
    rubric = parse_rubric(str({"name": "r", "guidelines": "g", "criteria": [question]}))
    return rubric, rubric.criterion("q")


def test_the_table_is_the_union() -> None:
    union, _ = get_args(Criterion)
    assert set(get_args(union)) == {*SCALES}


@pytest.mark.parametrize("kind", SCALES, ids=lambda kind: kind.__name__)
class TestEveryScale:
    def test_a_simulated_answer_is_an_answer(self, kind: type[Any]) -> None:
        _, scale = made(kind)
        for closeness, wrong in ((1.0, ()), (0.4, ("invented_fact",)), (0.0, ("missing",))):
            assert validate_answer(scale, scale.simulated(closeness, wrong)) is not None

    def test_what_is_stored_is_an_answer_again(self, kind: type[Any]) -> None:
        _, scale = made(kind)
        stored = validate_answer(scale, scale.simulated(0.5, ()))
        assert stored is not None
        assert validate_answer(scale, stored.value) == stored
        assert (stored.number is not None) == scale.has_number
        assert scale.distance(stored, stored) in (0.0, None)
        read = [(outcome.is_rate, outcome.read(stored)) for outcome in scale.outcomes()]
        assert all(0 <= value <= 1 for is_rate, value in read if is_rate)

    def test_what_is_no_answer_is_refused_with_what_would_be_one(self, kind: type[Any]) -> None:
        _, scale = made(kind)
        with pytest.raises(InvalidInput) as caught:
            validate_answer(scale, {"no": "answer"})
        assert caught.value.hint == scale.allowed()

    def test_levels_and_distances_go_together(self, kind: type[Any]) -> None:
        _, scale = made(kind)
        answers = [scale.simulated(near, wrong) for near, wrong in ((1.0, ()), (0.0, ("missing",)))]
        one, other = (validate_answer(scale, answer) for answer in answers)
        assert one is not None
        assert other is not None
        apart = scale.distance(one, other)
        assert (apart is None) == (scale.level is None)
        assert apart is None or 0 < apart <= 1
        assert scale.words

    def test_choices_are_answers_and_others_are_typed(self, kind: type[Any]) -> None:
        _, scale = made(kind)
        picked = scale.control in (Control.CHOICES, Control.OPTIONS, Control.RATING)
        assert bool(scale.choices()) == picked
        for choice in scale.choices():
            given = [choice.value] if scale.control is Control.OPTIONS else choice.value
            assert validate_answer(scale, given) is not None

    def test_its_steps_are_answers_and_rise(self, kind: type[Any]) -> None:
        _, scale = made(kind)
        stored = [validate_answer(scale, step) for step in scale.steps()]
        numbers = [answer.number or 0.0 for answer in stored if answer is not None]
        assert len(numbers) == len(scale.steps())
        apart = {round(b - a, 9) for a, b in pairwise(numbers)}
        assert all(step > 0 for step in apart)
        assert len(apart) <= 1

    def test_the_desk_has_a_widget_for_it(self, kind: type[Any]) -> None:
        _, scale = made(kind)
        widgets = {Control.OPTIONS: Multi, Control.NUMBER: Number, Control.TEXT: Text}
        for control, drawn in widgets.items():
            assert (scale.control is control) == isinstance(scale, drawn), (
                f"dashboard/components/questions.py draws {control} for {drawn.__name__} alone"
            )

    def test_other_tools_have_a_control_for_it(self, kind: type[Any]) -> None:
        rubric, _ = made(kind)
        assert 'name="q_q"' in label_studio.labelling_config(rubric, pair=False)
        (question,) = [
            one
            for one in argilla.settings_of(rubric, pair=False)["questions"]
            if one["name"] == "q"
        ]
        assert question["type"] in ("label", "multi_label", "rating", "text")
