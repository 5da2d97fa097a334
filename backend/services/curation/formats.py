"""Training rows, and their way into the formats of other tools.

Pure: a row goes in, a JSON object comes out. Where rows come from is not known here
(`backend.services.curation` reads them from a frozen set, `backend.services.exchange.plain_rows`
from a file). A new format is one function and one line in `FORMATS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.errors import InvalidInput, UnknownName

BY_LOSS = "loss"
_SHAREGPT_SPEAKERS = {
    "system": "system",
    "user": "human",
    "assistant": "gpt",
    "tool": "observation",
}


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One row of training data.

    Attributes:
        kind: sft (prompt, completion), dpo (and rejected) or kto (and label).
        prompt: chat messages, {"role", "content"}.
        weight: what an SFT row counts for in the loss; None counts as 1.
        order: place of an SFT row in a curriculum, or BY_LOSS where the trainer finds the places;
            None where rows are shuffled.
        provenance: where the row comes from, JSON-serialisable.
    """

    kind: str
    prompt: Sequence[Mapping[str, str]]
    completion: str
    rejected: str | None = None
    label: bool | None = None
    weight: float | None = None
    order: int | str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write rows of one kind."""

    kind: str
    convert: Callable[[TrainingRow], dict[str, Any]]
    description: str


def get_format(name: str) -> Format:
    """The format of that name; `UnknownName` lists the nearest."""
    if name not in FORMATS:
        raise UnknownName("export format", name, FORMATS)
    return FORMATS[name]


def export_rows(rows: Iterable[TrainingRow], name: str) -> Iterator[dict[str, Any]]:
    """The rows of the format's kind, each as one JSON object; rows of other kinds are passed over.

    Raises:
        UnknownName: there is no such format.
        InvalidInput: a row cannot be said in this format.
    """
    chosen = get_format(name)
    return (chosen.convert(row) for row in rows if row.kind == chosen.kind)


def _to_sft(row: TrainingRow) -> dict[str, Any]:
    return {
        "prompt": _messages(row),
        "completion": _answer(row.completion),
        **({} if row.weight is None else {"weight": row.weight}),
        **({} if row.order is None else {"order": row.order}),
        **_provenance(row),
    }


def _to_dpo(row: TrainingRow) -> dict[str, Any]:
    if row.rejected is None:
        raise InvalidInput("A preference row has no rejected answer.")
    return {
        "prompt": _messages(row),
        "chosen": _answer(row.completion),
        "rejected": _answer(row.rejected),
        **_provenance(row),
    }


def _to_kto(row: TrainingRow) -> dict[str, Any]:
    if row.label is None:
        raise InvalidInput("A labelled row has no label.")
    return {
        "prompt": _messages(row),
        "completion": _answer(row.completion),
        "label": row.label,
        **_provenance(row),
    }


def _to_openai(row: TrainingRow) -> dict[str, Any]:
    return {"messages": _messages(row) + _answer(row.completion)}


def _to_alpaca(row: TrainingRow) -> dict[str, Any]:
    """A system message is the instruction and the user's the input; alone, the user's is both."""
    roles = [message["role"] for message in row.prompt]
    if roles not in (["user"], ["system", "user"]):
        raise InvalidInput(
            f"Alpaca rows hold one question, not a conversation ({', '.join(roles)}).",
            hint="Export this set as openai or sharegpt.",
        )
    first, *rest = (message["content"] for message in row.prompt)
    return {"instruction": first, "input": rest[0] if rest else "", "output": row.completion}


def _to_sharegpt(row: TrainingRow) -> dict[str, Any]:
    turns = _messages(row) + _answer(row.completion)
    return {
        "conversations": [
            {"from": _SHAREGPT_SPEAKERS[turn["role"]], "value": turn["content"]} for turn in turns
        ]
    }


FORMATS: dict[str, Format] = {
    "sft": Format("sft", _to_sft, "TRL prompt and completion, chat messages"),
    "dpo": Format("dpo", _to_dpo, "TRL prompt, chosen and rejected, chat messages"),
    "kto": Format("kto", _to_kto, "TRL prompt, completion and label, chat messages"),
    "openai": Format("sft", _to_openai, "OpenAI fine-tuning: messages"),
    "alpaca": Format("sft", _to_alpaca, "Alpaca: instruction, input, output"),
    "sharegpt": Format("sft", _to_sharegpt, "ShareGPT: conversations of human and gpt"),
}


def _messages(row: TrainingRow) -> list[dict[str, str]]:
    return [{"role": m["role"], "content": m["content"]} for m in row.prompt]


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _provenance(row: TrainingRow) -> dict[str, str]:
    """As JSON text: its fields differ from row to row, and a column of a table may not."""
    if not row.provenance:
        return {}
    return {"provenance": json.dumps(row.provenance, ensure_ascii=False, default=str)}
