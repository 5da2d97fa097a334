"""From the file of a method to what its trainer takes, and what the tokeniser made of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from training.config import Method, TrainingConfig
from training.rows.curriculum import mean_one_weights
from training.rows.data import ChatRow, DataReport, TokenRow, encode_rows, read_rows, token_ids
from training.rows.documents import encode_documents, read_documents
from training.rows.preferences import (
    LabelRow,
    PairRow,
    as_record,
    fit_rows,
    read_labels,
    read_pairs,
)
from training.weights.digest import ids_sha256, text_sha256

_RENDERED = 8  # prompts of which training records what they became
Rows = list[ChatRow] | list[PairRow] | list[LabelRow] | list[str]


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a trainer takes.

    Attributes:
        records: one mapping a row: token ids and labels, or answers that TRL tokenises.
        lengths: tokens of each row; None where TRL tokenises.
        groups: what each row belongs to, None where it stands alone as blocks of documents do;
            empty where rows were joined.
    """

    records: list[dict[str, Any]]
    lengths: list[int] | None
    report: DataReport
    groups: list[str | None] = field(default_factory=list)


def read_file(method: Method, path: Path) -> Rows:
    """Read and check a file; DataError names the line that is not of the method's shape."""
    match method:
        case Method.SFT:
            return read_rows(path)
        case Method.DPO:
            return read_pairs(path)
        case Method.KTO:
            return read_labels(path)
        case Method.PRETRAIN:
            return read_documents(path)
        case _ as never:
            assert_never(never)


def encode(
    config: TrainingConfig, rows: Any, tokenizer: Any, *, ends: Collection[int] | None = None
) -> Encoded:
    """Encode the rows of `read_file`; DataError when they do not fit the configuration.

    Args:
        ends: tokens that end an answer; the tokeniser's own by default.
    """
    match config.method:
        case Method.SFT:
            return _of_tokens(
                *encode_rows(
                    rows,
                    tokenizer,
                    max_length=config.max_length,
                    truncate=config.truncate,
                    completion_only=config.completion_only,
                    ends=ends,
                )
            )
        case Method.PRETRAIN:
            return _of_tokens(*encode_documents(rows, tokenizer, max_length=config.max_length))
        case Method.DPO | Method.KTO:
            kept, report = fit_rows(
                rows,
                tokenizer,
                max_length=config.max_length,
                truncate=config.truncate,
                ends=ends,
            )
            groups = [row.group for row in kept]
            return Encoded([as_record(row) for row in kept], None, report, groups)
        case _ as never:
            assert_never(never)


def _of_tokens(rows: list[TokenRow], report: DataReport) -> Encoded:
    records: list[dict[str, Any]] = [
        {"input_ids": row.input_ids, "labels": row.labels} for row in rows
    ]
    for record, row, weight in zip(records, rows, mean_one_weights(rows), strict=True):
        record |= {} if weight is None else {"weight": weight}
        record |= {} if row.order is None else {"order": row.order}
    lengths = [len(row.input_ids) for row in rows]
    return Encoded(records, lengths, report, [row.group for row in rows])


def by_length(encoded: Encoded) -> Encoded:
    """The same rows, shortest first: neighbours share a batch, so that less is padded."""
    if encoded.lengths is None:
        return encoded
    order = sorted(range(len(encoded.lengths)), key=encoded.lengths.__getitem__)
    return Encoded(
        [encoded.records[i] for i in order],
        [encoded.lengths[i] for i in order],
        encoded.report,
        [encoded.groups[i] for i in order],
    )


def rendered_prompts(rows: Sequence[Any], tokenizer: Any) -> list[dict[str, Any]]:
    """What some prompts, evenly spread over the file, became.

    Each is {"line", "text_sha256", "ids_sha256"}: digests, not texts, since the record travels with
    the adapter. Empty for documents, which have no prompt.
    """
    asked = [row for row in rows if hasattr(row, "prompt")]
    chosen = asked[:: max(1, len(asked) // _RENDERED)][:_RENDERED]
    return [_rendered(row, tokenizer) for row in chosen]


def _rendered(row: Any, tokenizer: Any) -> dict[str, Any]:
    ids = token_ids(tokenizer, row.prompt, line=row.number, add_generation_prompt=True)
    text = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return {"line": row.number, "text_sha256": text_sha256(text), "ids_sha256": ids_sha256(ids)}
