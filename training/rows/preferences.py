"""Rows of preferences: which of two answers is better (DPO), or whether one is good (KTO).

    {"prompt": [...], "chosen": [{"role": "assistant", ...}], "rejected": [...]}
    {"prompt": [...], "completion": [{"role": "assistant", ...}], "label": true}

Chat messages and `group` as in `training.rows.data`; other keys are provenance and are ignored. TRL
tokenises these rows itself, through the same chat template; here they are read, checked and
measured. Knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from training.rows.data import (
    DataError,
    DataReport,
    answer_messages,
    chat_messages,
    end_tokens,
    group_of_row,
    has_end,
    json_rows,
    nothing_left,
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
class PreferencePairRow:
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


def read_pairs(path: Path) -> list[PreferencePairRow]:
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
        rows.append(PreferencePairRow(number, prompt, chosen, rejected, group_of_row(row)))
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


Preference = TypeVar("Preference", PreferencePairRow, LabelRow)


def fit_rows(
    rows: Sequence[Preference],
    tokenizer: Any,
    *,
    max_length: int,
    truncate: bool,
    ends: Collection[int] | None = None,
) -> tuple[list[Preference], DataReport]:
    """The rows that have something left to train on, and what the tokeniser makes of them.

    A row counts its prompt once for each answer. TRL drops a row whose prompt alone fills
    `max_length`; here that is done, and counted, before.

    Raises:
        DataError: an answer with its prompt is longer than `max_length` and `truncate` is off,
            nothing is left, or (KTO) answers of one label alone are.
    """
    stops = end_tokens(tokenizer) if ends is None else ends
    sizes = [_measure(row, tokenizer, stops, max_length) for row in rows]
    longest = [max(size.wholes) for size in sizes]
    numbers = [row.number for row in rows]
    cut = refuse_long(longest, numbers, max_length=max_length, truncate=truncate)
    fits = [size.prompt < max_length for size in sizes]
    kept = [row for row, fit in zip(rows, fits, strict=True) if fit]
    left = [size for size, fit in zip(sizes, fits, strict=True) if fit]
    if not kept:
        raise nothing_left()
    if _labels(kept) != _labels(rows):
        raise DataError(
            "What is left of the rows at max_length does not hold both good and bad answers.",
            hint="Raise max_length.",
        )
    within = [(size.prompt, min(n, max_length)) for size in left for n in size.wholes]
    return kept, DataReport(
        rows=len(kept),
        tokens=sum(whole for _, whole in within),
        trained_tokens=sum(max(0, whole - prompt) for prompt, whole in within),
        longest=max(longest),
        cut=cut,
        dropped=len(rows) - len(kept),
        ended=sum(size.ended for size in left),
    )


def _labels(rows: Sequence[PreferencePairRow] | Sequence[LabelRow]) -> set[bool]:
    return {row.label for row in rows if isinstance(row, LabelRow)}


class _Size(NamedTuple):
    """Tokens of a row's prompt, of each whole, and whether every answer ends within the limit."""

    prompt: int
    wholes: list[int]
    ended: bool


def _measure(
    row: PreferencePairRow | LabelRow, tokenizer: Any, ends: Collection[int], max_length: int
) -> _Size:
    prompt = len(token_ids(tokenizer, row.prompt, line=row.number, add_generation_prompt=True))
    wholes = [token_ids(tokenizer, row.prompt + answer, line=row.number) for answer in row.answers]
    ended = all(has_end(whole[prompt:max_length], ends) for whole in wholes)
    return _Size(prompt, [len(whole) for whole in wholes], ended)


def as_record(row: PreferencePairRow | LabelRow) -> dict[str, Any]:
    """A row as TRL reads it."""
    return {name: value for name, value in asdict(row).items() if name not in _NOT_LEARNT}
