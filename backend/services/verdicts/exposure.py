"""What a candidate gives away of planted canaries, as evidence for a line of the bar.

Read from the record of its training run alone, which planted and measured them; of the weights,
whatever prompt the candidate is asked with.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.services.verdicts.verdict import CandidateLine, Evidence
from backend.tables.training import TrainingRun
from training.results.exposure import mean_exposure

MORE = "train with more canaries (--canaries N): the interval narrows with their number"


def exposure_evidence(session: Session, asked: CandidateLine) -> Evidence:
    """The mean exposure of the planted canaries, in bits; n counts canaries.

    Raises:
        CannotCompute: it was not trained here, or no canary was planted.
    """
    bare = asked.candidate.without_prompt
    if bare.training_run_id is None:
        raise CannotCompute(f"{bare.label} was not trained here, so that no canary was planted.")
    run = session.get_one(TrainingRun, bare.training_run_id)
    found = run.result.get("canaries")
    if not found:
        raise CannotCompute(
            f"Training run {run.id} planted no canary. Train with --canaries N, 8 at least."
        )
    ranks, references = found["planted"]["after"]["ranks"], found["references"]
    mean = mean_exposure(ranks, references=references, length=found["length"], level=asked.level)
    before = found["planted"]["before"]["value"]
    return Evidence(
        mean.value,
        mean.low,
        mean.high,
        n=mean.n,
        failed=0,
        signature=(
            f"canary_exposure|bits|rank among {references} random sequences|length:"
            f"{found['length']}|repeats:{','.join(map(str, found['repeats']))}|"
            f"seed:{found['seed']}|"
            f"before:{before:.2f}|level:{asked.level:g}|training-run:{run.id}"
        ),
        unit="canaries",
        forecast=MORE,
    )
