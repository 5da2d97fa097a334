"""Argilla takes the settings of every rubric, and its records come back as they went."""

from __future__ import annotations

import re

import pytest

from backend.rubrics import find_rubric, library_names
from backend.services.exchange.argilla import RESERVED, criterion_of, question_of, settings_of


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("name", library_names())
def test_every_rubric_of_the_library_has_settings(name: str, pair: bool) -> None:
    settings = settings_of(find_rubric(name), pair=pair)
    names = [one["name"] for one in (*settings["fields"], *settings["questions"])]
    assert len(set(names)) == len(names), "Argilla wants one name for one thing"
    assert all(re.fullmatch(r"[a-z0-9_-]+", one) for one in names)
    asked = {criterion_of(one["name"]) for one in settings["questions"]}
    assert {criterion.name for criterion in find_rubric(name).criteria} <= asked


@pytest.mark.parametrize("name", [*sorted(RESERVED), "q_comment", "q_q_x", "quality", "q"])
def test_names_of_questions_lead_back_to_their_criteria(name: str) -> None:
    asked = question_of(name)
    assert asked not in RESERVED
    assert criterion_of(asked) == name
