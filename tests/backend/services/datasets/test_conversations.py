"""A conversation as an example: what a model is asked, what is trained on, what tells it apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import GenerationRequest, SamplingParams, ServedModel
from backend.engines.fake import FakeEngine
from backend.errors import LeakRefused
from backend.services.curation import Recipe, ReplayPart, freeze_training_set, training_rows
from backend.services.curation.formats import export_rows
from backend.services.datasets.conversations import chat_messages
from backend.services.datasets.importing.rows import ColumnMap, rows_from_table
from backend.services.datasets.versions import (
    ExampleRow,
    import_dataset,
    list_examples,
    prepare_import,
)
from backend.services.review.opening.targets import _texts
from backend.services.runs import generation
from backend.tables.datasets import DatasetVersion
from evaluators.files.readers import FileTable
from tests.fixtures_runs import Laid, lay_down_project

POLICY = (
    "You are the desk of a bank in Lisbon. Answer in at most three sentences, name the fee where "
    "there is one, never promise a date that the printer of the cards has not confirmed, and send "
    "whoever asks for a person to the branch that is nearest to the address that we hold of them."
)
TOPICS = (
    "My card was swallowed by the machine at the station, and the night bus leaves in an hour.",
    "Which documents does my daughter need to open her first account before her birthday in May?",
    "The transfer to my landlord in Porto came back twice although the number was typed right.",
    "How do I raise the limit of the credit card for the three weeks of our trip to Japan?",
    "An unknown shop took forty euros on Sunday; I was at home and bought nothing at all.",
    "Please explain why the rate of my savings plan fell while the papers say that rates rise.",
)


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def talk(topic: str, *, last: str = "And what does it cost?", policy: str = POLICY) -> ExampleRow:
    turns = (
        turn("system", policy),
        turn("user", topic),
        turn("assistant", "I look it up."),
        turn("user", last),
    )
    text = "\n\n".join(f"{one['role'].capitalize()}: {one['content']}" for one in turns)
    return ExampleRow(
        topic[:12], text, "Fees: none.", (f"On {topic[:20]}: nothing.",), messages=turns
    )


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    """On SQLite only: nothing here depends on the backend."""
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def laid(session: Session) -> Laid:
    return lay_down_project(session)


def stored(session: Session, laid: Laid, rows: Sequence[ExampleRow], split: str) -> DatasetVersion:
    given = [replace(row, split=split) for row in rows]
    return import_dataset(session, laid.project, split, given, source_name="made here")


def expected(row: ExampleRow) -> list[dict[str, str]]:
    assert row.messages is not None
    *before, last = map(dict, row.messages)
    return [*before, turn("user", f"{last['content']}\n\nFees: none.")]


def test_that_a_frozen_set_holds_the_conversation_as_its_prompt(
    session: Session, laid: Laid
) -> None:
    rows = [talk(topic) for topic in TOPICS[:3]]
    stored(session, laid, rows, "train")
    recipe = Recipe(dataset="train", references=ReplayPart())
    frozen = freeze_training_set(session, project_id=laid.project, name="s", recipe=recipe)
    written = list(export_rows(training_rows(session, frozen.id), "sft"))
    assert [line["prompt"] for line in written] == [expected(row) for row in rows]
    assert [line["completion"] for line in written] == [
        [turn("assistant", row.references[0])] for row in rows
    ]
    lines = rows_from_table(FileTable.of_rows("sft.jsonl", written), ColumnMap())
    assert [chat_messages(line) for line in lines] == [expected(row) for row in rows]


def test_that_a_run_sends_all_turns_to_the_engine(session: Session, laid: Laid) -> None:
    rows = [talk(topic) for topic in TOPICS[:2]]
    version = stored(session, laid, rows, "test")
    run = generation.create_run(
        session,
        project_id=laid.project,
        dataset_version_id=version.id,
        split="test",
        model_ids=laid.models[:1],
        engine="fake",
        params=SamplingParams(),
    )
    asked: list[GenerationRequest] = []

    def answer(request: GenerationRequest) -> str:
        asked.append(request)
        return "x"

    engine = FakeEngine(answer)
    engine.load([ServedModel("base", "tiny")])
    requests = generation.pending_requests(session, run.id)
    assert len(list(engine.generate(requests, SamplingParams()))) == 2
    assert [request.messages for request in asked] == [expected(row) for row in rows]


def test_that_a_system_message_that_all_have_makes_no_two_alike() -> None:
    rows = [replace(talk(topic, last=topic[::-1]), context=None) for topic in TOPICS]
    prepared = prepare_import(rows, source_name="a.jsonl", seed=3)
    assert prepared.recipe["near_duplicates_kept_together"] == 0
    assert len({row.content_digest for row in prepared.rows}) == len(TOPICS)


def test_that_another_system_message_makes_no_other_prompt(session: Session, laid: Laid) -> None:
    same = [talk(TOPICS[0]), talk(TOPICS[0], policy="Be brief.")]
    assert same[0].content_digest == same[1].content_digest
    stored(session, laid, same[:1], "test")
    stored(session, laid, same[1:], "train")
    recipe = Recipe(dataset="train", references=ReplayPart())
    with pytest.raises(LeakRefused):
        freeze_training_set(session, project_id=laid.project, name="s", recipe=recipe)


def test_that_the_same_last_question_is_not_the_same_prompt() -> None:
    one, other = talk(TOPICS[0]), talk(TOPICS[1])
    assert one.messages is not None
    assert other.messages is not None
    assert one.messages[-1] == other.messages[-1]
    assert one.content_digest != other.content_digest
    alone = ExampleRow("x", one.messages[-1]["content"], "Fees: none.")
    assert alone.content_digest not in (one.content_digest, other.content_digest)


def test_that_what_is_new_is_reckoned_without_the_system_message(
    session: Session, laid: Laid
) -> None:
    version = stored(session, laid, [talk(topic) for topic in TOPICS[:2]], "test")
    examples = list_examples(session, version.id)
    texts = _texts(session, [example.id for example in examples])
    assert [POLICY in text for text in texts.values()] == [False, False]
    assert [topic in texts[e.id] for e, topic in zip(examples, TOPICS, strict=False)] == [True] * 2
