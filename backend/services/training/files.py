"""The files of a training run: its configuration, its rows, its validation rows, its log."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.services.curation import training_rows
from backend.services.curation.formats import export_rows
from backend.services.datasets.prompts import chat_messages, prompt_text
from backend.services.training.documents import KIND
from backend.services.training.validation import group_name, keep_out_rows
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
        """Validation rows, for early stopping and search only."""
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
        InvalidInput: no row to train on, or none to watch where early stopping or a search is
            asked for.
    """
    files = run_files(run, settings)
    files.folder.mkdir(parents=True, exist_ok=True)
    kept_out: dict[int, str] = {}
    if config.validation_share is not None:
        kept_out = keep_out_rows(session, run, config.method, config.validation_share)
    lines = _training_lines(session, run.training_set_id, config.method, without=kept_out)
    if not _write_lines(files.train, lines):
        raise InvalidInput(
            f"The training set has no row for {config.method}.",
            hint="See what it holds: strop set show",
        )
    if kept_out:
        _write_lines(files.validation, _kept_out_lines(session, run, config.method, kept_out))
    elif config.validation_file is not None:
        _write_validation(session, run, config.method, files)
    files.config.write_text(dump_config(config), encoding="utf-8")


def _write_validation(session: Session, run: TrainingRun, method: Method, files: RunFiles) -> None:
    lines = _validation_lines(session, run.training_set_id, method)
    if not _write_lines(files.validation, lines):
        what = "documents" if method is Method.PRETRAIN else "references"
        raise InvalidInput(
            f"Early stopping and search need a validation split with {what}, and there is none.",
            hint="Leave out early_stopping_patience and search.",
        )


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _training_lines(
    session: Session, training_set_id: int, method: Method, *, without: Collection[int]
) -> Iterable[Mapping[str, Any]]:
    """The method's rows as TRL reads them; curation has kept what is held out from the set.

    Args:
        without: positions of rows that are kept out to validate on.
    """
    rows = (
        row
        for row in training_rows(session, training_set_id)
        if row.provenance["position"] not in without
    )
    if method is Method.PRETRAIN:
        texts = [row.completion for row in rows if row.kind == KIND]
        if not texts:
            raise InvalidInput(
                "Continued pre-training reads documents, and this training set holds none.",
                hint="Name them: strop train --documents FOLDER_OR_DATASET --name NAME",
            )
        yield from ({"text": text} for text in texts)
        return
    for row in export_rows(rows, str(method)):
        # Ids of this database would give the same rows another digest elsewhere.
        yield {name: value for name, value in row.items() if name != "provenance"}


def _kept_out_lines(
    session: Session, run: TrainingRun, method: Method, kept_out: Mapping[int, str]
) -> Iterable[dict[str, Any]]:
    """The rows at these positions, each with its group."""
    for row in training_rows(session, run.training_set_id):
        position = row.provenance["position"]
        if position in kept_out:
            plain = replace(row, provenance={})
            [line] = export_rows([plain], str(method))
            yield {**line, "group": kept_out[position]}


def _validation_lines(
    session: Session, training_set_id: int, method: Method
) -> Iterable[dict[str, Any]]:
    """References, or documents, of the validation split of the datasets of the set."""
    versions = (
        select(Example.dataset_version_id)
        .join(TrainingSetRow, TrainingSetRow.example_id == Example.id)
        .where(TrainingSetRow.training_set_id == training_set_id)
    )
    watched = select(Example).where(
        Example.dataset_version_id.in_(versions), Example.split == Split.VALIDATION
    )
    for example in session.scalars(watched.order_by(Example.id)):
        if method is Method.PRETRAIN:
            yield {"text": prompt_text(example.input, example.context)}
        elif example.references:
            line = _prompt_and_completion(chat_messages(example), str(example.references[0]))
            yield {**line, "group": group_name(example)}


def _prompt_and_completion(prompt: Sequence[Mapping[str, str]], completion: str) -> dict[str, Any]:
    return {
        "prompt": [dict(message) for message in prompt],
        "completion": [{"role": "assistant", "content": completion}],
    }
