"""Training rows, and their way into the formats of other tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One row of training data.

    Attributes:
        kind: sft (prompt, completion), dpo (and rejected) or kto (and label).
        prompt: chat messages, {"role", "content"}.
        provenance: where the row comes from, JSON-serialisable.
    """

    kind: str
    prompt: Sequence[Mapping[str, str]]
    completion: str
    rejected: str | None = None
    label: bool | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
