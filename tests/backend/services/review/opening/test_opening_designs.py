"""Queues opened by a design: strata find their items, say what they lack, and reach the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import CannotCompute, InvalidInput, NotFound, StropError
from backend.services import review
from backend.services.review import Answer
from backend.services.review.opening.assignment import Assignment, members_of_groups
from backend.services.review.opening.design import (
    ANCHOR,
    Allocation,
    DesignKind,
    SamplingDesign,
    Target,
)
from backend.services.review.opening.frames import find_giveaways
from backend.services.review.opening.targets import nearest_distances
from backend.services.review.rules import QueueRules
from backend.tables.accounts import Membership
from backend.tables.review import Review, ReviewItem, ReviewQueue, ReviewSlot
from backend.tables.runs import Generation, Score, ScoreRun
from tests.fixtures_review import GOOD, Desk, build_desk, review_next, signature_id

ACTIVE = DesignKind.ACTIVE


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: nothing here depends on the backend."""
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    """20 examples of two tasks, even numbers `a`, odd ones `b`."""
    desk = build_desk(session, splits={"train": 20})
    for n, example in enumerate(desk.examples):
        example.slices = {"task": "ab"[n % 2]}
    session.flush()
    return desk


def outputs(session: Session, desk: Desk, model: int = 0) -> list[Generation]:
    query = select(Generation).where(Generation.model_version_id == desk.models[model].id)
    return list(session.scalars(query.order_by(Generation.example_id)))


def score(session: Session, desk: Desk, **metrics: list[float | None]) -> ScoreRun:
    """Scores of the base's outputs, and 0.5 for those of v1."""
    specs = [{"metric": name, "slice": {}} for name in metrics]
    run = ScoreRun(generation_run_id=desk.run.id, metrics=specs)
    session.add(run)
    session.flush()
    for name, values in metrics.items():
        others = [(output, 0.5) for output in outputs(session, desk, 1)]
        base = zip(outputs(session, desk), values, strict=True)
        for output, value in (*base, *others):
            session.add(
                Score(
                    score_run_id=run.id,
                    generation_id=output.id,
                    metric=name,
                    value=value,
                    error=None if value is not None else "no claim",
                    signature_id=signature_id(session, name),
                )
            )
    session.flush()
    return run


def items_of(session: Session, queue: ReviewQueue) -> list[ReviewItem]:
    query = select(ReviewItem).where(ReviewItem.queue_id == queue.id)
    return list(session.scalars(query.order_by(ReviewItem.position)))


def active(*targets: Target, anchor: float | None = None) -> SamplingDesign:
    return SamplingDesign(kind=ACTIVE, anchor=anchor, targets=targets)


def targeted(
    session: Session, desk: Desk, target: Target, **options: object
) -> tuple[set[int], ReviewQueue]:
    """Numbers of the examples that a stratum takes when it may take all that it names."""
    design = active(target, anchor=0.05)
    queue = desk.open(session, design=design, n_items=20, **options)
    [_, stratum] = queue.design["strata"]
    order = {example.id: n for n, example in enumerate(desk.examples)}
    members = {
        order[item.generation_a.example_id]
        for item in items_of(session, queue)
        if item.inclusion_probability == 1.0
    }
    assert stratum["n_frame"] == len(members)
    return members, queue


def test_high_risk_goes_by_the_first_check_turned_the_right_way(
    session: Session, desk: Desk
) -> None:
    grounding = [n / 20 for n in range(20)]
    score(session, desk, rougeL=grounding[::-1], grounding=grounding, invented=grounding)
    members, queue = targeted(session, desk, Target("high_risk", n=10))
    assert members == {0, 1, 2, 3, 4}
    [item] = [
        i for i in items_of(session, queue) if i.generation_a.example_id == desk.examples[0].id
    ]
    assert item.stratum in {"high_risk", ANCHOR}
    by_name, _ = targeted(
        session, desk, Target("high_risk", n=10, metric="invented"), name="by invented"
    )
    assert by_name == {15, 16, 17, 18, 19}


def test_high_risk_goes_by_the_newest_risk_where_one_was_scored(
    session: Session, desk: Desk
) -> None:
    rises = [n / 20 for n in range(20)]
    scores = {"grounding": rises, "risk:9": rises[::-1], "risk:10": [*rises[10:], *rises[:10]]}
    score(session, desk, **scores)
    members, _ = targeted(session, desk, Target("high_risk", n=10))
    assert members == {5, 6, 7, 8, 9}


def test_detectors_disagree_where_ranks_differ(session: Session, desk: Desk) -> None:
    alike = [n / 20 for n in range(20)]
    other = [*alike[:18], 0.0, 0.01]
    score(session, desk, grounding=alike, confidence=other)
    members, queue = targeted(session, desk, Target("detectors_disagree", n=10, top=0.1))
    assert members == {18, 19}
    whys = {i.why for i in items_of(session, queue) if i.stratum == "detectors_disagree"}
    assert whys <= {"Two checks disagree about this answer."}


def test_models_disagree_where_their_words_differ(session: Session, desk: Desk) -> None:
    for one, two in zip(outputs(session, desk), outputs(session, desk, 1), strict=True):
        one.text = two.text = "the bill is 12 euros"
    for n in (3, 7):
        outputs(session, desk, 1)[n].text = "nothing of the kind"
    session.flush()
    members, _ = targeted(session, desk, Target("models_disagree", n=19))
    assert members == {3, 7}


def test_low_confidence_goes_by_the_mean_token_probability(session: Session, desk: Desk) -> None:
    for n, output in enumerate(outputs(session, desk)):
        output.token_logprobs = [-0.1, -2.0 if n in {4, 9} else -0.2]
    session.flush()
    members, _ = targeted(session, desk, Target("low_confidence", n=19))
    assert members == {4, 9}


def test_a_new_cluster_is_far_from_what_was_reviewed(session: Session, desk: Desk) -> None:
    for n, example in enumerate(desk.examples):
        words = "knee pain after a fall" if n < 18 else "roaming bill abroad data"
        example.input, example.context = words, None
    session.flush()
    first = desk.open(session, "before", n_items=20)
    for item in items_of(session, first):
        far = item.generation_a.example_id in {e.id for e in desk.examples[18:]}
        item.position += 100 * far
        for slot in session.scalars(select(ReviewSlot).where(ReviewSlot.item_id == item.id)):
            slot.position += 100 * far
    session.flush()
    review_next(session, first, desk.experts[0], Answer(GOOD))
    members, _ = targeted(session, desk, Target("new_cluster", n=19))
    assert members == {18, 19}


def test_distance_is_none_to_the_same_text_and_full_without_a_common_word() -> None:
    near = nearest_distances(["knee pain", "roaming data", "knee data"], ["knee pain", "a bill"])
    assert near[0] == pytest.approx(0.0)
    assert near[1] == pytest.approx(1.0)
    assert 0 < near[2] < 1


def test_a_named_slice_is_a_stratum(session: Session, desk: Desk) -> None:
    members, _ = targeted(session, desk, Target("slice:task=b", n=19))
    assert members == set(range(1, 20, 2))


def unscored(session: Session, desk: Desk) -> None:
    """Nothing is scored."""


def half_scored(session: Session, desk: Desk) -> None:
    run = score(session, desk, grounding=[0.1] * 20)
    scores = select(Score).where(Score.score_run_id == run.id).order_by(Score.id)
    session.delete(session.scalars(scores).first())
    session.flush()


def one_check(session: Session, desk: Desk) -> None:
    score(session, desk, grounding=[n / 20 for n in range(20)], invented=[0.0] * 20)


def no_check(session: Session, desk: Desk) -> None:
    score(session, desk, rougeL=[n / 20 for n in range(20)])


def alike(session: Session, desk: Desk) -> None:
    score(session, desk, grounding=[1.0] * 20)


def one_model(session: Session, desk: Desk) -> None:
    for output in outputs(session, desk, 1):
        output.text, output.error = None, "failed"
    session.flush()


@pytest.mark.parametrize(
    ("name", "prepare", "error", "message"),
    [
        ("high_risk", unscored, CannotCompute, "strop run --resume 1 --metrics"),
        ("high_risk", no_check, CannotCompute, "has none of the checks"),
        ("high_risk", half_scored, CannotCompute, "lacks grounding of 1 outputs"),
        ("high_risk", alike, CannotCompute, "No output stands out"),
        ("detectors_disagree", unscored, CannotCompute, "needs scores"),
        ("detectors_disagree", one_check, CannotCompute, "only grounding"),
        ("models_disagree", one_model, CannotCompute, "one model only"),
        ("low_confidence", unscored, CannotCompute, "no token probabilities"),
        ("new_cluster", unscored, CannotCompute, "Nothing was reviewed"),
        ("slice:task=c", unscored, InvalidInput, "task=a, task=b"),
        ("slice:task", unscored, InvalidInput, "key=value"),
        ("risky", unscored, InvalidInput, "high_risk"),
    ],
)
def test_a_stratum_without_its_input_says_so_and_opens_nothing(
    session: Session,
    desk: Desk,
    name: str,
    prepare: object,
    error: type[StropError],
    message: str,
) -> None:
    prepare(session, desk)  # type: ignore[operator]
    with pytest.raises(error) as refused:
        desk.open(session, design=active(Target(name, share=0.3)), n_items=10)
    assert message in str(refused.value)
    assert session.scalars(select(ReviewQueue)).all() == []


def test_an_active_queue_stores_chance_stratum_and_why(session: Session, desk: Desk) -> None:
    score(session, desk, grounding=[n / 20 for n in range(20)])
    queue = desk.open(session, design=active(Target("high_risk", share=0.4)), n_items=10)
    anchor, risky = queue.design["strata"]
    assert (anchor["name"], anchor["n_asked"], anchor["n_drawn"]) == (ANCHOR, 6, 6)
    assert (risky["n_frame"], risky["n_asked"]) == (5, 4)
    items = items_of(session, queue)
    assert queue.design["n_items"] == len(items) == 6 + risky["n_drawn"]
    assert {i.inclusion_probability for i in items} <= {
        0.3,
        1 - 0.7 * 0.2,
        1 - (1 - 0.3) * (1 - 0.8),
    }
    assert all(item.why and item.stratum for item in items)
    counted = Counter(item.stratum for item in items)
    assert counted == {ANCHOR: 6, "high_risk": risky["n_drawn"]}


def test_a_stratified_queue_covers_every_value(session: Session, desk: Desk) -> None:
    for example in desk.examples[4:]:
        example.slices = {"task": "a"}
    session.flush()
    design = SamplingDesign(kind=DesignKind.STRATIFIED, by="task", allocation=Allocation.EQUAL)
    queue = desk.open(session, design=design, n_items=4)
    assert {s["name"]: s["n_drawn"] for s in queue.design["strata"]} == {"task=a": 2, "task=b": 2}
    chances = {i.stratum: i.inclusion_probability for i in items_of(session, queue)}
    assert chances == {"task=a": pytest.approx(2 / 18), "task=b": 1.0}


@pytest.mark.parametrize(
    ("design", "n_items", "message"),
    [
        (SamplingDesign(kind=DesignKind.STRATIFIED), 4, "needs the key"),
        (SamplingDesign(by="task"), 4, "needs the key"),
        (SamplingDesign(targets=(Target("high_risk"),)), 4, "no anchor"),
        (active(Target("high_risk")), None, "needs a budget"),
        (SamplingDesign(minutes=10), 4, "not both"),
    ],
)
def test_designs_that_say_two_things_are_refused(
    session: Session, desk: Desk, design: SamplingDesign, n_items: int | None, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        desk.open(session, design=design, n_items=n_items)


def time_reviews(session: Session, desk: Desk, seconds: list[float]) -> None:
    queue = desk.open(session, "timed", n_items=len(seconds))
    for active_seconds in seconds:
        answer = Answer(GOOD, active_seconds=active_seconds)
        review_next(session, queue, desk.experts[0], answer)


def test_minutes_become_items_by_what_reviews_took(session: Session, desk: Desk) -> None:
    time_reviews(session, desk, [60, 60, 120, 120, 90])
    queue = desk.open(session, design=SamplingDesign(minutes=9, minutes_per_review=1))
    assert queue.design["n_items"] == 6
    assert queue.design["seconds_per_review"] == 90
    assert queue.design["minutes"] == 9
    assert "mean of 5 earlier reviews" in queue.design["seconds_from"]
    assert queue.rules["minutes_budget"] == 9
    shared = desk.open(
        session, "two", design=SamplingDesign(minutes=9), overlap=2, overlap_share=0.5
    )
    assert (shared.design["n_items"], shared.design["n_slots"]) == (4, 6)


def test_stated_minutes_stand_in_until_reviews_tell(session: Session, desk: Desk) -> None:
    time_reviews(session, desk, [60] * 6)
    for done in session.scalars(select(Review)):
        done.simulated = True
    queue = desk.open(session, design=SamplingDesign(minutes=10, minutes_per_review=2.5))
    assert queue.design["n_items"] == 4
    assert queue.design["seconds_from"] == "stated when the queue was opened"
    with pytest.raises(CannotCompute, match="minutes cannot be turned into items"):
        desk.open(session, "q2", design=SamplingDesign(minutes=10))
    with pytest.raises(InvalidInput, match="less than one review"):
        desk.open(session, "q3", design=SamplingDesign(minutes=1, minutes_per_review=2))


def slots_by_task(session: Session, queue: ReviewQueue) -> dict[str, set[object]]:
    found: dict[str, set[object]] = {"a": set(), "b": set()}
    for item in items_of(session, queue):
        task = item.generation_a.example.slices["task"]
        for slot in session.scalars(select(ReviewSlot).where(ReviewSlot.item_id == item.id)):
            found[task].add((slot.number, slot.assigned_to_id, slot.required_skill))
    return found


def give(session: Session, user_id: int, **values: list[str]) -> None:
    membership = session.scalars(select(Membership).where(Membership.user_id == user_id)).one()
    for name, value in values.items():
        setattr(membership, name, value)
    session.flush()


def test_slices_name_a_person_or_ask_for_a_skill(session: Session, desk: Desk) -> None:
    one, two, three = (user.id for user in desk.experts)
    give(session, one, skills=["german"])
    give(session, two, skills=["german", "law"])
    queue = desk.open(
        session,
        assignment=Assignment(people={"task=a": three}, skills={"task=b": "german"}),
        overlap=2,
        overlap_share=1.0,
    )
    assert slots_by_task(session, queue) == {
        "a": {(0, three, None), (1, None, None)},
        "b": {(0, None, "german"), (1, None, "german")},
    }


def test_dealing_gives_all_alike_many_and_nobody_an_item_twice(
    session: Session, desk: Desk
) -> None:
    queue = desk.open(session, assignment=Assignment(deal=True), overlap=2, overlap_share=0.5)
    rows = session.execute(
        select(ReviewSlot.item_id, ReviewSlot.assigned_to_id).where(ReviewSlot.queue_id == queue.id)
    ).all()
    assert len(set(rows)) == len(rows) == 30
    assert set(Counter(person for _, person in rows).values()) == {10}


def test_who_is_named_by_a_slice_is_not_dealt_the_item_again(session: Session, desk: Desk) -> None:
    one, two, three = (user.id for user in desk.experts)
    queue = desk.open(
        session,
        assignment=Assignment(people={"task=a": three}, deal=True),
        overlap=2,
        overlap_share=1.0,
    )
    dealt = {(number, person) for number, person, _ in slots_by_task(session, queue)["a"]}
    assert dealt == {(0, three), (1, one), (1, two)}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (Assignment(people={"task=c": 1}), "task=a, task=b"),
        (Assignment(people={"task=a": 999}), "not reviewers"),
        (Assignment(skills={"task=a": "latin"}), "0 of the reviewers have it"),
    ],
)
def test_an_assignment_that_nobody_can_meet_is_refused(
    session: Session, desk: Desk, assignment: Assignment, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        desk.open(session, assignment=assignment)
    assert message in str(refused.value)


def test_groups_name_their_members(session: Session, desk: Desk) -> None:
    one, two, _ = (user.id for user in desk.experts)
    give(session, one, groups=["lawyers", "night"])
    give(session, two, groups=["lawyers"])
    assert members_of_groups(session, desk.project.id, ["lawyers"]) == [one, two]
    assert members_of_groups(session, desk.project.id, []) == []
    with pytest.raises(InvalidInput, match="lawyers, night"):
        members_of_groups(session, desk.project.id, ["surgeons"])


def test_rules_are_stored_with_the_queue(session: Session, desk: Desk) -> None:
    rules = QueueRules(mask=("Yours, Bot",), gold_every=5)
    queue = desk.open(session, rules=rules)
    assert queue.rules["mask"] == ["Yours, Bot"]
    assert queue.rules["gold_every"] == 5


def test_what_gives_a_model_away_is_counted(session: Session, desk: Desk) -> None:
    found = find_giveaways(
        ["As LEGAL-v2 I say", "hm <|im_end|>", "As an AI, I cannot", "legal-V2"], ["legal-v2", "v1"]
    )
    assert found == {"legal-v2": 2, "<|": 1, "As an AI": 1}
    assert desk.open(session).design["giveaways"] == {"base": 20}


def test_a_plan_stores_nothing(session: Session, desk: Desk) -> None:
    opening = review.Opening(
        project_id=desk.project.id,
        kind="single",
        generation_run_id=desk.run.id,
        rubric_version_id=desk.rubric_version_id,
        model_ids=[desk.models[0].id],
        reviewer_ids=[desk.experts[0].id],
        seed=7,
        n_items=5,
    )
    plan = review.plan_queue(session, opening)
    assert (len(plan.drawn), plan.n_slots) == (5, 5)
    assert session.scalars(select(ReviewQueue)).all() == []
    stored = review.store_queue(session, "q", plan, QueueRules())
    assert (
        stored.design
        == desk.open(session, "again", n_items=5, reviewer_ids=[desk.experts[0].id]).design
    )


def test_a_foreign_score_run_is_refused(session: Session, desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.open(session, design=active(Target("high_risk")), n_items=9, score_run_id=99)
