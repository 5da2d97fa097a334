"""What an engine is: something that writes text with a base model and its adapters.

`backend.engines.open_engine` gives one by name. An engine knows models by their serving name; it
knows nothing of the database. Engines yield answers as they arrive, in any order.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from backend.errors import EngineError

Message = Mapping[str, str]  # {"role": "system" | "user" | "assistant", "content": text}


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A base model, or one adapter on it, under the name by which an engine serves it.

    Attributes:
        name: serving name, unique within an engine, for example `base` or `v1@2`.
        base_model: path or hub name of the base model.
        adapter_path: folder with the PEFT adapter; None is the base itself.
        adapter_sha256: digest of that folder, so that a stale adapter under an old name is noticed.
        elsewhere: there are no files: `base_model` is the name that a server elsewhere knows it by.
    """

    name: str
    base_model: str
    adapter_path: Path | None = None
    adapter_sha256: str | None = None
    elsewhere: bool = False


NOT_FINITE = (
    "The model's log-probabilities are not finite: its weights or its precision are broken."
)


def require_finite_logprobs(model: str, values: Iterable[float]) -> None:
    """Raise EngineError when what a model makes of a prompt is no number."""
    if not all(map(math.isfinite, values)):
        raise EngineError(f"{model}: {NOT_FINITE}", hint="Check its files: strop adapter preflight")


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to decode. Temperature 0 is greedy; the seed matters only above 0."""

    max_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    truncate_prompt: bool = False
    """Cut prompts that are too long at their start (recorded on the answer) instead of failing."""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt for one model. `key` is the caller's and comes back unchanged."""

    key: str
    model: str
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """What came of one request: a text, or an error with its reason (never both).

    Attributes:
        token_logprobs: natural log of the probability of each written token.
        finish_reason: `stop` or `length`.
        truncated_tokens: prompt tokens cut off at the start because the prompt was too long.
        latency_s: seconds from sending to the last token (in a batch: of the batch).
    """

    key: str
    text: str | None = None
    error: str | None = None
    finish_reason: str | None = None
    token_logprobs: tuple[float, ...] = field(default=(), repr=False)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    truncated_tokens: int = 0
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A text as one model's answer to a prompt, to be told how likely it is. `key` comes back."""

    key: str
    model: str
    messages: Sequence[Message]
    answer: str


@dataclass(frozen=True, slots=True)
class ReadResult:
    """How likely each token of a given answer is, or why that cannot be said.

    An answer without a token (an empty text) has neither starts nor logprobs, and no error.

    Attributes:
        starts: code point of the answer at which each token begins, never falling (tokens that
            share a character begin where it does). The end token, which the answer does not
            write, is none of them.
        logprobs: natural log of the probability of each token, given the prompt and those before.
    """

    key: str
    starts: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = field(default=(), repr=False)
    error: str | None = None


def request_seed(seed: int, key: str) -> int:
    """The seed of one request, from the run's seed and the request's key; the same in every engine.

    A request drawn again under the same key gets the same seed, whatever stands beside it in the
    batch; two requests with equal prompts and different keys get different draws. Below 2**63.
    """
    digest = hashlib.sha256(f"{seed}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def prompt_too_long(prompt_tokens: int, max_tokens: int, limit: int) -> str:
    """The error text of a prompt that leaves no room for its answer."""
    return (
        f"The prompt has {prompt_tokens} tokens; with {max_tokens} for the answer that is more "
        f"than the {limit} the model can hold. Shorten it or ask for truncation."
    )


def reading_too_long(prompt_tokens: int, answer_tokens: int, limit: int) -> str:
    """The error text of a prompt and an answer that a model cannot read together."""
    return (
        f"The prompt has {prompt_tokens} tokens and the answer {answer_tokens}; together that is "
        f"more than the {limit} the model can hold. Shorten the prompt."
    )


class Engine(Protocol):
    """A way to run a base model and its adapters.

    Errors: `EngineUnavailable` when the engine does not answer (the caller may resume later),
    `UnknownAdapter` when a model was named that it does not serve. A single prompt that cannot be
    answered (too long, say) is a result with `error`, and the others go on.
    """

    name: str

    @property
    def notes(self) -> Sequence[str]:
        """What the engine cannot prove about what it serves; a preflight shows every sentence."""

    def load(self, models: Sequence[ServedModel]) -> None:
        """Make the models ready; all must share one base. Reloads a name whose digest changed."""

    def generate(
        self, requests: Iterable[GenerationRequest], params: SamplingParams
    ) -> Iterator[GenerationResult]:
        """Answer the requests, yielding each answer as soon as it is there."""

    def next_token_logprobs(
        self, model: str, messages: Sequence[Message], *, top: int = 20
    ) -> dict[str, float]:
        """Log-probabilities of the `top` likeliest first tokens of the answer.

        Keys are the vocabulary's own spelling of the tokens, which is unique and the same in every
        engine. Several servers behind one engine are asked in turn.
        """

    def token_ids(self, messages: Sequence[Message]) -> list[int]:
        """The prompt as it reaches the model, generation prompt included.

        Ids of the vocabulary of whoever serves, which need not be the base's own. Several servers
        behind one engine are asked in turn.
        """

    def render(self, messages: Sequence[Message]) -> str:
        """The same as text: its token ids decoded, special tokens in their own spelling."""

    def close(self) -> None:
        """Give back what the engine holds; a server that somebody else started is left running."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


@runtime_checkable
class ReadingEngine(Protocol):
    """An engine that tells how likely a model finds a text that it did not write."""

    def read(self, requests: Iterable[ReadRequest]) -> Iterator[ReadResult]:
        """How likely each token of each answer is, in any order; errors as of `generate`.

        The model reads the prompt as `generate` shows it, then the tokens of the answer, encoded
        by itself: special tokens in its text are text. vLLM holds one token less than the local
        engine, because it always writes one.
        """


class AliasEngine(Engine, Protocol):
    """An engine on servers that outlive it, which can be told to serve a model by another name."""

    def serve_as(self, alias: str, model: ServedModel | None) -> None:
        """Have `alias` mean this adapter on every server, whatever it meant before.

        A base or None has no adapter to be named: the servers then know the alias no more. What
        `load` made ready is asked under the alias from here on.
        """
