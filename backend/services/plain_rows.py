"""Training rows from a plain file, without a database.

Three shapes are told apart by their keys, row by row:

    {"input", "context"?, "output" | "correction", "rejected"?, "label"?}     plain
    {"prompt", "completion" | "chosen", "rejected"?, "label"?}                 TRL
    {"messages": [..., {"role": "assistant", "content": ...}]}                 chat

`output` is what a model wrote and `correction` what an expert made of it: the correction is the
answer to learn, and the output it replaced is the rejected one. A row that cannot give what the
format needs (no rejected answer, no label) is left out and counted, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.errors import InvalidInput
from backend.services.datasets import Row
from backend.services.exports import TrainingRow
from backend.services.prompts import chat_messages
from evaluators.readers import read_records

_ROLES = frozenset({"system", "user", "assistant", "tool"})
_LABELS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class PlainRow:
    """What a row of a file says, before a format is chosen."""

    prompt: Messages
    output: str | None
    correction: str | None = None
    rejected: str | None = None
    label: bool | None = None

    @property
    def answer(self) -> str | None:
        """What should be answered."""
        return self.output if self.correction is None else self.correction


@dataclass(slots=True)
class LeftOut:
    """How many rows were left out, by reason; filled while rows are read."""

    reasons: Counter[str] = field(default_factory=Counter)


def read_plain_rows(path: Path, kind: str, left_out: LeftOut) -> Iterator[TrainingRow]:
    """The rows of a JSONL or CSV file that can serve as training rows of a kind.

    Raises:
        InvalidInput: a row has none of the shapes above; names file and row.
        UnreadableRecord: the file is empty, not UTF-8, or cut short.
    """
    for record in read_records(path):
        try:
            found = _ROW_OF_KIND[kind](_parse(record.values))
        except InvalidInput as error:
            where = f"{path}: row {record.row}: {error.message}"
            raise InvalidInput(where, hint=error.hint) from error
        if isinstance(found, str):
            left_out.reasons[found] += 1
        else:
            yield found


def _sft(row: PlainRow) -> TrainingRow | str:
    if row.label is False and row.correction is None:
        return "labelled as wrong and not corrected"
    if row.answer is None:
        return "no answer"
    return TrainingRow("sft", row.prompt, row.answer)


def _dpo(row: PlainRow) -> TrainingRow | str:
    rejected = row.rejected
    if rejected is None and row.correction is not None:
        rejected = row.output
    if row.answer is None or rejected is None:
        return "no rejected answer"
    if row.answer == rejected:
        return "chosen and rejected are the same"
    return TrainingRow("dpo", row.prompt, row.answer, rejected=rejected)


def _kto(row: PlainRow) -> TrainingRow | str:
    if row.label is None:
        return "no label"
    if row.output is None:
        return "no answer"
    return TrainingRow("kto", row.prompt, row.output, label=row.label)


_ROW_OF_KIND: dict[str, Callable[[PlainRow], TrainingRow | str]] = {
    "sft": _sft,
    "dpo": _dpo,
    "kto": _kto,
}


def _parse(values: Mapping[str, Any]) -> PlainRow:
    present = {key: value for key, value in values.items() if value not in (None, "")}
    if "messages" in present:
        return _from_chat(present)
    if "prompt" in present:
        return _from_trl(present)
    if "input" in present:
        return _from_plain(present)
    raise InvalidInput(
        "it has no input, prompt or messages.", hint="See `strop export --help` for the shapes."
    )


def _from_plain(values: Mapping[str, Any]) -> PlainRow:
    given = Row(external_id="", input=_required(values, "input"), context=_text(values, "context"))
    return PlainRow(
        prompt=chat_messages(given),
        output=_text(values, "output"),
        correction=_text(values, "correction"),
        rejected=_text(values, "rejected"),
        label=_label(values),
    )


def _from_trl(values: Mapping[str, Any]) -> PlainRow:
    answer = "chosen" if "chosen" in values else "completion"
    prompt = values["prompt"]
    return PlainRow(
        prompt=(
            [{"role": "user", "content": prompt}]
            if isinstance(prompt, str)
            else _messages(prompt, "prompt")
        ),
        output=_said(values, answer),
        rejected=_said(values, "rejected"),
        label=_label(values),
    )


def _from_chat(values: Mapping[str, Any]) -> PlainRow:
    *prompt, last = _messages(values["messages"], "messages")
    if not prompt or last["role"] != "assistant":
        raise InvalidInput("messages do not end with an answer of the assistant.")
    return PlainRow(prompt=prompt, output=last["content"] or None, label=_label(values))


def _said(values: Mapping[str, Any], key: str) -> str | None:
    """An answer that is text, or a list with one message of the assistant."""
    value = values.get(key)
    if not isinstance(value, list):
        return _text(values, key)
    messages = _messages(value, key)
    if [message["role"] for message in messages] != ["assistant"]:
        raise InvalidInput(f"{key} is not one message of the assistant.")
    return messages[0]["content"] or None


def _messages(value: Any, key: str) -> Messages:
    good = isinstance(value, list) and value and all(_is_message(m) for m in value)
    if not good:
        raise InvalidInput(
            f"{key} is not a list of messages.", hint='A message is {"role", "content"}.'
        )
    return [{"role": m["role"], "content": m["content"]} for m in value]


def _is_message(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.get("role") in _ROLES
        and isinstance(value.get("content"), str)
    )


def _required(values: Mapping[str, Any], key: str) -> str:
    found = _text(values, key)
    if found is None:
        raise InvalidInput(f"{key} is missing.")
    return found


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"{key} is not text.")
    return value


def _label(values: Mapping[str, Any]) -> bool | None:
    value = values.get("label")
    if value is None:
        return None
    label = _LABELS.get(str(value).strip().lower())
    if label is None:
        raise InvalidInput(f"label {value!r} is neither true nor false.")
    return label
