"""From what a lead chose on the page to the request that opens the queue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backend.schemas.review.queues import DesignIn, StratumIn
from dashboard.views.review.opening.choices import (
    DESIGN_WORDS,
    SKIP_CHOICES,
    Choices,
    Crew,
    Sampling,
    queue_request,
    shares_of_parts,
    what_is_missing,
)

WHOLE = Choices(
    name=" summaries ",
    kind="single",
    run_id=3,
    models=("v1",),
    rubric="telecom_desk",
    sampling=Sampling(items=20),
    crew=Crew(reviewers=("anna",)),
    rules={"skip_policy": "out"},
    score_run_id=5,
)


def test_what_was_chosen_is_what_is_asked_for() -> None:
    body = queue_request(WHOLE)
    assert body.model_dump(exclude_defaults=True) == {
        "name": "summaries",
        "generation_run_id": 3,
        "models": ["v1"],
        "rubric": "telecom_desk",
        "reviewers": ["anna"],
        "n_items": 20,
        "score_run_id": 5,
        "rules": {"skip_policy": "out"},
    }


@pytest.mark.parametrize(
    ("crew", "asked"),
    [
        (Crew(overlap=2, overlap_share=0.1), (2, 0.1)),
        (Crew(overlap=1, overlap_share=0.1), (1, 0.0)),
        (Crew(overlap=3, overlap_share=0.0), (1, 0.0)),
    ],
)
def test_overlap_needs_people_and_a_share(crew: Crew, asked: tuple[int, float]) -> None:
    body = queue_request(replace(WHOLE, crew=crew))
    assert (body.overlap, body.overlap_share) == asked


def test_items_of_a_slice_go_to_a_person_or_ask_for_a_skill() -> None:
    crew = Crew(("anna",), people={"ward=a": "anna"}, skills={"ward=b": " cardiology "}, deal=True)
    body = queue_request(replace(WHOLE, crew=crew, lease_seconds=600))
    assert body.lease_seconds == 600
    assert body.assignment.model_dump() == {
        "groups": [],
        "people": {"ward=a": "anna"},
        "skills": {"ward=b": "cardiology"},
        "deal": True,
    }


def test_a_skill_without_a_name_is_asked_for() -> None:
    crew = Crew(("anna",), skills={"ward=b": " "})
    assert what_is_missing(replace(WHOLE, crew=crew)) == [
        "Name the skill that items of ward=b ask for."
    ]


@pytest.mark.parametrize(
    ("sampling", "design"),
    [
        (Sampling(minutes=90.0), DesignIn(minutes=90.0)),
        (Sampling(kind="stratified", by="ward"), DesignIn(kind="stratified", by="ward")),
        (
            Sampling(kind="stratified", by="ward", equal=True, shares={"high_risk": 0.5}),
            DesignIn(kind="stratified", by="ward", allocation="equal"),
        ),
        (
            Sampling(kind="active", anchor=0.6, shares={"high_risk": 0.4}, by="ward"),
            DesignIn(kind="active", anchor=0.6, strata=[StratumIn(name="high_risk", share=0.4)]),
        ),
    ],
)
def test_designs(sampling: Sampling, design: DesignIn) -> None:
    assert queue_request(replace(WHOLE, sampling=sampling)).design == design


def test_groups_are_asked_for() -> None:
    body = queue_request(replace(WHOLE, crew=Crew(groups=("cardiology",))))
    assert body.assignment.groups == ["cardiology"]


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({}, []),
        ({"models": ()}, ["Choose at least 1 model."]),
        ({"kind": "pair"}, ["Choose at least 2 models."]),
        ({"name": "  "}, ["Give the queue a name."]),
        ({"crew": Crew()}, ["Choose who reviews."]),
        ({"crew": Crew(groups=("g",))}, []),
        ({"sampling": Sampling(kind="stratified")}, ["Choose the slice within which items"]),
        ({"sampling": Sampling(kind="active")}, ["Choose at least one doubtful part."]),
        ({"crew": Crew(reviewers=("a",), overlap=2)}, ["Choose the share of items"]),
    ],
)
def test_what_is_still_to_be_chosen(changed: dict[str, Any], missing: list[str]) -> None:
    found = what_is_missing(replace(WHOLE, **changed))
    assert len(found) == len(missing)
    assert all(line.startswith(start) for line, start in zip(found, missing, strict=True))


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("anchor", [0.1, 0.5, 0.9])
def test_parts_never_take_more_than_the_anchor_leaves(n: int, anchor: float) -> None:
    shares = shares_of_parts([f"part {i}" for i in range(n)], anchor=anchor)
    assert len(shares) == n
    assert 0 < sum(shares.values()) <= 1 - anchor + 1e-9


def test_no_part_takes_nothing() -> None:
    assert shares_of_parts([], anchor=0.5) == {}


def test_every_word_of_the_page_is_one_that_the_server_knows() -> None:
    from backend.services.review.opening.design import DesignKind
    from backend.services.review.rules import SkipPolicy

    assert set(DESIGN_WORDS) == {str(kind) for kind in DesignKind}
    assert set(SKIP_CHOICES) == {str(policy) for policy in SkipPolicy}
