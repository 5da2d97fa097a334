"""Reads files of predictions into samples, and refuses what is not one.

Rows come from `evaluators.readers`; here each field is checked. A field of a wrong kind or an id
that occurs twice stops the reading with one sentence that names file, row and remedy.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluators.errors import UnreadableRecord
from evaluators.readers import MAX_ROW_BYTES, STDIN, Record, read_records
from evaluators.types import Sample


def read_samples(path: str | Path, *, max_row_bytes: int = MAX_ROW_BYTES) -> list[Sample]:
    """Predictions as samples; ids are unique in the file.

    Keys: id, prediction, reference or references, and if wanted context, input, group, slices,
    model, logprobs, sources, samples, seconds, tokens, cost. In CSV, lists and objects are JSON.

    Raises:
        UnreadableRecord: as read_records, or a field is of a wrong kind, or an id occurs twice.
    """
    records = read_records(path, required=["id", "prediction"], max_row_bytes=max_row_bytes)
    rows: dict[str, int] = {}
    samples: list[Sample] = []
    for record in records:
        fields = Fields(file_name(path), record)
        sample = _sample(fields)
        if sample.id in rows:
            raise fields.refuse(
                f"the id {sample.id!r} was used in row {rows[sample.id]} already",
                hint="Give every row an id of its own.",
            )
        rows[sample.id] = record.row
        samples.append(sample)
    return samples


def file_name(path: str | Path) -> str:
    """The file as messages name it."""
    return "standard input" if str(path) == STDIN else str(path)


@dataclass(frozen=True, slots=True)
class Fields:
    """Typed access to the fields of one row; each method raises UnreadableRecord."""

    name: str
    record: Record

    def refuse(self, problem: str, *, hint: str = "Mend the row.") -> UnreadableRecord:
        """The error that names file, row and problem."""
        return UnreadableRecord(f"{self.name}: row {self.record.row}: {problem}.", hint=hint)

    def text(self, key: str) -> str | None:
        """A text, or None where the field is absent or null."""
        value = self.record.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.refuse(f"{key!r} is not text")
        return value

    def label(self, key: str) -> str | None:
        """A short text or a whole number, as text; None where absent, null or empty."""
        value = self.record.values.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.refuse(f"{key!r} is not text")
        return str(value)

    def need_label(self, key: str) -> str:
        """As label, and it must be there."""
        value = self.label(key)
        if value is None:
            raise self.refuse(f"{key!r} is empty")
        return value

    def number(self, key: str) -> float | None:
        """A finite number, or None where absent, null or empty."""
        value = self.record.values.get(key)
        if value is None or value == "":
            return None
        number = math.nan
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except ValueError:
                number = math.nan
        if not math.isfinite(number):
            raise self.refuse(f"{key!r} is {value!r}, not a finite number")
        return number

    def count(self, key: str) -> int | None:
        """A whole number from 0, or None."""
        number = self.number(key)
        if number is not None and (number < 0 or number != int(number)):
            raise self.refuse(f"{key!r} is not a count")
        return None if number is None else int(number)

    def decoded(self, key: str) -> Any:
        """A structured field; text that is JSON (as in CSV) is parsed."""
        value = self.record.values.get(key)
        if isinstance(value, str) and value[:1] in ("[", "{"):
            try:
                return json.loads(value)
            except ValueError:
                return value
        return None if value == "" else value

    def texts(self, key: str) -> list[str]:
        """A list of texts; a single text is a list of one."""
        value = self.decoded(key)
        value = [] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise self.refuse(f"{key!r} is not a list of texts")
        return value

    def numbers(self, key: str) -> list[float]:
        """A list of finite numbers."""
        value = self.decoded(key)
        value = [] if value is None else value
        if not isinstance(value, list) or not all(_is_number(part) for part in value):
            raise self.refuse(f"{key!r} is not a list of finite numbers")
        return [float(part) for part in value]

    def mapping(self, key: str) -> dict[str, str]:
        """An object of texts."""
        value = self.decoded(key)
        value = {} if value is None else value
        if not isinstance(value, dict):
            raise self.refuse(f"{key!r} is not an object")
        return {str(name): str(part) for name, part in value.items()}


def _is_number(value: object) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and math.isfinite(value)  # type: ignore[arg-type]


def _sample(fields: Fields) -> Sample:
    prediction = fields.text("prediction")
    if prediction is None:
        raise fields.refuse("'prediction' is null", hint='An empty output is written "".')
    return Sample(
        id=fields.need_label("id"),
        prediction=prediction,
        references=_references(fields),
        context=fields.text("context"),
        input=fields.text("input"),
        group=fields.label("group"),
        slices=fields.mapping("slices"),
        model=fields.label("model"),
        logprobs=tuple(fields.numbers("logprobs")),
        sources=fields.mapping("sources"),
        samples=tuple(fields.texts("samples")),
        seconds=fields.number("seconds"),
        tokens=fields.count("tokens"),
        cost=fields.number("cost"),
    )


def _references(fields: Fields) -> tuple[str, ...]:
    """References of a row; an empty `reference` is none at all."""
    several = tuple(fields.texts("references"))
    single = fields.label("reference")
    return several or (() if single is None else (single,))
