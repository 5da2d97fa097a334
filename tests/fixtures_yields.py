"""A set with corrections taught and held back, the candidate trained on it, and its replay.

`build_turn(session)` lays down rows only; `Turn.replay` answers in place of a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from backend.engines.base import GenerationResult, SamplingParams
from backend.services.curation import Recipe, freeze_training_set
from backend.services.review import Answer, SpanMark
from backend.services.runs import generation
from backend.services.yields import reviewed_prompts, start_replays
from backend.tables.curation import Replay, TrainingSet
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.rounds import Round
from backend.tables.training import TrainingRun
from tests.fixtures_review import BAD, GOOD, Desk, build_desk, review_next

APPROVED = {"criterion": "faithful", "equals": "yes"}


@dataclass
class Turn:
    """A set with corrections taught and held back, and the candidate that was trained on it."""

    session: Session
    desk: Desk
    frozen: TrainingSet
    candidate: ModelVersion
    texts: dict[int, str] = field(default_factory=dict)

    def replay(self, answer: Callable[[Example], str | None]) -> None:
        """The candidate answers every prompt of its replay."""
        for replay in self.start():
            requests = generation.pending_requests(self.session, replay.generation_run_id)
            results = []
            for request in requests:
                _, example_id, _ = generation.parse_unit_key(request.key)
                text = answer(self.session.get_one(Example, example_id))
                error = "too long" if text is None else None
                results.append(GenerationResult(request.key, text=text, error=error))
            generation.save_generations(self.session, replay.generation_run_id, results)

    def start(self) -> list[Replay]:
        return start_replays(
            self.session,
            self.frozen,
            self.candidate,
            engine="fake",
            params=SamplingParams(max_tokens=16),
        )

    def held_back(self) -> set[str]:
        prompts = reviewed_prompts(self.session, self.frozen.id)
        return {p.example.external_id for p in prompts if p.held_back}

    def right(self, example: Example) -> str:
        """What an expert wrote or approved."""
        if not self.texts:
            prompts = reviewed_prompts(self.session, self.frozen.id)
            self.texts = {p.example.id: p.text for p in prompts}
        return self.texts[example.id]


def build_turn(session: Session, desk: Desk | None = None) -> Turn:
    """Fourteen train examples: most corrected, for two kinds of errors in turn, some approved."""
    desk = desk or build_desk(session, splits={"train": 14, "test": 3})
    opened = desk.open(session, "taught")
    for number in range(int(opened.design["n_items"])):
        span = SpanMark(0, 4, ("wrong_fact", "language")[number % 2])
        answer = Answer(BAD, correction=f"fix {number}", spans=(span,), active_seconds=60.0)
        if number % 5 == 4:
            answer = Answer(GOOD, active_seconds=60.0)
        review_next(session, opened, desk.experts[0], answer)
    recipe = Recipe.model_validate({"queues": ["taught"], "approved": APPROVED, "hold_back": 0.3})
    frozen = freeze_training_set(session, project_id=desk.project.id, name="s", recipe=recipe)
    return Turn(session, desk, frozen, train(session, desk, frozen))


def add_round(turn: Turn, number: int = 1, *, with_candidate: bool = True) -> Round:
    """A finished round that made the candidate, or one that has none."""
    row = Round(
        project_id=turn.desk.project.id,
        number=number,
        plan={"adapter": "v9"},
        started_at=turn.frozen.created_at,
        since=turn.frozen.created_at,
        state="finished",
    )
    if with_candidate:
        row.training_set_id, row.candidate_id = turn.frozen.id, turn.candidate.id
    turn.session.add(row)
    turn.session.flush()
    return row


def train(session: Session, desk: Desk, frozen: TrainingSet) -> ModelVersion:
    """The rows that a training leaves behind."""
    earlier = session.query(SuccessManifest).filter_by(project_id=desk.project.id).count()
    bar = SuccessManifest(
        project_id=desk.project.id, version=earlier + 1, digest="b" * 64, content={}, source="-"
    )
    session.add(bar)
    session.flush()
    run = TrainingRun(
        project_id=desk.project.id,
        training_set_id=frozen.id,
        manifest_id=bar.id,
        adapter_name="v9",
        config={},
        output_dir="x",
    )
    session.add(run)
    session.flush()
    model = ModelVersion(
        project_id=desk.project.id,
        name="v9",
        revision=1,
        base_model="tiny",
        base_sha256="a" * 64,
        tokenizer_sha256="b" * 64,
        template_sha256="c" * 64,
        adapter_path="x",
        adapter_sha256="e" * 64,
        training_run_id=run.id,
    )
    session.add(model)
    session.flush()
    return model
