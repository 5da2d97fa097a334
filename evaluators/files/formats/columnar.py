"""Rows of a Parquet or an Arrow file, as pyarrow reads them.

Values come as JSON has them: dates and times as ISO 8601 texts, decimals as numbers, and the
numbers of a class label of Hugging Face `datasets` as the names that the file gives them. What a
file would unpack to is bounded before it is read.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import IO, Any

from evaluators.errors import UnreadableRecord
from evaluators.files.formats.opening import unpacked_bytes

_BATCH = 200
_BUFFER = 1 << 16  # bytes of a column that are read at once; else all that a row group has of it
ARROW_FILE, ARROW_STREAM, PARQUET = b"ARROW1", b"\xff\xff\xff\xff", b"PAR1"
"""What such files begin with; `datasets` saves streams."""

_BROKEN = (OSError, ValueError, NotImplementedError, LookupError, MemoryError)

Rows = Iterator[dict[str, Any]]
Batches = tuple[Any, Iterator[Any]]


def read_parquet(stream: IO[bytes], name: str) -> Rows:
    """The rows in order.

    Raises:
        UnreadableRecord: no Parquet file, a value of bytes, or more than fits the bound.
    """
    return _rows(stream, name, ".parquet", _parquet_batches)


def read_arrow(stream: IO[bytes], name: str) -> Rows:
    """The rows of an Arrow stream or file in order; raises as `read_parquet`."""
    return _rows(stream, name, ".arrow", _arrow_batches)


def _parquet_batches(stream: IO[bytes]) -> Batches:
    import pyarrow.parquet as parquet

    file = parquet.ParquetFile(stream, buffer_size=_BUFFER, pre_buffer=False)
    return file.schema_arrow, file.iter_batches(batch_size=_BATCH)


def _arrow_batches(stream: IO[bytes]) -> Batches:
    import pyarrow.ipc

    stream.seek(0)
    if stream.read(len(ARROW_FILE)) == ARROW_FILE:
        file = pyarrow.ipc.open_file(stream)
        return file.schema, (file.get_batch(n) for n in range(file.num_record_batches))
    stream.seek(0)
    reader = pyarrow.ipc.open_stream(stream)
    return reader.schema, iter(reader)


def _rows(stream: IO[bytes], name: str, kind: str, read: Callable[[IO[bytes]], Batches]) -> Rows:
    total, allowed = 0, unpacked_bytes(stream.seek(0, 2))
    try:
        schema, batches = read(stream)
        if len(set(schema.names)) != len(schema.names):
            raise UnreadableRecord(f"{name}: a column twice.", hint="Make the names unique.")
        labels = _class_names(schema.metadata)
        for batch in batches:
            total += batch.nbytes
            if total > allowed:
                raise UnreadableRecord(f"{name}: it unpacks to more than {allowed:,} bytes.")
            for start in range(0, batch.num_rows, _BATCH):  # an Arrow file may be all one batch
                for row in batch.slice(start, _BATCH).to_pylist():
                    yield {key: _cell(key, value, labels, name) for key, value in row.items()}
    except UnreadableRecord:
        raise
    except _BROKEN as error:
        reason = " ".join(str(error).split())
        raise UnreadableRecord(
            f"{name}: not a whole {kind} file ({reason}).", hint="Write it again."
        ) from None


def _class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, Sequence[str]]:
    """Column -> names of its numbers, as `datasets` leaves them with a schema."""
    try:
        told = json.loads((metadata or {}).get(b"huggingface", b"{}"))
        features = told["info"]["features"].items()
        return {
            column: feature["names"]
            for column, feature in features
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _cell(column: str, value: Any, labels: Mapping[str, Sequence[str]], name: str) -> Any:
    if column in labels and isinstance(value, int):
        names = labels[column]
        return names[value] if 0 <= value < len(names) else None  # -1 stands for no label
    try:
        return json_value(value)
    except TypeError as error:
        raise UnreadableRecord(
            f"{name}: the column {column!r} holds {error}.",
            hint="Leave the column out of the file (datasets: remove_columns).",
        ) from None


def json_value(value: Any) -> Any:
    """The value as JSON has it, nested ones too; TypeError for what it cannot have."""
    match value:
        case datetime.datetime() if value.time() == datetime.time() and value.tzinfo is None:
            return value.date().isoformat()
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime.timedelta():
            return str(value)
        case bytes():
            raise TypeError("a value of bytes, which is no text")
        case dict():
            return {str(key): json_value(one) for key, one in value.items()}
        case list():
            return [json_value(one) for one in value]
        case _:
            return value
