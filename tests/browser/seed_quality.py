"""Queues for tests of known answers and of adjudication: one expert, a lead, two who disagree."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from backend.db import connect, utc_now
from backend.services.accounts.users import create_user
from backend.services.review import Answer, QueueRules, claim_review_item, submit_review
from backend.services.review.quality.gold_items import GoldRow, add_gold
from backend.settings import Settings
from backend.tables.models import ModelVersion
from backend.tables.projects import Project
from backend.tables.runs import Generation, GenerationRun
from tests.browser.seed import PASSWORD
from tests.browser.seed_desk import NOTE, make_run, open_one

LEAD, EXPERT = "lena", "cora"
SCRIPTED = ("robot-mild", "robot-strict")
EXPLANATION = "The dose is invented."
SAID: dict[str, dict[str, str | int]] = {
    "robot-mild": {"verdict": "pass", "omissions": '["none"]', "usefulness": 5},
    "robot-strict": {"verdict": "critical_fail", "omissions": '["plan"]', "usefulness": 1},
}
KNOWN = QueueRules(gold_onboarding=2, gold_minimum=2)
DISPUTED = QueueRules(adjudicate_above=0.2)


def seed_quality(settings: Settings) -> None:
    """Add to the project of `seed_desk`: `known`, which begins with two known answers, and
    `disputed`, where two reviewers have disagreed on the only item."""
    sessions = connect(settings)
    with sessions.begin() as session:
        project = session.query(Project).one()
        here = [project.id]
        create_user(session, LEAD, "engineer", password=PASSWORD, project_ids=here)
        expert = create_user(session, EXPERT, "expert", password=PASSWORD, project_ids=here).id
        scripted = {
            name: create_user(session, name, "expert", simulated=True, project_ids=here).id
            for name in SCRIPTED
        }
        models = session.query(ModelVersion).order_by(ModelVersion.id).all()
        _open_known(session, project, models, expert)
        disputed = _open_disputed(session, project, models, [expert, *scripted.values()])
    for name, user_id in scripted.items():
        with sessions.begin() as session:
            _answer(session, disputed, user_id, SAID[name])
    sessions.kw["bind"].dispose()


def _open_known(
    session: Session, project: Project, models: list[ModelVersion], expert: int
) -> None:
    rows = [(f"{NOTE} Visit {i}.", f"{i} mg.", f"Mr Beck took {i} mg.") for i in range(4)]
    run = make_run(session, project, "known", models, rows)
    queue = open_one(session, project, "known", run, [expert], models[1:], n_items=2, rules=KNOWN)
    mine = {"run_id": run.id, "model_version_id": models[0].id}
    written = session.query(Generation).filter_by(**mine).order_by(Generation.id)
    known = {"ratings": {"verdict": "fail"}}
    gold = [
        GoldRow(generation=one.id, answer=known, explanation=EXPLANATION)
        for one in written.limit(2)
    ]
    add_gold(session, queue, gold, by=None)


def _open_disputed(
    session: Session, project: Project, models: list[ModelVersion], people: list[int]
) -> int:
    rows = [(NOTE, "Beck takes 10 mg.", "Beck takes 10 mg ramipril.")]
    run: GenerationRun = make_run(session, project, "disputed", models, rows)
    return open_one(
        session, project, "disputed", run, people, models[1:],
        overlap=2, overlap_share=1.0, rules=DISPUTED,
    )  # fmt: skip


def _answer(session: Session, queue_id: int, user_id: int, ratings: dict[str, str | int]) -> None:
    now = utc_now() - timedelta(minutes=5)
    claim = claim_review_item(session, queue_id, user_id, now=now)
    assert claim is not None
    submit_review(
        session,
        slot_id=claim.slot_id,
        version=claim.version,
        user_id=user_id,
        answer=Answer(ratings=dict(ratings), active_seconds=30.0),
        now=now + timedelta(minutes=1),
        simulated=True,
        annotator_kind="code",
    )
