"""A line on skew reads the training set of the candidate's own training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy.orm import Session

from backend.errors import CannotCompute, InvalidInput
from backend.schemas.projects import ManifestLine
from backend.services.metric_specs import check_line_metrics, check_maxima
from backend.services.verdicts.fair import skew_evidence
from backend.services.verdicts.verdict import CandidateLine
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.projects import SuccessManifest
from backend.tables.training import TrainingRun
from tests.fixtures_review import build_desk


def _asked(session: Session, run_id: int | None, kind: str = "gender") -> CandidateLine:
    bare = SimpleNamespace(training_run_id=run_id, label="base:v2@1")
    line = SimpleNamespace(metric=f"skew:{kind}")
    candidate = SimpleNamespace(without_prompt=bare)
    return cast(CandidateLine, SimpleNamespace(candidate=candidate, level=0.95, line=line))


def _trained(session: Session) -> int:
    """A training on a set that grants to him and refuses to her, three times in four."""
    desk = build_desk(session, splits={"train": 80})
    frozen = TrainingSet(
        project_id=desk.project.id, name="loans", recipe={}, digest="ab" * 32, n_rows=80
    )
    session.add(frozen)
    session.flush()
    for n, example in enumerate(desk.examples):
        her, usual = n % 2 == 0, n % 8 < 6
        asked = f"{'She' if her else 'He'} asks for a loan, and this is what was written of it."
        session.add(
            TrainingSetRow(
                training_set_id=frozen.id,
                example_id=example.id,
                position=n,
                kind="sft",
                prompt=[{"role": "user", "content": asked}],
                completion="refused" if her == usual else "granted",
                source="reference",
            )
        )
    bar = SuccessManifest(
        project_id=desk.project.id, version=1, content={}, source="", digest="0" * 64
    )
    session.add(bar)
    session.flush()
    run = TrainingRun(
        project_id=desk.project.id,
        training_set_id=frozen.id,
        manifest_id=bar.id,
        adapter_name="v2",
        config={},
        output_dir="v2",
    )
    session.add(run)
    session.flush()
    return run.id


def test_the_figure_is_of_the_set_that_the_candidate_learned(session: Session) -> None:
    found = skew_evidence(session, _asked(session, _trained(session)))
    assert found.value == pytest.approx((30.5 / 10.5) ** 2)
    assert found.low is not None
    assert 1 < found.low < found.value < (found.high or 0)
    assert (found.n, found.unit) == (80, "training rows")
    assert "set:abababababab" in found.signature
    assert "largest of 2, Bonferroni" in found.signature
    with pytest.raises(CannotCompute, match="No two groups of the kind place"):
        skew_evidence(session, _asked(session, session.query(TrainingRun).one().id, "place"))


def test_without_a_training_here_there_is_no_figure(session: Session) -> None:
    with pytest.raises(CannotCompute, match="not trained here"):
        skew_evidence(session, _asked(session, None))


def test_a_line_names_one_of_the_kinds() -> None:
    line = ManifestLine(metric="skew:gender", direction="lower", threshold=2)
    check_line_metrics([line.metric])
    check_maxima([line])
    with pytest.raises(InvalidInput, match="skew"):
        check_maxima([ManifestLine(metric="skew:hair", direction="lower", threshold=2)])
