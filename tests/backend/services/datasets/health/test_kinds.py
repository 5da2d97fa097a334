"""Every kind of finding: it finds what was planted, and only that; sound data are sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from backend.errors import CannotCompute, UnknownName
from backend.services.datasets.health.findings import (
    BarLine,
    FindingSeverity,
    HealthMaterial,
    KindFindings,
    KindReport,
    Task,
    guess_task,
)
from backend.services.datasets.health.kinds import KINDS, examine, look_for
from backend.services.datasets.versions import ExampleRow
from tests.fixtures_health import class_rows, text_rows, with_wrong_labels

Rows = list[ExampleRow]
BAR = (BarLine("accuracy", {}, threshold=0.98),)


def _edit(rows: Rows, place: int, **values: object) -> Rows:
    return [replace(row, **values) if n == place else row for n, row in enumerate(rows)]


def _long(rows: Rows) -> Rows:
    return _edit(rows, 7, context="The kettle was sold for 27 euros and is fine. " * 80)


def _cut(rows: Rows) -> Rows:
    return _edit(rows, 7, references=("The kettle was sold for 27 euros and the custo",))


def _german(rows: Rows) -> Rows:
    text = "Der Kunde hat gesagt, dass die Brücke nicht mehr da ist und er sie sucht."
    return _edit(rows, 7, context=f"{rows[7].context} {text * 4}")


def _twice(rows: Rows) -> Rows:
    return [*rows, replace(rows[7], external_id="again", input=rows[7].input.upper())]


def _nearly(rows: Rows) -> Rows:
    near = f"{rows[7].input} Thank you."
    context = rows[7].context
    return [*rows, replace(rows[7], external_id="again", input=near, context=context)]


def _other_answer(rows: Rows) -> Rows:
    return [*rows, replace(rows[7], external_id="again", references=("It was sold for 99 euros.",))]


def _shifted(rows: Rows) -> Rows:
    later = "weather umbrella"
    return [replace(r, input=f"{r.input} {later}") if r.split == "test" else r for r in rows]


@dataclass(frozen=True)
class Planted:
    """Rows made faulty, and the ids that have to be flagged, all of them and no others."""

    make: Callable[[Rows], Rows]
    flagged: frozenset[str]
    classes: bool = False
    bar: tuple[BarLine, ...] = ()


WRONG = with_wrong_labels(class_rows(), 0.05)
CASES = {
    "duplicates": Planted(_twice, frozenset({"again"})),
    "near_duplicates": Planted(_nearly, frozenset({"again"})),
    "label_errors": Planted(lambda rows: WRONG[0], frozenset(WRONG[1]), classes=True),
    "contradictions": Planted(_other_answer, frozenset({"t7", "again"})),
    "unsupported": Planted(
        lambda rows: _edit(rows, 7, references=("It was sold for 5,000 euros to a friend.",)),
        frozenset({"t7"}),
    ),
    "length": Planted(_long, frozenset({"t7"})),
    "language": Planted(_german, frozenset({"t7"})),
    "residue": Planted(
        lambda rows: _edit(rows, 7, references=("Dear {{ name }}, it was sold.",)),
        frozenset({"t7"}),
    ),
    "empty": Planted(lambda rows: _edit(rows, 7, references=(" . ",)), frozenset({"t7"})),
    "cut": Planted(_cut, frozenset({"t7"})),
    "encoding": Planted(
        lambda rows: _edit(rows, 7, context="The cafÃ© of the customer."), frozenset({"t7"})
    ),
    "small_slices": Planted(lambda rows: rows, frozenset(), bar=BAR),
    "drift": Planted(_shifted, frozenset(f"t{n}" for n in range(4, 100, 5))),
}
NO_ROWS = {"learning_curve", "small_slices"}


def test_every_kind_is_planted_here_or_told_why_not() -> None:
    assert set(KINDS) - set(CASES) == {"semantic_duplicates", "learning_curve"}
    for name, kind in KINDS.items():
        assert len(name) <= 24  # as the column holds
        assert kind.title
        assert kind.needs
        assert kind.remedy.endswith(".")


def _found(report: KindReport) -> KindFindings:
    assert report.problem is None, report.problem
    assert report.found is not None
    return report.found


@pytest.mark.parametrize("name", CASES)
def test_a_kind_finds_what_was_planted_and_says_so(name: str) -> None:
    case = CASES[name]
    sound = class_rows() if case.classes else text_rows(100)
    before = look_for(name, HealthMaterial(sound, bar=()))
    if name != "small_slices":
        assert _found(before).rows == ()
        assert before.severity is None
    report = look_for(name, HealthMaterial(case.make(list(sound)), bar=case.bar))
    found = _found(report)
    assert report.severity is not None
    got = {row.id for row in found.rows}
    if name == "label_errors":  # told by a classifier: most of them, and few others
        assert len(got & case.flagged) >= 0.9 * len(case.flagged)
        assert len(got - case.flagged) <= 2
    elif name == "drift":
        assert got
        assert got <= case.flagged
    else:
        assert got == case.flagged
    assert found.gain.sentence
    if found.gain.value is not None:
        assert found.gain.figure
        assert found.gain.n
    assert all(row.why.endswith(".") for row in found.rows)


def test_no_reason_repeats_what_stands_in_a_text() -> None:
    secret = "Zebulon Quartermain"
    rows = _edit(text_rows(), 7, references=(f"[INSERT {secret.upper()}] {secret} paid 7,000 €.",))
    rows = _edit(rows, 8, context=f"cafÃ© {secret}")
    told = [
        row.why
        for kind in examine(HealthMaterial(rows)).kinds
        if kind.found
        for row in kind.found.rows
    ]
    assert told
    assert not any("zebulon" in why.lower() or "quartermain" in why.lower() for why in told)


def test_places_fit_the_part_that_is_named() -> None:
    rows = _edit(text_rows(), 7, references=("It was sold. Dear {{ name }}, farewell.",))
    (flag,) = _found(look_for("residue", HealthMaterial(rows))).rows
    assert rows[7].references[0][flag.start : flag.end] == "{{ name }}"


def test_the_same_rows_and_seed_give_the_same() -> None:
    rows = with_wrong_labels(class_rows(30), 0.1)[0]
    one, two = (examine(HealthMaterial(rows, seed=3)).as_dict() for _ in range(2))
    assert one == two
    assert one["digest"]
    assert one["recipe"]["seed"] == 3


def test_what_cannot_be_looked_for_is_told_and_is_not_healthy() -> None:
    found = examine(HealthMaterial([ExampleRow("1", "Hello?", None, ("Yes.",))]))
    problems = {one.kind: one.problem for one in found.kinds if one.problem is not None}
    assert {"semantic_duplicates", "label_errors", "unsupported", "drift"} <= set(problems)
    assert all(one.severity is None for one in found.kinds if one.problem)
    assert "encoder" in str(problems["semantic_duplicates"])


def test_of_texts_no_label_is_called_wrong() -> None:
    report = look_for("label_errors", HealthMaterial(text_rows()))
    assert report.found is None
    assert "no classes" in str(report.problem)


def test_no_row_and_an_unknown_kind_are_refused() -> None:
    with pytest.raises(CannotCompute, match="no row"):
        examine(HealthMaterial([]))
    with pytest.raises(UnknownName, match="label_errors"):
        examine(HealthMaterial(text_rows(5)), ["label_error"])


def test_a_copy_across_training_and_test_is_severe() -> None:
    rows = text_rows(100)
    leak = replace(rows[7], external_id="again", split="test", group=None)
    assert look_for("duplicates", HealthMaterial([*rows, leak])).severity is FindingSeverity.SEVERE
    same_side = replace(leak, split="train")
    assert (
        look_for("duplicates", HealthMaterial([*rows, same_side])).severity
        is FindingSeverity.WARNING
    )


@pytest.mark.parametrize(
    ("rows", "task"),
    [
        (class_rows(5), Task.CLASSES),
        (text_rows(50), Task.TEXTS),
        ([ExampleRow(str(n), "ask", None, ("yes", "no")) for n in range(30)], Task.TEXTS),
        ([ExampleRow(str(n), "ask", None, ("the same",)) for n in range(30)], Task.TEXTS),
        ([ExampleRow(str(n), "ask", None, ()) for n in range(30)], Task.TEXTS),
    ],
    ids=["classes", "texts", "several", "one", "none"],
)
def test_what_references_are_is_told_from_them(rows: Rows, task: Task) -> None:
    assert guess_task(rows) is task


@pytest.mark.parametrize("text", ["\x00", "<script>", "a" * 200_000, "😀" * 50])
def test_hostile_texts_pass_through_every_kind(text: str) -> None:
    rows = _edit(text_rows(40), 7, input=text, context=text, references=(text,))
    found = examine(HealthMaterial(rows), [n for n in KINDS if n != "learning_curve"])
    assert found.n == 40
