"""A model that an engine holds, as checks ask it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from backend.engines.base import (
    Engine,
    GenerationRequest,
    ReadingEngine,
    ReadRequest,
    SamplingParams,
    ServedModel,
)
from backend.errors import EngineError
from backend.services.models.preflight.report import PROBES

if TYPE_CHECKING:
    from evaluators.checks.models.interface import (
        Asker,
        Continuation,
        Likelihood,
        ModelAnswer,
        Prompt,
    )

Item = TypeVar("Item")
MOST_AT_ONCE = 256  # outputs, whose texts are in memory


class EngineAsker:
    """An `evaluators.checks.models.interface.Asker` on a model that an engine has loaded."""

    def __init__(self, engine: Engine, model: ServedModel) -> None:
        self._engine = engine
        self._model = model.name
        self.signature = f"{model.name}|adapter:{(model.adapter_sha256 or 'none')[:16]}"

    def write(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[ModelAnswer]:
        """Greedy answers, in order; one that cannot be given says why."""
        from evaluators.checks.models.interface import ModelAnswer

        requests = [
            GenerationRequest(str(i), self._model, messages) for i, messages in enumerate(prompts)
        ]
        params = SamplingParams(max_tokens=max_tokens)
        found = {one.key: one for one in self._engine.generate(requests, params)}
        _require_all(len(requests), len(found), self._engine.name)
        answers = [found[str(i)] for i in range(len(requests))]
        return [ModelAnswer(one.text, one.error) for one in answers]

    def read(self, asked: Sequence[Continuation]) -> list[Likelihood]:
        """How likely the model finds each text, in order.

        Raises:
            EngineError: the engine does not tell how likely a given text is.
        """
        from evaluators.checks.models.interface import Likelihood

        if not isinstance(self._engine, ReadingEngine):
            raise EngineError(
                f"The engine {self._engine.name} does not tell how likely a given text is.",
                hint="Name a model of the engine local or vllm.",
            )
        requests = [
            ReadRequest(str(i), self._model, one.messages, one.text) for i, one in enumerate(asked)
        ]
        found = {one.key: one for one in self._engine.read(requests)}
        _require_all(len(requests), len(found), self._engine.name)
        results = [found[str(i)] for i in range(len(requests))]
        return [Likelihood(one.starts, one.logprobs, one.error) for one in results]


class _Questions:
    """An `Asker` that nobody answers: it keeps what it is asked, as the probes of a preflight."""

    signature = "nobody"

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []

    def write(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[ModelAnswer]:
        """No answers."""
        from evaluators.checks.models.interface import ModelAnswer

        self.prompts += prompts
        return [ModelAnswer(None, "nobody was asked") for _ in prompts]

    def read(self, asked: Sequence[Continuation]) -> list[Likelihood]:
        """No readings."""
        from evaluators.checks.models.interface import Likelihood

        self.prompts += [one.messages for one in asked]
        return [Likelihood(error="nobody was asked") for _ in asked]


def first_questions(
    items: Sequence[Item], ask: Callable[[Sequence[Item], Asker], object]
) -> list[Prompt]:
    """What is asked of the first items of which anything is asked, as the probes of a preflight.

    An item that failed, or whose texts are equal, asks nothing: so many are looked at as it takes,
    few at first, since mostly the first ones do.

    Args:
        ask: puts the questions of some items to an `Asker`.
    """
    asked, start, size = _Questions(), 0, PROBES
    while start < len(items) and len(asked.prompts) < PROBES:
        ask(items[start : start + size], asked)
        start, size = start + size, min(2 * size, MOST_AT_ONCE)
    return asked.prompts


def _require_all(asked: int, found: int, engine: str) -> None:
    if found != asked:
        raise EngineError(f"The engine {engine} left out {asked - found} of {asked} answers.")
