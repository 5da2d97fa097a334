"""Parity of a run's scores and a queue's ratings, mentions of a set, and rows made of others."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import CannotCompute, InvalidInput, LeakRefused, NotFound
from backend.services.curation import Recipe, freeze_training_set, training_rows
from backend.services.curation.digests import stored_digest
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.fairness.parity import ParityPlan, queue_parity, run_parity, slice_keys
from backend.services.fairness.training import set_mentions
from backend.services.review import Answer
from backend.services.runs.generation import examples_of_run
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.runs import ScoreRun
from evaluators.fairness.lexicon import shipped_lexicon
from evaluators.fairness.swap import RowTexts, make_exchange
from tests.fixtures_fairness import Office, build_office, letters
from tests.fixtures_review import BAD, GOOD, Desk, build_desk, review_next

PLAN = ParityPlan(("sex",), ("exact_match",))


def test_a_run_by_its_slices_on_both_databases(sessions: sessionmaker[Session]) -> None:
    office = build_office(sessions())
    scored = office.score(office.answer(office.version), "exact_match", "f1")
    base, v1 = run_parity(office.session, scored.id, ParityPlan(("sex", "site"), rates=True))
    found = {(p.metric, p.key): p for p in v1.parities}
    assert found["exact_match", "sex"].largest == 1.0
    assert found["exact_match", "sex"].between == ("m", "f")
    assert found["exact_match", "sex"].said == "apart"
    assert [(g.group, g.n, g.clusters) for g in found["exact_match", "sex"].groups] == [
        ("f", 20, 20),
        ("m", 20, 20),
    ]
    assert found["exact_match", "sex"].family == 2  # over both keys
    assert "|data:" in found["exact_match", "sex"].signature
    assert found["selection:wait", "sex"].largest == 1.0
    assert {p.said for p in base.parities} == {"cannot be told"}
    assert [o.label for o in v1.odds if o.key == "sex"] == ["call", "wait"]


@pytest.fixture
def office(sqlite_sessions: sessionmaker[Session]) -> Office:
    return build_office(sqlite_sessions())


@pytest.mark.parametrize(
    ("plan", "error", "message"),
    [
        (ParityPlan(("hair",)), InvalidInput, "No example has the slice 'hair'"),
        (ParityPlan(()), InvalidInput, "0 keys are named"),
        (ParityPlan(("sex",), ("bleu",)), CannotCompute, "bleu was not scored"),
        (ParityPlan(("sex",), labels=("never",), rates=True), CannotCompute, "no|does not occur"),
    ],
)
def test_what_cannot_be_compared(
    office: Office, plan: ParityPlan, error: type[Exception], message: str
) -> None:
    scored = office.score(office.answer(office.version), "exact_match", "f1")
    with pytest.raises(error, match=message):
        run_parity(office.session, scored.id, plan)
    with pytest.raises(NotFound):
        run_parity(office.session, scored.id, PLAN, model_id=999)


def test_a_run_that_is_scored_in_part_is_no_figure(office: Office) -> None:
    run = office.answer(office.version, limit=60)
    scored = office.score(run, "exact_match")
    with pytest.raises(CannotCompute, match="Only"):
        run_parity(office.session, scored.id, PLAN)


def test_keys_are_those_of_all_examples_that_part_them(office: Office) -> None:
    run = office.answer(office.version)
    *_, last = examples_of_run(office.session, run)
    last.slices = {**last.slices, "rare": "yes", "same": " "}
    office.session.flush()
    found = {one.key: one.groups for one in slice_keys(office.session, run.id)}
    assert {"sex", "site"} <= found.keys()
    assert found["sex"] == 2
    assert {"rare", "same"}.isdisjoint(found)  # one group is nothing to compare


def test_a_run_that_scores_nothing_is_no_empty_answer(office: Office) -> None:
    scored = ScoreRun(generation_run_id=office.answer(office.version).id, metrics=[])
    office.session.add(scored)
    office.session.flush()
    with pytest.raises(CannotCompute, match="scores nothing"):
        run_parity(office.session, scored.id, ParityPlan(("hair",)))


def test_a_set_without_rows_says_that_it_has_none(office: Office) -> None:
    frozen = TrainingSet(
        project_id=office.project.id, name="none", recipe={}, digest="0" * 64, n_rows=0
    )
    office.session.add(frozen)
    office.session.flush()
    with pytest.raises(CannotCompute, match="There is no row"):
        set_mentions(office.session, frozen.id)


def _sites(session: Session, desk: Desk) -> None:
    for number, example in enumerate(desk.examples):
        example.slices = {"site": "north" if number % 2 else "south"}
    session.flush()


def test_ratings_by_people_by_group(sqlite_sessions: sessionmaker[Session]) -> None:
    session = sqlite_sessions()
    desk = build_desk(session, splits={"train": 24})
    _sites(session, desk)
    queue = desk.open(session, n_items=20)
    for number in range(20):
        answer = Answer(GOOD) if number % 4 else Answer(BAD)
        review_next(session, queue, desk.experts[number % 3], answer)
    [*reports] = queue_parity(session, queue.id, ParityPlan(("site",)))
    assert {report.by for report in reports} == {"human"}
    for report in reports:
        faithful = next(p for p in report.parities if p.metric.startswith("faithful"))
        assert {g.group for g in faithful.groups} == {"north", "south"}
        assert sum(g.n for g in faithful.groups) <= 20
        assert faithful.said in ("cannot be told", "apart")
        assert f"|queue:{queue.id}" in faithful.signature
    with pytest.raises(InvalidInput, match="No example has the slice"):
        queue_parity(session, queue.id, ParityPlan(("sex",)))


def freeze(office: Office, name: str = "s", **recipe: object) -> TrainingSet:
    asked = {"references": {}, "dataset": "letters", **recipe}
    return freeze_training_set(
        office.session,
        project_id=office.project.id,
        name=name,
        recipe=Recipe.model_validate(asked),
    )


def test_counterfactual_rows_stand_beside_theirs_and_are_marked(office: Office) -> None:
    frozen = freeze(office, counterfactuals={"kinds": ["gender"]})
    rows = list(training_rows(office.session, frozen.id))
    assert len(rows) == 24
    assert frozen.recipe["rows_by_source"] == {"reference": 12, "counterfactual": 12}
    assert frozen.recipe["counterfactuals"]["made"] == {"gender": 12}
    first, second = rows[:2]
    assert [r.provenance["source"] for r in (first, second)] == ["reference", "counterfactual"]
    assert first.provenance["example"] == second.provenance["example"]
    assert first.provenance["group"] == second.provenance["group"]
    assert " she " in first.prompt[0]["content"]
    assert " he " in second.prompt[0]["content"]
    assert first.completion == second.completion == "call"
    assert stored_digest(office.session, frozen.id) == frozen.digest


def test_without_the_option_nothing_is_made(office: Office) -> None:
    frozen = freeze(office)
    assert "counterfactuals" not in frozen.recipe
    sources = select(TrainingSetRow.source).where(TrainingSetRow.training_set_id == frozen.id)
    assert set(office.session.scalars(sources)) == {"reference"}


def test_a_share_is_drawn_by_the_seed(office: Office) -> None:
    half = freeze(office, "a", counterfactuals={"kinds": ["gender"], "share": 0.5})
    again = freeze(office, "b", counterfactuals={"kinds": ["gender"], "share": 0.5})
    assert half.digest == again.digest
    assert 12 < half.n_rows < 24


def test_counterfactual_rows_of_held_out_rows_are_refused(office: Office) -> None:
    held = office.session.scalar(select(Example).where(Example.split == "test"))
    assert held is not None
    with pytest.raises(LeakRefused):
        freeze(office, examples=[held.id], counterfactuals={"kinds": ["gender"]})


def test_a_counterfactual_row_that_repeats_a_held_out_one_is_left_out(office: Office) -> None:
    text = (
        "Emily, her mother, her sister, her daughter and her aunt: what did she say to her niece "
        "when she and her wife, a widow and a waitress, met the lady?"
    )
    asked = RowTexts("w", (text, text), ("call",))
    other = make_exchange(asked, "gender", shipped_lexicon("en"), seed=7).prompt[0]
    session, project = office.session, office.project.id
    import_dataset(
        session,
        project,
        "a",
        [ExampleRow("w", text, references=("call",), split="train")],
        source_name="made",
    )
    import_dataset(
        session, project, "b", [ExampleRow("m", other, split="test")], source_name="made"
    )
    frozen = freeze(office, dataset="a", counterfactuals={"kinds": ["gender"]})
    assert frozen.n_rows == 1
    assert frozen.recipe["counterfactuals"]["left_out"] == {
        "it would come near to what is held out": 1
    }


@pytest.mark.parametrize(
    "asked", [{"kinds": []}, {"kinds": ["hair"]}, {"kinds": ["age"], "language": "fr"}]
)
def test_a_recipe_that_asks_for_what_is_not_there(asked: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"kinds|hair|fr"):
        Recipe.model_validate({"references": {}, "dataset": "d", "counterfactuals": asked})


def test_mentions_and_skew_of_a_set(sessions: sessionmaker[Session]) -> None:
    office = build_office(sessions(), n=2, trained=2)
    rows = []
    for number, row in enumerate(letters(60, "train")):
        taught = "wait" if row.slices["sex"] == "f" else "call"
        made = ExampleRow(
            f"x{number}", row.input, references=(taught,), split="train", group=row.group
        )
        rows.append(made)
    import_dataset(office.session, office.project.id, "skewed", rows, source_name="made")
    frozen = freeze(office, dataset="skewed")
    found = set_mentions(office.session, frozen.id)
    counts = {(m.kind, m.group): m.rows for m in found.mentions}
    assert counts["gender", "female"] == counts["gender", "male"] == 30
    assert counts["name", "anglo"] == 60
    skew = found.skews[0]
    assert (skew.kind, skew.found) == ("gender", True)
    assert skew.low > 5
    even = freeze(office, "even", dataset="letters")
    assert not any(s.found for s in set_mentions(office.session, even.id).skews)
    with pytest.raises(InvalidInput):
        set_mentions(office.session, frozen.id, language="fr")
