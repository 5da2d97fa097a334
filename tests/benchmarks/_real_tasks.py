"""The two tasks of the real model's table: rows, prompts, shots, and how an answer is read.

banking77 is cut to the ten intents with most training rows; mts_dialog to dialogues of at most 900
characters. Rows are drawn by a seed. A prompt is messages made from a row and its shots; shots come
from the training rows alone. Knows no model.
"""

from __future__ import annotations

import csv
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

Message = dict[str, str]
INTENTS = 10
_PARTS = (range(30), range(90, 94))  # of each intent: to train on, to choose a prompt on
OFF_LIST = "(none of the topics)"
MOST_CHARACTERS = 900


@dataclass(frozen=True, slots=True)
class Row:
    """One example: what the model is shown, what is right, and what belongs together."""

    id: str
    text: str
    reference: str
    group: str | None = None


Wording = Callable[[Row, Sequence[Row]], list[Message]]


@dataclass(frozen=True, slots=True)
class Task:
    """All that the table asks of a task.

    Attributes:
        wordings: prompts for the base, by name; the first is the plain one.
        tuned: the prompt that adapters are trained and asked with.
        metrics: the first one chooses the prompt, on the validation rows.
        sizes: training rows of each adapter.
        read: what counts of an answer.
    """

    name: str
    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    test: tuple[Row, ...]
    wordings: Mapping[str, Wording]
    tuned: Wording
    metrics: tuple[str, ...]
    sizes: tuple[int, ...]
    max_tokens: int
    max_length: int
    read: Callable[[str], str]
    stated: str


def nearest_shots(pool: Sequence[Row], row: Row, k: int) -> list[Row]:
    """The k rows of the pool most like a row by BM25 (k1 1.2, b .75), the likest last."""
    asked = set(_words(row.text))
    texts = [Counter(_words(one.text)) for one in pool]
    mean = sum(sum(words.values()) for words in texts) / len(texts)
    seen_in = Counter(word for words in texts for word in words if word in asked)

    def likeness(words: Counter[str]) -> float:
        length = 1.2 * (0.25 + 0.75 * sum(words.values()) / mean)
        return sum(
            math.log(1 + (len(pool) - seen_in[word] + 0.5) / (seen_in[word] + 0.5))
            * words[word] * 2.2 / (words[word] + length)
            for word in asked & words.keys()
        )  # fmt: skip

    ranked = sorted(range(len(pool)), key=lambda i: (-likeness(texts[i]), i))
    return [pool[i] for i in ranked[:k]][::-1]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def banking77(folder: Path, *, seed: int) -> Task:
    """Which of ten intents a bank's customer writes about."""
    train, test = (_read(folder / "banking77" / f"{part}.csv") for part in ("train", "test"))
    counted = Counter(row["category"] for row in train)
    chosen = sorted(counted, key=lambda name: (-counted[name], name))[:INTENTS]
    pool = _drawn("train", train, chosen, per_intent=100, seed=seed)
    known, held = ([row for row in pool if _number(row) in part] for part in _PARTS)
    topics = sorted(name.replace("_", " ").lower() for name in chosen)
    return Task(
        name="banking77",
        train=tuple(known),
        validation=tuple(held),
        test=tuple(_drawn("test", test, chosen, per_intent=10, seed=seed)),
        wordings={
            "plain": partial(_as_turns, _instruction(topics), "{}"),
            "fields": partial(_as_turns, _instruction(topics), "Message: {}\nTopic:"),
        },
        tuned=partial(_as_turns, "Name the topic.", "{}"),
        metrics=("f1", "accuracy"),
        sizes=(50, 100, 300, len(known)),
        max_tokens=16,
        max_length=256,
        read=partial(_topic_in, topics),
        stated=f"banking77, the {INTENTS} intents with most training rows: {', '.join(topics)}",
    )


def _instruction(topics: Sequence[str]) -> str:
    listed = "\n".join(f"- {topic}" for topic in topics)
    return (
        "Name the topic of the customer's message. Answer with one of these topics, word for word, "
        f"and nothing else.\n{listed}"
    )


def _topic_in(topics: Sequence[str], answer: str) -> str:
    """The one topic that an answer names; off the list where it names none or several."""
    text = " ".join(answer.lower().replace("_", " ").split())
    named = [topic for topic in topics if topic in text]
    longest = [one for one in named if not any(one != other and one in other for other in named)]
    return longest[0] if len(longest) == 1 else OFF_LIST


def _drawn(
    split: str, rows: Sequence[Mapping[str, str]], chosen: Sequence[str], *, per_intent: int,
    seed: int,
) -> list[Row]:  # fmt: skip
    """So many rows of each intent, numbered within it, in turn: any start of it is balanced."""
    rng = random.Random(f"{seed}-{split}")
    found = []
    for name in chosen:
        texts = sorted({row["text"].strip() for row in rows if row["category"] == name})
        for number, text in enumerate(rng.sample(texts, per_intent)):
            found.append(Row(f"{split}-{name}-{number}", text, name.replace("_", " ").lower()))
    return sorted(found, key=lambda row: (_number(row), row.id))


def _number(row: Row) -> int:
    return int(row.id.rsplit("-", 1)[1])


def mts_dialog(folder: Path, *, seed: int) -> Task:
    """The section of a note that a clinician wrote after a dialogue, of short dialogues."""
    parts = {
        part: _short(part, _read(folder / "mts_dialog" / f"{part}.csv"))
        for part in ("train", "validation", "test")
    }
    rng = random.Random(seed)
    for rows in parts.values():
        rng.shuffle(rows)
    train = tuple(parts["train"])
    system = "You write notes for a clinic. Use only what the dialogue says."
    return Task(
        name="mts_dialog",
        train=train,
        validation=tuple(parts["validation"][:24]),
        test=tuple(parts["test"][:60]),
        wordings={
            "plain": partial(_as_turns, system, "{}\n\nSummarise this dialogue for the note."),
            "brief": partial(
                _as_turns, system + " Write one or two short sentences in the third person.", "{}"
            ),
        },
        tuned=partial(_as_turns, "Write the note.", "{}"),
        metrics=("rougeL", "grounding", "invented"),
        sizes=(50, 100, 300, len(train)),
        max_tokens=96,
        max_length=640,
        read=str.strip,
        stated=f"mts_dialog, dialogues of at most {MOST_CHARACTERS} characters",
    )


def _short(part: str, rows: Sequence[Mapping[str, str]]) -> list[Row]:
    return [
        Row(f"{part}-{row['ID']}", row["dialogue"].strip(), row["section_text"].strip())
        for row in rows
        if len(row["dialogue"]) <= MOST_CHARACTERS and 20 <= len(row["section_text"]) <= 300
    ]


def _as_turns(system: str, asked: str, row: Row, shots: Sequence[Row]) -> list[Message]:
    """A system message, each shot as a turn that was answered, and the row."""
    messages = [{"role": "system", "content": system}]
    for shot in shots:
        messages.append({"role": "user", "content": asked.format(shot.text)})
        messages.append({"role": "assistant", "content": shot.reference})
    return [*messages, {"role": "user", "content": asked.format(row.text)}]


def _read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


TASKS: Mapping[str, Callable[..., Task]] = {"banking77": banking77, "mts_dialog": mts_dialog}
