"""Rows of preferences: which of two answers is better (DPO), or whether one is good (KTO).

    {"prompt": [...], "chosen": [{"role": "assistant", ...}], "rejected": [...]}
    {"prompt": [...], "completion": [{"role": "assistant", ...}], "label": true}

Chat messages and `group` as in `training.data`; other keys are provenance and are ignored. TRL
tokenises these rows itself, through the same chat template; here they are read, checked and
measured. Knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.data import (
    DataError,
    DataReport,
    answer_messages,
    chat_messages,
    group_of_row,
    json_rows,
    refuse_long,
    token_ids,
)

_NOT_LEARNT = frozenset({"number", "group"})
_PAIR_SHAPE = (
    "Each line must have prompt, chosen and rejected with chat messages; "
    "`strop export dpo` writes such files."
)
_LABEL_SHAPE = (
    "Each line must have prompt, completion and a label true or false; "
    "`strop export kto` writes such files."
)


@dataclass(frozen=True, slots=True)
class PairRow:
    """A prompt with the better and the worse answer; `number` is the line in the file, from 1."""

    number: int
    prompt: list[dict[str, str]]
    chosen: list[dict[str, str]]
    rejected: list[dict[str, str]]
    group: str | None = None

    @property
    def answers(self) -> list[list[dict[str, str]]]:
        """Both answers."""
        return [self.chosen, self.rejected]


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A prompt with an answer, and whether the answer is good."""

    number: int
    prompt: list[dict[str, str]]
    completion: list[dict[str, str]]
    label: bool
    group: str | None = None

    @property
    def answers(self) -> list[list[dict[str, str]]]:
        """The one answer."""
        return [self.completion]


def read_pairs(path: Path) -> list[PairRow]:
    """Read a file of pairs.

    Raises:
        DataError: no row, a line of another shape, or a pair whose answers are the same.
    """
    rows = []
    for where, number, row in json_rows(path, shape=_PAIR_SHAPE):
        prompt = chat_messages(where, row, "prompt", shape=_PAIR_SHAPE)
        chosen = answer_messages(where, row, "chosen", shape=_PAIR_SHAPE)
        rejected = answer_messages(where, row, "rejected", shape=_PAIR_SHAPE)
        if chosen == rejected:
            raise DataError(f"{where}: both answers are the same.", hint="Remove the row.")
        rows.append(PairRow(number, prompt, chosen, rejected, group_of_row(row)))
    if not rows:
        raise DataError(f"{path} holds no rows.", hint=_PAIR_SHAPE)
    return rows


def read_labels(path: Path) -> list[LabelRow]:
    """Read a file of labelled answers.

    Raises:
        DataError: no row, a line of another shape, or all labels are the same.
    """
    rows = []
    for where, number, row in json_rows(path, shape=_LABEL_SHAPE):
        label = row.get("label")
        if not isinstance(label, bool):
            raise DataError(f"{where}: the label is neither true nor false.", hint=_LABEL_SHAPE)
        prompt = chat_messages(where, row, "prompt", shape=_LABEL_SHAPE)
        completion = answer_messages(where, row, "completion", shape=_LABEL_SHAPE)
        rows.append(LabelRow(number, prompt, completion, label, group_of_row(row)))
    if len({row.label for row in rows}) < 2:
        raise DataError(f"{path} does not hold both good and bad answers.", hint=_LABEL_SHAPE)
    return rows


def measure_rows(
    rows: Sequence[PairRow] | Sequence[LabelRow], tokenizer: Any, *, max_length: int, truncate: bool
) -> DataReport:
    """What the tokeniser makes of the rows; a row counts its prompt once for each answer.

    Raises:
        DataError: an answer with its prompt is longer than `max_length` and `truncate` is off.
    """
    tokens = trained = longest = 0
    lengths = []
    for row in rows:
        prompt = len(token_ids(tokenizer, row.prompt, add_generation_prompt=True))
        wholes = [len(token_ids(tokenizer, row.prompt + answer)) for answer in row.answers]
        lengths.append(max(wholes))
        tokens += sum(min(whole, max_length) for whole in wholes)
        trained += sum(max(0, min(whole, max_length) - prompt) for whole in wholes)
        longest = max(longest, *wholes)
    cut = refuse_long(
        lengths, [row.number for row in rows], max_length=max_length, truncate=truncate
    )
    return DataReport(len(rows), tokens, trained, longest, cut=cut, dropped=0)


def as_record(row: PairRow | LabelRow) -> dict[str, Any]:
    """A row as TRL reads it."""
    return {name: value for name, value in asdict(row).items() if name not in _NOT_LEARNT}
