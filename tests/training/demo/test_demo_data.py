"""The demo project's rows: repeatable, grouped, unique, three tasks, true references."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from training.demo.data import TASKS, Example, demo_examples, label_examples_hastily
from training.demo.desk.facts import invented_facts
from training.demo.desk.tickets import SHARES

KEYS = {"id", "input", "context", "reference", "group", "slices"}


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return demo_examples(900, 7)


def test_the_same_seed_gives_the_same_rows(examples: list[Example]) -> None:
    assert demo_examples(900, 7) == examples


def test_another_seed_gives_other_rows(examples: list[Example]) -> None:
    assert demo_examples(900, 8) != examples


def test_there_are_300_rows_a_task_with_the_keys_and_no_split(examples: list[Example]) -> None:
    assert Counter(e["slices"]["task"] for e in examples) == dict.fromkeys(TASKS, 300)
    assert all(set(e) == KEYS for e in examples)
    assert all({"task", "channel", "plan_family"} <= set(e["slices"]) for e in examples)


@pytest.mark.parametrize("key", ["id", "context"])
def test_no_value_occurs_twice(examples: list[Example], key: str) -> None:
    assert len({e[key] for e in examples}) == len(examples)


def test_customers_have_rows_of_several_tasks(examples: list[Example]) -> None:
    tasks: dict[str, set[str]] = {}
    for example in examples:
        tasks.setdefault(example["group"], set()).add(example["slices"]["task"])
    assert len(tasks) > 200
    assert all(len(some) == 3 for some in tasks.values())


def test_every_intent_occurs_and_the_shares_are_uneven(examples: list[Example]) -> None:
    counts = Counter(e["reference"] for e in examples if e["slices"]["task"] == "intent")
    assert set(counts) == set(SHARES)
    assert max(counts.values()) > 2 * min(counts.values())


def test_references_of_summaries_state_nothing_the_source_does_not(examples: list[Example]) -> None:
    summaries = [e for e in examples if e["slices"]["task"] == "summary"]
    assert {e["id"]: invented_facts(e["reference"], e["context"]) for e in summaries} == {
        e["id"]: [] for e in summaries
    }


def test_texts_hold_letters_outside_ascii(examples: list[Example]) -> None:
    assert any(not e["reference"].isascii() for e in examples)
    assert any(not e["context"].isascii() for e in examples)


def test_the_command_writes_utf8_lines(tmp_path: Path) -> None:
    out = tmp_path / "demo.jsonl"
    command = [sys.executable, "-m", "training.demo.data", "--out", str(out), "--n", "30"]
    subprocess.run(command, check=True)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert rows == demo_examples(30, 7)


def test_one_task_alone_has_all_the_rows() -> None:
    rows = demo_examples(60, 7, tasks=["intent"])
    assert [row["id"] for row in rows[:2]] == ["intent-0001", "intent-0002"]
    assert {row["slices"]["task"] for row in rows} == {"intent"}
    assert len({row["context"] for row in rows}) == 60


def test_the_old_form_says_the_same_facts() -> None:
    rows = demo_examples(40, 7, tasks=["summary"], house_form=False)
    assert all(row["reference"].startswith("The customer ") for row in rows)
    assert all(not invented_facts(row["reference"], row["context"]) for row in rows)


def test_hasty_labels_are_wrong_in_the_same_places_each_time(examples: list[Example]) -> None:
    hasty = label_examples_hastily(examples, 7)
    assert hasty == label_examples_hastily(examples, 7)
    changed = [(a, b) for a, b in zip(examples, hasty, strict=True) if a != b]
    assert {row["slices"]["task"] for row, _ in changed} == {"intent"}
    assert 0.15 < len(changed) / 300 < 0.35
    assert all({**a, "reference": b["reference"]} == b for a, b in changed)
