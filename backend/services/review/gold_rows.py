"""Known answers as a person gives them: by the ids of outputs, or by example and models; JSONL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.errors import InvalidInput

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


def read_gold_rows(text: str) -> list[GoldRow]:
    """Known answers from JSONL, one object a line; blank lines are skipped.

    Raises:
        InvalidInput: a line that is no such object, with its number.
    """
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                rows.append(_row(json.loads(line)))
            except (ValueError, TypeError, InvalidInput) as error:
                raise InvalidInput(
                    f"Line {number} is no known answer: {error}",
                    hint='For example {"example": "t-1", "model": "base", "answer": '
                    '{"ratings": {"faithful": "no"}}, "explanation": "The price is invented."}',
                ) from error
    if not rows:
        raise InvalidInput("There is no known answer in the file.")
    return rows


def _row(content: object) -> GoldRow:
    if not isinstance(content, dict):
        raise InvalidInput("it is no JSON object.")
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
