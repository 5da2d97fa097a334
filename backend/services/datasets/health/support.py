"""References that their own source does not support, by the check `invented` (evaluators.checks).

What a model is taught to say that stands nowhere in what it is given, it is taught to invent. The
check reads numbers, dates, names, codes, denials and opposites; what it cannot see is named in its
guide. Rows without a source document are not looked at: an input alone is a question, no source.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from backend.errors import CannotCompute
from backend.schemas.health import Gain
from backend.services.datasets.health.findings import (
    REFERENCE,
    FindingSeverity,
    Flagged,
    HealthMaterial,
    KindFindings,
)
from backend.services.datasets.versions import ExampleRow
from evaluators.statistics.intervals import wilson

if TYPE_CHECKING:
    from evaluators.types import Span

MOST = 4_000
CHUNK = 200


def find_unsupported(material: HealthMaterial) -> KindFindings:
    """Rows whose first reference states what context and input do not.

    Raises:
        CannotCompute: no row has a source document and a reference.
    """
    able = [row for row in material.rows if row.references and (row.context or "").strip()]
    if not able:
        raise CannotCompute(
            "No row has both a source document and a reference.", hint="Map it: --map context=..."
        )
    looked_at = able
    if len(able) > MOST:
        chosen = sorted(random.Random(material.seed).sample(range(len(able)), MOST))
        looked_at = [able[n] for n in chosen]
    rows = tuple(flag for row, spans in _scored(looked_at) for flag in _flags(row, spans))
    flagged = len({row.id for row in rows})
    notes = [] if looked_at is able else [f"{MOST} of {len(able)} rows, drawn by the seed"]
    # No more than a warning: of sources that are spoken most places are said otherwise, not unsaid.
    severity = FindingSeverity.WARNING if rows else None
    gain = _gain(flagged, len(looked_at))
    return KindFindings(rows, len(looked_at), gain, severity=severity, notes=tuple(notes))


def _scored(rows: Sequence[ExampleRow]) -> Iterator[tuple[ExampleRow, Sequence[Span]]]:
    from evaluators.checks.grounding.grounding import INVENTED
    from evaluators.types import Sample

    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        samples = [
            Sample(id=r.external_id, prediction=r.references[0], context=r.context, input=r.input)
            for r in some
        ]
        for row, score in zip(some, INVENTED.score_samples(samples), strict=True):
            yield row, score.spans


def _flags(row: ExampleRow, spans: Sequence[Span]) -> Iterator[Flagged]:
    """A flag for each place; the reason names the kind of statement and not its words."""
    for span in spans:
        why = f"States what its source does not support ({span.kind})."
        yield Flagged(row.external_id, REFERENCE, why, span.start, span.end, 1.0)


def _gain(flagged: int, n: int) -> Gain:
    if not flagged:
        return Gain("No reference is flagged, so nothing is to be gained here.")
    low, high = wilson(flagged, n)
    sentence = (
        f"{flagged / n:.1%} of the references ({low:.1%} to {high:.1%}, n = {n}) are flagged. "
        "Those that are rightly so teach a model to say what its source does not, and score one "
        "down that is faithful. How many are right, experts tell: where the source is spoken, "
        "many places are only written otherwise."
    )
    figure = "most of the references to learn inventing from"
    return Gain(sentence, figure, flagged / n, low, high, n)
