"""Training rows: read and checked from JSONL, turned into token ids, and put in order.

A row is TRL's prompt and completion with chat messages; other keys are provenance and are ignored:

    {"prompt": [{"role": "user", "content": "..."}],
     "completion": [{"role": "assistant", "content": "..."}],
     "weight": 0.5, "order": 3, "group": "patient 7"}

Weight and order may be left out, in all rows alike: what the row counts for in the loss (1), and
its place among the rows of an epoch, or "loss" for the place that training.rows.curriculum finds
(shuffled). The group matters in a validation file: rows of one count once in every interval.

Knows nothing of torch; the tokeniser is given.

Raw documents for continued pre-training: read, joined by the end token, cut into equal blocks.

    {"text": "..."}

Every token is learnt, and a block may hold the end of one document and the start of the next, as in
pre-training itself. Knows nothing of torch.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.errors import TrainingError

BY_LOSS = "loss"
IGNORED = -100  # the label that PyTorch's cross entropy leaves out
_ROLES = frozenset({"system", "user", "assistant", "tool"})
_SHAPE = (
    'Each line must be {"prompt": [{"role", "content"}, ...], '
    '"completion": [{"role": "assistant", "content"}]}; `strop export sft` writes such files.'
)
_POOL = 32  # batches sorted together: enough to even out lengths, few enough to stay random


class DataError(TrainingError):
    """A training file cannot be used."""


@dataclass(frozen=True, slots=True)
class ChatRow:
    """One example: what is asked, and what should be answered."""

    number: int  # line in the file, from 1
    prompt: list[dict[str, str]]
    completion: list[dict[str, str]]
    weight: float | None = None
    order: int | str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class TokenRow:
    """Token ids and labels of equal length; a label of -100 is left out of the loss.

    `weight`, `order` and `group` are those of the row in the file.
    """

    input_ids: list[int]
    labels: list[int]
    weight: float | None = None
    order: int | str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class DataReport:
    """What the tokeniser made of a file; lengths in tokens."""

    rows: int
    tokens: int
    trained_tokens: int
    longest: int
    cut: int  # rows that were cut to max_length
    dropped: int  # of those, rows with nothing left to train on
    ended: int | None = None  # rows whose answer ends with an end token; None where none is asked


def read_rows(path: Path) -> list[ChatRow]:
    """Read a training file; blank lines are skipped.

    Raises:
        DataError: it cannot be opened, holds no row, or a line is not of the shape above.
    """
    rows = [_chat_row(where, number, row) for where, number, row in json_rows(path, shape=_SHAPE)]
    if not rows:
        raise DataError(f"{path} holds no rows.", hint=_SHAPE)
    for name in ("weight", "order"):
        given = {type(getattr(row, name)) for row in rows}
        if len(given) > 1:
            raise DataError(f"{path}: {name!r} is not given alike in all rows.", hint=_SHAPE)
    return rows


def encode_rows(
    rows: Sequence[ChatRow],
    tokenizer: Any,
    *,
    max_length: int,
    truncate: bool,
    completion_only: bool,
    first_token_only: bool = False,
    ends: Collection[int] | None = None,
) -> tuple[list[TokenRow], DataReport]:
    """Render rows through the tokeniser's chat template.

    The completion starts where the rendered prompt and the rendered whole part ways.

    Args:
        first_token_only: the loss is of the first token of a completion, by which a checker is
            read, and of no token that ends it.
        ends: tokens that end an answer; the tokeniser's own by default.

    Raises:
        DataError: rows are longer than `max_length` and `truncate` is off, nothing is left, or the
            template refuses a row's messages.
    """
    ends = end_tokens(tokenizer) if ends is None else ends
    starts, encoded = [], []
    for row in rows:
        start, one = _encode(row, tokenizer, completion_only=completion_only)
        starts.append(start)
        encoded.append(_only_first(one, start) if first_token_only else one)
    lengths = [len(row.input_ids) for row in encoded]
    long = refuse_long(
        lengths, [row.number for row in rows], max_length=max_length, truncate=truncate
    )
    cut = [
        replace(r, input_ids=r.input_ids[:max_length], labels=r.labels[:max_length])
        for r in encoded
    ]
    pairs = [
        (start, row)
        for start, row in zip(starts, cut, strict=True)
        if any(label != IGNORED for label in row.labels)
    ]
    if not pairs:
        raise nothing_left()
    kept = [row for _, row in pairs]
    ended = sum(has_end(row.input_ids[start:], ends) for start, row in pairs)
    report = _report(kept, longest=max(lengths), cut=long, dropped=len(rows) - len(kept))
    return kept, replace(report, ended=ended)


def nothing_left() -> DataError:
    """What is raised where `max_length` leaves no row anything to train on."""
    return DataError("No row has a token to train on.", hint="Raise max_length.")


def end_tokens(tokenizer: Any) -> frozenset[int]:
    """The token by which a tokeniser ends an answer; empty where it has none."""
    end = tokenizer.eos_token_id
    return frozenset() if end is None else frozenset({end})


def has_end(answer: Sequence[int], ends: Collection[int]) -> bool:
    """Whether an answer's tokens hold one that ends it; templates may write a line break after."""
    return any(token in ends for token in answer)


def refuse_long(
    lengths: Sequence[int], numbers: Sequence[int], *, max_length: int, truncate: bool
) -> int:
    """How many rows are longer than `max_length`.

    Raises:
        DataError: some are, and `truncate` is off; the longest is named by its line number.
    """
    long = [i for i, length in enumerate(lengths) if length > max_length]
    if long and not truncate:
        worst = max(long, key=lengths.__getitem__)
        raise DataError(
            f"{len(long)} of {len(lengths)} rows are longer than max_length {max_length}; the "
            f"longest is line {numbers[worst]} with {lengths[worst]} tokens.",
            hint=f"Set max_length: {lengths[worst]}, or truncate: true to cut them at the end.",
        )
    return len(long)


def length_bucketed_order(
    lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int
) -> list[int]:
    """Row indices of one epoch whose consecutive batches hold rows of similar length.

    Rows are shuffled, sorted within pools of batches, and the batches are shuffled again; the one
    batch that may be short stays last. The same seed and epoch give the same order, so that a
    resumed run sees what an uninterrupted one would have seen.
    """
    rng = random.Random(f"{seed}:{epoch}")
    order = list(range(len(lengths)))
    rng.shuffle(order)
    pool = batch_size * _POOL
    for start in range(0, len(order), pool):
        order[start : start + pool] = sorted(order[start : start + pool], key=lengths.__getitem__)
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    short = [batches.pop()] if len(batches[-1]) < batch_size else []
    rng.shuffle(batches)
    return [index for batch in batches + short for index in batch]


def json_rows(path: Path, *, shape: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """The objects of a JSONL file, each with its place in words and its line number.

    Raises:
        DataError: the file cannot be opened, or a line is no JSON object; `shape` is the hint.
    """
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if line.strip():
                    where = f"{path}, line {number}"
                    yield where, number, _object(where, line, shape)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _object(where: str, line: bytes, shape: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8.", hint="Convert the file to UTF-8.") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg}).", hint=shape) from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: not an object.", hint=shape)
    return row


def _chat_row(where: str, number: int, row: Mapping[str, Any]) -> ChatRow:
    prompt = chat_messages(where, row, "prompt", shape=_SHAPE)
    answer = answer_messages(where, row, "completion", shape=_SHAPE)
    return ChatRow(
        number, prompt, answer, _weight(where, row), _order(where, row), group_of_row(row)
    )


def group_of_row(row: Mapping[str, Any]) -> str | None:
    """What a row belongs to; None where it stands alone."""
    found = row.get("group")
    return None if found is None else str(found)


def _weight(where: str, row: Mapping[str, Any]) -> float | None:
    found = row.get("weight")
    if found is None:
        return None
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    if not is_number or not math.isfinite(found) or found <= 0:
        raise DataError(f"{where}: the weight is no number above 0.", hint="1 is the usual weight.")
    return float(found)


def _order(where: str, row: Mapping[str, Any]) -> int | str | None:
    found = row.get("order")
    if (
        found is None
        or found == BY_LOSS
        or (isinstance(found, int) and not isinstance(found, bool))
    ):
        return found
    raise DataError(f"{where}: the order is neither a place nor {BY_LOSS!r}.", hint="Leave it out.")


def answer_messages(
    where: str, row: Mapping[str, Any], key: str, *, shape: str
) -> list[dict[str, str]]:
    """The assistant's messages under a key; DataError when they are not, or are empty."""
    answer = chat_messages(where, row, key, shape=shape)
    if any(m["role"] != "assistant" for m in answer):
        raise DataError(f"{where}: the {key} is not the assistant's.", hint=shape)
    if not any(m["content"].strip() for m in answer):
        raise DataError(f"{where}: the {key} is empty.", hint="Remove the row or answer it.")
    return answer


def chat_messages(
    where: str, row: Mapping[str, Any], key: str, *, shape: str
) -> list[dict[str, str]]:
    """The chat messages under a key of a row; DataError when there are none."""
    found = row.get(key)
    if not isinstance(found, list) or not found or not all(_is_message(m) for m in found):
        raise DataError(f"{where}: {key!r} is not a list of chat messages.", hint=shape)
    return [{"role": m["role"], "content": m["content"]} for m in found]


def _is_message(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.get("role") in _ROLES
        and isinstance(value.get("content"), str)
    )


def _encode(row: ChatRow, tokenizer: Any, *, completion_only: bool) -> tuple[int, TokenRow]:
    """Where the answer starts, and the row."""
    prompt = token_ids(tokenizer, row.prompt, line=row.number, add_generation_prompt=True)
    whole = token_ids(tokenizer, row.prompt + row.completion, line=row.number)
    start = _common_prefix(prompt, whole)
    labels = [IGNORED] * start + whole[start:] if completion_only else list(whole)
    return start, TokenRow(whole, labels, row.weight, row.order, row.group)


def _only_first(row: TokenRow, start: int) -> TokenRow:
    labels = [IGNORED] * len(row.labels)
    labels[start : start + 1] = row.input_ids[start : start + 1]
    return replace(row, labels=labels)


def token_ids(
    tokenizer: Any, messages: list[dict[str, str]], *, line: int, **options: bool
) -> list[int]:
    """Chat messages through the tokeniser's own template.

    Args:
        line: of the file, for the sentence.

    Raises:
        DataError: the template refuses the messages, as some do a system message.
    """
    from jinja2.exceptions import TemplateError

    try:
        encoded = tokenizer.apply_chat_template(
            messages, tokenize=True, return_dict=True, **options
        )
    except (TemplateError, TypeError, ValueError) as error:
        roles = ", ".join(message["role"] for message in messages)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise DataError(
            f"Line {line}: the base's chat template refuses its messages ({roles}): {reason}.",
            hint="Write the rows without what it refuses, or give the base another template.",
        ) from error
    return list(encoded["input_ids"])


def _common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(left), len(right)))


def _report(rows: Sequence[TokenRow], *, longest: int, cut: int, dropped: int) -> DataReport:
    return DataReport(
        rows=len(rows),
        tokens=sum(len(row.input_ids) for row in rows),
        trained_tokens=sum(label != IGNORED for row in rows for label in row.labels),
        longest=longest,
        cut=cut,
        dropped=dropped,
    )


_DOCUMENT_SHAPE = 'Each line must be {"text": "..."}, one document a line.'


def read_documents(path: Path) -> list[str]:
    """Read a file of documents; DataError when a line has no text, or none is there."""
    texts = []
    for where, _, row in json_rows(path, shape=_DOCUMENT_SHAPE):
        text = row.get("text")
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{where}: there is no text.", hint=_DOCUMENT_SHAPE)
        texts.append(text)
    if not texts:
        raise DataError(f"{path} holds no documents.", hint=_DOCUMENT_SHAPE)
    return texts


def encode_documents(
    texts: Sequence[str], tokenizer: Any, *, max_length: int
) -> tuple[list[TokenRow], DataReport]:
    """Blocks of `max_length` tokens; the last one may be shorter, and is left out if it is one.

    Raises:
        DataError: the tokeniser has no end token to part documents with, or nothing is left.
    """
    if tokenizer.eos_token_id is None:
        raise DataError("The tokeniser has no end token to part documents with.")
    stream: list[int] = []
    for text in texts:
        stream += tokenizer(text, add_special_tokens=False)["input_ids"]
        stream.append(tokenizer.eos_token_id)
    blocks = [stream[i : i + max_length] for i in range(0, len(stream), max_length)]
    rows = [TokenRow(block, list(block)) for block in blocks if len(block) > 1]
    if not rows:
        raise DataError("No document has two tokens to train on.")
    tokens = sum(len(row.input_ids) for row in rows)
    longest = max(len(row.input_ids) for row in rows)
    return rows, DataReport(len(rows), tokens, tokens, longest, cut=0, dropped=0)
