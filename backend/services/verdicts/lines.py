"""Lines of the bar whose figure is no metric of outputs: where each takes its evidence from.

A test holds this table against `backend.services.metric_specs.MAXIMA`.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from backend.services.verdicts.exposure import exposure_evidence
from backend.services.verdicts.fair import counterfactual_evidence, parity_evidence, skew_evidence
from backend.services.verdicts.forgetting import forgetting_evidence
from backend.services.verdicts.verdict import CandidateLine, Evidence

EVIDENCE: dict[str, Callable[[Session, CandidateLine], Evidence]] = {
    "forgetting": forgetting_evidence,
    "forgetting_earlier": forgetting_evidence,
    "parity": parity_evidence,
    "counterfactual": counterfactual_evidence,
    "skew": skew_evidence,
    "canary_exposure": exposure_evidence,
}
"""Each raises CannotCompute, with the reason, where there is no figure or no interval."""
