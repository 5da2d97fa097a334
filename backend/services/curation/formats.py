"""Training rows: what each method of training gets of them, and the formats of other tools.

Pure: a row goes in, a JSON object comes out. Where rows come from is not known here
(`backend.services.curation` reads them from a frozen set, `backend.services.exchange.plain_rows`
from a file). A new format is one function and one line in `FORMATS`; a new method of
`training.config.METHODS` is an entry of `METHOD_ROWS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.errors import InvalidInput, UnknownName
from backend.services.datasets.conversations import chat_messages, prompt_text
from backend.services.datasets.importing.shapes import PlainRow
from training.config import Method

if TYPE_CHECKING:
    from backend.tables.datasets import Example

SFT, DPO, KTO, DOCUMENT = "sft", "dpo", "kto", "document"  # what a row of a set can be
BY_LOSS = "loss"
EMPTY = "with an empty correction"
NO_ANSWER = "without an answer"
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
        kind: sft (prompt, completion), dpo (and rejected), kto (and label) or document (whose text
            is the completion).
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
    return {"messages": _messages(row) + _answer(row.completion), **_origin(row)}


def _to_alpaca(row: TrainingRow) -> dict[str, Any]:
    """The last question is the instruction; a system message and the turns before are columns."""
    roles = [message["role"] for message in row.prompt]
    texts = [message["content"] for message in row.prompt]
    first = int(roles[0] == "system")
    before = (len(roles) - first) // 2
    if roles[first:] != ["user", "assistant"] * before + ["user"]:
        raise InvalidInput(
            f"Alpaca rows hold questions and answers in turn, not these ({', '.join(roles)}).",
            hint="Export this set as openai or sharegpt.",
        )
    history = [texts[at : at + 2] for at in range(first, len(texts) - 1, 2)]
    return {
        "instruction": texts[-1],
        "input": "",
        "output": row.completion,
        **({"system": texts[0]} if first else {}),
        **({"history": history} if history else {}),
        **_origin(row),
    }


def _to_sharegpt(row: TrainingRow) -> dict[str, Any]:
    turns = _messages(row) + _answer(row.completion)
    return {
        "conversations": [
            {"from": _SHAREGPT_SPEAKERS[turn["role"]], "value": turn["content"]} for turn in turns
        ],
        **_origin(row),
    }


def _sft_of(row: PlainRow) -> TrainingRow | str:
    if row.label is False and row.correction is None:
        return "labelled as wrong and not corrected"
    if row.answer is None:
        return EMPTY if row.uncorrected else NO_ANSWER
    return TrainingRow(SFT, row.asked, row.answer)


def _dpo_of(row: PlainRow) -> TrainingRow | str:
    rejected = row.rejected
    if rejected is None and row.correction is not None:
        rejected = row.output
    if row.answer is None and row.uncorrected:
        return EMPTY
    if row.answer is None or rejected is None:
        return "without a rejected answer"
    if row.answer == rejected:
        return "whose chosen and rejected are the same"
    return TrainingRow(DPO, row.asked, row.answer, rejected=rejected)


def _kto_of(row: PlainRow) -> TrainingRow | str:
    if row.label is None:
        return "without a label"
    if row.output is None:
        return NO_ANSWER
    return TrainingRow(KTO, row.asked, row.output, label=row.label)


def _reference(example: Example, group: str) -> dict[str, Any] | None:
    if not example.references:
        return None
    row = TrainingRow(SFT, chat_messages(example), str(example.references[0]))
    return {**_to_sft(row), "group": group}


@dataclass(frozen=True, slots=True)
class MethodRows(Format):
    """What a method of training gets of a frozen set, a plain file and a validation split.

    Attributes:
        from_plain: a row of a file, or why it gives none; None where no format has such rows.
        watch: the line of an example of the validation split, given the name of its group.
        watched: what an example must have to be watched, in words.
        lacking: what is said of a set without such a row, and the hint.
    """

    from_plain: Callable[[PlainRow], TrainingRow | str] | None
    watch: Callable[[Example, str], dict[str, Any] | None] = _reference
    watched: str = "references"
    lacking: tuple[str, str] = (
        "The training set has no row for {method}.",
        "See what it holds: strop set show",
    )


METHOD_ROWS: dict[Method, MethodRows] = {
    Method.SFT: MethodRows(SFT, _to_sft, "TRL: prompt and completion as chat messages", _sft_of),
    Method.DPO: MethodRows(DPO, _to_dpo, "TRL: prompt, chosen, rejected", _dpo_of),
    Method.KTO: MethodRows(KTO, _to_kto, "TRL: prompt, completion, label", _kto_of),
    Method.PRETRAIN: MethodRows(
        DOCUMENT,
        lambda row: {"text": row.completion},
        "plain text",
        from_plain=None,
        watch=lambda example, _: {"text": prompt_text(example.input, example.context)},
        watched="documents",
        lacking=(
            "Continued pre-training reads documents, and this training set holds none.",
            "Name them: strop train --documents FOLDER_OR_DATASET --name NAME",
        ),
    ),
}
FORMATS: dict[str, Format] = {
    **{name.value: rows for name, rows in METHOD_ROWS.items() if rows.from_plain},
    "openai": Format(SFT, _to_openai, "OpenAI fine-tuning: messages"),
    "alpaca": Format(SFT, _to_alpaca, "Alpaca: instruction, output, system, history"),
    "sharegpt": Format(SFT, _to_sharegpt, "ShareGPT: conversations"),
}


def _messages(row: TrainingRow) -> list[dict[str, str]]:
    return [{"role": m["role"], "content": m["content"]} for m in row.prompt]


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _origin(row: TrainingRow) -> dict[str, str]:
    """The mark of a row that a model drafted, which an import here reads again."""
    origin = row.provenance.get("origin")
    return {} if origin is None else {"origin": str(origin)}


def _provenance(row: TrainingRow) -> dict[str, str]:
    """As JSON text: its fields differ from row to row, and a column of a table may not."""
    if not row.provenance:
        return {}
    return {"provenance": json.dumps(row.provenance, ensure_ascii=False, default=str)}
