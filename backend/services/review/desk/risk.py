"""What a reviewer is told of the risk of an output, and when.

The risk sums up what checks and people said of such outputs: whoever sees it first tends to answer
as it says. So it is told after the answer. Before it, only in a queue of single outputs of one
model whose design is active, so that a reviewer's minute goes where the risk points: not in a
sample, on which estimates and certificates rest, nor in the audit of what skips review, nor where
known answers measure people.
The same holds for what says how an output differs from those of the other models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, String, Table, bindparam, literal_column, or_, select

from backend.prepared import PreparedStatement
from backend.schemas.review.desk import RiskNotice
from backend.schemas.runs import FlaggedSpan
from backend.services.review.blind import mask_text
from backend.services.review.rules import QueueRules
from backend.tables.runs import Score

SCORES = cast(Table, Score.__table__)
_IS_RISK = SCORES.c.metric.like("risk:%")
ACTIVE = "active"
"""Of a design that targets: `DesignKind.ACTIVE` of `opening`, which asks this module."""
BESIDE_OTHERS = (
    *("own_words", "own_novel", "departure_words", "departure_added", "departure_novel"),
    *("departure_misfit", "departure_turned", "departure_exchanged"),
)
"""Checks that mark what an output says alone among the answers to its source."""
OF_OTHERS = SCORES.c.metric.in_(
    [literal_column(f"'{name}'", String) for name in BESIDE_OTHERS]  # so that it can be prepared
)
AFTER_ALONE = or_(_IS_RISK, OF_OTHERS)
"""Scores whose marks wait for the answer where `before_the_answer` does not hold."""
_RISKS = PreparedStatement(
    select(SCORES.c.metric, SCORES.c.value, SCORES.c.explanation, SCORES.c.spans)
    .where(
        SCORES.c.score_run_id == bindparam("run"),
        SCORES.c.generation_id == bindparam("generation"),
        SCORES.c.value.is_not(None),
        _IS_RISK,
    )
    .order_by(SCORES.c.id.desc())
    .limit(1)
)


def before_the_answer(rules: QueueRules, design: Mapping[str, Any], *, pair: bool) -> bool:
    """Whether a queue tells the risk of an output to those who have not answered yet."""
    one_model = len(design.get("model_ids") or ()) == 1
    aimed = design.get("kind") == ACTIVE and "routing" not in design
    return one_model and not pair and aimed and not rules.has_gold


def risk_of(
    connection: Connection, score_run_id: int | None, generation_id: int, terms: Sequence[str]
) -> RiskNotice | None:
    """The newest risk of an output in a score run, masked; None where it has none."""
    if score_run_id is None:
        return None
    row = _RISKS.first(connection, {"run": score_run_id, "generation": generation_id})
    if row is None:
        return None
    return RiskNotice(
        metric=row.metric,
        value=row.value,
        reason=mask_text(row.explanation or "", terms),
        flagged=flags_among(row.spans, terms),
    )


def flags_among(spans: Iterable[Mapping[str, Any]], terms: Sequence[str]) -> list[FlaggedSpan]:
    """Marked parts of an output in order, their reasons masked."""
    flags = (FlaggedSpan(**{**s, "reason": mask_text(s["reason"], terms)}) for s in spans)
    return sorted(flags, key=lambda flag: (flag.start, flag.end, flag.reason))
