"""The files of a training run: its configuration, its rows, its validation rows, its log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.services.curation import training_rows
from backend.services.datasets import chat_messages
from backend.services.exports import export_rows
from backend.settings import Settings
from backend.tables.curation import TrainingSetRow
from backend.tables.datasets import Example, Split
from backend.tables.training import TrainingRun
from training.config import Method, TrainingConfig, dump_config


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Where a training run keeps what the trainer reads, and its log."""

    folder: Path

    @property
    def config(self) -> Path:
        """The configuration in YAML."""
        return self.folder / "config.yaml"

    @property
    def train(self) -> Path:
        """Training rows as JSON lines."""
        return self.folder / "train.jsonl"

    @property
    def validation(self) -> Path:
        """Validation rows, for early stopping only."""
        return self.folder / "validation.jsonl"

    @property
    def log(self) -> Path:
        """What the trainer printed."""
        return self.folder / "trainer.log"


def run_files(run: TrainingRun, settings: Settings) -> RunFiles:
    """The files of a run."""
    return RunFiles(settings.home.absolute() / "training" / f"run-{run.id}")


def write_run_files(
    session: Session, run: TrainingRun, config: TrainingConfig, settings: Settings
) -> None:
    """Write configuration and rows; the same content when written again.

    Raises:
        InvalidInput: no row to train on, or none to watch where early stopping is asked for.
    """
    files = run_files(run, settings)
    files.folder.mkdir(parents=True, exist_ok=True)
    lines = _training_lines(session, run.training_set_id, config.method)
    if not _write_lines(files.train, lines):
        raise InvalidInput(
            f"The training set has no row for {config.method}.",
            hint="See what it holds: strop set show",
        )
    if config.validation_file is not None and config.method is not Method.SFT:
        raise InvalidInput(
            f"There are no validation rows for {config.method}: reviews of the validation split "
            "are kept out of training.",
            hint="Leave out early_stopping_patience.",
        )
    if config.validation_file is not None:
        lines = _validation_lines(session, run.training_set_id)
        if not _write_lines(files.validation, lines):
            raise InvalidInput(
                "Early stopping needs a validation split with references, and there is none.",
                hint="Leave out early_stopping_patience.",
            )
    files.config.write_text(dump_config(config), encoding="utf-8")


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _training_lines(
    session: Session, training_set_id: int, method: Method
) -> Iterable[Mapping[str, Any]]:
    """The method's rows as TRL reads them; curation has kept what is held out from the set."""
    if method is Method.PRETRAIN:
        raise InvalidInput(
            "Continued pre-training reads documents, and a training set holds none.",
            hint="Run it on a file: python -m training.sft --config FILE",
        )
    for row in export_rows(training_rows(session, training_set_id), str(method)):
        # Ids of this database would give the same rows another digest elsewhere.
        yield {name: value for name, value in row.items() if name != "provenance"}


def _validation_lines(session: Session, training_set_id: int) -> Iterable[dict[str, Any]]:
    """References of the validation split of the datasets that the set was drawn from."""
    versions = (
        select(Example.dataset_version_id)
        .join(TrainingSetRow, TrainingSetRow.example_id == Example.id)
        .where(TrainingSetRow.training_set_id == training_set_id)
    )
    watched = select(Example).where(
        Example.dataset_version_id.in_(versions), Example.split == Split.VALIDATION
    )
    for example in session.scalars(watched.order_by(Example.id)):
        if example.references:
            yield _prompt_and_completion(chat_messages(example), str(example.references[0]))


def _prompt_and_completion(prompt: Sequence[Mapping[str, str]], completion: str) -> dict[str, Any]:
    return {
        "prompt": [dict(message) for message in prompt],
        "completion": [{"role": "assistant", "content": completion}],
    }
