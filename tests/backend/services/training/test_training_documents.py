"""Documents for continued pre-training: from folder or dataset to rows, and never a test prompt."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import InvalidInput, LeakRefused, NotFound
from backend.services.curation import stored_digest
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.training import runs as training
from backend.services.training.files import RunFiles, freeze_documents, read_folder, run_files
from backend.settings import Settings
from backend.tables.curation import TrainingSet
from backend.tables.projects import SuccessManifest
from tests.fixtures_runs import Laid, lay_down_project
from training.config import load_config

HELD_OUT = " ".join(f"word{number}" for number in range(30))


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Any:
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def laid(session: Session) -> Laid:
    laid = lay_down_project(session)
    bar = SuccessManifest(
        project_id=laid.project, version=1, digest="b" * 64, content={}, source="-"
    )
    session.add(bar)
    import_dataset(
        session,
        laid.project,
        "cases",
        [
            ExampleRow("t1", HELD_OUT, split="test"),
            ExampleRow("t2", "something else", split="train"),
        ],
        source_name="made",
    )
    return laid


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    notes = tmp_path / "notes"
    (notes / "deep").mkdir(parents=True)
    (notes / "b.txt").write_text("the second note\n")
    (notes / "deep" / "a.md").write_text("# the third note\n")
    (notes / "a.jsonl").write_text('{"text": "first"}\n\n{"text": "and more"}\n')
    (notes / "empty.txt").write_text("  \n")
    (notes / "image.png").write_bytes(b"\x89")
    return notes


def test_a_folder_is_read_by_path_with_every_document_named(folder: Path) -> None:
    rows = list(read_folder(folder))
    assert [(row.external_id, row.input) for row in rows] == [
        ("a.jsonl:1", "first"),
        ("a.jsonl:3", "and more"),
        ("b.txt", "the second note\n"),
        ("deep/a.md", "# the third note\n"),
    ]
    assert {row.split for row in rows} == {"train"}


def test_a_folder_becomes_a_dataset_and_a_set_and_does_so_once(
    session: Session, laid: Laid, folder: Path
) -> None:
    frozen = freeze_documents(session, laid.project, str(folder))
    assert (frozen.name, frozen.n_rows) == ("documents of notes@1", 4)
    assert frozen.recipe["rows_by_kind"] == {"document": 4}
    assert frozen.digest == stored_digest(session, frozen.id)
    assert freeze_documents(session, laid.project, str(folder)) is frozen
    (folder / "c.txt").write_text("a fourth")
    assert freeze_documents(session, laid.project, "notes").name == "documents of notes@1"
    assert freeze_documents(session, laid.project, str(folder)).name == "documents of notes@2"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.txt", b"\xff\xfe\x00", "is not UTF-8"),
        ("x.jsonl", b'{"txt": 1}\n', "line 1 has no text"),
        ("x.jsonl", b"\nno json\n", "line 2 has no text"),
        ("x.txt", b"  ", "holds no document"),
    ],
)
def test_what_is_no_document_is_one_sentence(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=said):
        list(read_folder(tmp_path))


def test_a_pipe_among_documents_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.txt")
    with pytest.raises(InvalidInput, match="a pipe or a device"):
        list(read_folder(tmp_path))


def test_an_unknown_dataset_is_not_found(session: Session, laid: Laid) -> None:
    with pytest.raises(NotFound):
        freeze_documents(session, laid.project, "nothing")


def test_a_document_that_holds_a_test_prompt_is_refused_or_left_out(
    session: Session, laid: Laid, folder: Path
) -> None:
    (folder / "leak.txt").write_text(f"An old mail. {HELD_OUT} It goes on after that for a while.")
    with pytest.raises(LeakRefused, match=r"leak\.txt.*'t1'"):
        freeze_documents(session, laid.project, str(folder))
    frozen = freeze_documents(session, laid.project, str(folder), drop_leaks=True)
    assert frozen.n_rows == 4
    assert [leak["train"] for leak in frozen.recipe["dropped_as_leaks"]] == ["leak.txt"]


def _train(
    session: Session, laid: Laid, settings: Settings, frozen: TrainingSet, **keys: Any
) -> RunFiles:
    run = training.create_training_run(
        session,
        project_id=laid.project,
        training_set_id=frozen.id,
        adapter_name="domain",
        config={"method": "pretrain", **keys},
        settings=settings,
    )
    return run_files(run, settings)


def test_the_trainer_reads_documents(
    session: Session, laid: Laid, folder: Path, settings: Settings
) -> None:
    files = _train(session, laid, settings, freeze_documents(session, laid.project, str(folder)))
    lines = [json.loads(line) for line in files.train.read_text("utf-8").splitlines()]
    assert lines[0] == {"text": "first"}
    assert len(lines) == 4
    assert load_config(files.config).method == "pretrain"


def test_documents_are_watched_by_those_of_the_validation_split_and_none_of_the_test_split(
    session: Session, laid: Laid, settings: Settings
) -> None:
    splits = {"train": "taught", "validation": "watched", "test": "unseen"}
    rows = [
        ExampleRow(name, f"{text} text of a document", split=name) for name, text in splits.items()
    ]
    import_dataset(session, laid.project, "library", rows, source_name="made")
    frozen = freeze_documents(session, laid.project, "library")
    files = _train(session, laid, settings, frozen, search={"epochs": [1, 2]})
    assert files.train.read_text("utf-8") == '{"text": "taught text of a document"}\n'
    assert files.validation.read_text("utf-8") == '{"text": "watched text of a document"}\n'
    assert all("unseen" not in path.read_text("utf-8") for path in files.folder.iterdir())


def test_documents_without_a_validation_split_cannot_be_searched_over(
    session: Session, laid: Laid, folder: Path, settings: Settings
) -> None:
    frozen = freeze_documents(session, laid.project, str(folder))
    with pytest.raises(InvalidInput, match="need a validation split with documents"):
        _train(session, laid, settings, frozen, search={"epochs": [1, 2]})


def test_documents_of_no_version_are_refused(session: Session, laid: Laid) -> None:
    with pytest.raises(InvalidInput, match="'latest' is no version of a dataset"):
        freeze_documents(session, laid.project, "notes@latest")
