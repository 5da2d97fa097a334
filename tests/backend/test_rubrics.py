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
  - {name: verdict, scale: verdict, question: Fit to send, required: false}
  - name: faults
    scale: multi
    question: Which faults?
    required: false
    most: 2
    alone: none
    options:
      - {name: none, label: None}
      - {name: wrong, label: Wrong}
      - {name: long, label: Long}
      - {name: rude, label: Rude}
  - {name: dose, scale: number, question: Which dose, required: false, min: 0.1, max: 5, step: 0.1}
  - {name: shift, scale: number, question: By how much, required: false, min: -10, max: 10}
"""
)

WEIGHED = parse_rubric(
    """
name: weighed
guidelines: Mark.
span_kinds: [style, comma]
severities: [{name: minor, label: Minor, weight: 1}, {name: major, label: Major, weight: 5}]
span_weights: {comma: {minor: 0.1}}
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
        ("note", "[]", CheckedAnswer("[]", None)),
        ("verdict", "pass", CheckedAnswer("pass", 1.0)),
        ("verdict", "fail", CheckedAnswer("fail", 0.0)),
        ("verdict", "critical_fail", CheckedAnswer("critical_fail", -1.0)),
        ("faults", ["long", "wrong"], CheckedAnswer('["wrong", "long"]', None)),
        ("faults", ("rude",), CheckedAnswer('["rude"]', None)),
        ("faults", ["rude", "rude"], CheckedAnswer('["rude"]', None)),
        ("faults", '["none"]', CheckedAnswer('["none"]', None)),
        ("faults", [], None),
        ("faults", "[]", None),
        ("dose", 0.3, CheckedAnswer("0.3", 0.3)),
        ("dose", "2.50", CheckedAnswer("2.5", 2.5)),
        ("dose", 5, CheckedAnswer("5", 5.0)),
        ("shift", "-3.25", CheckedAnswer("-3.25", -3.25)),
        ("shift", -0.0, CheckedAnswer("0", 0.0)),
        ("shift", "1e1", CheckedAnswer("10", 10.0)),
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
        ("verdict", "critical"),
        ("verdict", 1),
        ("verdict", []),
        ("faults", "wrong"),
        ("faults", ["wrong", "dull"]),
        ("faults", ["wrong", 3]),
        ("faults", ["wrong", "long", "rude"]),
        ("faults", ["none", "wrong"]),
        ("faults", {"wrong": True}),
        ("dose", 0),
        ("dose", 5.1),
        ("dose", 0.35),
        ("dose", True),
        ("dose", "much"),
        ("dose", "nan"),
        ("dose", "inf"),
        ("shift", "1e-99999999"),
        ("shift", [3]),
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


def test_a_required_choice_of_several_needs_one() -> None:
    required = RUBRIC.criterion("faults").model_copy(update={"required": True})
    with pytest.raises(InvalidInput, match="needs an answer"):
        validate_answer(required, [])


@pytest.mark.parametrize(
    ("kind", "severity", "weight"),
    [("style", "minor", 1.0), ("style", "major", 5.0), ("comma", "minor", 0.1)],
)
def test_the_weight_of_an_error_follows_kind_and_severity(
    kind: str, severity: str, weight: float
) -> None:
    assert WEIGHED.weight(kind, severity) == weight


@pytest.mark.parametrize("severity", ["grave", None])
def test_an_unknown_severity_has_no_weight(severity: str | None) -> None:
    with pytest.raises(UnknownName, match="minor"):
        WEIGHED.weight("style", severity)


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
        *[
            (f"name: x\nguidelines: g\n{rest}", place)
            for rest, place in [
                (
                    "criteria: [{name: a, scale: number, question: q, min: 3, max: 3}]",
                    "not below",
                ),
                (
                    "criteria: [{name: a, scale: number, question: q, min: 0, max: 3, step: 4}]",
                    "past 3",
                ),
                (
                    "criteria: [{name: a, scale: multi, question: q, alone: c,"
                    " options: [{name: a, label: A}, {name: b, label: B}]}]",
                    "none of the options",
                ),
                (
                    "criteria: [{name: a, scale: stars, question: q,"
                    " examples: [{text: t, answer: 6}]}]",
                    "1 to 5",
                ),
                ("span_kinds: [a]\nspan_help: {b: what}", "no kind of mark 'b'"),
                ("span_kinds: [a, a]", "twice"),
                (
                    "span_kinds: [a]\nseverities: [{name: minor, label: M, weight: 1}]\n"
                    "span_weights: {a: {major: 5}}",
                    "no severity 'major'",
                ),
                ("severities: [{name: minor, label: M, weight: -1}]", "severities.0.weight"),
            ]
        ],
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


def test_a_rubric_without_the_later_parts_keeps_its_digest() -> None:
    """Computed before examples, severities and weights were there; stored in databases."""
    early = "29f130ba8710d800ce4ec5b70df3c2740eeb77141f63fe5dd4e1bd89dfa0c5e6"
    assert find_rubric("blind_pair").digest == early


def test_digest_follows_the_weights() -> None:
    changed = Rubric.model_validate({**WEIGHED.model_dump(), "span_weights": {}})
    assert changed.digest != WEIGHED.digest


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
