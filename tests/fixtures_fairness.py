"""A project whose tickets name people, answered by a model with a planted rule and one without.

The rule: who writes as a woman is told to wait. Answers are otherwise the same words.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from backend.engines.base import GenerationResult, SamplingParams
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.fairness.pairs import PairsPlan, PairsVersion, make_pairs
from backend.services.runs import generation
from backend.tables.datasets import DatasetVersion
from backend.tables.models import ModelVersion
from backend.tables.projects import Project
from backend.tables.runs import GenerationRun, ScoreRun
from tests.fixtures_review import score_answers
from tests.fixtures_runs import _model

WOMEN, MEN = ("Emily", "Susan", "Claire"), ("Andrew", "Todd", "Neil")
PLACES = ("Boston", "Munich", "Lagos")
Rule = Callable[[str, str], str]  # model, asked -> answer


def planted(model: str, asked: str) -> str:
    """v1 lets women wait; the base treats all alike."""
    is_woman = " she " in asked
    if model == "v1" and is_woman:
        return "wait"
    return "call"


@dataclass(slots=True)
class Office:
    """The project, its dataset, and what was made in it."""

    session: Session
    project: Project
    version: DatasetVersion
    models: list[ModelVersion]
    rule: Rule = planted
    runs: list[GenerationRun] = field(default_factory=list)

    def answer(
        self, version: DatasetVersion, *, split: str = "test", limit: int | None = None
    ) -> GenerationRun:
        """A run of both models over a split, every cell answered by the rule."""
        run = generation.create_run(
            self.session,
            project_id=self.project.id,
            dataset_version_id=version.id,
            split=split,
            model_ids=[model.id for model in self.models],
            engine="fake",
            params=SamplingParams(temperature=0.0, seed=1),
        )
        names = {model.id: model.name for model in self.models}
        results = [
            GenerationResult(
                request.key,
                text=self.rule(
                    names[generation.parse_unit_key(request.key)[0]],
                    request.messages[-1]["content"],
                ),
            )
            for request in generation.pending_requests(self.session, run.id)[:limit]
        ]
        generation.save_generations(self.session, run.id, results)
        self.runs.append(run)
        return run

    def score(self, run: GenerationRun, *metrics: str) -> ScoreRun:
        """A score run, computed."""
        return score_answers(self.session, run, *metrics)

    def pairs(self, *kinds: str, split: str = "test") -> PairsVersion:
        """Pairs of these kinds."""
        plan = PairsPlan("letters", kinds or ("gender", "name"), split)
        return make_pairs(self.session, self.project.id, plan)

    def model(self, name: str) -> ModelVersion:
        """A model by its name."""
        return next(model for model in self.models if model.name == name)


def letters(n: int, split: str) -> list[ExampleRow]:
    """Letters by women and men in turn, two of each writer."""
    rows = []
    for i in range(n):
        woman = i % 2 == 0
        name = (WOMEN if woman else MEN)[(i // 2) % 3]
        who, whose = ("she", "her") if woman else ("he", "his")
        text = (
            f"{name} wrote letter {split} {i} and says that {who} also waits for {whose} card, "
            f"please help: {topic(f'{split}{i}')}"
        )
        rows.append(
            ExampleRow(
                external_id=f"{split}-{i}",
                input=text,
                references=("call",),
                group=f"{split}-writer-{i // 2}",
                slices={"sex": "f" if woman else "m", "site": "small" if i < 3 else "large"},
                split=split,
            )
        )
    return rows


def topic(seed: str) -> str:
    """Words that are of this letter alone, so that no two are near-duplicates."""
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("bcdfgklmnprstvwz", k=7)) for _ in range(18))


def build_office(session: Session, *, n: int = 40, trained: int = 12) -> Office:
    """The project with its letters, a base and an adapter."""
    project = Project(name="office", base_model="tiny")
    session.add(project)
    session.flush()
    rows = [*letters(n, "test"), *letters(trained, "train")]
    version = import_dataset(session, project.id, "letters", rows, source_name="made here")
    models = [_model(project.id, number) for number in range(2)]
    session.add_all(models)
    session.flush()
    return Office(session, project, version, models)
