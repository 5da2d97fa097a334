"""Checks that ask a model: what they need of it, whoever serves it.

A check of this kind is known by its name (`support:base`, `check:facts@1`, `judge:strict@2`)
wherever metrics are named, summarised and compared. Only a worker can score with it: it opens the
check with an `Asker`, a model that an engine holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from evaluators.errors import UndefinedFigure
from evaluators.metric import Metric
from evaluators.types import Sample, Score

Message = Mapping[str, str]  # {"role": "system" | "user" | "assistant", "content": text}
Prompt = Sequence[Message]


@dataclass(frozen=True, slots=True)
class Continuation:
    """A text as the answer to a prompt, of which a model is asked how likely it finds it."""

    messages: Prompt
    text: str


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a model finds each token of a continuation, or why it cannot say.

    Attributes:
        starts: code point of the text at which each token begins, rising; a token that holds only
            a part of a character begins where that character does.
        logprobs: natural log of the probability of each token, given all before it.
    """

    starts: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What a model wrote, or why it wrote nothing."""

    text: str | None = None
    error: str | None = None


class Asker(Protocol):
    """A model that an engine holds.

    Attributes:
        signature: which model it is, for the recipe of a score: name and digest.
    """

    signature: str

    def write(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[ModelAnswer]:
        """Greedy answers, in order."""

    def read(self, asked: Sequence[Continuation]) -> list[Likelihood]:
        """How likely the model finds each text, in order."""


def unasked(
    name: str, version: int, *, needs: frozenset[str], description: str,
    higher_is_better: bool = True, scale: float | None = 1.0,
) -> Metric:  # fmt: skip
    """A check by its name alone: it can be named, summarised and compared, not scored with."""

    def score(samples: Sequence[Sample]) -> list[Score]:
        raise UndefinedFigure(
            f"{name} asks a model, which nobody serves here.",
            hint=f"A worker asks it: strop run --resume RUN --metrics {name}",
        )

    return Metric(
        name, version, score, needs=needs, higher_is_better=higher_is_better, scale=scale,
        description=description,
    )  # fmt: skip


def opened(
    declared: Metric, asker: Asker, score: Callable[[Sequence[Sample], Asker], list[Score]]
) -> Metric:
    """The check with the model that it asks; `asker.signature` goes into the recipe."""
    return replace(
        declared,
        score_samples=lambda samples: score(samples, asker),
        recipe=lambda scores: f"model:{asker.signature}",
    )
