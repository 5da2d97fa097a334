"""Judges: their versions, where each stands, what they said of pairs."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, SessionDep
from backend.api.once import OnceDep
from backend.schemas.checks.judges import AskLicence, JudgedPairs, JudgeIn, JudgeOut
from backend.services.checks.judges import judges, licences, pairs
from backend.services.review.queues import find_queue
from backend.tables.checks.judges import Judge

router = APIRouter(tags=["judges"])


def _show(session: Session, judge: Judge) -> JudgeOut:
    return JudgeOut.of(
        judge,
        model=judge.model.label,
        answers=judge.scale.get("answers", []),
        licences=licences.licences_of(session, judge),
    )


@router.get("/projects/{project_id}/judges")
def list_judges(project_id: int, session: SessionDep) -> list[JudgeOut]:
    """All versions of all judges, by name and version, with their licences."""
    return [_show(session, judge) for judge in judges.list_judges(session, project_id)]


@router.post("/projects/{project_id}/judges", status_code=201)
def add_judge(
    project_id: int, body: JudgeIn, session: SessionDep, user: CurrentUser, once: OnceDep
) -> JudgeOut:
    """A judge as the next version of its name; the same content is what stands."""
    given = body.model_dump(exclude={"name"})
    judge = judges.add_judge(session, project_id, body.name, created_by_id=user.id, **given)
    return once.answer(_show(session, judge))


@router.get("/judges/{judge_id}")
def show_judge(judge_id: int, session: SessionDep) -> JudgeOut:
    """One version of a judge, with its licences as later reviews leave them."""
    return _show(session, session.get_one(Judge, judge_id))


@router.get("/judges/{judge_id}/pairs")
def list_judged_pairs(judge_id: int, session: SessionDep) -> list[JudgedPairs]:
    """What a comparer said, by run: win rates by a judge, strengths and biases."""
    judge = session.get_one(Judge, judge_id)
    return [
        pairs.judged_pairs(session, judge, run, models)
        for run, models in pairs.judged_runs(session, judge)
    ]


@router.post("/judges/{judge_id}/licences", status_code=201)
def ask_licence(judge_id: int, body: AskLicence, session: SessionDep, once: OnceDep) -> JudgeOut:
    """Ask for a licence by the reviews of a queue; the answer stays, whatever it is."""
    judge = session.get_one(Judge, judge_id)
    queue = find_queue(session, judge.project_id, body.queue)
    licences.license_judge(session, judge, queue, annotators=body.annotators, epsilon=body.epsilon)
    return once.answer(_show(session, judge))


@router.post("/judges/{judge_id}/audit")
def audit_judge(judge_id: int, session: SessionDep) -> JudgeOut:
    """Write down every licence that later reviews refute; said again, it changes nothing."""
    judge = session.get_one(Judge, judge_id)
    licences.audit_judge(session, judge)
    return _show(session, judge)
