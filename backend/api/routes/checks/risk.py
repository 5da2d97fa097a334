"""The risk of a project: fit it on the reviews, list its versions."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import CurrentUser, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.schemas.checks.risk import RiskIn, RiskVersionOut
from backend.services.checks import risk
from backend.tables.checks.risk import RiskVersion

router = APIRouter(tags=["checks"])


def _show(row: RiskVersion) -> RiskVersionOut:
    told = {name: row.report[name] for name in risk.REPORTED}
    return RiskVersionOut.of(row, **told)


@router.get("/projects/{project_id}/risks")
def list_risks(project_id: int, session: SessionDep) -> list[RiskVersionOut]:
    """The versions of the project's risk, the newest first."""
    return [_show(row) for row in risk.list_risks(session, project_id)]


@router.post("/projects/{project_id}/risks", status_code=201)
def fit_risk(
    project_id: int,
    body: RiskIn,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    once: OnceDep,
) -> RiskVersionOut:
    """Fit the next version; refused where too little was reviewed, with how much more it takes."""
    with serving.reading() as reading:
        material = risk.read_material(
            reading,
            project_id,
            score_run_ids=body.score_run_ids,
            wrong_when=body.wrong_when,
            splits=body.splits,
        )
    fitted = risk.fit_material(material, seed=body.seed)
    row = risk.save_risk(session, project_id, fitted, created_by_id=user.id)
    return once.answer(_show(row))


@router.get("/risks/{risk_id}")
def show_risk(risk_id: int, session: SessionDep) -> RiskVersionOut:
    """One version."""
    return _show(session.get_one(RiskVersion, risk_id))
