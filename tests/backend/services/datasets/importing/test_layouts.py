"""Files of other tools: snippets as those tools write them, what they become, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.errors import InvalidInput
from backend.services.datasets.conversations import chat_messages
from backend.services.datasets.importing.layouts import LAYOUTS
from backend.services.datasets.importing.rows import (
    ColumnMap,
    TableReading,
    read_examples,
    rows_from_table,
)
from backend.services.datasets.versions import ExampleRow
from evaluators.files.mapping import Notes
from evaluators.files.readers import FileTable, read_table


def system(text: str) -> dict[str, str]:
    return {"role": "system", "content": text}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def said(role: str, text: str) -> dict[str, str]:
    return {"from": role, "value": text}


DESK, LOST, WHICH = "You are a bank's desk.", "I lost my card.", "Debit or credit?"
DEBIT, BLOCKED = "Debit.", "Your debit card is blocked."
TALK = [user(LOST), assistant(WHICH), user(DEBIT)]
FULL = [system(DESK), *TALK]
SHAREGPT = [said("human", LOST), said("gpt", WHICH), said("human", DEBIT), said("gpt", BLOCKED)]
PARTS = [{"type": "text", "text": "I lost "}, {"type": "text", "text": "my card."}]
RULES = "A lost card is blocked at once."
NORMANS = {
    "id": "56ddde6b9a695914005b9628",
    "title": "Normans",
    "context": "The Normans gave their name to Normandy, a region in France.",
    "question": "In what country is Normandy located?",
    "answers": {"text": ["France", "France", "in France"], "answer_start": [52, 52, 49]},
}
HARD = {**NORMANS, "id": "5ad39d53", "answers": {"text": [], "answer_start": []}}
ULTRA = {
    "prompt": LOST,
    "prompt_id": "3c5a",
    "chosen": [user(LOST), assistant(WHICH)],
    "rejected": [user(LOST), assistant("Sorry.")],
    "messages": [user(LOST), assistant(WHICH)],
    "score_chosen": 8.5,
    "score_rejected": 6.0,
}


def read(*rows: dict[str, Any], spelled: bool = False, **given: Any) -> TableReading:
    table = FileTable.of_rows("a.jsonl", rows)
    table = FileTable(table.name, table.records, table.columns, spelled=spelled)
    need = given.pop("need_reference", True)
    return read_examples(table, ColumnMap(**given), need_reference=need)


@pytest.mark.parametrize(
    ("layout", "values", "asked", "references", "columns"),
    [
        (
            "OpenAI chat",
            {"messages": [{"role": "developer", "content": DESK}, *TALK, assistant(BLOCKED)]},
            FULL,
            [BLOCKED],
            {"messages": "messages and reference"},
        ),
        (
            "OpenAI chat",
            {
                "messages": [
                    {"role": "user", "content": PARTS},
                    {**assistant(WHICH), "weight": 0, "refusal": None},
                    user(DEBIT),
                    {**assistant(BLOCKED), "weight": 1},
                ],
                "parallel_tool_calls": False,
            },
            TALK,
            [BLOCKED],
            {"messages": "messages and reference", "parallel_tool_calls": None},
        ),
        (
            "OpenAI chat",
            {"messages": FULL, "reference": BLOCKED, "context": RULES},
            [*FULL[:-1], user(f"{DEBIT}\n\n{RULES}")],
            [BLOCKED],
            {"messages": "messages", "reference": "reference", "context": "context"},
        ),
        (
            "OpenAI chat",
            {"messages": [*TALK, assistant(BLOCKED)], "document": RULES, "reference": BLOCKED},
            [*TALK[:-1], user(f"{DEBIT}\n\n{RULES}")],
            [BLOCKED],
            {"document": "context", "reference": "reference"},
        ),
        (
            "OpenAI chat",
            {"messages": [*TALK, assistant(BLOCKED)], "references": [BLOCKED + " ", "Done."]},
            TALK,
            [BLOCKED + " ", "Done."],
            {},
        ),
        (
            "OpenAI chat",
            {"messages": TALK, "completion": BLOCKED, "input": "not this"},
            TALK,
            [BLOCKED],
            {"messages": "messages", "completion": "reference", "input": None},
        ),
        (
            "ShareGPT",
            {"conversations": SHAREGPT, "system": DESK, "tools": "[]"},
            FULL,
            [BLOCKED],
            {
                "conversations": "messages and reference",
                "system": "messages (system)",
                "tools": None,
            },
        ),
        (
            "ShareGPT",
            {
                "conversations": [
                    said("human", LOST),
                    said("gpt", "I look."),
                    said("observation", "2 cards"),
                    said("gpt", WHICH),
                ]
            },
            [user(LOST), assistant("I look."), {"role": "tool", "content": "2 cards"}],
            [WHICH],
            {},
        ),
        (
            "Alpaca rows",
            {"instruction": "Name the intent.", "input": LOST, "output": "lost_card"},
            [user(f"Name the intent.\n\n{LOST}")],
            ["lost_card"],
            {"instruction": "input", "input": "context", "output": "reference"},
        ),
        (
            "Alpaca rows",
            {
                "instruction": DEBIT,
                "input": "",
                "output": BLOCKED,
                "system": DESK,
                "history": [[LOST, WHICH]],
            },
            FULL,
            [BLOCKED],
            {"system": "messages (system)", "history": "messages (before the question)"},
        ),
        (
            "SQuAD",
            NORMANS,
            [user(f"{NORMANS['question']}\n\n{NORMANS['context']}")],
            ["France", "in France"],
            {"question": "input", "answers": "references", "title": "group", "context": "context"},
        ),
        (
            "SQuAD",
            {**NORMANS, "answers": [{"text": "France", "answer_start": 52}], "group": "g"},
            [user(f"{NORMANS['question']}\n\n{NORMANS['context']}")],
            ["France"],
            {"title": None, "group": "group"},
        ),
        (
            "preferences",
            ULTRA,
            [user(LOST)],
            [WHICH],
            {"chosen": "messages and reference", "rejected": None, "prompt": None},
        ),
        (
            "preferences",
            {"prompt": FULL, "chosen": [assistant(BLOCKED)], "rejected": [assistant("No.")]},
            FULL,
            [BLOCKED],
            {"prompt": "input", "chosen": "reference", "rejected": None},
        ),
        (
            "preferences",
            {**ULTRA, "chosen": WHICH, "rejected": "Sorry."},
            [user(LOST)],
            [WHICH],
            {"messages": "messages", "chosen": "reference"},
        ),
        (
            "preferences",
            {"input": LOST, "chosen": WHICH, "rejected": "Sorry.", "context": RULES},
            [user(f"{LOST}\n\n{RULES}")],
            [WHICH],
            {"input": "input", "context": "context"},
        ),
        (
            "prompts and answers",
            {"prompt": LOST, "completion": WHICH, "context": RULES},
            [user(f"{LOST}\n\n{RULES}")],
            [WHICH],
            {"prompt": "input", "completion": "reference", "context": "context"},
        ),
        (
            "prompts and answers",
            {"prompt": FULL, "completion": [assistant(BLOCKED)]},
            FULL,
            [BLOCKED],
            {},
        ),
        (
            "prompts and answers",
            {"prompt": LOST, "output": "draft", "reference": WHICH},
            [user(LOST)],
            [WHICH],
            {"output": None, "reference": "reference"},
        ),
        (
            "plain rows",
            {"input": LOST, "reference": WHICH, "system": "S/4HANA", "history": "none"},
            [user(LOST)],
            [WHICH],
            {"input": "input", "system": None, "history": None},
        ),
    ],
)
def test_that_a_row_of_another_tool_becomes_an_example(
    layout: str,
    values: dict[str, Any],
    asked: list[dict[str, str]],
    references: list[str],
    columns: dict[str, str | None],
) -> None:
    reading = read(values)
    assert reading.refused == []
    [row] = reading.rows
    assert (reading.layout, chat_messages(row), list(row.references)) == (layout, asked, references)
    assert columns.items() <= reading.columns.items()
    assert reading.columns.keys() == values.keys()
    assert row.external_id == values.get("id", "row-1")


def test_that_the_table_above_shows_every_layout() -> None:
    (mark,) = test_that_a_row_of_another_tool_becomes_an_example.pytestmark
    shown = {case[0] for case in mark.args[1]}
    assert shown == {layout.name for layout in LAYOUTS} | {"plain rows"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"prompt": [user(LOST), assistant(WHICH)], "completion": BLOCKED}, "does not end with a"),
        ({"messages": [user(LOST), assistant(" "), user(DEBIT), assistant(BLOCKED)]}, "turn 2 is"),
        ({"messages": [user(" "), assistant(BLOCKED)]}, "turn 1 is empty"),
        ({"messages": [user(LOST), assistant("")]}, "no reference"),
        ({"messages": [user(LOST), {**assistant(WHICH), "weight": 0}]}, "no reference"),
        ({"messages": [user(LOST), {"role": "critic", "content": "x"}]}, "the role 'critic'"),
        ({"conversations": [said("bing", LOST), said("gpt", WHICH)]}, "the role 'bing'"),
        ({"messages": [user(LOST), {"role": "assistant", "content": None}]}, "without text"),
        ({"messages": [user(LOST), system(DESK), assistant(WHICH)]}, "message is not the first"),
        ({"messages": [system(DESK), assistant(WHICH)]}, "no question of the user"),
        ({"messages": "Hello"}, "not a list of messages"),
        ({"messages": None}, "messages is empty"),
        ({"messages": []}, "messages is empty"),
        ({"prompt": None, "completion": WHICH}, "prompt is empty"),
        ({"dialogue": SHAREGPT}, "did you mean messages by 'dialogue'?"),
        ({"log": [user(LOST), assistant(WHICH)]}, "did you mean messages by 'log'?"),
        ({"messages": [user(LOST), {"content": WHICH}]}, "not a list of messages"),
        ({"messages": [*TALK, assistant(BLOCKED)], "reference": "x"}, "and reference says another"),
        ({"messages": [*TALK, assistant(BLOCKED)], "chosen": "x"}, "and chosen says another"),
        ({"messages": [*TALK, assistant(BLOCKED)], "tools": [{"type": "function"}]}, "with tools"),
        (
            {"messages": [user(LOST), {**assistant(""), "tool_calls": [{"id": "1"}]}]},
            "with calls of tools (tool_calls)",
        ),
        (
            {"conversations": [said("human", LOST), said("function_call", "{}")]},
            "with calls of tools",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, assistant("x")]},
            "a part that is no text (image_url)",
        ),
        ({"instruction": "a", "output": "b", "history": [["q"]]}, "not a list of pairs"),
        ({"instruction": "a", "output": "b", "history": 5}, "not a list of pairs"),
        ({"instruction": "a", "output": "b", "history": [["q", ""]]}, "turn 2 is empty"),
        ({**NORMANS, "answers": {"text": 3}}, "'answers' holds no texts"),
        (HARD, "no reference"),
    ],
)
def test_that_a_bad_row_is_refused_in_one_sentence_of_its_own(
    values: dict[str, Any], reason: str
) -> None:
    good = {"messages": [user(LOST), assistant(WHICH)]} if "messages" in values else values
    table = FileTable.of_rows("a.jsonl", [good, values] if good is not values else [values])
    reading = read_examples(table, ColumnMap())
    number = len(table.records)
    assert [one.row for one in reading.refused] == [number]
    assert len(reading.rows) == number - 1
    with pytest.raises(InvalidInput) as caught:
        rows_from_table(table, ColumnMap())
    assert f"a.jsonl: row {number}: " in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_that_squad_is_read_as_it_is_published() -> None:
    asked = [
        {"id": one["id"], "question": one["question"], "answers": answers, "is_impossible": False}
        for one, answers in ((NORMANS, [{"text": "France", "answer_start": 52}]), (HARD, []))
    ]
    article = {"title": "Normans", "paragraphs": [{"context": NORMANS["context"], "qas": asked}]}
    reading = read({"version": "v2.0", "data": [article]}, need_reference=False)
    assert reading.layout == "SQuAD"
    assert reading.columns["is_impossible"] is None
    first, second = reading.rows
    assert (first.external_id, first.group, first.context) == (
        NORMANS["id"],
        "Normans",
        NORMANS["context"],
    )
    assert (list(first.references), list(second.references)) == (["France"], [])


@pytest.mark.parametrize("data", ["x", [], [1], [{"paragraphs": 5}], {"a": 1}])
def test_that_another_object_with_data_is_a_row(data: Any) -> None:
    [one] = read({"data": data}).refused
    assert "neither input nor context; it has data" in one.reason


def test_that_questions_without_an_answer_are_counted_or_kept() -> None:
    with pytest.raises(InvalidInput, match="Leave out the questions that have no answer"):
        rows_from_table(FileTable.of_rows("a.json", [NORMANS, HARD]), ColumnMap())
    kept = read(NORMANS, HARD, need_reference=False)
    assert [len(row.references) for row in kept.rows] == [2, 0]
    assert {row.group for row in kept.rows} == {"Normans"}


def test_that_turns_may_have_another_name_and_a_context_that_is_mapped() -> None:
    turns = [*TALK, assistant(BLOCKED)]
    reading = read(
        {"talk": turns, "rules": RULES, "persona": DESK},
        columns={"messages": "talk", "context": "rules", "system": "persona"},
        instruction="Answer in one sentence.",
    )
    [row] = reading.rows
    last = f"Answer in one sentence.\n\n{DEBIT}\n\n{RULES}"
    assert chat_messages(row) == [*FULL[:-1], user(last)]
    assert reading.columns == {
        "talk": "messages and reference",
        "rules": "context",
        "persona": "messages (system)",
    }


def test_that_a_mapped_system_column_makes_a_conversation_of_a_plain_row() -> None:
    [row] = read({"q": LOST, "persona": DESK, "reference": WHICH}, columns={"input": "q"}).rows
    assert row.messages is None
    mapped = {"input": "q", "system": "persona"}
    [row] = read({"q": LOST, "persona": DESK, "reference": WHICH}, columns=mapped).rows
    assert row.messages == (system(DESK), user(LOST))


def test_that_cells_hold_turns_and_answers_as_json() -> None:
    turns = json.dumps([user(LOST), assistant(WHICH)])
    [row] = read({"messages": turns}, spelled=True).rows
    assert row == ExampleRow("row-1", LOST, references=(WHICH,))
    answers = json.dumps(NORMANS["answers"])
    [row] = read({**NORMANS, "answers": answers}, spelled=True).rows
    assert row.references == ("France", "in France")


def test_that_arrow_and_parquet_give_the_rows_of_json(tmp_path: Path) -> None:
    import datasets

    talk = {"messages": [*FULL, assistant(BLOCKED)]}
    for number, values in enumerate([talk, ULTRA, NORMANS]):
        folder, file = tmp_path / f"saved{number}", tmp_path / f"{number}.parquet"
        found = datasets.Dataset.from_list([values])
        found.save_to_disk(str(folder))
        found.to_parquet(str(file))
        expected = read(values)
        for source in (folder, file):
            reading = read_examples(read_table(source), ColumnMap(), notes=Notes())
            assert reading.rows == expected.rows
            assert reading.columns == expected.columns
