"""A project whose reviewed outputs have a risk, for tests of what may skip review."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.rubrics import find_rubric
from backend.services import review
from backend.services.checks.triage import SkipRequest, certify
from backend.services.review import Answer
from backend.services.review.opening.routing import Routing
from backend.tables.accounts import User
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.review import (
    Rating,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewSlot,
    ReviewState,
)
from backend.tables.runs import Generation, GenerationRun, Score, ScoreRun
from backend.tables.training import TrainingRun
from tests.fixtures_review import BAD, GOOD, NOW, Desk, build_desk, run_over, signature_id, submit

SIGNATURE = "grounding|strop:2"
WRONG = "faithful=no"
CERTIFIED = {
    "labels": 60,
    "n": 60,
    "n_below": 40,
    "errors_below": 0,
    "upper": 0.056,
    "share": 0.67,
    "n_simulated": 0,
    "n_unscored": 0,
    "n_other_version": 0,
    "n_left_out": 0,
    "runs": [[1, 60]],
    "first": "2026-05-04T09:00:00+00:00",
    "last": "2026-05-05T09:00:00+00:00",
    "assumes": "New outputs are like those that were labelled.",
    "signature": "triage|strop:3",
}


@dataclass
class Risky:
    """A desk of which one run is labelled, and a second run of the same models that is not."""

    desk: Desk
    new_run: GenerationRun
    risk: Mapping[int, float]  # by generation; grounding is 1 less the risk
    wrong: Mapping[int, bool]

    def certify(self, session: Session, **asked: object) -> Routing:
        """What may skip of the new run's first model."""
        wanted = {"epsilon": 0.1, "delta": 0.1, "metric": "grounding", "wrong_when": WRONG, **asked}
        return certify(
            session,
            self.desk.project.id,
            SkipRequest(**wanted),  # type: ignore[arg-type]
            run_id=self.new_run.id,
            model_ids=[self.desk.models[0].id],
            rubric=find_rubric("telecom_desk"),
        )

    def open(self, session: Session, name: str, routing: Routing, **options: object) -> ReviewQueue:
        """A queue over the new run."""
        chosen = {"generation_run_id": self.new_run.id, "routing": routing, **options}
        return self.desk.open(session, name, **chosen)


def is_wrong_at(risk: float) -> bool:
    """Outputs of high risk are wrong."""
    return risk > 0.7


def build_risky(
    session: Session,
    *,
    n: int = 60,
    wrong_of: Callable[[float], bool] = is_wrong_at,
    review_all: bool = True,
    seed: int = 1,
) -> Risky:
    """`n` reviewed outputs of the first model with risks spread over 0 to 1, and a new run."""
    desk = build_desk(session, splits={"train": n})
    rng = random.Random(seed)
    risk: dict[int, float] = {}
    new_run = run_over(session, desk, desk.version)
    for run in (desk.run, new_run):
        risk |= score_by_risk(session, run, lambda _: rng.random())
    wrong = {generation_id: wrong_of(one) for generation_id, one in risk.items()}
    if review_all:
        store_labels(session, desk.open(session, "labels"), desk.experts[0], wrong)
    return Risky(desk, new_run, risk, wrong)


def score_by_risk(
    session: Session, run: GenerationRun, risk_of: Callable[[int], float]
) -> dict[int, float]:
    """A score run of `grounding`, 1 less the risk that each output is given."""
    made = ScoreRun(generation_run_id=run.id, metrics=[{"metric": "grounding", "slice": {}}])
    session.add(made)
    session.flush()
    ids = session.scalars(select(Generation.id).where(Generation.run_id == run.id)).all()
    risk = {generation_id: risk_of(generation_id) for generation_id in ids}
    signature = signature_id(session, SIGNATURE)
    session.add_all(
        Score(
            score_run_id=made.id,
            generation_id=generation_id,
            metric="grounding",
            value=1 - one,
            signature_id=signature,
        )
        for generation_id, one in risk.items()
    )
    session.flush()
    return risk


def store_labels(
    session: Session, queue: ReviewQueue, user: User, wrong: Mapping[int, bool]
) -> None:
    """A submitted review of every item, as `wrong` has it, straight into the tables."""
    query = (
        select(ReviewItem.id, ReviewItem.generation_a_id, ReviewSlot.id.label("slot_id"))
        .join(ReviewSlot, ReviewSlot.item_id == ReviewItem.id)
        .where(ReviewItem.queue_id == queue.id)
    )
    for item_id, generation_id, slot_id in session.execute(query).all():
        bad = wrong[generation_id]
        session.add(
            Review(
                item_id=item_id,
                slot_id=slot_id,
                slot_version=1,
                reviewer_id=user.id,
                state=ReviewState.SUBMITTED,
                submitted_at=NOW,
                ratings=[
                    Rating(
                        criterion="faithful",
                        value="no" if bad else "yes",
                        number=float(not bad),
                    )
                ],
            )
        )
    session.flush()


def answer_all(
    session: Session,
    queue: ReviewQueue,
    user: User,
    wrong: Mapping[int, bool],
    *,
    most: int | None = None,
    only: Callable[[ReviewItem], bool] | None = None,
) -> int:
    """Answer what the queue gives out, as `wrong` has it; returns how many were answered."""
    answered = 0
    while most is None or answered < most:
        claim = review.claim_review_item(session, queue.id, user.id, now=NOW)
        if claim is None:
            break
        item = session.get_one(ReviewItem, claim.item_id)
        bad = wrong[item.generation_a_id] and (only is None or only(item))
        submit(session, claim, user, Answer(BAD if bad else GOOD))
        answered += 1
    return answered


def teach(session: Session, desk: Desk, examples: Sequence[Example], *, revision: int = 1) -> None:
    """A checker `facts` that was taught with a row of each of these examples."""
    project = desk.project.id
    frozen = TrainingSet(
        project_id=project,
        name=f"checker facts {revision}",
        recipe={},
        digest="a" * 64,
        n_rows=len(examples),
        purpose="check",
    )
    manifest = SuccessManifest(
        project_id=project, version=revision, digest="b" * 64, content={}, source="-"
    )
    session.add_all([frozen, manifest])
    session.flush()
    session.add_all(
        TrainingSetRow(
            training_set_id=frozen.id,
            position=place,
            kind="sft",
            source="reference",
            example_id=example.id,
            prompt=[],
            completion="Yes",
        )
        for place, example in enumerate(examples)
    )
    run = TrainingRun(
        project_id=project,
        training_set_id=frozen.id,
        manifest_id=manifest.id,
        adapter_name="check-facts",
        config={},
        output_dir="nowhere",
    )
    session.add(run)
    session.flush()
    session.add(
        ModelVersion(
            project_id=project,
            name="check-facts",
            revision=revision,
            base_model="tiny",
            base_sha256="c" * 64,
            tokenizer_sha256="d" * 64,
            template_sha256="e" * 64,
            purpose="check",
            training_run_id=run.id,
        )
    )
    session.flush()
