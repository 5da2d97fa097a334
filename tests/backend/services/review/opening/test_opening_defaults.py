"""What a queue is where nothing is said, and what is said of it before it is opened."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, UnknownName
from backend.rubrics import find_rubric
from backend.services import review
from backend.services.review.opening.checks import opening_defaults, requested_rubric
from backend.services.review.opening.plan import drawn_examples, warnings_of
from backend.services.review.rules import QueueRules
from backend.tables.accounts import User
from backend.tables.review import QueueKind
from tests.fixtures_review import Desk, build_desk


def plan_of(session: Session, desk: Desk, **options: object) -> review.QueuePlan:
    """A plan over everything that the first model wrote, unless options say otherwise."""
    pair = options.get("kind") == "pair"
    chosen = {
        "project_id": desk.project.id,
        "kind": "single",
        "generation_run_id": desk.run.id,
        "rubric_version_id": desk.pair_rubric_version_id if pair else desk.rubric_version_id,
        "model_ids": [model.id for model in (desk.models if pair else desk.models[:1])],
        "reviewer_ids": [user.id for user in desk.experts],
        "seed": 7,
        **options,
    }
    return review.plan_queue(session, review.Opening(**chosen))  # type: ignore[arg-type]


@pytest.mark.parametrize("n_experts", [0, 1, 2, 5])
def test_a_queue_opens_with_its_own_defaults(session: Session, n_experts: int) -> None:
    desk = build_desk(session, n_experts=n_experts)
    found = opening_defaults(session, desk.project.id, QueueKind.SINGLE)
    assert (found.rubric, found.rubric_version) == ("telecom_desk", 1)
    assert len(found.reviewers) == n_experts
    assert found.overlap == min(2, max(1, n_experts))
    assert bool(found.notes) == (n_experts < 2)
    if n_experts:
        ids = [desk.experts[n].id for n in range(n_experts)]
        shared = {"overlap": found.overlap, "overlap_share": found.overlap_share}
        assert plan_of(session, desk, reviewer_ids=ids, **shared).n_slots >= 6


def test_only_experts_at_work_are_defaults(session: Session) -> None:
    desk = build_desk(session)
    session.scalars(select(User)).first().active = False  # type: ignore[union-attr]
    session.flush()
    found = opening_defaults(session, desk.project.id, QueueKind.SINGLE)
    assert found.reviewers == [user.name for user in desk.experts[1:]]


def test_the_rubric_is_the_projects_own_in_its_newest_version(session: Session) -> None:
    desk = build_desk(session)
    project_id = desk.project.id
    edited = find_rubric("telecom_desk").model_copy(update={"guidelines": "Ours."})
    own = edited.model_copy(update={"name": "ours"})
    review.save_rubric(session, project_id, edited)
    assert requested_rubric(session, project_id, "telecom_desk", "single").guidelines == "Ours."
    review.save_rubric(session, project_id, own)
    assert requested_rubric(session, project_id, None, "single").name == "ours"
    assert requested_rubric(session, project_id, "ours", "single").guidelines == "Ours."
    desk.open(session)  # what the last queue asked goes before what was saved last
    assert requested_rubric(session, project_id, None, "single").name == "telecom_desk"
    assert requested_rubric(session, project_id, None, "pair").name == "blind_pair"
    assert requested_rubric(session, project_id, "translation", "single").name == "translation"


@pytest.mark.parametrize("source", ["telecom_dsk", "/etc/passwd", "rubric.yaml", ""])
def test_what_is_no_rubric_is_refused(session: Session, source: str) -> None:
    desk = build_desk(session)
    with pytest.raises(UnknownName, match="There is no rubric named"):
        requested_rubric(session, desk.project.id, source, "single")


@pytest.mark.parametrize(
    ("splits", "kind", "said"),
    [
        ({"train": 4}, "single", []),
        ({"test": 4}, "single", ["4 of the 4 items are held out (test 4)"]),
        ({"train": 3, "test": 2}, "single", ["2 of the 5 items are held out (test 2, train 3)"]),
        ({"validation": 2}, "single", ["2 of the 2 items are held out (validation 2)"]),
        ({"test": 4}, "pair", []),
        ({"train": 2}, "pair", ["2 of the 2 pairs are on examples that models may be trained on"]),
    ],
)
def test_held_out_corrections_are_warned_of(
    session: Session, splits: dict[str, int], kind: str, said: list[str]
) -> None:
    plan = plan_of(
        session, build_desk(session, splits=splits), kind=kind, overlap=2, overlap_share=1.0
    )
    warnings = warnings_of(session, plan)
    assert len(warnings) == len(said)
    assert all(warning.startswith(words) for warning, words in zip(warnings, said, strict=True))


def test_examples_are_what_reviewers_would_see(session: Session) -> None:
    desk = build_desk(session)
    plan = plan_of(session, desk, kind="pair")
    shown = drawn_examples(session, plan, QueueRules(mask=("base says",)), limit=2)
    queue = review.store_queue(session, "q", plan, QueueRules(mask=("base says",)))
    assert len(shown) == 2
    assert {len(one.outputs) for one in shown} == {2}
    assert not any("base says" in output.text for one in shown for output in one.outputs)
    assert shown[0].split == "train"
    assert queue.design["n_items"] == 6


def test_a_share_that_would_leave_reviews_to_nobody_is_refused(session: Session) -> None:
    desk = build_desk(session, splits={"train": 10})
    plan = plan_of(session, desk)
    with pytest.raises(InvalidInput, match="3 reviewers may give 3 reviews each, and 10"):
        review.store_queue(session, "q", plan, QueueRules(max_share=0.3))
    assert review.store_queue(session, "q", plan, QueueRules(max_share=0.4)).id
