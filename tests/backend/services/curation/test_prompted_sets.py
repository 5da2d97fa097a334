"""Sets that are rendered with a prompt: the rows, the record, and what training is told."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, LeakRefused, NotFound
from backend.services.curation import (
    describe_set,
    freeze_training_set,
    recipe_from_content,
    stored_digest,
    training_rows,
)
from backend.services.datasets.prompts.prompts import add_prompt, parse_prompt
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.lineage.trace import trace
from backend.services.projects import create_project, set_manifest
from backend.services.training.files import run_files
from backend.services.training.runs import create_training_run
from backend.settings import Settings
from backend.tables.curation import TrainingSet
from backend.tables.models import Prompt
from training.config import load_config

BAR = "name: bar\nlines:\n  - {metric: exact_match, threshold: 0.5}\n"
ROWS = [
    ExampleRow("a", "My card is lost.", references=("lost",), split="train"),
    ExampleRow("b", "Why was I charged twice?", references=("twice",), split="train"),
    ExampleRow("c", "How do I change my PIN?", references=("pin",), split="validation"),
]
BRIEF = "system: Be brief.\ntemplate: 'Q: {{ input }}'"


@pytest.fixture
def project_id(session: Session) -> int:
    project = create_project(session, "desk", base_model="tiny")
    import_dataset(session, project.id, "d", ROWS, source_name="f")
    return project.id


def add(session: Session, project_id: int, source: str = BRIEF, name: str = "brief") -> Prompt:
    return add_prompt(session, project_id, name, parse_prompt(source))


def freeze(session: Session, project_id: int, name: str = "s", **changed: object) -> TrainingSet:
    content = {"references": {}, "dataset": "d", "prompt": "brief", **changed}
    recipe = recipe_from_content({k: v for k, v in content.items() if v is not None})
    return freeze_training_set(session, project_id=project_id, name=name, recipe=recipe)


def test_no_row_is_rendered_with_what_was_held_out_since(session: Session, project_id: int) -> None:
    told = "Where is the parcel that was promised for last Tuesday?"
    add(session, project_id, f"system: 'One asked: {told}'")
    rows = [*ROWS, ExampleRow("d", told, references=("parcel",), split="test")]
    import_dataset(session, project_id, "d", rows, source_name="f")
    with pytest.raises(LeakRefused, match="The prompt brief@1 holds the text of 'd'"):
        freeze(session, project_id)


def test_rows_are_rendered_and_the_set_says_with_what(session: Session, project_id: int) -> None:
    prompt = add(session, project_id)
    frozen, bare = freeze(session, project_id), freeze(session, project_id, "bare", prompt=None)
    assert {row.prompt[1]["content"] for row in training_rows(session, frozen.id)} == {
        "Q: My card is lost.",
        "Q: Why was I charged twice?",
    }
    recorded = {"name": "brief", "version": 1, "digest": prompt.digest, "shots": False}
    assert frozen.recipe["prompt"] == recorded
    assert "prompt" not in bare.recipe
    assert frozen.digest == stored_digest(session, frozen.id)
    assert frozen.digest != bare.digest
    assert "Rows are rendered with the prompt brief, without shots." in describe_set(frozen)


def test_shots_stand_in_the_rows_only_where_that_is_said(session: Session, project_id: int) -> None:
    add(session, project_id, f"{BRIEF}\nshots: {{k: 1}}")
    with pytest.raises(InvalidInput, match="brief@1 shows shots, which training takes the place"):
        freeze(session, project_id)
    frozen = freeze(session, project_id, prompt_shots=True)
    for row in training_rows(session, frozen.id):
        asked = [m["content"] for m in row.prompt if m["role"] == "user"]
        assert len(asked) == len(set(asked)) == 2
    assert frozen.recipe["prompt"]["shots"] is True


@pytest.mark.parametrize(
    ("changed", "kind", "said"),
    [
        ({"prompt": "long"}, NotFound, "no prompt 'long'"),
        ({"prompt": None, "prompt_shots": True}, InvalidInput, "those of a prompt: name it"),
        ({"prompt": "slices"}, InvalidInput, "slices@1 for example 'a' .* no slice 'topic'"),
    ],
)
def test_what_cannot_be_rendered_freezes_nothing(
    session: Session, project_id: int, changed: dict[str, object], kind: type, said: str
) -> None:
    add(session, project_id, "template: '{{ slices.topic }}'", name="slices")
    with pytest.raises(kind, match=said):
        freeze(session, project_id, **changed)
    assert session.query(TrainingSet).count() == 0


def test_training_records_the_prompt_and_watches_with_it(
    session: Session, project_id: int, settings: Settings
) -> None:
    prompt = add(session, project_id)
    set_manifest(session, project_id, BAR)
    run = create_training_run(
        session,
        project_id=project_id,
        training_set_id=freeze(session, project_id).id,
        adapter_name="v1",
        config={"early_stopping_patience": 1},
        settings=settings,
    )
    files = run_files(run, settings)
    told = load_config(files.config).prompt
    assert told is not None
    assert (told.name, told.version, told.digest) == ("brief", 1, prompt.digest)
    (watched,) = [json.loads(line) for line in files.validation.read_text("utf-8").splitlines()]
    assert [m["content"] for m in watched["prompt"]] == ["Be brief.", "Q: How do I change my PIN?"]


def test_a_config_may_not_name_the_prompt_itself(
    session: Session, project_id: int, settings: Settings
) -> None:
    add(session, project_id)
    set_manifest(session, project_id, BAR)
    with pytest.raises(InvalidInput, match="Strop fills in prompt itself"):
        create_training_run(
            session,
            project_id=project_id,
            training_set_id=freeze(session, project_id).id,
            adapter_name="v1",
            config={"prompt": None},
            settings=settings,
        )


@pytest.mark.parametrize("root", ["set:s", "prompt:brief"])
def test_lineage_shows_the_prompt(session: Session, project_id: int, root: str) -> None:
    add(session, project_id)
    freeze(session, project_id)
    found = trace(session, project_id, root)
    edges = {(edge.source, edge.target, edge.label) for edge in found.edges}
    assert ("prompt:brief@1", "set:s", "rendered") in edges
