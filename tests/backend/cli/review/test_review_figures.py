"""`strop review open` by a design, and what `strop review` tells a lead of a queue."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from backend.cli import main
from backend.cli.review.open import parse_stratum, read_rules
from backend.db import connect
from backend.errors import InvalidInput
from backend.services import review
from backend.services.review import Answer
from backend.services.review.opening.design import Target
from backend.settings import Settings
from backend.tables.accounts import Membership
from backend.tables.review import ReviewItem, ReviewQueue, ReviewSlot, RubricVersion
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, review_next


@pytest.fixture
def desk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        desk = build_desk(session, splits={"test": 16}, n_experts=2)
        for n, example in enumerate(desk.examples):
            example.slices = {"task": "ab"[n % 2]}
        return desk


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def open_queue(desk: Desk, *options: str) -> int:
    run = str(desk.run.id)
    return strop("review", "open", "--run", run, "--queue", "q", *options)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("high_risk", Target("high_risk", metric="grounding")),
        ("high_risk:0.3", Target("high_risk", share=0.3, metric="grounding")),
        ("models_disagree:20", Target("models_disagree", n=20)),
        ("slice:task=reply", Target("slice:task=reply")),
        ("slice:task=reply:0.25", Target("slice:task=reply", share=0.25)),
    ],
)
def test_a_stratum_is_read_with_its_size(text: str, target: Target) -> None:
    assert parse_stratum(text, "grounding") == target


def test_rules_are_read_as_json_or_text() -> None:
    rules = read_rules(
        ["skip_policy=me", "max_share=0.5", "adaptive_leases=false"], gold_every=4, mask=["Bot"]
    )
    assert (rules.skip_policy, rules.max_share, rules.adaptive_leases) == ("me", 0.5, False)
    assert (rules.gold_every, rules.mask) == (4, ("Bot",))
    with pytest.raises(InvalidInput, match="max_share"):
        read_rules(["max_shar=0.5"])
    with pytest.raises(InvalidInput, match="NAME=VALUE"):
        read_rules(["max_share"])


def test_an_active_queue_is_opened(
    settings: Settings, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--models", "base", "--design", "active", "--items", "10", "--json"]
    assert open_queue(desk, *options, "--strata", "slice:task=a:3", "--gold", "2") == 0
    shown = json.loads(capsys.readouterr().out)
    anchor, sliced = shown["design"]["strata"]
    assert (anchor["n_drawn"], sliced["n_asked"], sliced["n_frame"]) == (7, 3, 8)
    with connect(settings)() as session:
        [queue] = session.scalars(select(ReviewQueue))
        assert (queue.id, queue.rules["gold_onboarding"]) == (shown["id"], 2)
        chances = set(session.scalars(select(ReviewItem.inclusion_probability)))
        assert chances <= {7 / 16, 1 - (9 / 16) * (5 / 8)}


def test_a_dry_run_stores_nothing(
    settings: Settings, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--models", "base", "--design", "stratified", "--by", "task", "--dry-run"]
    assert open_queue(desk, *options, "--minutes", "12", "--minutes-per-review", "2") == 0
    out = capsys.readouterr().out
    assert "Nothing was opened" in out
    assert "6 of 16 items" in out
    assert "About 12 minutes of review at 2.0 each" in out
    assert "task=a" in out
    with connect(settings)() as session:
        assert session.scalars(select(ReviewQueue)).all() == []
        names = set(session.scalars(select(RubricVersion.name)))
        assert "summary_faithfulness" not in names


def test_people_and_skills_are_named_by_slice(settings: Settings, desk: Desk) -> None:
    one, two = desk.experts
    with connect(settings).begin() as session:
        for membership in session.scalars(select(Membership)):
            membership.groups, membership.skills = ["night"], ["german"]
    placed = ["--person", f"task=a:{two.name}", "--skill", "task=b:german"]
    assert open_queue(desk, "--models", "base", "--group", "night", *placed) == 0
    with connect(settings)() as session:
        rows = set(session.execute(select(ReviewSlot.assigned_to_id, ReviewSlot.required_skill)))
        assert rows == {(two.id, None), (None, "german")}
        assert one.id != two.id


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--design", "clever"], "random, stratified"),
        (["--design", "active", "--items", "9"], "at least one targeted stratum"),
        (["--design", "active", "--items", "9", "--strata", "risky:0.3"], "high_risk"),
        (["--design", "active", "--items", "9", "--strata", "high_risk:0.3"], "strop run --resume"),
        (["--design", "stratified"], "needs the key of a slice"),
        (["--minutes", "10"], "minutes cannot be turned into items"),
        (["--group", "surgeons"], "surgeons"),
        (["--person", "anna"], "task=a:NAME"),
        (["--rule", "adjudicate_over=0.5"], "adjudicate_above"),
    ],
)
def test_a_design_that_cannot_be_is_one_line(
    desk: Desk, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert open_queue(desk, "--models", "base", *options) == 1
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def review_some(settings: Settings, desk: Desk) -> None:
    """Two people on eight items each; they differ on every fourth."""
    telecom = ["--rubric", "telecom_desk", "--overlap", "2", "--overlap-share", "1"]
    assert open_queue(desk, "--models", "base", *telecom, "--items", "8") == 0
    with connect(settings).begin() as session:
        queue = review.find_queue(session, desk.project.id, "q")
        for n in range(8):
            first = GOOD if n % 2 else BAD
            second = first if n % 4 else GOOD
            for user, ratings in zip(desk.experts, (first, second), strict=True):
                answer = Answer(ratings, active_seconds=60 + n)
                review_next(session, queue, user, answer, now=NOW + timedelta(minutes=n))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("status", ["Every required review is done", "minutes per review"]),
        ("agreement", ["krippendorff_alpha", "two by two", "faithful: no / yes"]),
        ("estimate", ["faithful", "problem=invented_fact", "n=8"]),
        ("effects", ["time per review", "fatigue"]),
        ("reviewers", ["known answers", "8"]),
    ],
)
def test_figures_are_shown_and_are_json(
    settings: Settings,
    desk: Desk,
    capsys: pytest.CaptureFixture[str],
    command: str,
    words: list[str],
) -> None:
    review_some(settings, desk)
    capsys.readouterr()
    assert strop("review", command, "q") == 0
    out = capsys.readouterr().out
    assert all(word in out for word in words), out
    assert strop("review", command, "q", "--json") == 0
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("winner", "code", "sentence"),
    [
        ("v1", 0, "base:v1@1 is preferred to base"),
        ("base", 2, "base is preferred to base:v1@1"),
        ("tie", 3, "Not decided"),
        (None, 3, "Nobody has voted"),
    ],
)
def test_watching_ends_with_the_verdicts_exit_code(
    settings: Settings,
    desk: Desk,
    capsys: pytest.CaptureFixture[str],
    winner: str | None,
    code: int,
    sentence: str,
) -> None:
    assert open_queue(desk, "--pair", "base,v1") == 0
    with connect(settings).begin() as session:
        queue = review.find_queue(session, desk.project.id, "q")
        for n in range(16 if winner else 0):
            claim = review.claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)
            assert claim is not None
            base_left = session.get_one(ReviewItem, claim.item_id).a_is_left
            side = "left" if base_left == (winner == "base") else "right"
            review.submit_review(
                session,
                slot_id=claim.slot_id,
                version=claim.version,
                user_id=desk.experts[0].id,
                answer=Answer(winner="tie" if winner == "tie" else side),
                now=NOW + timedelta(minutes=n),
            )
    capsys.readouterr()
    assert strop("review", "watch", "q") == code
    assert sentence in capsys.readouterr().out
    assert strop("review", "watch", "q", "--json") == code
    [watch] = json.loads(capsys.readouterr().out)
    assert watch["planned"] == 16
