"""Checkers that read a window of the source and one sentence, and sequence classifiers among them.

A sentence is as well supported as by its best window. A classifier is read by the label that means
supported; one logit is a probability by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evaluators.checks.named.labels import means_supported, number_of_label
from evaluators.checks.named.rating import (
    CheckerRating,
    LoadedChecker,
    LoadedModel,
    Options,
    OutputPart,
    SourcedOutput,
    in_batches,
    load,
)
from evaluators.checks.named.windows import Place, windows_of
from evaluators.checks.text.claims import split_sentences
from evaluators.errors import UndefinedFigure

WEAK = 0.5
WINDOW = 3  # sentences of a classifier's window
LONGEST = 512
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SentenceChecker:
    """A model that says of a pair of texts how likely the first supports the second.

    Attributes:
        loaded: the model.
        ask: probabilities of a batch of pairs; None where the model answers something else.
        overhead: tokens that the form of the question adds.
        size: sentences of a window; None takes as many as fit.
        answers: what the model should answer, in words.
    """

    loaded: LoadedModel
    ask: Callable[[list[Pair]], list[float | None]]
    overhead: int
    size: int | None
    answers: str = ""

    def rate(self, asked: Sequence[SourcedOutput]) -> list[CheckerRating]:
        """Each sentence by its best window."""
        plans = [self._plan(one) for one in asked]
        pairs = [pair for plan in plans if not isinstance(plan, str) for pair in plan.pairs]
        told = iter(in_batches(pairs, _letters, self.ask))
        return [
            CheckerRating(error=plan)
            if isinstance(plan, str)
            else self._rating(plan, [next(told) for _ in plan.pairs])
            for plan in plans
        ]

    def supported(self, pairs: Sequence[Pair]) -> list[float]:
        """See `LoadedChecker`; a pair that is too long loses the end of its longer text."""
        found = in_batches(pairs, _letters, self.ask)
        if None in found:
            raise UndefinedFigure(self._refusal())
        return found

    def _plan(self, one: SourcedOutput) -> _PairPlan | str:
        """What to ask about an output, or why it cannot be asked."""
        sentences = split_sentences(one.output)
        sizes = [self.loaded.count(one.output[a:b]) for a, b in sentences]
        longest = max(sizes, default=0)
        if longest > (room := self.loaded.room // 2):
            return f"a sentence of {longest} tokens is too long for the model, which reads {room}"
        limit = self.loaded.room - self.overhead - longest
        source = one.all_given
        places = windows_of(source, self.loaded.starts(source), limit=limit, size=self.size)
        windows = [source[a:b] for a, b in places or [(0, 0)]]
        pairs = [(window, one.output[a:b]) for a, b in sentences for window in windows]
        return _PairPlan(sentences, pairs, len(windows))

    def _rating(self, plan: _PairPlan, told: Sequence[float | None]) -> CheckerRating:
        known = [support for support in told if support is not None]
        if len(known) < len(told):
            return CheckerRating(error=self._refusal())
        step = plan.windows
        parts = tuple(
            OutputPart(*place, max(known[i * step : (i + 1) * step]))
            for i, place in enumerate(plan.sentences)
        )
        return CheckerRating(parts, tuple(part for part in parts if part.support < WEAK))

    def _refusal(self) -> str:
        return f"the model answers neither {self.answers}: it was trained on something else"


@dataclass(frozen=True, slots=True)
class _PairPlan:
    """The pairs of an output: for each sentence each window, in this order."""

    sentences: Sequence[Place]
    pairs: Sequence[Pair]
    windows: int


def _letters(pair: Pair) -> int:
    return len(pair[0]) + len(pair[1])


def open_pairs(model: str, options: Options) -> LoadedChecker:
    """A sequence classifier of (window, sentence).

    Raises:
        EvaluatorError: it cannot be loaded, or none of its labels is known to mean supported.
    """
    from transformers import AutoModelForSequenceClassification

    loaded = load(model, AutoModelForSequenceClassification, longest=LONGEST)
    read = _read_label(model, loaded.network.config, options.label)

    def ask(pairs: list[Pair]) -> list[float | None]:
        batch = loaded.tokenizer(
            [a for a, _ in pairs],
            [b for _, b in pairs],
            padding=True,
            truncation="longest_first",
            max_length=loaded.room,
            return_tensors="pt",
        )
        return [float(p) for p in read(forward(loaded, batch).logits.float().cpu())]

    overhead = loaded.tokenizer.num_special_tokens_to_add(pair=True)
    return SentenceChecker(loaded, ask, overhead, WINDOW)


def forward(loaded: LoadedModel, batch: Any, **more: Any) -> Any:
    """What the network makes of a batch of encoded texts."""
    import torch

    with torch.inference_mode():
        return loaded.network(**batch.to(loaded.device), **more)


def _read_label(model: str, config: Any, wanted: str) -> Callable[[Any], Any]:
    """From (pairs, labels) logits to the probability that the pair is supported."""
    labels = {int(i): str(name) for i, name in config.id2label.items()}
    if len(labels) == 1:
        against = means_supported(labels[0]) is False
        return lambda logits: (-logits if against else logits).sigmoid()[:, 0]
    label = number_of_label(model, labels, wanted)
    if config.problem_type == "multi_label_classification":
        return lambda logits: logits.sigmoid()[:, label]
    return lambda logits: logits.softmax(dim=-1)[:, label]
