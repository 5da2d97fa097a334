"""Agreement counts shared items only, and says why where a coefficient is not defined."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.rubrics import Rubric, find_rubric
from backend.services import review
from backend.services.review.reports.ab import watch_queue
from backend.services.review.reports.agreement import (
    CriterionAgreement,
    _scale,
    agreement_report,
)
from tests.fixtures_review import BAD, GOOD, build_desk, review_next, vote_on_pairs


def _figures(session: Session, queue_id: int) -> dict[tuple[str, str], CriterionAgreement]:
    rows = review.queue_agreement(session, queue_id)
    return {(row.criterion, row.coefficient): row for row in rows}


def test_two_people_who_differ_on_one_of_four_items(session: Session) -> None:
    desk = build_desk(session, splits={"train": 4}, n_experts=2)
    queue = desk.open(session, overlap=2, overlap_share=1.0)
    answers = {0: [GOOD, BAD, GOOD, BAD], 1: [GOOD, BAD, GOOD, GOOD]}
    for number, given in answers.items():
        for ratings in given:
            review_next(session, queue, desk.experts[number], review.Answer(ratings))
    found = _figures(session, queue.id)
    percent = found["faithful", "percent"].figure
    assert percent is not None
    assert (percent.value, percent.n) == (0.75, 4)
    alpha = found["faithful", "krippendorff_alpha"].figure
    assert alpha is not None
    assert alpha.low <= alpha.value <= alpha.high < 1.0 + 1e-9
    # Eight values, 5 yes and 3 no; one of four items disagrees: 1 - 0.25 / (2*5*3 / (8*7)).
    assert alpha.value == pytest.approx(1 - 0.25 / (30 / 56))
    assert ("comment", "percent") not in found


def test_items_of_one_group_are_one_cluster_and_percent_is_exact(session: Session) -> None:
    desk = build_desk(session, splits={"train": 8}, n_experts=2)
    for n, example in enumerate(desk.examples):
        example.group = f"patient {n // 2}"
    queue = desk.open(session, overlap=2, overlap_share=1.0)
    for number, user in enumerate(desk.experts):
        for n in range(8):
            stars = 5 - n % 2 - number  # nobody agrees, everybody is one star apart
            review_next(session, queue, user, review.Answer({**GOOD, "quality": stars}))
    found = _figures(session, queue.id)
    percent = found["quality", "percent"].figure
    assert percent is not None
    assert (percent.value, percent.n, percent.clusters) == (0.0, 8, 4)
    yes = found["faithful", "percent"].figure
    assert yes is not None
    assert yes.low == pytest.approx(4 / (4 + 1.959964**2), abs=1e-5)  # four groups, not eight items
    [pair] = [p for p in agreement_report(session, queue.id).raters if p.criterion == "quality"]
    assert pair.percent == 0.0
    assert "|weights:quadratic-ranks|" in pair.signature


def test_no_shared_item_is_a_reason_and_not_a_number(session: Session) -> None:
    desk = build_desk(session, splits={"train": 4}, n_experts=2)
    queue = desk.open(session)
    for user in desk.experts:
        review_next(session, queue, user, review.Answer(GOOD))
    found = _figures(session, queue.id)
    assert all(row.figure is None and row.error for row in found.values())


def test_votes_are_compared_by_model_and_not_by_side(session: Session) -> None:
    desk = build_desk(session, splits={"test": 6}, n_experts=2)
    queue = desk.open(session, kind="pair", overlap=2, overlap_share=1.0)
    for user, choice in zip(desk.experts, ("left", "left"), strict=True):
        for _ in range(6):
            review_next(session, queue, user, review.Answer({}, winner=choice))
    percent = _figures(session, queue.id)["winner", "percent"].figure
    assert percent is not None
    assert (percent.value, percent.n) == (1.0, 6)


@pytest.mark.parametrize(
    ("criterion", "scale", "values"),
    [
        ({"scale": "yes_no"}, "nominal", ["no", "yes"]),
        ({"scale": "verdict"}, "ordinal", [-1.0, 0.0, 1.0]),
        ({"scale": "stars", "n": 3}, "ordinal", [1.0, 2.0, 3.0]),
        ({"scale": "number", "min": 0, "max": 9}, "interval", []),
    ],
)
def test_the_scale_of_a_criterion(
    criterion: dict[str, object], scale: str, values: list[float | str]
) -> None:
    content = {**criterion, "name": "c", "question": "C"}
    rubric = Rubric.model_validate({"name": "r", "guidelines": "g", "criteria": [content]})
    assert _scale(rubric.criteria[0]) == (scale, values)


def test_verdicts_several_options_and_numbers_have_agreement(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        desk = build_desk(
            session, splits={"train": 4}, n_experts=2, rubric=find_rubric("clinical_note")
        )
        queue = desk.open(session, overlap=2, overlap_share=1.0)
        given = [("pass", ["none"], 0, 5), ("critical_fail", ["allergy", "plan"], 9.5, 2)]
        for user in desk.experts:
            for n in range(4):
                verdict, missing, minutes, stars = given[n % 2]
                ratings = {
                    "verdict": verdict,
                    "omissions": missing,
                    "editing": minutes,
                    "usefulness": stars,
                }
                review_next(session, queue, user, review.Answer(ratings))
        found = _figures(session, queue.id)
    for criterion in ("verdict", "omissions", "editing", "usefulness"):
        percent = found[criterion, "percent"].figure
        assert percent is not None, found[criterion, "percent"].error
        assert (percent.value, percent.n) == (1.0, 4)


# Votes that are decided and do not agree by alpha.


def test_skewed_votes_that_decide_say_why_alpha_is_low(session: Session) -> None:
    desk = build_desk(session, splits={"test": 24}, n_experts=2)
    queue = desk.open(session, kind="pair", overlap=2, overlap_share=1.0)
    vote_on_pairs(session, desk, queue, "vvvb" + "v" * 20, expert=0)
    vote_on_pairs(session, desk, queue, "vvvvvvvb" + "v" * 16, expert=1)
    [watch] = watch_queue(session, queue.id)
    report = agreement_report(session, queue.id)
    found = {row.coefficient: row.figure.value or 0.0 for row in report.coefficients}
    assert watch.decision == "better"
    assert found["krippendorff_alpha"] < 0.1
    assert found["gwet_ac1"] > 0.85
    [note] = report.notes
    assert note.criterion == "winner"
    assert "96% of the 48 answers to winner are one and the same" in note.sentence
    assert f"Gwet's AC1, which skew hardly moves, is {found['gwet_ac1']:.2f}" in note.sentence
    assert "An A/B can be decided while alpha is low" in note.sentence


@pytest.mark.parametrize(
    ("votes", "told"),
    [
        (("vb" * 6, "vb" * 6), None),  # people agree: nothing to explain
        (("vb" * 6, "bv" * 6), "An A/B can be decided"),  # they do not, and nothing is skewed
    ],
)
def test_a_note_explains_no_more_than_there_is(
    session: Session, votes: tuple[str, str], told: str | None
) -> None:
    desk = build_desk(session, splits={"test": 12}, n_experts=2)
    queue = desk.open(session, kind="pair", overlap=2, overlap_share=1.0)
    for expert, winners in enumerate(votes):
        vote_on_pairs(session, desk, queue, winners, expert=expert)
    notes = agreement_report(session, queue.id).notes
    assert [note.sentence[: len(told or "")] for note in notes] == ([told] if told else [])
