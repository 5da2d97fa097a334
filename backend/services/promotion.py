"""Promotion: an append-only log of decisions; an alias points where its newest move put it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict, NotFound
from backend.services.model_versions import alias_target
from backend.services.verdicts import Verdict
from backend.tables.comparison import Comparison
from backend.tables.promotion import Promotion, PromotionAction

CHAMPION = "champion"


def decide_promotion(
    session: Session,
    comparison: Comparison,
    *,
    decided_by_id: int | None,
    alias: str = CHAMPION,
    simulated: bool = False,
) -> Promotion:
    """Promote the candidate when its verdict is PASS, else hold it; the reason is kept."""
    passed = comparison.verdict == Verdict.PASS
    action = PromotionAction.PROMOTED if passed else PromotionAction.HELD
    return _append(
        session,
        Promotion(
            project_id=comparison.project_id,
            alias=alias,
            model_version_id=comparison.candidate_id,
            action=action,
            comparison_id=comparison.id,
            reason=_reason(comparison),
            decided_by_id=decided_by_id,
            simulated=simulated,
        ),
    )


def _reason(comparison: Comparison) -> str:
    """The verdict and the lines that decided it."""
    decisive = [
        f"{line['title']}: {line['reason']}"
        for line in comparison.lines
        if line["verdict"] == comparison.verdict
    ]
    return f"{comparison.verdict} by manifest: " + "; ".join(decisive)


def promote(
    session: Session,
    comparison: Comparison,
    *,
    decided_by_id: int | None,
    alias: str = CHAMPION,
    override: str | None = None,
) -> Promotion:
    """Point the alias at the candidate.

    Raises Conflict when the verdict is not PASS and no override with its reason is given; the
    override stays readable in the log.
    """
    if comparison.verdict != Verdict.PASS and not override:
        raise Conflict(
            f"The verdict is {comparison.verdict}, not PASS. {_reason(comparison)}",
            hint='Improve the candidate, or sign with --override "reason".',
        )
    if override is None:
        return decide_promotion(session, comparison, decided_by_id=decided_by_id, alias=alias)
    return _append(
        session,
        Promotion(
            project_id=comparison.project_id,
            alias=alias,
            model_version_id=comparison.candidate_id,
            action=PromotionAction.PROMOTED,
            comparison_id=comparison.id,
            reason=f"OVERRIDE of {comparison.verdict}: {override}",
            decided_by_id=decided_by_id,
        ),
    )


def roll_back(
    session: Session,
    project_id: int,
    *,
    decided_by_id: int | None,
    reason: str,
    alias: str = CHAMPION,
) -> Promotion:
    """Point the alias at the model before the present one. Raises Conflict when there is none."""
    current = alias_target(session, project_id, alias)
    if current is None:
        raise Conflict(f"The alias {alias} points nowhere.", hint="Promote a model first.")
    before = _model_before(session, project_id, alias, current.id)
    if before is None:
        raise Conflict(
            f"There is no model before {current.label} to go back to.",
            hint="Promote another candidate in its place.",
        )
    return _append(
        session,
        Promotion(
            project_id=project_id,
            alias=alias,
            model_version_id=before,
            action=PromotionAction.ROLLED_BACK,
            reason=f"rolled back from {current.label}: {reason}",
            decided_by_id=decided_by_id,
        ),
    )


def _model_before(session: Session, project_id: int, alias: str, current_id: int) -> int | None:
    """Replay the log as a stack of promotions, from which a roll-back pops one."""
    stack: list[int] = []
    for row in list_promotions(session, project_id):
        if row.alias != alias or row.action == PromotionAction.HELD:
            continue
        if row.action == PromotionAction.ROLLED_BACK and stack:
            stack.pop()
        elif row.action == PromotionAction.PROMOTED and (
            not stack or stack[-1] != (row.model_version_id)
        ):
            stack.append(row.model_version_id)
    return stack[-2] if len(stack) > 1 and stack[-1] == current_id else None


def list_promotions(session: Session, project_id: int) -> list[Promotion]:
    """All decisions of a project, oldest first."""
    query = select(Promotion).where(Promotion.project_id == project_id)
    return list(session.scalars(query.order_by(Promotion.id)))


def _append(session: Session, row: Promotion) -> Promotion:
    session.add(row)
    session.flush()
    return row


def get_comparison(session: Session, comparison_id: int | None) -> Comparison:
    """A comparison by its number; a roll-back, for one, rests on none."""
    row = session.get(Comparison, comparison_id) if comparison_id is not None else None
    if row is None:
        raise NotFound(f"There is no comparison {comparison_id}.", hint="Run strop gate first.")
    return row
