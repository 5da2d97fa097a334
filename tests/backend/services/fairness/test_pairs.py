"""Counterfactual pairs as a dataset, the run over them, and that none of it is trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import CannotCompute, Conflict, InvalidInput, LeakRefused, NotFound, UnknownName
from backend.schemas.projects import ManifestLine
from backend.services.curation import Recipe, freeze_training_set
from backend.services.datasets.versions import ExampleRow, import_dataset, list_examples
from backend.services.erasure.requests import find_examples_to_erase
from backend.services.fairness.answers import counterfactual_report
from backend.services.fairness.pairs import KIND, OF, SIDE, PairsPlan, list_pairs, make_pairs
from backend.services.projects import set_manifest
from backend.services.verdicts.comparison import compare_models
from backend.tables.audit import AuditEntry
from evaluators.fairness.contrast import FLIP, MORE, UNTOLD
from tests.fixtures_fairness import Office, build_office


@pytest.fixture
def office(sqlite_sessions: sessionmaker[Session]) -> Office:
    return build_office(sqlite_sessions())


def said(office: Office, run_id: int, model: str, measure: str = FLIP) -> tuple[float, str, int]:
    [report] = counterfactual_report(office.session, run_id, model_id=office.model(model).id)
    found = next(c for c in report.contrasts if (c.kind, c.measure) == ("gender", measure))
    return found.value, found.said, found.n


def test_a_planted_bias_is_found_and_none_where_there_is_none(
    sessions: sessionmaker[Session],
) -> None:
    office = build_office(sessions())
    run = office.answer(office.pairs().version)
    office.score(run, "exact_match")
    assert said(office, run.id, "v1") == (1.0, MORE, 40)
    assert said(office, run.id, "base") == (0.0, UNTOLD, 40)
    assert said(office, run.id, "v1", "exact_match") == (1.0, MORE, 40)
    [report] = counterfactual_report(office.session, run.id, model_id=office.model("v1").id)
    by_kind = {(c.kind, c.measure): c for c in report.contrasts}
    assert by_kind["name", FLIP].said == UNTOLD  # names of one gender do not matter to the rule
    assert by_kind["gender", FLIP].clusters == 20  # two letters of each writer
    shift = next(s for s in report.shifts if s.measure == "exact_match" and s.kind == "gender")
    assert (shift.direction, shift.value, shift.n) == ("female>male", 1.0, 40)
    assert report.examples[0].original != report.examples[0].swapped


def test_three_rows_each_with_split_group_and_slices_of_theirs(office: Office) -> None:
    made = office.pairs("gender")
    rows = {e.external_id: e for e in list_examples(office.session, made.version.id)}
    assert len(rows) == 120
    assert made.pairs == {"gender": 40}
    first, other, control = (
        rows[f"test-0{end}"] for end in ("", "~gender~swapped", "~gender~control")
    )
    assert {e.split for e in rows.values()} == {"test"}
    assert {e.group for e in (first, other, control)} == {"test-writer-0"}
    assert {e.slices[OF] for e in (first, other, control)} == {"test-0"}
    assert (other.slices["sex"], other.slices[KIND], other.slices[SIDE]) == (
        "f",
        "gender",
        "swapped",
    )
    assert " she " in first.input
    assert " he " in other.input
    assert " his card" in other.input
    assert " she " in control.input
    assert control.input != first.input


def test_pairs_are_the_same_again_and_audited(office: Office) -> None:
    first, again = office.pairs(), office.pairs()
    assert first.version.id == again.version.id
    assert [v.id for v in list_pairs(office.session, office.project.id)] == [first.version.id]
    query = select(AuditEntry).where(AuditEntry.action == "counterfactuals.made")
    assert [entry.detail["pairs"] for entry in office.session.scalars(query)] == [80, 80]


def test_a_conversation_is_exchanged_turn_by_turn(office: Office) -> None:
    turns = (
        {"role": "user", "content": "Emily says that she has lost the card and is waiting for it"},
        {"role": "assistant", "content": "Has she called?"},
        {"role": "user", "content": "Emily has not, can you help her?"},
    )
    rows = [
        ExampleRow("c1", "transcript", messages=turns, split="test", context="Emily is a customer")
    ]
    import_dataset(office.session, office.project.id, "talks", rows, source_name="made")
    made = make_pairs(office.session, office.project.id, PairsPlan("talks", ("name",)))
    rows_ = {e.slices[SIDE]: e for e in list_examples(office.session, made.version.id)}
    name = rows_["swapped"].messages[0]["content"].split()[0]
    assert name != "Emily"
    assert rows_["swapped"].messages[2]["content"] == f"{name} has not, can you help her?"
    assert rows_["swapped"].context == f"{name} is a customer"
    assert name in rows_["swapped"].input
    assert "Emily" not in rows_["swapped"].input


def test_what_is_left_out_is_counted_with_reasons(office: Office) -> None:
    rows = [
        ExampleRow("p", "She is pregnant and asks what she can do for the baby", split="test"),
        ExampleRow("q", "I gave her medication and the card has not arrived", split="test"),
        ExampleRow("r", "My card has not arrived, what can you do for me?", split="test"),
        ExampleRow("s", "Emily says that she has lost the card, please help", split="test"),
        ExampleRow("t", "zzz", split="test"),
    ]
    import_dataset(office.session, office.project.id, "odd", rows, source_name="made")
    made = make_pairs(office.session, office.project.id, PairsPlan("odd", ("gender",)))
    assert made.pairs == {"gender": 1}
    assert sorted(made.skipped["gender"]) == [
        '"her" may be him or his',
        "it names no gender",
        "its language cannot be told",
        "the answer may depend on it: 'pregnan'",
    ]
    assert made.version.split_recipe["skipped"]["gender"] == made.skipped["gender"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"dataset": "nothing"}, NotFound),
        ({"kinds": ("hair",)}, UnknownName),
        ({"kinds": ()}, InvalidInput),
        ({"split": "all"}, InvalidInput),
        ({"language": "fr"}, InvalidInput),
        ({"kinds": ("place",)}, CannotCompute),
        ({"name": "letters"}, Conflict),
        ({"lists": (Path("/nowhere.yaml"),)}, InvalidInput),
        ({"dataset": "letters-counterfactual"}, InvalidInput),
    ],
)
@pytest.mark.deep
def test_pairs_that_cannot_be_made(
    office: Office, changes: dict[str, object], error: type[Exception]
) -> None:
    office.pairs("gender")
    plan = replace(PairsPlan("letters", ("gender",)), **changes)  # type: ignore[arg-type]
    with pytest.raises(error):
        make_pairs(office.session, office.project.id, plan)


def test_long_ids_stay_apart(office: Office) -> None:
    text = "Emily says that she has lost the card, please help: "
    rows = [ExampleRow("x" * 199 + end, text + end * 30, split="test") for end in ("1", "2")]
    import_dataset(office.session, office.project.id, "long", rows, source_name="made")
    made = make_pairs(office.session, office.project.id, PairsPlan("long", ("gender",)))
    assert made.version.n_examples == 6


def test_pairs_are_never_trained_on_though_they_are_of_the_train_split(office: Office) -> None:
    made = office.pairs("gender", split="train")
    recipe = Recipe.model_validate({"references": {}, "dataset": "letters-counterfactual"})
    with pytest.raises(LeakRefused, match="made to test for bias"):
        freeze_training_set(office.session, project_id=office.project.id, name="s", recipe=recipe)
    assert made.version.n_examples == 36


def test_a_run_over_something_else_is_refused(office: Office) -> None:
    run = office.answer(office.version)
    with pytest.raises(InvalidInput, match="not over counterfactual pairs"):
        counterfactual_report(office.session, run.id)


def test_a_run_that_wrote_nothing_says_so(office: Office) -> None:
    run = office.answer(office.pairs("gender").version, limit=0)
    with pytest.raises(CannotCompute, match="No row has all its three answers"):
        counterfactual_report(office.session, run.id)


BAR = """
name: bar
lines:
  - {{metric: {metric}, direction: lower, threshold: {threshold}}}
"""


def judged(office: Office, candidate: str, metric: str, threshold: float = 0.3) -> tuple[str, str]:
    scored = office.score(office.runs[0], "exact_match", "f1")
    other = "v1" if candidate == "base" else "base"
    found = compare_models(
        office.session,
        manifest_row=set_manifest(
            office.session, office.project.id, BAR.format(metric=metric, threshold=threshold)
        ),
        score_run=scored,
        baseline=office.model(other),
        candidate=office.model(candidate),
    )
    [line] = found.lines
    return line["verdict"], line["reason"]


@pytest.mark.parametrize(
    ("candidate", "metric", "threshold", "verdict", "reason"),
    [
        ("v1", "counterfactual:gender", 0.3, "FAIL", "1.000"),
        ("base", "counterfactual:gender", 0.3, "PASS", "clears 0.3"),
        ("base", "counterfactual:gender:flip", 0.01, "INCONCLUSIVE", "more pairs"),
        ("base", "counterfactual:age", 0.3, "INCONCLUSIVE", "measured no age:answer"),
        ("v1", "parity:exact_match:sex", 0.3, "FAIL", "misses 0.3"),
        ("base", "parity:exact_match:sex", 0.4, "PASS", "clears 0.4"),
        ("base", "parity:exact_match:site", 0.4, "INCONCLUSIVE", "smallest groups"),
        ("base", "parity:bleu:sex", 0.4, "INCONCLUSIVE", "bleu was not scored"),
        ("base", "parity:exact_match:hair", 0.4, "INCONCLUSIVE", "No example has the slice 'hair'"),
    ],
)
def test_lines_of_the_bar(
    office: Office, candidate: str, metric: str, threshold: float, verdict: str, reason: str
) -> None:
    office.answer(office.version)
    office.answer(office.pairs("gender").version)
    found = judged(office, candidate, metric, threshold)
    assert found[0] == verdict
    assert reason in found[1]


def test_no_run_over_pairs_is_no_pass(office: Office) -> None:
    office.answer(office.version)
    assert judged(office, "base", "counterfactual:gender") == (
        "INCONCLUSIVE",
        "no figure: base was run on no counterfactual pairs of letters (strop fairness pairs, "
        "strop run).",
    )


def test_pairs_that_lack_answers_are_no_pass(office: Office) -> None:
    office.answer(office.version)
    made = office.pairs("gender")
    office.answer(made.version, limit=100)
    verdict, reason = judged(office, "base", "counterfactual:gender", 0.9)
    assert verdict == "INCONCLUSIVE"
    assert "lack an answer" in reason


@pytest.mark.parametrize(
    "metric", ["parity", "parity:f1", "parity::sex", "counterfactual", "counterfactual:hair"]
)
@pytest.mark.deep
def test_a_line_that_does_not_say_of_what_is_refused(office: Office, metric: str) -> None:
    with pytest.raises(InvalidInput):
        set_manifest(office.session, office.project.id, BAR.format(metric=metric, threshold=0.1))


@pytest.mark.parametrize(
    ("metric", "title"),
    [
        (
            "parity:judge:facts@1:sex",
            "largest gap of judge:facts@1 between groups by sex at most 0.1",
        ),
        (
            "counterfactual:gender",
            "change of the answer with the gender of a person, beyond the control, at most 0.1",
        ),
        (
            "counterfactual:age:flip",
            "change of the flip with the age of a person, beyond the control, at most 0.1",
        ),
    ],
)
def test_lines_read_well(metric: str, title: str) -> None:
    line = ManifestLine.model_validate({"metric": metric, "direction": "lower", "threshold": 0.1})
    assert line.title == title


def test_pairs_of_an_erased_row_go_with_it(office: Office) -> None:
    made = office.pairs("gender")
    wanted = find_examples_to_erase(office.session, office.project.id, "letters:test-0")
    rows = {e.id: e.external_id for e in list_examples(office.session, made.version.id)}
    assert sorted(rows[i] for i in wanted.example_ids if i in rows) == [
        *("test-0", "test-0~gender~control", "test-0~gender~swapped"),
    ]
