"""A line on the exposure of canaries reads the record of the candidate's own training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.services.verdicts.forgetting import exposure_evidence
from backend.services.verdicts.verdict import CandidateLine
from training.results.exposure import mean_exposure

RANKS = [1.0, 40.0, 120.0, 200.0, 16.0, 77.0, 250.0, 9.0]


def _asked(run_id: int | None, level: float = 0.95) -> CandidateLine:
    bare = SimpleNamespace(training_run_id=run_id, label="base:v2@1")
    candidate = SimpleNamespace(without_prompt=bare)
    return cast(CandidateLine, SimpleNamespace(candidate=candidate, level=level))


def _session(result: dict[str, Any]) -> Session:
    run = SimpleNamespace(id=3, result=result)
    return cast(Session, SimpleNamespace(get_one=lambda table, id_: run))


def _record() -> dict[str, Any]:
    side = {"ranks": RANKS, "value": 1.5}
    facts = {"references": 255, "length": 8, "repeats": [1], "seed": 0}
    return {"canaries": {**facts, "planted": {"before": side, "after": side}}}


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_the_figure_is_that_of_the_ranks_at_the_level_of_the_bar(level: float) -> None:
    found = exposure_evidence(_session(_record()), _asked(3, level))
    mean = mean_exposure(RANKS, references=255, length=8, level=level)
    assert (found.value, found.low, found.high, found.n) == (mean.value, mean.low, mean.high, 8)
    assert "rank among 255 random sequences" in found.signature
    assert "training-run:3" in found.signature


def test_without_a_training_here_or_without_canaries_there_is_no_figure() -> None:
    with pytest.raises(CannotCompute, match="not trained here"):
        exposure_evidence(_session({}), _asked(None))
    with pytest.raises(CannotCompute, match="planted no canary"):
        exposure_evidence(_session({"forgetting": {}}), _asked(3))
