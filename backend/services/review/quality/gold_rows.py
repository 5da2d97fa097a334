"""Known answers as a person gives them: by the ids of outputs, or by example and models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.errors import InvalidInput
from evaluators.files.readers import Table, is_missing

ROW_KEYS = frozenset(
    {"generation", "generation_b", "example", "model", "model_b", "answer", "explanation"}
)


@dataclass(frozen=True, slots=True)
class GoldRow:
    """A known answer as it is given: by the ids of outputs, or by example and models.

    Attributes:
        generation, generation_b: ids of outputs; the second for pairs alone.
        example, model, model_b: the example's id in the dataset and how people write the models.
        answer: see `gold_answers`; a and b are the outputs in the order given here.
    """

    answer: Mapping[str, Any]
    explanation: str
    generation: int | None = None
    generation_b: int | None = None
    example: str | None = None
    model: str | None = None
    model_b: str | None = None


def read_gold_rows(table: Table) -> list[GoldRow]:
    """Known answers of a file of rows, one each.

    Raises:
        InvalidInput: a row that is none, with its number.
    """
    rows = []
    for record in table.records:
        present = {key: value for key, value in record.values.items() if not is_missing(value)}
        try:
            rows.append(_row(present))
        except (TypeError, InvalidInput) as error:
            raise InvalidInput(
                f"{table.name}: row {record.row} is no known answer: {error}",
                hint='For example {"example": "t-1", "model": "base", "answer": '
                '{"ratings": {"faithful": "no"}}, "explanation": "The price is invented."}',
            ) from error
    return rows


def _row(content: Mapping[str, Any]) -> GoldRow:
    if unknown := sorted(set(content) - ROW_KEYS):
        raise InvalidInput(f"{unknown[0]!r} is no part of one.")
    if missing := sorted({"answer", "explanation"} - set(content)):
        raise InvalidInput(f"{missing[0]!r} is missing.")
    for name in ("example", "model", "model_b", "explanation"):
        if not isinstance(content.get(name), str | None):
            raise InvalidInput(f"{name!r} is no text.")
    for name in ("generation", "generation_b"):
        if not isinstance(content.get(name), int | None) or isinstance(content.get(name), bool):
            raise InvalidInput(f"{name!r} is no id of an output.")
    return GoldRow(**content)
