"""What broke elsewhere: held-out examples that the model to beat had right and the candidate not.

Reads a run that was made for the comparison; no run is made for this, and nothing is written.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from backend.services.curation import FixedRule
from backend.services.review.reports.measured import Measured, share_of, unknown
from backend.services.yields.judging import Asked, judge_answers
from backend.tables.runs import Generation

NO_RUN = "no run on held-out examples shows both models"


def broken_elsewhere(
    session: Session, run_id: int | None, baseline_id: int, candidate_id: int, rule: FixedRule
) -> Measured:
    """Share newly broken of the examples of a run that the baseline answers rightly.

    An answer is right by the rule of the set, against the example's references.

    Raises:
        InvalidInput: the rule names a metric that there is not.
    """
    if run_id is None:
        return unknown(NO_RUN)
    before, _ = _judged(session, run_id, baseline_id, rule)
    after, signature = _judged(session, run_id, candidate_id, rule)
    both = [key for key, (_, right) in before.items() if right and key in after]
    if not both:
        return unknown("the model to beat has no held-out example right by this rule")
    judged = [key for key in both if after[key][1] is not None]
    name = f"yield_broken_elsewhere|{signature}|run:{run_id}"
    return share_of(
        name,
        [after[key][1] is False for key in judged],
        clusters=[before[key][0] for key in judged],
    )


def _judged(
    session: Session, run_id: int, model_id: int, rule: FixedRule
) -> tuple[dict[tuple[int, int], tuple[str | None, bool | None]], str]:
    """Group and whether it is right, of each written answer with a reference."""
    query = (
        select(Generation)
        .where(
            Generation.run_id == run_id,
            Generation.model_version_id == model_id,
            Generation.text.is_not(None),
        )
        .options(selectinload(Generation.example))
        .order_by(Generation.id)
    )
    answers = [answer for answer in session.scalars(query) if answer.example.references]
    judgement = judge_answers(
        rule,
        [
            Asked(a.example, a.text or "", tuple(str(r) for r in a.example.references))
            for a in answers
        ],
    )
    pairs = zip(answers, judgement.judged, strict=True)
    found = {(a.example_id, a.sample): (a.example.group, one.right) for a, one in pairs}
    return found, judgement.signature
