"""Imports are whole or nothing, versions are immutable, and held-out prompts never train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound
from backend.services.datasets import versions as datasets
from backend.services.datasets.conversations import chat_messages, digest_text
from backend.services.datasets.versions import (
    ExampleRow,
    import_dataset,
    prepare_import,
    warn_of_groups,
)
from backend.services.projects import create_project
from backend.tables.datasets import Example


@pytest.fixture
def project_id(session: Session) -> int:
    return create_project(session, "desk", base_model="tiny").id


def _rows(n: int = 10, **fields: str) -> list[ExampleRow]:
    return [ExampleRow(external_id=f"e{i}", input=f"question {i}", **fields) for i in range(n)]


def test_same_content_is_the_version_that_stands(session: Session, project_id: int) -> None:
    first = import_dataset(session, project_id, "d", _rows(), source_name="a.jsonl")
    again = import_dataset(session, project_id, "d", _rows(), source_name="b.jsonl")
    changed = [replace(row, references=("yes",)) for row in _rows()]
    second = import_dataset(session, project_id, "d", changed, source_name="c.jsonl")
    assert again.id == first.id
    assert (first.number, second.number) == (1, 2)
    assert first.digest != second.digest


def test_every_field_is_stored(session: Session, project_id: int) -> None:
    row = ExampleRow("x", "sum up", "Źródło 🙂", ("a", "b"), "c1", {"task": "summary"}, "test")
    version = import_dataset(session, project_id, "d", [row], source_name="a")
    (stored,) = datasets.list_examples(session, version.id, "test")
    assert (stored.external_id, stored.input, stored.context) == ("x", "sum up", "Źródło 🙂")
    assert (stored.references, stored.group) == (["a", "b"], "c1")
    assert (stored.slices, stored.split) == ({"task": "summary"}, "test")
    assert chat_messages(stored) == [{"role": "user", "content": "sum up\n\nŹródło 🙂"}]


def _with(rows: list[ExampleRow], index: int, **fields: str) -> list[ExampleRow]:
    return [replace(row, **fields) if i == index else row for i, row in enumerate(rows)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make_rows", "message"),
    [
        (list, "no example"),
        (lambda: _with(_rows(), 3, external_id="e1"), "example 4 has the id 'e1' of example 2"),
        (lambda: _with(_rows(), 3, split="train"), "some examples name their split"),
        (lambda: _rows(split="dev"), "has the split 'dev'"),
    ],
)
def test_bad_rows_import_nothing(
    session: Session, project_id: int, make_rows: Callable[[], list[ExampleRow]], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        import_dataset(session, project_id, "d", make_rows(), source_name="f")
    assert session.query(Example).count() == 0
    with pytest.raises(NotFound):
        datasets.get_dataset_version(session, project_id, "d")


def test_leaks_are_dropped_from_training_when_asked_and_named(
    session: Session, project_id: int
) -> None:
    rows = _with(_with(_rows(split="train"), 4, split="test"), 2, input="question 4")
    version = import_dataset(session, project_id, "d", rows, source_name="f", drop_leaks=True)
    assert version.n_examples == 9
    assert version.split_recipe["dropped_as_leaks"] == ["e2"]
    assert "e4" in {e.external_id for e in datasets.list_examples(session, version.id, "test")}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Where is my card?", "where  is\nmy CARD?", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("Where is my card?", "Where is my card", False),
    ],
)
def test_prompt_digest_folds_case_space_and_composition(
    first: str, second: str, same: bool
) -> None:
    assert (digest_text(first, None) == digest_text(second, None)) is same
    assert digest_text("a", "b") != digest_text("a b", None)


@pytest.mark.parametrize(
    ("splits", "shared"),
    [(("train", "train", "test"), 1), (("train", "train", "train"), 0), ((None, None, None), None)],
)
def test_groups_that_a_given_split_parts_are_counted(
    splits: tuple[str | None, ...], shared: int | None
) -> None:
    groups = ("a", "b", "a")
    rows = [
        ExampleRow(str(n), f"something quite different {n}" * 3, group=group, split=split)
        for n, (group, split) in enumerate(zip(groups, splits, strict=True))
    ]
    prepared = prepare_import(rows, source_name="f")
    assert prepared.recipe.get("groups_on_both_sides") == shared
    assert (warn_of_groups(shared or 0) is None) is (not shared)
