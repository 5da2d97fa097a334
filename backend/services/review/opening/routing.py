"""Which of the drawn outputs skip review, by a certified threshold, and which of those are audited.

The certificate comes as a value: how it was made is known to the checks, which come later.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.services.review.opening.design import Drawn
from backend.services.review.opening.frames import Frame
from backend.tables.checks.triage import AUDIT, QueueRouting, SkippedOutput
from backend.tables.runs import Score
from evaluators.spread import cut

WHY_AUDITED = (
    "A check found little to worry about in this answer. Some of those are looked at all the same, "
    "drawn at random, to see whether that holds."
)
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Routing:
    """A certificate by which outputs may skip review, and how it is watched.

    Attributes:
        metric, score_run_id: whose scores say what is at risk.
        threshold: outputs with a score up to it (from it on where higher is better) skip.
        epsilon, delta: at most this share of those that skip is wrong, with confidence 1 - delta.
        audit: share of those that skip that is reviewed all the same.
        wrong_when: which answers count as wrong.
        evidence: on which labels the certificate rests; JSON-serialisable.
    """

    metric: str
    score_run_id: int
    threshold: float
    lower_is_better: bool
    epsilon: float
    delta: float
    audit: float
    wrong_when: str
    evidence: Mapping[str, Any]

    def skips(self, score: float | None) -> bool:
        """Whether an output with this score may skip; one without a score never does."""
        if score is None or not math.isfinite(score):
            return False
        return score <= self.threshold if self.lower_is_better else score >= self.threshold


CERTIFICATE = ("metric", "threshold", "lower_is_better", "epsilon", "delta", "wrong_when")


def certificate_of(routing: Routing | QueueRouting) -> dict[str, Any]:
    """What is told of a certificate wherever it stands."""
    return {name: getattr(routing, name) for name in CERTIFICATE}


class RoutedOutput(NamedTuple):
    """An output that skips, with its score, the design's chance, and whether it is audited."""

    generation_id: int
    risk: float
    chance: float
    audited: bool


@dataclass(frozen=True, slots=True)
class Routed:
    """A sample after routing.

    Attributes:
        drawn: what is reviewed, in the order of the sample.
        skipped: what skips, audited ones included.
        n_without: outputs without a score; all are reviewed.
    """

    drawn: tuple[Drawn, ...]
    skipped: tuple[RoutedOutput, ...] = ()
    n_without: int = 0

    @property
    def n_audited(self) -> int:
        """Those that are reviewed all the same."""
        return sum(one.audited for one in self.skipped)


def check_routing(routing: Routing, kind: str) -> None:
    """InvalidInput for a routing that no queue of this kind can keep."""
    if kind != "single":
        raise InvalidInput("Only queues of single outputs can be routed by risk.")
    shares = (routing.epsilon, routing.delta, routing.audit)
    if not all(math.isfinite(share) and 0 < share <= 1 for share in shares):
        raise InvalidInput("Epsilon, delta and the audit's share lie between 0 and 1.")
    if not math.isfinite(routing.threshold):
        raise InvalidInput("The threshold is no number.")


def route(
    session: Session, routing: Routing, frame: Frame, drawn: Sequence[Drawn], rng: random.Random
) -> Routed:
    """Leave out of a sample what skips, but for a random audit of it.

    The audit is a simple random sample of what skips, one output at least, so that its chance is
    that of the design times its share.
    """
    output_of = {one.number: frame.candidates[one.number].a_id for one in drawn}
    scores = read_scores(session, routing.score_run_id, routing.metric, [*output_of.values()])
    skip = {one.number: one for one in drawn if routing.skips(scores.get(output_of[one.number]))}
    n_audit = min(len(skip), math.ceil(routing.audit * len(skip) - 1e-9))
    audited = set(rng.sample([*skip], n_audit))
    skipped = [
        RoutedOutput(output_of[n], scores[output_of[n]], one.probability, n in audited)
        for n, one in skip.items()
    ]
    share = n_audit / max(1, len(skip))
    kept = [
        one._replace(stratum=AUDIT, probability=one.probability * share, why=WHY_AUDITED)
        if one.number in audited
        else one
        for one in drawn
        if one.number not in skip or one.number in audited
    ]
    without = sum(output not in scores for output in output_of.values())
    return Routed(tuple(kept), tuple(skipped), without)


def routing_sentence(routing: Routing, routed: Routed) -> str:
    """How much skips, how much of it is audited, and on which evidence."""
    seen, found = len(routed.skipped), routing.evidence
    side = "up to" if routing.lower_is_better else "from"
    runs = ", ".join(f"run {run_id} ({n})" for run_id, n in found["runs"])
    simulated = f", {found['n_simulated']} simulated" if found["n_simulated"] else ""
    return (
        f"{seen} of {len(routed.drawn) + seen - routed.n_audited} skip review by "
        f"{routing.metric} {side} {routing.threshold:.4g}, {routed.n_audited} of them are audited. "
        f"Of {found['labels']} labels{simulated} ({found['n']} independent; {routing.wrong_when} "
        f"counts as wrong), {found['n_below']} lie there and {found['errors_below']} are wrong: at "
        f"most {found['upper']:.1%} (confidence {1 - routing.delta:.0%}), which "
        f"{routing.epsilon:.1%} allows. Reviewed {found['first'][:10]} to {found['last'][:10]}: "
        f"{runs}. {found['assumes']}"
    )


def routing_warnings(routing: Routing, routed: Routed) -> list[str]:
    """What a lead has to know of a routing before the queue is opened, as sentences."""
    from evaluators.checks.risk.audit import least_to_refute

    warnings = []
    if not routed.skipped:
        warnings.append("No output of this run lies under the certified threshold; none skips.")
    else:
        least = least_to_refute(len(routed.skipped), epsilon=routing.epsilon, delta=routing.delta)
        if least is None or routed.n_audited < least:
            warnings.append(
                f"An audit of {routed.n_audited} could not refute the guarantee whatever it found:"
                " raise its share."
            )
    if routed.n_without:
        warnings.append(f"{routed.n_without} outputs have no {routing.metric} and are reviewed.")
    return warnings


def read_scores(
    session: Session, score_run_id: int, metric: str, generation_ids: Sequence[int]
) -> dict[int, float]:
    """Finite scores of these outputs by a metric; what has none is left out."""
    found: dict[int, float] = {}
    for some in cut(generation_ids, CHUNK):
        query = select(Score.generation_id, Score.value).where(
            Score.score_run_id == score_run_id,
            Score.metric == metric,
            Score.generation_id.in_(some),
            Score.value.is_not(None),
        )
        for generation_id, value in session.execute(query):
            if value is not None and math.isfinite(value):
                found[generation_id] = float(value)
    return found


def store_routing(session: Session, queue_id: int, routing: Routing, routed: Routed) -> None:
    """Keep the certificate and every output that skips with its queue."""
    session.add(
        QueueRouting(
            queue_id=queue_id,
            **certificate_of(routing),
            score_run_id=routing.score_run_id,
            audit_share=routing.audit,
            n_skipped=len(routed.skipped),
            n_audited=routed.n_audited,
            n_without=routed.n_without,
            evidence=dict(routing.evidence),
        )
    )
    session.flush()
    rows = [{"queue_id": queue_id, **one._asdict()} for one in routed.skipped]
    for some in cut(rows, CHUNK):
        session.execute(insert(SkippedOutput), some)
