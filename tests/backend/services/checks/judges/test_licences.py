"""Licences of judges: given by what people said, refused with a reason, and lapsing by an audit."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.rubrics import Criterion, Stars, VerdictScale, YesNo, find_rubric, rubric_from_content
from backend.services import review
from backend.services.checks.judges.judges import add_judge
from backend.services.checks.judges.licences import (
    alignment_of,
    audit_judge,
    licences_of,
    license_judge,
    show_licence,
)
from backend.tables.checks.judges import Judge, JudgeLicence
from backend.tables.review import ReviewItem, ReviewQueue
from backend.tables.runs import Generation, Score, ScoreRun
from tests.fixtures_judges import judged_desk, rate_all
from tests.fixtures_review import Desk, signature_id

Answers = dict[str, tuple[str, float | None]]  # criterion -> stored value and number
YES, NO = ("yes", 1.0), ("no", 0.0)


def truth(number: int) -> bool:
    return number % 2 == 0


def right(number: int, rater: int) -> Answers:
    """People who are wrong on every seventh item, each on others."""
    said = truth(number) != (number % 7 == rater)
    return {
        "faithful": YES if said else NO,
        "quality": ("5" if said else "1", 5.0 if said else 1.0),
    }


def judged(session: Session, desk: Desk, judge: Judge, say: Callable[[int], str | None]) -> None:
    """Scores by a judge of all outputs of the first model, by the number of the example."""
    made = ScoreRun(generation_run_id=desk.run.id, metrics=[{"metric": judge.metric, "slice": {}}])
    session.add(made)
    session.flush()
    numbers = {example.id: int(example.external_id.split("-")[1]) for example in desk.examples}
    written = select(Generation).where(Generation.model_version_id == desk.models[0].id)
    for row in session.scalars(written.where(Generation.run_id == desk.run.id)):
        said = say(numbers[row.example_id])
        session.add(
            Score(
                score_run_id=made.id,
                generation_id=row.id,
                metric=judge.metric,
                value=None if said is None else float(said in ("yes", "5")),
                error="the judge gave no usable answer" if said is None else None,
                label=said,
                signature_id=signature_id(session, "s"),
                annotator_kind="llm",
            )
        )
    session.flush()


def reviewed(
    session: Session,
    desk: Desk,
    name: str,
    say: Callable[[int, int], Answers],
    *,
    raters: int = 3,
    simulated: bool = False,
    **how: object,
) -> ReviewQueue:
    """A queue whose items were rated by people, an item's number being that of its example."""
    opened = desk.open(session, name, **how)
    numbers = {
        position: int(external.split("-")[1])
        for position, external in session.execute(
            select(ReviewItem.position, Generation.text)
            .join(Generation, Generation.id == ReviewItem.generation_a_id)
            .where(ReviewItem.queue_id == opened.id)
            .order_by(ReviewItem.position)
        )
        for external in [external.split()[2]]
    }
    order = [numbers[position] for position in sorted(numbers)]
    rate_all(
        session, opened, desk.experts[:raters], lambda i, j: say(order[i], j), simulated=simulated
    )
    return opened


def good(number: int) -> str:
    return "yes" if truth(number) else "no"


def licensed_desk(session: Session, n: int = 60) -> tuple[Desk, Judge, ReviewQueue]:
    desk = judged_desk(session, n)
    judge = add_judge(session, desk.project.id, "strict", model="base", criterion="faithful")
    judged(session, desk, judge, good)
    return desk, judge, reviewed(session, desk, "q", right)


def test_a_good_judge_is_licensed_on_its_criterion(session: Session) -> None:
    _, judge, queue = licensed_desk(session)
    [row] = license_judge(session, judge, queue)
    assert (row.criterion, row.state) == ("faithful", "licensed")
    evidence = row.evidence
    assert (evidence["winning_rate"], evidence["epsilon"], evidence["n_items"]) == (1.0, 0.2, 60)
    assert evidence["agreement"] == pytest.approx(1 - (9 + 9 + 9) / 180)
    assert (evidence["annotators"], evidence["judged"], evidence["reviewed"]) == ("experts", 60, 60)
    assert {one["annotator"] for one in evidence["rows"]} == {f"R-1-{n}" for n in range(3)}
    [shown] = licences_of(session, judge)
    assert (shown.state, shown.recorded, shown.attempts) == ("licensed", True, 1)
    assert shown.audit is not None
    assert shown.audit.error == "No person has rated an output of this judge since."


def test_a_coin_is_refused(session: Session) -> None:
    desk = judged_desk(session, 60)
    judge = add_judge(session, desk.project.id, "coin", model="base", criterion="faithful")
    toss = random.Random(3)
    judged(session, desk, judge, lambda _: toss.choice(["yes", "no"]))
    queue = reviewed(session, desk, "q", right)
    [row] = license_judge(session, judge, queue)
    assert row.state == "refused"
    assert "50% are needed" in row.reason
    license_judge(session, judge, queue)
    assert licences_of(session, judge)[0].attempts == 2


def test_two_people_are_too_few(session: Session) -> None:
    desk = judged_desk(session, 60)
    judge = add_judge(session, desk.project.id, "strict", model="base", criterion="faithful")
    judged(session, desk, judge, good)
    [row] = license_judge(session, judge, reviewed(session, desk, "q", right, raters=2))
    assert row.state == "refused"
    assert row.reason == "too few overlapping reviews: 30 more independent items rated by 3 people"


def test_few_items_say_how_many_more(session: Session) -> None:
    _, judge, queue = licensed_desk(session, 18)
    [row] = license_judge(session, judge, queue)
    assert (row.state, row.evidence["missing"]) == ("refused", 12)


def test_simulated_reviews_are_no_people(session: Session) -> None:
    desk = judged_desk(session, 60)
    judge = add_judge(session, desk.project.id, "strict", model="base", criterion="faithful")
    judged(session, desk, judge, good)
    [row] = license_judge(session, judge, reviewed(session, desk, "q", right, simulated=True))
    assert row.state == "refused"
    assert row.evidence["n_items"] == 0


def test_unusable_answers_count_against_the_judge(session: Session) -> None:
    desk = judged_desk(session, 60)
    judge = add_judge(session, desk.project.id, "mute", model="base", criterion="faithful")
    judged(session, desk, judge, lambda number: good(number) if number % 3 else None)
    [row] = license_judge(session, judge, reviewed(session, desk, "q", right))
    assert (row.state, row.evidence["unusable"]) == ("refused", 20)


def test_a_judge_without_a_criterion_is_asked_on_every_one_of_its_steps(session: Session) -> None:
    desk = judged_desk(session, 60)
    judge = add_judge(session, desk.project.id, "steps", model="base")
    judged(session, desk, judge, lambda number: "5" if truth(number) else "1")
    [row] = license_judge(session, judge, reviewed(session, desk, "q", right))
    assert (row.criterion, row.state) == ("quality", "licensed")
    assert "alignment:rmse" in row.evidence["signature"]


def test_what_cannot_be_asked_is_refused_with_what_to_do(session: Session) -> None:
    desk, judge, queue = licensed_desk(session, 6)
    with pytest.raises(InvalidInput, match="no annotators 'robots'"):
        license_judge(session, judge, queue, annotators="robots")
    with pytest.raises(InvalidInput, match="queue of pairs"):
        license_judge(session, judge, desk.open(session, "p", kind="pair"))
    fresh = add_judge(session, desk.project.id, "fresh", model="v1", criterion="faithful")
    with pytest.raises(InvalidInput, match="scored none of the 6 reviewed outputs") as refused:
        license_judge(session, fresh, queue)
    assert "--metrics judge:fresh@1" in str(refused.value.hint)


def drifted(number: int, rater: int) -> Answers:
    return {"faithful": NO if truth(number) else YES}


def test_a_licence_lapses_when_people_say_otherwise(session: Session) -> None:
    desk, judge, queue = licensed_desk(session)
    license_judge(session, judge, queue)
    reviewed(session, desk, "later", drifted, raters=1, n_items=40)
    [seen] = licences_of(session, judge)
    assert (seen.state, seen.recorded) == ("lapsed", False)
    assert seen.audit is not None
    assert seen.audit.high is not None
    assert seen.bar == pytest.approx(0.75)
    assert seen.audit.high < 0.75
    [told] = audit_judge(session, judge)
    assert (told.state, told.recorded, told.attempts) == ("lapsed", True, 1)
    assert "below the licensed level" in told.reason
    audit_judge(session, judge)
    states = list(session.scalars(select(JudgeLicence.state).order_by(JudgeLicence.id)))
    assert states == ["licensed", "lapsed"]


def test_what_gave_a_licence_that_lapsed_gives_none_again(session: Session) -> None:
    desk, judge, queue = licensed_desk(session)
    license_judge(session, judge, queue)
    reviewed(session, desk, "later", drifted, raters=1, n_items=40)
    audit_judge(session, judge)
    for _ in range(2):
        [row] = license_judge(session, judge, queue)
        assert row.state == "refused"
        assert "too few overlapping reviews" in row.reason


def test_asking_anew_does_not_undo_what_later_reviews_refute(session: Session) -> None:
    desk, judge, queue = licensed_desk(session)
    license_judge(session, judge, queue)
    reviewed(session, desk, "later", drifted, raters=1, n_items=40)
    [row] = license_judge(session, judge, queue)
    assert row.state == "refused"
    states = list(session.scalars(select(JudgeLicence.state).order_by(JudgeLicence.id)))
    assert states == ["licensed", "lapsed", "refused"]


def test_a_question_of_the_same_name_on_another_scale_is_no_evidence(session: Session) -> None:
    desk, judge, queue = licensed_desk(session)
    license_judge(session, judge, queue)
    other = find_rubric("telecom_desk").model_dump(mode="json")
    for criterion in other["criteria"]:
        if criterion["name"] == "faithful":
            criterion.update(scale="stars", n=5)
    kept = review.save_rubric(session, desk.project.id, rubric_from_content(other))
    opened = reviewed(session, desk, "steps", lambda *_: {"faithful": ("5", 5.0)}, raters=2)
    opened.rubric_version_id = kept.id
    session.flush()
    session.expire(opened)
    [seen] = licences_of(session, judge)
    assert seen.state == "licensed"
    assert seen.audit is not None
    assert seen.audit.n == 0


def test_a_licence_holds_while_people_say_the_same(session: Session) -> None:
    desk, judge, queue = licensed_desk(session)
    license_judge(session, judge, queue)
    reviewed(session, desk, "later", right, raters=2)
    reviewed(session, desk, "scripted", drifted, raters=1, simulated=True)
    [seen] = audit_judge(session, judge)
    assert seen.state == "licensed"
    assert seen.audit is not None
    assert seen.audit.n == 120
    assert seen.audit.value == pytest.approx(0.85)
    assert list(session.scalars(select(JudgeLicence.state))) == ["licensed"]


def test_a_judge_of_another_project_has_scored_nothing_here(session: Session) -> None:
    _, judge, queue = licensed_desk(session)
    other = add_judge(session, judge.project_id, "other", model="v1", criterion="faithful")
    session.execute(select(Score))
    with pytest.raises(InvalidInput, match="scored none"):
        license_judge(session, other, queue)
    [row] = license_judge(session, judge, queue)
    assert show_licence(session, row).queue == "q"


@pytest.mark.parametrize(
    ("criterion", "alignment", "span"),
    [
        (YesNo(name="q", question="?", scale="yes_no"), "accuracy", 1.0),
        (VerdictScale(name="q", question="?", scale="verdict"), "rmse", 2.0),
        (Stars(name="q", question="?", scale="stars", n=7), "rmse", 6.0),
    ],
)
def test_how_a_judge_stands_beside_people_goes_by_the_steps(
    criterion: Criterion, alignment: str, span: float
) -> None:
    assert alignment_of(criterion) == (alignment, span)
