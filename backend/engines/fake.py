"""An engine for tests: canned answers by a function, delays, failures, a server that dies.

It is passed where an engine is wanted; nothing is patched. It runs no model.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from backend.engines.base import (
    GenerationRequest,
    GenerationResult,
    Message,
    ReadRequest,
    ReadResult,
    SamplingParams,
    ServedModel,
)
from backend.errors import EngineUnavailable, UnknownAdapter


def echo_last_message(request: GenerationRequest) -> str:
    """The model's name and the last message: a different text for every model."""
    return f"{request.model}: {request.messages[-1]['content']}"


def spread_by_name(model: str, messages: Sequence[Message]) -> dict[str, float]:
    """First-token logprobs that differ from model to model and stay the same when asked again."""
    shift = sum(model.encode()) % 17 / 10
    return {"yes": -0.5 - shift, "no": -1.5 + shift / 2, "perhaps": -3.0}


def likelier_with_source(request: ReadRequest) -> ReadResult:
    """Words of the answer, each likely (-0.5) where the messages hold it and not else (-3.0)."""
    shown = set(" ".join(message["content"] for message in request.messages).split())
    words = list(re.finditer(r"\S+", request.answer))
    return ReadResult(
        request.key,
        tuple(word.start() for word in words),
        tuple(-0.5 if word.group() in shown else -3.0 for word in words),
    )


@dataclass(slots=True)
class FakeEngine:
    """Answers by `answer`, in order.

    Attributes:
        answer: text of the answer to a request, or a whole result (an error, for example).
        likely: how likely the tokens of a given answer are.
        logprobs: first-token log-probabilities of a model on messages.
        delay_s: pause before each answer.
        failing: key -> error text of requests that cannot be answered.
        dies_after: after so many answers the server is gone for good; None: never.
        ignores_adapters: serve the base under every adapter's name, as a careless server does.
        template: how messages become a prompt.
        tokenise: how a prompt becomes token ids; its bytes by default.
        asked: the keys in the order in which they were asked, for the test to look at.
        aliases: alias -> name of the model that it means.
    """

    answer: Callable[[GenerationRequest], str | GenerationResult] = echo_last_message
    logprobs: Callable[[str, Sequence[Message]], Mapping[str, float]] = spread_by_name
    likely: Callable[[ReadRequest], ReadResult] = likelier_with_source
    delay_s: float = 0.0
    failing: Mapping[str, str] = field(default_factory=dict)
    dies_after: int | None = None
    ignores_adapters: bool = False
    template: Callable[[Sequence[Message]], str] = lambda messages: "".join(
        f"<|{m['role']}|>{m['content']}" for m in messages
    )
    tokenise: Callable[[str], list[int]] = lambda prompt: list(prompt.encode())
    notes: Sequence[str] = ()
    name: str = "fake"
    served: dict[str, ServedModel] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    closed: bool = False
    aliases: dict[str, str] = field(default_factory=dict)

    def load(self, models: Sequence[ServedModel]) -> None:
        """Serve these models too."""
        self._require_life()
        self.served.update({model.name: model for model in models})

    def generate(
        self, requests: Iterable[GenerationRequest], params: SamplingParams
    ) -> Iterator[GenerationResult]:
        """Answer the requests one by one."""
        for request in requests:
            self._require_life()
            name = self._resolve(request.model)
            self.asked.append(request.key)
            time.sleep(self.delay_s)
            yield self._result(GenerationRequest(request.key, name, request.messages))

    def read(self, requests: Iterable[ReadRequest]) -> Iterator[ReadResult]:
        """What `likely` says, one by one."""
        for request in requests:
            self._require_life()
            name = self._resolve(request.model)
            self.asked.append(request.key)
            time.sleep(self.delay_s)
            if error := self.failing.get(request.key):
                yield ReadResult(request.key, error=error)
            else:
                yield self.likely(replace(request, model=name))

    def next_token_logprobs(
        self, model: str, messages: Sequence[Message], *, top: int = 20
    ) -> dict[str, float]:
        """What `logprobs` says, likeliest first."""
        self._require_life()
        found = self.logprobs(self._resolve(model), messages)
        return dict(sorted(found.items(), key=lambda item: -item[1])[:top])

    def token_ids(self, messages: Sequence[Message]) -> list[int]:
        """What `tokenise` says of what `template` says."""
        return self.tokenise(self.template(messages))

    def render(self, messages: Sequence[Message]) -> str:
        """What `template` says."""
        return self.template(messages)

    def serve_as(self, alias: str, model: ServedModel | None) -> None:
        """Have the alias mean this adapter, or nothing."""
        self._require_life()
        self.aliases.pop(alias, None)
        if model is not None and model.adapter_path is not None:
            self.served[model.name] = model
            self.aliases[alias] = model.name

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _result(self, request: GenerationRequest) -> GenerationResult:
        if error := self.failing.get(request.key):
            return GenerationResult(key=request.key, error=error)
        found = self.answer(request)
        if isinstance(found, GenerationResult):
            return found
        words = len(found.split())
        return GenerationResult(
            key=request.key,
            text=found,
            finish_reason="stop",
            token_logprobs=(-0.1,) * words,
            completion_tokens=words,
        )

    def _resolve(self, model: str) -> str:
        model = self.aliases.get(model, model)
        if model not in self.served:
            raise UnknownAdapter(f"The fake engine does not serve {model!r}.")
        if self.ignores_adapters and self.served[model].adapter_path is not None:
            return next(n for n, m in self.served.items() if m.adapter_path is None)
        return model

    def _require_life(self) -> None:
        if self.dies_after is not None and len(self.asked) >= self.dies_after:
            raise EngineUnavailable("The fake engine has died.", hint="It can be resumed.")
