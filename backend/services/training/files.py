"""The files of a training run: its configuration, its rows, its validation rows, its log.

Raw documents for continued pre-training: from a folder or a dataset to a frozen set.

Documents are examples of the train split whose input is the text, so that the guards of training
sets hold for them too: what is held out, or repeats a held-out prompt, never enters.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, raised_as
from backend.services.curation import training_rows
from backend.services.curation.candidates import CandidateRow
from backend.services.curation.digests import rows_digest
from backend.services.curation.formats import DOCUMENT, METHOD_ROWS, MethodRows
from backend.services.curation.leaks import guard_project
from backend.services.curation.recipes import prompt_label, prompt_of_set
from backend.services.curation.sets import add_row, list_training_sets
from backend.services.datasets.conversations import prompt_text
from backend.services.datasets.leaks import (
    Acceptance,
    Leak,
    find_leaks,
    held_out_sides,
    settle_leaks,
    sides_of,
)
from backend.services.datasets.masking.keys import MaskingKey
from backend.services.datasets.masking.stored import masker_of, refuse_unmasked_examples
from backend.services.datasets.prompts.prompts import find_prompt
from backend.services.datasets.prompts.shots import render_all
from backend.services.datasets.versions import ExampleRow, find_version, import_dataset
from backend.services.models.adapter_files import project_artifacts
from backend.services.training.validation import group_name, keep_out_rows
from backend.settings import Settings
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import DatasetVersion, Example, Split
from backend.tables.models import ModelPurpose
from backend.tables.training import TrainingRun
from evaluators.errors import UnreadableRecord
from evaluators.files.formats.opening import open_bytes
from training.config import Method, TrainingConfig, dump_config

DOCUMENT_METHOD = next(name for name, rows in METHOD_ROWS.items() if rows.kind == DOCUMENT)
EARLIER_ROWS = 60
_SUFFIXES = frozenset({".txt", ".md", ".jsonl"})


def freeze_documents(
    session: Session,
    project_id: int,
    source: str,
    *,
    drop_leaks: bool = False,
    accept_leaks: Acceptance | None = None,
    keys: Sequence[MaskingKey] = (),
) -> TrainingSet:
    """Freeze documents as a training set; the same documents again are the set that stands.

    Args:
        source: a folder of .txt, .md and .jsonl files ({"text"} a line), which becomes a dataset of
            the folder's name; or a dataset (`notes`, `notes@2`), whose train split is taken.
        drop_leaks: leave out documents that hold a held-out prompt.
        accept_leaks: who lets such documents stand, and why.
        keys: the keys of STROP_MASKING_KEY, for a project that masks.

    Raises:
        InvalidInput: no document, or one that cannot be read.
        LeakRefused: a document holds a held-out prompt, or nearly so.
        NotFound: no such dataset.
    """
    version = _version_of(session, project_id, source, keys)
    examples = _standing(session, Split.TRAIN, Example.dataset_version_id == version.id)
    documents = sides_of(session, {example.id for example in examples})
    quoting = [replace(side, is_answer=True) for side in documents]
    found = find_leaks([*documents, *quoting], held_out_sides(session, project_id))
    leaks = list({leak.train.owner: leak for leak in reversed(found)}.values())[::-1]
    if not drop_leaks:
        settle_leaks(
            session,
            project_id,
            leaks,
            subject="The documents are refused",
            remedy="Leave them out with --drop-leaks",
            accept=accept_leaks,
        )
    dropped = {leak.train.owner for leak in leaks} if drop_leaks else set()
    kept = [example for example in examples if example.content_digest not in dropped]
    refuse_unmasked_examples(
        session, project_id, [example.id for example in kept], "The documents are refused"
    )
    return _freeze(session, project_id, version, kept, leaks if drop_leaks else [])


def _version_of(
    session: Session, project_id: int, source: str, keys: Sequence[MaskingKey]
) -> DatasetVersion:
    folder = Path(source)
    if not folder.is_dir():
        return find_version(session, project_id, source)
    rows = list(read_folder(folder))
    if (masker := masker_of(session, project_id, keys)) is not None:
        rows = masker.mask(rows)
    return import_dataset(session, project_id, folder.resolve().name, rows, source_name=source)


def read_folder(folder: Path) -> Iterator[ExampleRow]:
    """The documents of a folder and of those in it, by path; empty files are passed over.

    Raises:
        InvalidInput: no document is there, a file is not UTF-8, or a line has no text.
    """
    found = False
    for file in sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES):
        name = file.relative_to(folder).as_posix()
        text = _text_of(file)
        texts = _lines(file, text) if file.suffix == ".jsonl" else [text]
        for number, one in enumerate(texts, start=1):
            if one.strip():
                found = True
                label = name if len(texts) == 1 else f"{name}:{number}"
                yield ExampleRow(label, one, split=str(Split.TRAIN))
    if not found:
        raise InvalidInput(
            f"{folder} holds no document.",
            hint=f"Documents are files that end in {', '.join(sorted(_SUFFIXES))}.",
        )


def _text_of(file: Path) -> str:
    try:
        with raised_as(InvalidInput, UnreadableRecord), open_bytes(file) as stream:
            return stream.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8.", hint="Convert it to UTF-8.") from error


def _lines(file: Path, text: str) -> list[str]:
    texts = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            row = json.loads(line) if line.strip() else {"text": ""}
        except ValueError:
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise InvalidInput(
                f"{file}, line {number} has no text.", hint='Each line must be {"text": "..."}.'
            )
        texts.append(row["text"])
    return texts


def _freeze(
    session: Session,
    project_id: int,
    version: DatasetVersion,
    examples: Sequence[Example],
    dropped: Sequence[Leak],
) -> TrainingSet:
    name = f"documents of {version.dataset.name}@{version.number}"
    rows = [
        CandidateRow(DOCUMENT, DOCUMENT, example, prompt_text(example.input, example.context))
        for example in examples
    ]
    if not rows:
        raise InvalidInput(f"{version.dataset.name} has no document in its train split.")
    digest = rows_digest(rows)
    for frozen in list_training_sets(session, project_id):
        if frozen.name == name and frozen.digest == digest:
            return frozen
        if frozen.name == name:
            raise Conflict(
                f"There is a set {name!r} of other documents.", hint="Import them as a new version."
            )
    frozen = TrainingSet(
        project_id=project_id,
        name=name,
        recipe={
            "documents": f"{version.dataset.name}@{version.number}",
            "rows_by_kind": {DOCUMENT: len(rows)},
            "rows_by_source": {DOCUMENT: len(rows)},
            "n_reviews": 0,
            "active_seconds": 0.0,
            "n_refused": 0,
            "reasons": {},
            "dropped_as_leaks": [leak.as_dict() for leak in dropped],
        },
        digest=digest,
        n_rows=len(rows),
    )
    session.add(frozen)
    session.flush()
    guard = guard_project(session, project_id)
    for position, row in enumerate(rows):
        add_row(session, guard, frozen, row, position=position)
    session.flush()
    return frozen


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Where a training run keeps what the trainer reads, and its log.

    Attributes:
        config: the configuration in YAML.
        train, validation: rows as JSON lines; the latter for early stopping and search only.
        earlier: references that stand for the tasks so far, on which forgetting is measured.
        log: what the trainer printed.
    """

    folder: Path
    config: Path
    train: Path
    validation: Path
    earlier: Path
    log: Path


def run_files(run: TrainingRun, settings: Settings) -> RunFiles:
    """The files of a run."""
    folder = settings.home.absolute() / "training" / f"run-{run.id}"
    names = ("config.yaml", "train.jsonl", "validation.jsonl", "earlier.jsonl", "trainer.log")
    config, train, validation, earlier, log = (folder / name for name in names)
    return RunFiles(folder, config, train, validation, earlier, log)


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
    rows = METHOD_ROWS[config.method]
    lines = _set_lines(session, run, rows)
    if not _write_lines(files.train, (line for at, line in lines if at not in kept_out)):
        message, hint = rows.lacking
        raise InvalidInput(message.format(method=config.method), hint=hint)
    if kept_out:
        lines = _set_lines(session, run, rows)
        watched = ({**line, "group": kept_out[at]} for at, line in lines if at in kept_out)
        _write_lines(files.validation, watched)
    elif config.validation_file is not None:
        _write_validation(session, run, rows, files, project_artifacts(settings, run.project_id))
    _write_lines(files.earlier, _earlier_lines(session, run))
    files.config.write_text(dump_config(config), encoding="utf-8")


def _write_validation(
    session: Session, run: TrainingRun, rows: MethodRows, files: RunFiles, encoders: Path
) -> None:
    versions = (
        select(Example.dataset_version_id)
        .join(TrainingSetRow, TrainingSetRow.example_id == Example.id)
        .where(TrainingSetRow.training_set_id == run.training_set_id)
    )
    examples = _standing(session, Split.VALIDATION, Example.dataset_version_id.in_(versions))
    lines = [rows.watch(example, group_name(example)) for example in examples]
    _render_watched(session, run, examples, lines, encoders)
    if not _write_lines(files.validation, filter(None, lines)):
        raise InvalidInput(
            f"Early stopping and search need a validation split with {rows.watched}, and there is "
            "none.",
            hint="Leave out early_stopping_patience and search.",
        )


def _render_watched(
    session: Session,
    run: TrainingRun,
    examples: Sequence[Example],
    lines: Sequence[dict[str, Any] | None],
    encoders: Path,
) -> None:
    """Ask what is watched as the rows of the set are: with its prompt."""
    recorded = prompt_of_set(session.get_one(TrainingSet, run.training_set_id))
    if not recorded:
        return
    prompt = find_prompt(session, run.project_id, prompt_label(recorded))
    asked = render_all(session, run.project_id, examples, prompt, encoders=encoders)
    for line, messages in zip(lines, asked, strict=True):
        if line is not None and "prompt" in line:
            line["prompt"] = messages


def _earlier_lines(session: Session, run: TrainingRun) -> list[dict[str, Any]]:
    """References of validation splits: of the datasets that the sets trained on before rest on.

    A first training has its own. What it learns anew is left out beside them: a gain there would
    hide what is lost here. Of each dataset the newest version among them, and as many rows of each,
    EARLIER_ROWS in all at most, evenly spread.
    """
    before = (
        select(TrainingRun.training_set_id)
        .join(TrainingSet, TrainingSet.id == TrainingRun.training_set_id)
        .where(
            TrainingRun.project_id == run.project_id,
            TrainingRun.id < run.id,
            TrainingRun.training_set_id != run.training_set_id,
            TrainingSet.purpose == ModelPurpose.ANSWER,  # what checkers learn is no task of ours
        )
    )
    versions = _newest_behind(session, before)
    own = select(TrainingRun.training_set_id).where(TrainingRun.id == run.id)
    versions = versions or _newest_behind(session, own)
    found = [_watched_of(session, version_id) for version_id in versions]
    found = [lines for lines in found if lines]
    share = EARLIER_ROWS // max(1, len(found)) or 1
    return [line for lines in found for line in lines[:: math.ceil(len(lines) / share)]]


def _newest_behind(session: Session, sets: Select[int]) -> list[int]:
    """Of each dataset that training sets rest on, the newest version among them."""
    versions = (
        select(DatasetVersion.dataset_id, func.max(DatasetVersion.id))
        .join(Example, Example.dataset_version_id == DatasetVersion.id)
        .join(TrainingSetRow, TrainingSetRow.example_id == Example.id)
        .where(TrainingSetRow.training_set_id.in_(sets))
        .group_by(DatasetVersion.dataset_id)
        .order_by(DatasetVersion.dataset_id)
    )
    return [version_id for _, version_id in session.execute(versions)]


def _watched_of(session: Session, version_id: int) -> list[dict[str, Any]]:
    examples = _standing(session, Split.VALIDATION, Example.dataset_version_id == version_id)
    watch = METHOD_ROWS[Method.SFT].watch
    return [line for e in examples if (line := watch(e, group_name(e))) is not None]


def _standing(session: Session, split: Split, where: ColumnElement[bool]) -> list[Example]:
    """The examples of a split of which nothing was erased, in order of id."""
    query = select(Example).where(where, Example.split == split, Example.erasure_id.is_(None))
    return list(session.scalars(query.order_by(Example.id)))


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _set_lines(
    session: Session, run: TrainingRun, rows: MethodRows
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The method's rows of the set as its trainer reads them, each with its position.

    Curation has kept what is held out from the set.
    """
    for row in training_rows(session, run.training_set_id):
        if row.kind == rows.kind:
            # Ids of this database would give the same rows another digest elsewhere.
            yield row.provenance["position"], rows.convert(replace(row, provenance={}))
