"""Checkers: laid down under a bar, trained by our own trainer, preflighted, measured, asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.engines.prompts import encode_prompt, load_tokenizer
from backend.errors import Conflict, InvalidInput, NotFound
from backend.services.checks.checkers import checkers
from backend.services.checks.checkers.forms import ROOM_FOR_ANSWER, Asking, choose_form
from backend.services.checks.model_checks import find_model_check
from backend.services.curation import Recipe
from backend.services.training.files import run_files
from backend.settings import Settings
from backend.tables.checks.checkers import Checker
from backend.tables.models import ModelPurpose, ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.training import TrainingRun
from evaluators.checks.checker.checker import CheckerForm, ask
from tests.fixtures_checkers import Notes, lay_down_notes, set_base
from training.config import load_config

RECIPE = Recipe.model_validate({"dataset": "notes", "references": {}})


@pytest.fixture
def notes(session: Session, tiny_base: Path) -> Notes:
    notes = lay_down_notes(session)
    set_base(session, notes.project, str(tiny_base))
    return notes


def train(
    session: Session, notes: Notes, settings: Settings, name: str = "facts", **config: Any
) -> Checker:
    return checkers.train_checker(
        session, notes.project, name, RECIPE, config=config, settings=settings, most=60
    )


def register(session: Session, checker: Checker, revision: int = 1) -> ModelVersion:
    """What the end of its training would register."""
    run = session.get_one(TrainingRun, checker.training_run_id)
    model = ModelVersion(
        project_id=checker.project_id,
        name=run.adapter_name,
        revision=revision,
        purpose=ModelPurpose.CHECK,
        base_model="tiny",
        base_sha256="a" * 64,
        tokenizer_sha256="b" * 64,
        template_sha256="c" * 64,
        adapter_path=f"/nowhere/{revision}",
        adapter_sha256=f"{revision:064d}",
        adapter_rank=4,
        training_run_id=run.id,
    )
    session.add(model)
    session.flush()
    return model


def test_that_a_training_reads_questions_and_knows_how_they_are_asked(
    session: Session, notes: Notes, settings: Settings
) -> None:
    checker = train(session, notes, settings, epochs=2.0)
    run = session.get_one(TrainingRun, checker.training_run_id)
    assert run.adapter_name == "check-facts"
    config = load_config(run_files(run, settings).config)
    assert config.check is not None
    assert config.check.model_dump() == checker.form
    assert (config.epochs, config.measure_forgetting) == (2.0, False)
    assert config.max_length <= 1024
    assert config.manifest_digest == "b" * 64
    lines = run_files(run, settings).train.read_text().splitlines()
    assert len(lines) == 60
    assert "Does the source support" in lines[0]
    assert checker.figures is None
    assert len(checker.held_out["sentences"]) >= 20


def test_that_the_source_is_cut_to_what_the_base_reads(
    session: Session, notes: Notes, settings: Settings, tiny_base: Path
) -> None:
    checker = train(session, notes, settings)  # a byte a token, 1024 of them
    size = checker.form["source_bytes"]
    assert 400 < size < 1000
    run = session.get_one(TrainingRun, checker.training_run_id)
    assert 512 <= run.config["max_length"] <= 1024
    form = CheckerForm(checker.form["yes"], checker.form["no"], size)
    longest = max((row["sentence"] for row in checker.held_out["sentences"]), key=len)
    question = ask("long source. " * 900, longest, form)
    tokens = encode_prompt(load_tokenizer(str(tiny_base)), question)
    assert len(tokens) + ROOM_FOR_ANSWER <= 1024


@pytest.mark.parametrize("key", checkers.NOT_FOR_CHECKERS)
def test_that_a_configuration_that_makes_no_checker_is_refused(
    session: Session, notes: Notes, settings: Settings, key: str
) -> None:
    with pytest.raises(InvalidInput, match=f"{key} cannot be chosen"):
        train(session, notes, settings, **{key: 1})


@pytest.mark.parametrize("key", ["check", "prompt", "train_file"])
def test_that_what_strop_fills_in_is_refused(
    session: Session, notes: Notes, settings: Settings, key: str
) -> None:
    with pytest.raises(InvalidInput, match="Strop fills in"):
        train(session, notes, settings, **{key: None})


@pytest.mark.parametrize("name", ["", "a b", "fa/cts", "x" * 80, "a@1"])
def test_that_a_name_that_is_none_is_refused(
    session: Session, notes: Notes, settings: Settings, name: str
) -> None:
    with pytest.raises(InvalidInput, match="name"):
        train(session, notes, settings, name)


def test_that_there_is_no_checker_without_a_bar(
    session: Session, notes: Notes, settings: Settings
) -> None:
    session.delete(session.scalars(select(SuccessManifest)).one())
    session.flush()
    with pytest.raises(Conflict, match="no success manifest is set"):
        train(session, notes, settings)


def test_that_a_checker_is_found_by_its_name_and_revision(
    session: Session, notes: Notes, settings: Settings
) -> None:
    with pytest.raises(NotFound, match="no checker 'facts'") as refused:
        checkers.find_checker(session, notes.project, "facts")
    assert refused.value.hint == "Train one: strop check train NAME"
    for revision in (1, 2):
        register(session, train(session, notes, settings), revision)
    train(session, notes, settings)  # not trained yet
    find = partial(checkers.find_checker, session, notes.project)
    assert (find("facts").name, find("facts@1").name) == ("facts@2", "facts@1")
    for label in ("facts@3", "facts@x", "facts@", "fact", "check-facts", "facts@1@2", ""):
        with pytest.raises(NotFound) as refused:
            find(label)
        assert refused.value.hint == "Known: facts@1, facts@2."


def test_that_a_checker_of_another_form_is_not_asked(
    session: Session, notes: Notes, settings: Settings
) -> None:
    checker = train(session, notes, settings)
    register(session, checker)
    checker.form = {**checker.form, "version": 99}
    session.flush()
    with pytest.raises(Conflict, match=r"facts@1 was trained with another form"):
        find_model_check(session, notes.project, "check:facts@1")


def test_that_a_checker_of_another_project_is_not_found(
    session: Session, notes: Notes, settings: Settings
) -> None:
    register(session, train(session, notes, settings))
    other = lay_down_notes(session, name="other")
    with pytest.raises(NotFound, match="no checker"):
        find_model_check(session, other.project, "check:facts@1")


def test_that_probes_are_questions_about_what_was_held_out(
    session: Session, notes: Notes, settings: Settings
) -> None:
    register(session, train(session, notes, settings))
    asked = find_model_check(session, notes.project, "check:facts")
    assert asked.name == "check:facts"
    assert len(asked.probes) == 8
    assert all("Does the source support" in one[0]["content"] for one in asked.probes)


class Merging:
    """A tokeniser whose template ends in a letter that its answers grow together with."""

    chat_template = "x"

    def __init__(self, words: Sequence[str]) -> None:
        self._words = sorted(words, key=len, reverse=True)

    def apply_chat_template(self, messages: Any, **options: Any) -> str:
        return f"{messages[0]['content']}>"

    def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
        ids = []
        while text:
            word = next((w for w in self._words if text.startswith(w)), text[0])
            ids.append(hash(word) % 100_000)
            text = text[len(word) :]
        return {"input_ids": ids}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ("yes", "no")),
        ([">yes", ">no"], ("Yes", "No")),
        ([">no", ">Yes", ">tr"], ("right", "wrong")),
    ],
)
def test_that_answers_begin_with_tokens_of_their_own(
    words: list[str], expected: tuple[str, str]
) -> None:
    form = choose_form(Merging(words))
    assert (form.yes, form.no) == expected


class Deaf(Merging):
    """Every word is the same token to it."""

    def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
        return {"input_ids": [1] * len(text)}


def test_that_answers_that_begin_alike_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"same token, in every pair: yes/no, Yes/No"):
        choose_form(Deaf([]))


def test_that_a_base_that_reads_too_little_is_refused(tiny_base: Path) -> None:
    asking = Asking(load_tokenizer(str(tiny_base)), room=200)
    with pytest.raises(InvalidInput, match="reads 200 tokens"):
        asking.fit([("word " * 900, "She is well.")], CheckerForm("yes", "no"))
    roomy = Asking(asking.tokenizer, room=100_000)
    assert roomy.fit([("word " * 900, "She is well.")], CheckerForm("yes", "no")) == CheckerForm(
        "yes", "no"
    )
    assert roomy.max_length([("a", "b")], CheckerForm("yes", "no")) % 64 == 0
