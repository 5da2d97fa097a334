"""Promotion: an append-only log of decisions; an alias points where its newest move put it.

A person signs: a lead or an admin. In three steps, since no transaction may stay open while servers
are asked: `plan_promotion` (may it be?), `serving.serve_move` (the servers), `promote` (the log).

What a decision rests on: the verdict, the preflight, the bar, the digests, the servers.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound
from backend.services.accounts.users import require_lead
from backend.services.models.candidates import require_answers
from backend.services.models.cards import write_card
from backend.services.models.serving import NOWHERE, Move, ServingReport, require_served
from backend.services.models.versions import alias_target, register_base, served_model
from backend.services.projects import lock_project
from backend.services.verdicts.comparison import check_evidence
from backend.services.verdicts.verdict import Verdict, change_since_training
from backend.tables.models import ModelKind, ModelVersion, Preflight
from backend.tables.projects import SuccessManifest
from backend.tables.review import ReviewQueue
from backend.tables.runs import ScoreRun
from backend.tables.verdicts import Comparison, Promotion, PromotionAction

NO_PREFLIGHT = {"verdict": "INCONCLUSIVE", "reason": "judged before preflights were kept"}


def is_passed(comparison: Comparison) -> bool:
    """Whether every line and the preflight passed; a comparison without preflight has not."""
    standing = comparison.preflight or NO_PREFLIGHT
    return comparison.verdict == Verdict.PASS and standing["verdict"] == Verdict.PASS


def reason_of(comparison: Comparison) -> str:
    """The verdict and what decided it: lines of the manifest, or the preflight."""
    standing = comparison.preflight or NO_PREFLIGHT
    lines = [*comparison.lines, {"title": "preflight", **standing}]
    decisive = [
        f"{line['title']}: {line['reason']}"
        for line in (comparison.lines if is_passed(comparison) else lines)
        if line["verdict"] == comparison.verdict
        or (line["title"] == "preflight" and line["verdict"] != Verdict.PASS)
    ]
    simulated = f" ({comparison.n_simulated} votes simulated)" if comparison.n_simulated else ""
    return f"{comparison.verdict} by manifest{simulated}: " + "; ".join(decisive)


def evidence_of(session: Session, comparison: Comparison) -> dict[str, Any]:
    """Verdict, preflight, bar and digests as they are now; kept with the decision."""
    bar = session.get_one(SuccessManifest, comparison.manifest_id)
    change = change_since_training(session, comparison)
    return {
        "verdict": comparison.verdict,
        "n_simulated": comparison.n_simulated,
        "preflight": comparison.preflight or NO_PREFLIGHT,
        "bar": {"version": bar.version, "digest": bar.digest, "changed": change.changed},
        "bar_sentence": change.sentence,
        "digests": digests_of(session.get_one(ModelVersion, comparison.candidate_id)),
    }


def digests_of(model: ModelVersion) -> dict[str, str | None]:
    """sha256 of what decides a model's answers, as registered; None for what is not here."""
    return {
        "base": model.base_sha256 or None,
        "tokenizer": model.tokenizer_sha256 or None,
        "template": model.template_sha256 or None,
        "adapter": model.adapter_sha256,
        **({} if model.prompt is None else {"prompt": model.prompt.digest}),
    }


def served_evidence(report: ServingReport, unserved: str | None) -> dict[str, Any]:
    """What the servers answered, and the reason to go on where they did not."""
    found: dict[str, Any] = {"serving": report.as_record(), "served": report.sentence}
    return found if report.ok else {**found, "unserved": unserved}


def newest_fingerprint(session: Session, model: ModelVersion) -> dict[str, Any] | None:
    """That of the newest passed preflight in which the model was asked."""
    passed = select(Preflight).where(Preflight.passed.is_(True))
    query = passed.where(Preflight.project_id == model.project_id)
    for row in session.scalars(query.order_by(Preflight.id.desc())):
        known = row.fingerprint
        if known and model.id in row.model_ids and model.serving_name in known["first_tokens"]:
            return known
    return None


CHAMPION = "champion"
DECIDED_ALONE = "decided by the manifest without a person; no server was told"


def decide_promotion(
    session: Session,
    comparison: Comparison,
    *,
    decided_by_id: int | None,
    alias: str = CHAMPION,
    simulated: bool = False,
) -> Promotion:
    """Promote the candidate when its verdict is PASS, else hold it; the reason is kept.

    Nobody signs and no server is asked: for the demo, for rounds that were planned so, and to hold.

    Raises:
        Conflict: it passed, and the alias was moved after the comparison was made.
    """
    lock_project(session, comparison.project_id)  # the second of two at once sees the first
    passed = is_passed(comparison)
    if passed:
        _refuse_moved_since(session, comparison, alias)
    row = _row_of(session, comparison, alias, decided_by_id=decided_by_id)
    row.action = PromotionAction.PROMOTED if passed else PromotionAction.HELD
    row.simulated = simulated
    if passed:
        row.evidence = {**(row.evidence or {}), "served": DECIDED_ALONE}
    return _append(session, row)


def hold(
    session: Session,
    comparison: Comparison,
    *,
    decided_by_id: int,
    reason: str,
    alias: str = CHAMPION,
) -> Promotion:
    """Record that a lead does not promote the candidate, whatever the verdict; nothing moves.

    Raises Forbidden when the person is no lead.
    """
    require_lead(session, decided_by_id, comparison.project_id)
    lock_project(session, comparison.project_id)
    row = _row_of(session, comparison, alias, decided_by_id=decided_by_id)
    row.action = PromotionAction.HELD
    row.reason = f"HELD by a lead: {reason} ({row.reason})"
    return _append(session, row)


def current_label(session: Session, project_id: int, alias: str = CHAMPION) -> str:
    """The label of the model at which an alias points now; NOWHERE for none."""
    target = alias_target(session, project_id, alias)
    return NOWHERE if target is None else target.label


def _refuse_moved(session: Session, project_id: int, alias: str, *seen: str | None) -> None:
    """Conflict when the alias points elsewhere than whoever decides has seen."""
    current = current_label(session, project_id, alias)
    for expected in seen:
        if expected is not None and _bare(expected) != _bare(current):
            raise Conflict(
                f"{alias} is {current} now, and was {expected} when you looked: somebody decided "
                "in between.",
                hint="Look at the decisions again, and decide anew if it is still needed.",
            )


def _refuse_moved_since(session: Session, comparison: Comparison, alias: str) -> None:
    """Conflict when the alias points elsewhere than when this comparison was made.

    It may point at the baseline, over which the candidate was judged, and at the candidate itself,
    which was promoted already.
    """
    moves = (PromotionAction.PROMOTED, PromotionAction.ROLLED_BACK)
    newest = (
        select(Promotion.model_version_id)
        .where(Promotion.project_id == comparison.project_id, Promotion.alias == alias)
        .where(Promotion.action.in_(moves))
        .order_by(Promotion.id.desc())
        .limit(1)
    )
    then = session.scalar(newest.where(Promotion.created_at <= comparison.created_at))
    if session.scalar(newest) not in (then, comparison.baseline_id, comparison.candidate_id):
        raise Conflict(
            f"{alias} was moved to {current_label(session, comparison.project_id, alias)} after "
            "this comparison was made.",
            hint="Compare with what it is now: strop gate",
        )


def _bare(label: str) -> str:
    """A label as people may write it, without the base that it is on."""
    return label.rpartition(":")[2]


def plan_promotion(
    session: Session,
    comparison: Comparison,
    *,
    alias: str = CHAMPION,
    override: str | None = None,
    expected: str | None = None,
) -> Move:
    """What the servers are to be told.

    Args:
        expected: label of the model at which whoever decides saw the alias point; NOWHERE for none.

    Raises:
        Conflict: the alias points elsewhere by now, or only outputs of the candidate are known.
        Conflict: no override is given, and the champion was moved after the comparison, the
            preflight or the verdict is no PASS, or the verdict rests on what is no evidence (it
            was judged before that was refused).
    """
    candidate = session.get_one(ModelVersion, comparison.candidate_id)
    if candidate.only_outputs:
        raise Conflict(
            f"{candidate.label} cannot be promoted: only outputs of it were imported, and there is "
            "nothing to serve.",
            hint="Promote a model whose weights are registered here.",
        )
    _refuse_moved(session, comparison.project_id, alias, expected)
    if alias == CHAMPION and not override:  # of other aliases the comparison says nothing
        _refuse_moved_since(session, comparison, alias)
    if not is_passed(comparison) and not override:
        raise Conflict(
            f"The verdict is {comparison.verdict}, not PASS. {reason_of(comparison)}",
            hint='Improve the candidate, or sign with --override "reason".',
        )
    if not override:
        _require_evidence(session, comparison)
    return plan_move(session, comparison.project_id, candidate, alias=alias)


def _require_evidence(session: Session, comparison: Comparison) -> None:
    queue_id = comparison.review_queue_id
    try:
        check_evidence(
            session,
            comparison.project_id,
            session.get_one(ScoreRun, comparison.score_run_id),
            None if queue_id is None else session.get_one(ReviewQueue, queue_id),
            baseline=session.get_one(ModelVersion, comparison.baseline_id),
            candidate=session.get_one(ModelVersion, comparison.candidate_id),
        )
    except (NotFound, InvalidInput) as error:
        raise Conflict(
            f"The verdict cannot be promoted by: {error.message}", hint="Judge anew: strop gate"
        ) from error


def promote(
    session: Session,
    comparison: Comparison,
    *,
    decided_by_id: int,
    alias: str = CHAMPION,
    override: str | None = None,
    expected: str | None = None,
    serving: ServingReport | None = None,
    unserved: str | None = None,
) -> Promotion:
    """Point the alias at the candidate, in the name of a lead.

    Args:
        override: reason to do so without a passing preflight and verdict; stays readable.
        expected: as in `plan_promotion`.
        serving: what the servers made of it; None where none is configured.
        unserved: reason to do so though a server does not serve the model; stays readable.

    Raises:
        Conflict: no PASS without an override, a server that does not serve the model, or an alias
            that has moved since the servers were asked or since whoever decides looked.
        Forbidden: the person is no lead.
    """
    require_lead(session, decided_by_id, comparison.project_id)
    report = serving or ServingReport()
    lock_project(session, comparison.project_id)  # the second of two at once sees the first
    _refuse_moved(session, comparison.project_id, alias, report.current)
    plan_promotion(session, comparison, alias=alias, override=override, expected=expected)
    require_served(report, unserved)
    row = _row_of(session, comparison, alias, decided_by_id=decided_by_id)
    row.evidence = {**(row.evidence or {}), **served_evidence(report, unserved)}
    if override is not None:
        row.override = override
        row.reason = f"OVERRIDE of {comparison.verdict}: {override}"
    return _append(session, row)


def _row_of(
    session: Session, comparison: Comparison, alias: str, *, decided_by_id: int | None
) -> Promotion:
    return Promotion(
        project_id=comparison.project_id,
        alias=alias,
        model_version_id=comparison.candidate_id,
        action=PromotionAction.PROMOTED,
        comparison_id=comparison.id,
        reason=reason_of(comparison),
        evidence=evidence_of(session, comparison),
        decided_by_id=decided_by_id,
    )


def plan_move(
    session: Session, project_id: int, model: ModelVersion, *, alias: str = CHAMPION
) -> Move:
    """An alias that is to point at a model, with what is known of how the model answers.

    Raises:
        InvalidInput: the model is a checker, which answers nobody.
    """
    require_answers(model, "promote")
    before = alias_target(session, project_id, alias)
    # a server has to hold the base; for a model served elsewhere, the project's
    own = None if model.kind == ModelKind.SERVED else model.engine_base
    return Move(
        alias=alias,
        model=served_model(model),
        base=served_model(own or register_base(session, project_id)),
        before=None if before is None else served_model(before),
        current=NOWHERE if before is None else before.label,
        fingerprint=newest_fingerprint(session, model),
    )


def plan_roll_back(
    session: Session, project_id: int, *, alias: str = CHAMPION, expected: str | None = None
) -> Move:
    """What the servers are to be told when an alias goes back.

    Args:
        expected: as in `plan_promotion`.

    Raises:
        Conflict: there is no model before, or the alias points elsewhere by now.
    """
    _refuse_moved(session, project_id, alias, expected)
    return plan_move(session, project_id, _model_before(session, project_id, alias), alias=alias)


def roll_back(
    session: Session,
    project_id: int,
    *,
    decided_by_id: int,
    reason: str,
    alias: str = CHAMPION,
    expected: str | None = None,
    serving: ServingReport | None = None,
    unserved: str | None = None,
) -> Promotion:
    """Point the alias at the model before the present one, in the name of a lead.

    Raises:
        Conflict: there is none, a server does not serve it, or the alias has moved since.
        Forbidden: the person is no lead.
    """
    require_lead(session, decided_by_id, project_id)
    report = serving or ServingReport()
    lock_project(session, project_id)  # the second of two at once sees the first
    _refuse_moved(session, project_id, alias, expected, report.current)
    before = _model_before(session, project_id, alias)
    current = alias_target(session, project_id, alias)
    assert current is not None
    require_served(report, unserved)
    row = Promotion(
        project_id=project_id,
        alias=alias,
        model_version_id=before.id,
        action=PromotionAction.ROLLED_BACK,
        reason=f"rolled back from {current.label}: {reason}",
        evidence={"digests": digests_of(before), **served_evidence(report, unserved)},
        decided_by_id=decided_by_id,
    )
    return _append(session, row)


def _model_before(session: Session, project_id: int, alias: str) -> ModelVersion:
    """Where an alias goes when it goes back. Conflict when there is nothing before."""
    current = alias_target(session, project_id, alias)
    if current is None:
        raise Conflict(f"The alias {alias} points nowhere.", hint="Promote a model first.")
    stack = _replay(session, project_id, alias)
    if len(stack) < 2 or stack[-1] != current.id:
        raise Conflict(
            f"There is no model before {current.label} to go back to.",
            hint="Promote another candidate in its place.",
        )
    return session.get_one(ModelVersion, stack[-2])


def _replay(session: Session, project_id: int, alias: str) -> list[int]:
    """The log as a stack of promotions, from which a roll-back pops one."""
    stack: list[int] = []
    for row in list_promotions(session, project_id):
        if row.alias != alias or row.action == PromotionAction.HELD:
            continue
        if row.action == PromotionAction.ROLLED_BACK and stack:
            stack.pop()
        elif row.action == PromotionAction.PROMOTED and (
            not stack or stack[-1] != row.model_version_id
        ):
            stack.append(row.model_version_id)
    return stack


def simulated_votes(session: Session, row: Promotion) -> int:
    """Votes by a script under the comparison that a decision rests on; 0 where it rests on none."""
    if row.comparison_id is None:
        return 0
    return session.get_one(Comparison, row.comparison_id).n_simulated


def list_promotions(session: Session, project_id: int) -> list[Promotion]:
    """All decisions of a project, oldest first."""
    query = select(Promotion).where(Promotion.project_id == project_id)
    return list(session.scalars(query.order_by(Promotion.id)))


def _append(session: Session, row: Promotion) -> Promotion:
    session.add(row)
    session.flush()
    write_card(session, session.get_one(ModelVersion, row.model_version_id))
    return row


def get_comparison(session: Session, comparison_id: int | None) -> Comparison:
    """A comparison by its number; a roll-back, for one, rests on none."""
    row = session.get(Comparison, comparison_id) if comparison_id is not None else None
    if row is None:
        raise NotFound(f"There is no comparison {comparison_id}.", hint="Run strop gate first.")
    return row
