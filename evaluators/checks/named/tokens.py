"""Token classifiers that mark what of an answer the source does not say (LettuceDetect's form).

Kovács and Recski 2025 (arXiv:2502.17125): the model reads a prompt that holds the source, and the
whole answer, and says of each token of the answer whether it is hallucinated. A token is as well
supported as by its best window of the source, a sentence as its worst token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from evaluators.checks.named.labels import numbers_of_marks
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
from evaluators.checks.named.sentences import WEAK, forward
from evaluators.checks.named.windows import windows_of
from evaluators.checks.text.claims import split_sentences

LONGEST = 4096
# The prompts of RAGTruth (arXiv:2401.00396), on whose answers such models are trained.
ABOUT_TEXT = "Summarize the following text:\n{source}\noutput:"
ABOUT_QUESTION = (
    "Briefly answer the following question:\n{question}\n"
    "Bear in mind that your response should be strictly based on the following 1 passages:\n"
    "{source}\nIn case the passages do not contain the necessary information to answer the "
    'question, please reply with: "Unable to answer based on given passages."\noutput:'
)
Token = tuple[int, int, float]  # place in the answer, probability that it is hallucinated


@dataclass(frozen=True, slots=True)
class TokenChecker:
    """A model that marks tokens of an answer. `labels`: numbers of those that mean hallucinated."""

    loaded: LoadedModel
    labels: list[int]

    def rate(self, asked: Sequence[SourcedOutput]) -> list[CheckerRating]:
        """Each sentence by its worst token; marks are runs of tokens."""
        plans = [self._plan(one) for one in asked]
        pairs = [pair for plan in plans if not isinstance(plan, str) for pair in plan]
        told = iter(in_batches(pairs, lambda pair: len(pair[0]) + len(pair[1]), self._ask))
        return [
            CheckerRating(error=plan)
            if isinstance(plan, str)
            else _rating(one.output, [next(told) for _ in plan])
            for one, plan in zip(asked, plans, strict=True)
        ]

    def supported(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """See `LoadedChecker`: by the worst token of the second text; 1 where it has none."""
        ratings = self.rate([SourcedOutput(a, b) for a, b in pairs])
        return [min((part.support for part in r.sentences), default=1.0) for r in ratings]

    def _plan(self, one: SourcedOutput) -> list[tuple[str, str]] | str:
        if not split_sentences(one.output):
            return []
        size, room = self.loaded.count(one.output), self.loaded.room // 2
        if size > room:
            return f"an output of {size} tokens is too long for the model, which reads {room}"
        form = ABOUT_QUESTION if one.question else ABOUT_TEXT
        special = self.loaded.tokenizer.num_special_tokens_to_add(pair=True)
        around = self.loaded.count(form.format(source="", question=one.question)) + special
        limit = self.loaded.room - size - around
        if limit < 1:
            return f"a question of {around} tokens is too long for the model beside the output"
        places = windows_of(one.source, self.loaded.starts(one.source), limit=limit)
        return [
            (form.format(source=one.source[a:b], question=one.question), one.output)
            for a, b in places or [(0, 0)]
        ]

    def _ask(self, pairs: list[tuple[str, str]]) -> list[list[Token]]:
        batch = self.loaded.tokenizer(
            [a for a, _ in pairs],
            [b for _, b in pairs],
            padding=True,
            truncation="only_first",
            max_length=self.loaded.room,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        places = batch.pop("offset_mapping").tolist()
        owners = [batch.sequence_ids(i) for i in range(len(pairs))]
        logits = forward(self.loaded, batch).logits.float()
        shares = logits.softmax(dim=-1)[..., self.labels].sum(dim=-1).cpu().tolist()
        return [
            [(*place, p) for place, p, owner in zip(*row, strict=True) if owner == 1]
            for row in zip(places, shares, owners, strict=True)
        ]


def _rating(output: str, told: Sequence[list[Token]]) -> CheckerRating:
    """From what each window says of the same tokens."""
    tokens = [
        OutputPart(b - len(output[a:b].lstrip()), b, 1 - min(p for _, _, p in same))
        for same in zip(*told, strict=True)
        for a, b, _ in same[:1]
    ]
    sentences = tuple(
        OutputPart(a, b, min((t.support for t in tokens if a <= t.start < b), default=1.0))
        for a, b in split_sentences(output)
    )
    runs = [list(run) for weak, run in groupby(tokens, lambda t: t.support < WEAK) if weak]
    marks = [OutputPart(run[0].start, run[-1].end, min(t.support for t in run)) for run in runs]
    return CheckerRating(sentences, tuple(mark for mark in marks if mark.start < mark.end))


def open_tokens(model: str, options: Options) -> LoadedChecker:
    """A token classifier with a label that means hallucinated.

    Raises:
        EvaluatorError: it cannot be loaded, or none of its labels is known to mean hallucinated.
    """
    from transformers import AutoModelForTokenClassification

    loaded = load(model, AutoModelForTokenClassification, longest=LONGEST)
    labels = {int(i): str(name) for i, name in loaded.network.config.id2label.items()}
    return TokenChecker(loaded, numbers_of_marks(model, labels, options.label))
