"""A small project for tests of the desk and of curation: examples, a run of two models, experts.

`build_desk` writes rows straight into the tables; no model is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy.orm import Session

from backend.rubrics import Rubric, find_rubric
from backend.services import review
from backend.services.accounts.sealing import Seal
from backend.services.datasets.versions import ExampleRow, import_dataset, list_examples
from backend.services.ledger import text_ids
from backend.services.runs import scoring
from backend.tables.accounts import Membership, Role, User
from backend.tables.datasets import DatasetVersion, Example
from backend.tables.models import ModelVersion
from backend.tables.projects import Project
from backend.tables.review import ReviewItem, ReviewQueue
from backend.tables.runs import (
    Generation,
    GenerationRun,
    GenerationRunModel,
    Score,
    ScoreRun,
    ScoreSignature,
)

SEAL = Seal(MultiFernet([Fernet(Fernet.generate_key())]))
NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
GOOD = {"faithful": "yes", "quality": 5, "problem": "none"}
BAD = {"faithful": "no", "quality": 2, "problem": "invented_fact"}


@dataclass
class Desk:
    """What `build_desk` made."""

    project: Project
    version: DatasetVersion
    run: GenerationRun
    models: list[ModelVersion]
    experts: list[User]
    rubric_version_id: int
    pair_rubric_version_id: int
    examples: list[Example] = field(default_factory=list)

    def open(self, session: Session, name: str = "q", **options: object) -> ReviewQueue:
        """A queue of single outputs of the first model, unless options say otherwise."""
        pair = options.get("kind") == "pair"
        models = self.models if pair else self.models[:1]
        rubric = self.pair_rubric_version_id if pair else self.rubric_version_id
        rules = options.pop("rules", review.QueueRules())
        chosen = {
            "kind": "single",
            "project_id": self.project.id,
            "generation_run_id": self.run.id,
            "rubric_version_id": rubric,
            "model_ids": [model.id for model in models],
            "reviewer_ids": [user.id for user in self.experts],
            "seed": 7,
            **options,
        }
        opening = review.Opening(**chosen)  # type: ignore[arg-type]
        return review.open_queue(session, name, opening, rules)  # type: ignore[arg-type]


def build_desk(
    session: Session,
    *,
    splits: Mapping[str, int] | None = None,
    n_experts: int = 3,
    rubric: Rubric | None = None,
    name: str = "desk",
) -> Desk:
    """A project with `splits` examples and a run of base and v1 over all of them."""
    project = Project(name=name, base_model="tiny")
    session.add(project)
    session.flush()
    version = import_dataset(
        session, project.id, "tickets", make_rows(splits or {"train": 6}), source_name="made here"
    )
    models = [_model(project, name, number) for number, name in enumerate(["base", "v1"])]
    experts = [_expert(project, n) for n in range(n_experts)]
    session.add_all([*models, *experts])
    session.flush()
    desk = Desk(
        project=project,
        version=version,
        run=GenerationRun(),
        models=models,
        experts=experts,
        rubric_version_id=review.save_rubric(
            session, project.id, rubric or find_rubric("telecom_desk")
        ).id,
        pair_rubric_version_id=review.save_rubric(
            session, project.id, find_rubric("blind_pair")
        ).id,
        examples=list_examples(session, version.id),
    )
    desk.run = run_over(session, desk, version)
    return desk


def make_rows(splits: Mapping[str, int]) -> list[ExampleRow]:
    """Rows numbered within their split, each a group of its own."""
    return [
        ExampleRow(
            external_id=f"{split}-{n}",
            input=f"Summarise {split} call {n}",
            context=f"{split} customer {n} pays EUR {n + 10}.90",
            references=(f"{split} {n}: EUR {n + 10}.90",),
            group=f"{split}-{n}",
            split=split,
        )
        for split, count in splits.items()
        for n in range(count)
    ]


def run_over(
    session: Session, desk: Desk, version: DatasetVersion, *, split: str = "all"
) -> GenerationRun:
    """A run of the desk's models over a dataset version, every cell answered."""
    run = GenerationRun(
        project_id=desk.project.id,
        dataset_version_id=version.id,
        split=split,
        engine="fake",
        params={},
    )
    session.add(run)
    session.flush()
    for position, model in enumerate(desk.models):
        session.add(GenerationRunModel(run_id=run.id, model_version_id=model.id, position=position))
        for example in list_examples(session, version.id, None if split == "all" else split):
            text = f"{model.name} says {example.external_id} 😀"
            cell = {"model_version_id": model.id, "example_id": example.id}
            session.add(Generation(run_id=run.id, text=text, **cell))
    session.flush()
    session.refresh(run)
    return run


def signature_id(session: Session, said: str) -> int:
    """The id of the signature that a score is given."""
    return text_ids(session, ScoreSignature, [said])[said]


def score_with_flag(session: Session, run: GenerationRun, generation: Generation) -> ScoreRun:
    """A score run that flags the first four characters of one generation."""
    score_run = ScoreRun(generation_run_id=run.id, metrics=[{"metric": "grounding", "slice": {}}])
    session.add(score_run)
    session.flush()
    flag = {"start": 0, "end": 4, "reason": "not in the source", "kind": "name"}
    session.add(
        Score(
            score_run_id=score_run.id,
            generation_id=generation.id,
            metric="grounding",
            value=0.125,
            spans=[flag],
            signature_id=signature_id(session, "grounding|v1"),
        )
    )
    session.flush()
    return score_run


def review_next(
    session: Session, queue: ReviewQueue, user: User, answer: review.Answer, *, now: datetime = NOW
) -> review.Submitted:
    """Claim and submit one item."""
    claim = review.claim_review_item(session, queue.id, user.id, now=now)
    assert claim is not None
    return submit(session, claim, user, answer, now=now)


def submit(
    session: Session,
    claim: review.Claim,
    user: User,
    answer: review.Answer,
    *,
    now: datetime = NOW,
) -> review.Submitted:
    """Submit under a claim."""
    return review.submit_review(
        session,
        slot_id=claim.slot_id,
        version=claim.version,
        user_id=user.id,
        answer=answer,
        now=now,
    )


def examples_of(session: Session, splits: Sequence[str], version_id: int) -> list[Example]:
    """Examples of these splits."""
    return [e for e in list_examples(session, version_id) if e.split in splits]


def _model(project: Project, name: str, number: int) -> ModelVersion:
    return ModelVersion(
        project_id=project.id,
        name=name,
        revision=1,
        base_model="tiny",
        base_sha256="0" * 64,
        tokenizer_sha256="0" * 64,
        template_sha256="0" * 64,
        adapter_path=None if number == 0 else f"adapters/{name}",
    )


def _expert(project: Project, number: int) -> User:
    name = f"expert{number}-{project.name}"
    user = User(name=name, pseudonym=f"R-{project.id}-{number}", role=Role.EXPERT)
    user.memberships = [Membership(project_id=project.id)]
    return user


def vote_on_pairs(
    session: Session,
    desk: Desk,
    queue: ReviewQueue,
    winners: Sequence[str],
    *,
    expert: int = 0,
    now: datetime = NOW,
    simulated: bool = False,
) -> list[int]:
    """Votes of one expert in the order of the queue; ids of the reviews.

    Args:
        winners: "v" and "b" for the second and the first model of the desk, or an answer as the
            desk sends it ("tie", "both_bad", "cannot_judge").
    """
    stored = []
    for winner in winners:
        claim = review.claim_review_item(session, queue.id, desk.experts[expert].id, now=now)
        assert claim is not None
        choice = winner
        if winner in "vb":
            item = session.get_one(ReviewItem, claim.item_id)
            left = item.generation_a if item.a_is_left else item.generation_b
            wanted = desk.models["bv".index(winner)]
            assert left is not None
            choice = "left" if left.model_version_id == wanted.id else "right"
        answer = review.Answer({}, winner=choice)
        submitted = review.submit_review(
            session,
            slot_id=claim.slot_id,
            version=claim.version,
            user_id=desk.experts[expert].id,
            answer=answer,
            now=now,
            simulated=simulated,
        )
        stored.append(submitted.review_id)
    return stored


def score_answers(session: Session, run: GenerationRun, *metrics: str) -> ScoreRun:
    """A score run of built-in metrics, computed."""
    made = scoring.create_score_run(session, generation_run_id=run.id, metrics=list(metrics))
    units = scoring.pending_units(session, made.id)
    written = scoring.load_generations(session, [unit.generation_id for unit in units])
    scoring.save_scores(session, made.id, scoring.score_units(units, written))
    return made
