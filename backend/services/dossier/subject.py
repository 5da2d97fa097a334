"""What a dossier is about: one comparison with all that it rests on, and codes in place of names.

Codes are counted out in the order of the rows (e00001, g00001, r01), so that the same records give
the same codes, whoever makes the dossier; who is behind a code only the installation can tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.schemas.projects import Manifest
from backend.services.metric_specs import get_score_run
from backend.services.projects import manifest_of
from backend.tables.curation import TrainingSet
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.projects import Project, SuccessManifest
from backend.tables.runs import ScoreRun
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison, Promotion


@dataclass(slots=True)
class Codes:
    """Numbers in place of names, given out as they are asked for."""

    prefix: str
    digits: int
    _known: dict[object, str] = field(default_factory=dict)

    def of(self, name: object) -> str:
        """The code of a name; the same name has the same one."""
        return self._known.setdefault(name, f"{self.prefix}{len(self._known) + 1:0{self.digits}}")


@dataclass(frozen=True, slots=True)
class DossierSubject:
    """A comparison, the rows that it rests on, and the codes of this dossier.

    Attributes:
        promotions: decisions on the candidate, with or without its prompt, oldest first.
        training: the training run of the candidate; None where it was not trained here.
        with_texts: whether texts of examples, outputs and reviewers are in the archive.
    """

    session: Session
    comparison: Comparison
    project: Project
    bar_row: SuccessManifest
    bar: Manifest
    score_run: ScoreRun
    baseline: ModelVersion
    candidate: ModelVersion
    promotions: list[Promotion]
    training: TrainingRun | None
    training_set: TrainingSet | None
    with_texts: bool
    examples: Codes = field(default_factory=lambda: Codes("e", 6))
    groups: Codes = field(default_factory=lambda: Codes("g", 6))
    reviewers: Codes = field(default_factory=lambda: Codes("r", 3))

    def code_examples(self, ids: Iterable[int]) -> None:
        """Give codes to examples in the order of their ids, before anything asks for one."""
        for example_id in sorted(ids):
            self.examples.of(example_id)


def subject_of(
    session: Session, comparison: Comparison, *, with_texts: bool = False
) -> DossierSubject:
    """Everything that a dossier on this comparison is made from."""
    candidate = session.get_one(ModelVersion, comparison.candidate_id)
    training_id = candidate.without_prompt.training_run_id
    training = None if training_id is None else session.get_one(TrainingRun, training_id)
    frozen = None if training is None else session.get_one(TrainingSet, training.training_set_id)
    score_run = get_score_run(session, comparison.score_run_id)
    bar_row = session.get_one(SuccessManifest, comparison.manifest_id)
    found = DossierSubject(
        session=session,
        comparison=comparison,
        project=session.get_one(Project, comparison.project_id),
        bar_row=bar_row,
        bar=manifest_of(bar_row),
        score_run=score_run,
        baseline=session.get_one(ModelVersion, comparison.baseline_id),
        candidate=candidate,
        promotions=_decisions(session, candidate),
        training=training,
        training_set=frozen,
        with_texts=with_texts,
    )
    run = score_run.generation_run
    tested = select(Example.id).where(
        Example.dataset_version_id == run.dataset_version_id, Example.split == run.split
    )
    found.code_examples(session.scalars(tested))
    return found


def _decisions(session: Session, candidate: ModelVersion) -> list[Promotion]:
    bare = candidate.without_prompt.id
    mine = select(ModelVersion.id).where((ModelVersion.id == bare) | (ModelVersion.bare_id == bare))
    query = select(Promotion).where(Promotion.model_version_id.in_(mine))
    return list(session.scalars(query.order_by(Promotion.id)))
