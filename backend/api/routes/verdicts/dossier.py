"""Dossiers: the signed archive of a comparison, the key that checks it, the team's answers."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, ServingDep, SessionDep
from backend.schemas.dossier import (
    DossierAnswersIn,
    DossierAnswersOut,
    DossierKeyOut,
    DossierQuestionOut,
)
from backend.services.dossier.answers import QUESTIONS, read_answers, save_answers
from backend.services.dossier.make import make_dossier
from backend.services.dossier.signing import public_key, signing_key
from backend.services.verdicts.promotion import get_comparison

router = APIRouter(tags=["dossier"])
TAR = "application/x-tar"


@router.get(
    "/comparisons/{comparison_id}/dossier",
    response_class=Response,
    responses={200: {"content": {TAR: {}}, "description": "The archive."}},
)
def sign_dossier(
    comparison_id: int, session: SessionDep, serving: ServingDep, with_texts: bool = False
) -> Response:
    """Sign what is known of the candidate of a comparison; the answer is the archive."""
    row = get_comparison(session, comparison_id)
    made = make_dossier(session, row, signing_key(serving.settings), with_texts=with_texts)
    told = {"Content-Disposition": f'attachment; filename="{made.name}"'}
    return Response(made.content, media_type=TAR, headers=told)


@router.get("/dossier-key")
def show_key(serving: ServingDep) -> DossierKeyOut:
    """The public key by which anybody checks a dossier of this installation."""
    return DossierKeyOut(public_key=public_key(signing_key(serving.settings)))


@router.get("/projects/{project_id}/dossier-answers")
def list_answers(project_id: int, session: SessionDep) -> DossierAnswersOut:
    """The questions that Strop cannot answer, with what the team has said."""
    return _shown(session, project_id)


@router.post("/projects/{project_id}/dossier-answers")
def keep_answers(
    project_id: int, body: DossierAnswersIn, session: SessionDep, user: CurrentUser
) -> DossierAnswersOut:
    """Keep the answers that are new; the same ones again change nothing."""
    save_answers(session, project_id, body.answers, by_id=user.id)
    return _shown(session, project_id)


def _shown(session: Session, project_id: int) -> DossierAnswersOut:
    known = read_answers(session, project_id)
    rows = [
        DossierQuestionOut(
            name=name,
            asks=question.asks,
            nist=question.nist,
            annex_iv=question.annex,
            text=known[name].text if name in known else None,
            answered_at=known[name].when if name in known else None,
        )
        for name, question in QUESTIONS.items()
    ]
    return DossierAnswersOut(questions=rows)
