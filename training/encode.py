"""From the file of a method to what its trainer takes, and what the tokeniser made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from training.config import Method, TrainingConfig
from training.curriculum import mean_one_weights
from training.data import ChatRow, DataReport, TokenRow, encode_rows, read_rows
from training.documents import encode_documents, read_documents
from training.preferences import (
    LabelRow,
    PairRow,
    as_record,
    measure_rows,
    read_labels,
    read_pairs,
)

Rows = list[ChatRow] | list[PairRow] | list[LabelRow] | list[str]


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a trainer takes.

    Attributes:
        records: one mapping a row: token ids and labels, or answers that TRL tokenises.
        lengths: tokens of each row; None where TRL tokenises.
    """

    records: list[dict[str, Any]]
    lengths: list[int] | None
    report: DataReport


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


def encode(config: TrainingConfig, rows: Any, tokenizer: Any) -> Encoded:
    """Encode the rows of `read_file`; DataError when they do not fit the configuration."""
    match config.method:
        case Method.SFT:
            return _of_tokens(
                *encode_rows(
                    rows,
                    tokenizer,
                    max_length=config.max_length,
                    truncate=config.truncate,
                    completion_only=config.completion_only,
                )
            )
        case Method.PRETRAIN:
            return _of_tokens(*encode_documents(rows, tokenizer, max_length=config.max_length))
        case Method.DPO | Method.KTO:
            report = measure_rows(
                rows, tokenizer, max_length=config.max_length, truncate=config.truncate
            )
            return Encoded([as_record(row) for row in rows], None, report)
        case _ as never:
            assert_never(never)


def _of_tokens(rows: list[TokenRow], report: DataReport) -> Encoded:
    records: list[dict[str, Any]] = [
        {"input_ids": row.input_ids, "labels": row.labels} for row in rows
    ]
    for record, row, weight in zip(records, rows, mean_one_weights(rows), strict=True):
        record |= {} if weight is None else {"weight": weight}
        record |= {} if row.order is None else {"order": row.order}
    return Encoded(records, [len(row.input_ids) for row in rows], report)


def by_length(encoded: Encoded) -> Encoded:
    """The same rows, shortest first: neighbours share a batch, so that less is padded."""
    if encoded.lengths is None:
        return encoded
    order = sorted(range(len(encoded.lengths)), key=encoded.lengths.__getitem__)
    return Encoded(
        [encoded.records[i] for i in order], [encoded.lengths[i] for i in order], encoded.report
    )
