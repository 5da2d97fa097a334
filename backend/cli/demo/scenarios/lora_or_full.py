"""Scenario `lora-or-full`: what LoRA keeps of full fine-tuning, and what either costs.

Both are trained on the same frozen set, with the same epochs and batches, each at a learning rate
usual for it. Quality is the share of full fine-tuning's gain over the base that LoRA reaches, task
by task; cost is what the trainers' ledgers say. No expert takes part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli.demo import steps
from backend.cli.demo.scenarios.claims import ScenarioClaim, ScenarioOutcome
from backend.cli.demo.scenarios.ratios import claim_kept
from backend.cli.demo.scenarios.steps import describe_arms
from backend.cli.demo.steps import Demo, import_examples
from backend.errors import CannotCompute

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.tables.models import ModelVersion

BAR = """
name: lora or full
baseline: full
alpha: 0.05
lines:
  - {metric: f1, slice: {task: intent}, margin: -0.05}
  - {metric: rougeL, slice: {task: summary}, margin: -0.02}
  - {metric: bleu, slice: {task: translation}, margin: -2}
"""
DATASET = "all tasks"
FRACTIONS = (0.6, 0.05, 0.35)
METRICS = (
    "f1@task=intent",
    "rougeL@task=summary",
    "invented@task=summary",
    "bleu@task=translation",
)
FULL: dict[str, Any] = {"weights": "full", "learning_rate": 5e-4, "lora": None}
QUALITY_KEPT = 0.9


@dataclass(frozen=True, slots=True)
class Cost:
    """What one training took, of its main process."""

    cpu_seconds: float
    peak_memory_bytes: int
    trained_parameters: int
    file_bytes: int

    def as_facts(self) -> dict[str, float]:
        """For the table of arms; units are in the names."""
        return {
            "CPU seconds": self.cpu_seconds,
            "peak MiB": round(self.peak_memory_bytes / 2**20),
            "trained parameters": self.trained_parameters,
            "file MiB": round(self.file_bytes / 2**20, 2),
        }


@dataclass(frozen=True, slots=True)
class LoraOrFullSizes:
    """Examples made in all, and references in the set that both are trained on."""

    examples: int = 660
    references: int = 300


def play(demo: Demo, sizes: LoraOrFullSizes = LoraOrFullSizes()) -> ScenarioOutcome:
    """Both trainings on one set, and the base, on the same examples."""
    made_with = ["--n", str(sizes.examples)]
    import_examples(demo, name=DATASET, made_with=made_with, fractions=FRACTIONS)
    recipe = {"dataset": DATASET, "references": {"count": sizes.references}, "seed": steps.SEED}
    steps.freeze(demo, "references", recipe)
    steps.train(demo, "references", "lora")
    steps.train(demo, "references", "full", **FULL)
    run_id = steps.generate_and_score(
        demo, ["base", "lora", "full"], "test", METRICS, dataset=DATASET
    )
    return _outcome(demo, run_id, sizes)


def _outcome(demo: Demo, run_id: int, sizes: LoraOrFullSizes) -> ScenarioOutcome:
    from backend.db import reading
    from backend.services.models.versions import find_model
    from backend.services.runs import scoring

    with reading(demo.installation.sessions) as session:
        score_run = scoring.list_score_runs(session, run_id)[-1].id
        models = {name: find_model(session, demo.project_id, name) for name in ("lora", "full")}
        costs = {name: read_cost(session, model) for name, model in models.items()}
        claims, missing = [], []
        for label in METRICS:
            try:
                claims.append(_kept(session, score_run, models, label))
            except CannotCompute as error:
                missing.append(error.message)
        about = {
            "base": "nothing of this desk",
            "lora": f"{sizes.references} references, rank {steps.RANK}",
            "full": f"{sizes.references} references, all weights",
        }
        arms = describe_arms(session, demo.project_id, about)
    with_costs = tuple(
        replace(arm, facts=costs[arm.model].as_facts()) if arm.model in costs else arm
        for arm in arms
    )
    return ScenarioOutcome(run_id, with_costs, tuple(claims), notes=(*missing, *cost_shares(costs)))


def read_cost(session: Session, model: ModelVersion) -> Cost:
    """The cost of the training that gave a model: its ledger, and the weights that it left."""
    from backend.tables.training import TrainingRun

    run = session.get_one(TrainingRun, model.training_run_id)
    ledger = run.result["ledger"]
    files = sorted(Path(run.output_dir).glob("*.safetensors"))
    return Cost(
        cpu_seconds=float(ledger["cpu_seconds"]),
        peak_memory_bytes=int(ledger["peak_memory_bytes"]),
        trained_parameters=sum(count_parameters(file) for file in files),
        file_bytes=sum(file.stat().st_size for file in files),
    )


def count_parameters(weights: Path) -> int:
    """Number of weights in a safetensors file."""
    from math import prod

    from safetensors import safe_open

    with safe_open(weights, framework="numpy") as tensors:
        names = tensors.keys()
        return sum(prod(tensors.get_slice(name).get_shape()) for name in names)


def cost_shares(costs: Mapping[str, Cost]) -> tuple[str, ...]:
    """LoRA's costs as shares of full fine-tuning's; of one training each, so without interval."""
    lora, full = costs["lora"], costs["full"]
    shares = {
        "CPU seconds": lora.cpu_seconds / full.cpu_seconds,
        "peak memory": lora.peak_memory_bytes / full.peak_memory_bytes,
        "trained parameters": lora.trained_parameters / full.trained_parameters,
        "file size": lora.file_bytes / full.file_bytes,
    }
    said = ", ".join(f"{name} {100 * share:.0f}%" for name, share in shares.items())
    return (f"LoRA's cost as a share of full fine-tuning's: {said} (one training each).",)


def _kept(
    session: Session, score_run: int, models: Mapping[str, ModelVersion], label: str
) -> ScenarioClaim:
    from backend.services.models.versions import register_base

    base = register_base(session, models["lora"].project_id)
    ids = [base.id, models["lora"].id, models["full"].id]
    text = f"share of full fine-tuning's gain over the base that LoRA reaches, {label}"
    return claim_kept(session, score_run, label, ids, text, aim=QUALITY_KEPT)
