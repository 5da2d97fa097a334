"""What a named checker is asked and says, whatever its form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from evaluators.errors import EvaluatorError

BATCH = 32
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class SourcedOutput:
    """An output with its source, and the question or instruction it answers (or nothing)."""

    source: str
    output: str
    question: str = ""

    @property
    def all_given(self) -> str:
        """The source, then what else the output may rest on."""
        return "\n".join(part for part in (self.source, self.question) if part)


@dataclass(frozen=True, slots=True)
class OutputPart:
    """A part of an output in code points, and the probability that the source supports it."""

    start: int
    end: int
    support: float


@dataclass(frozen=True, slots=True)
class CheckerRating:
    """What a checker says of an output, or why it cannot.

    Attributes:
        sentences: each sentence of the output.
        marks: what is to be shown as not supported; within sentences where the model is so exact.
    """

    sentences: tuple[OutputPart, ...] = ()
    marks: tuple[OutputPart, ...] = ()
    error: str | None = None


class LoadedChecker(Protocol):
    """A loaded model of some form."""

    def rate(self, asked: Sequence[SourcedOutput]) -> list[CheckerRating]:
        """One rating an output, in order."""

    def supported(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Probability that the first text of each pair supports the second.

        Raises:
            UndefinedFigure: the model answers something else.
        """


@dataclass(frozen=True, slots=True)
class Options:
    """What is said of a model behind a `?` of its name.

    Attributes:
        label: the label that is looked for, by name or number: supported for a classifier of
            pairs, hallucinated for a classifier of tokens. Empty: told by its name.
        form: a form by name. Empty: told by the model's configuration.
    """

    label: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Tokeniser and network of a model, where it runs, and how many tokens it reads at once."""

    tokenizer: Any
    network: Any
    device: str
    room: int

    def starts(self, text: str) -> list[int]:
        """The code point at which each token of a text begins, without special tokens."""
        encoded = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return [start for start, _ in encoded["offset_mapping"]]

    def count(self, text: str) -> int:
        """Tokens of a text, without special tokens."""
        encoded = self.tokenizer(text, add_special_tokens=False, verbose=False)
        return len(encoded["input_ids"])


def load(model: str, auto: Any, *, longest: int) -> LoadedModel:
    """A model by one of transformers' auto classes, on a GPU where there is one.

    Args:
        longest: tokens that it reads at most, whatever it was made for.

    Raises:
        EvaluatorError: it cannot be loaded, or its tokeniser does not place its tokens.
    """
    import torch
    from transformers import AutoTokenizer

    on_gpu = torch.cuda.is_available()
    dtype = "auto" if on_gpu else torch.float32
    device = "cuda" if on_gpu else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
        network = auto.from_pretrained(model, dtype=dtype, use_safetensors=True).eval().to(device)
    except (OSError, ValueError) as error:
        raise cannot_load(model, error) from None
    if not tokenizer.is_fast:
        raise EvaluatorError(
            f"The tokeniser of {model!r} does not say where its tokens stand.",
            hint="Save it as tokenizer.json.",
        )
    return LoadedModel(tokenizer, network, device, min(_room(network.config, tokenizer), longest))


def cannot_load(model: str, error: Exception) -> EvaluatorError:
    """The error of a model that transformers does not load."""
    reason = str(error).strip().splitlines()[0].rstrip(".")
    return EvaluatorError(
        f"The model {model!r} cannot be loaded: {reason}.",
        hint="Give a path or a hub name of a model with safetensors.",
    )


def _room(config: Any, tokenizer: Any) -> int:
    """Tokens that a model reads; 512 where its configuration does not say."""
    told = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", 512)
    return int(min(told, tokenizer.model_max_length))


def in_batches(
    items: Sequence[Item], size_of: Callable[[Item], int], ask: Callable[[list[Item]], list[Any]]
) -> list[Any]:
    """What `ask` says of all items, in order, asked in batches of items of like size."""
    order = sorted(range(len(items)), key=lambda i: size_of(items[i]))
    found: list[Any] = [None] * len(items)
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        for place, answer in zip(places, ask([items[i] for i in places]), strict=True):
            found[place] = answer
    return found
