"""Rubrics: reading, refusing, and checking answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import InvalidInput, UnknownName
from backend.rubrics import (
    CheckedAnswer,
    Rubric,
    dump_rubric,
    find_rubric,
    library_names,
    parse_rubric,
    validate_answer,
    validate_answers,
)

RUBRIC = parse_rubric(
    """
name: all_scales
guidelines: Read.
criteria:
  - {name: ok, scale: yes_no, question: Is it OK}
  - {name: stars, scale: stars, question: How good, n: 4, anchors: {1: bad, 4: good}}
  - name: kind
    scale: category
    question: Which?
    options: [{name: one, label: One}, {name: two, label: Two}]
  - {name: note, scale: text, question: Why, required: false, max_length: 5}
"""
)


@pytest.mark.parametrize(
    ("criterion", "value", "stored"),
    [
        ("ok", True, CheckedAnswer("yes", 1.0)),
        ("ok", "no", CheckedAnswer("no", 0.0)),
        ("stars", 4, CheckedAnswer("4", 4.0)),
        ("stars", "1", CheckedAnswer("1", 1.0)),
        ("kind", "two", CheckedAnswer("two", None)),
        ("note", " größe ", CheckedAnswer("größe", None)),
        ("note", "größe", CheckedAnswer("größe", None)),
        ("note", "   ", None),
        ("note", None, None),
    ],
)
def test_answer_on_the_scale(criterion: str, value: object, stored: CheckedAnswer | None) -> None:
    assert validate_answer(RUBRIC.criterion(criterion), value) == stored


@pytest.mark.parametrize(
    ("criterion", "value"),
    [
        ("ok", None),
        ("ok", ""),
        ("ok", "maybe"),
        ("ok", 1),
        ("ok", []),
        ("stars", 0),
        ("stars", 5),
        ("stars", 2.5),
        ("stars", True),
        ("stars", "04"),
        ("stars", "four"),
        ("kind", "three"),
        ("kind", "One"),
        ("kind", ["one"]),
        ("note", "longer"),
        ("note", 3),
    ],
)
def test_answer_off_the_scale_is_refused(criterion: str, value: object) -> None:
    with pytest.raises(InvalidInput):
        validate_answer(RUBRIC.criterion(criterion), value)


def test_answers_to_unknown_criteria_are_refused() -> None:
    with pytest.raises(UnknownName, match="stars"):
        validate_answers(RUBRIC, {"ok": True, "star": 3, "kind": "one"})


def test_a_missing_required_answer_is_refused() -> None:
    with pytest.raises(InvalidInput, match="Which"):
        validate_answers(RUBRIC, {"ok": True, "stars": 3})


def test_blank_answers_are_left_out() -> None:
    checked = validate_answers(RUBRIC, {"ok": True, "stars": 3, "kind": "one", "note": ""})
    assert set(checked) == {"ok", "stars", "kind"}


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("name: [", "not YAML"),
        ("- a list", "top"),
        ("", "top"),
        ("name: x", "guidelines"),
        ("name: Not a name\nguidelines: g", "name"),
        ("name: x\nguidelines: g\ncolour: red", "colour"),
        (
            "name: x\nguidelines: g\ncriteria: [{name: a, scale: slider, question: q}]",
            "criteria.0",
        ),
        (
            "name: x\nguidelines: g\n"
            "criteria: [{name: a, scale: stars, question: q, n: 3, anchors: {4: z}}]",
            "outside",
        ),
        (
            "name: x\nguidelines: g\ncriteria: [{name: a, scale: yes_no, question: q},"
            " {name: a, scale: yes_no, question: r}]",
            "twice",
        ),
    ],
)
def test_a_wrong_rubric_is_refused_with_its_place(source: str, place: str) -> None:
    with pytest.raises(InvalidInput, match=place):
        parse_rubric(source)


@pytest.mark.parametrize("name", library_names())
def test_library_rubric_survives_the_way_out_and_in(name: str) -> None:
    rubric = find_rubric(name)
    assert rubric.name == name
    again = parse_rubric(dump_rubric(rubric))
    assert again == rubric
    assert again.digest == rubric.digest


def test_digest_follows_the_content() -> None:
    changed = Rubric.model_validate({**RUBRIC.model_dump(), "guidelines": "Read twice."})
    assert changed.digest != RUBRIC.digest


def test_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(dump_rubric(RUBRIC), "utf-8")
    assert find_rubric(str(path)) == RUBRIC


def test_an_unknown_rubric_lists_the_library() -> None:
    with pytest.raises(UnknownName, match="telecom_desk"):
        find_rubric("telecom_dsk")


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: größe".encode("latin-1"))
    with pytest.raises(InvalidInput, match="UTF-8"):
        find_rubric(str(path))
