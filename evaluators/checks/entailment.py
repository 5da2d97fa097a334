"""Entailment of each sentence of an output by the source, with a model that the user names.

SummaC-ZS (Laban et al. 2022, arXiv:2111.09525): the source is cut into windows, each sentence of
the output takes its best window, the output takes the mean of its sentences. `entailment:MODEL` is
any sequence classifier that transformers loads; a model with one logit is read as a probability,
else the label whose name holds "entail" is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from evaluators.checks.claims import split_sentences
from evaluators.checks.grounding import source_of
from evaluators.errors import EvaluatorError
from evaluators.metric import Metric
from evaluators.types import Sample, Score, Span

BATCH = 32
WINDOW = 3
WEAK = 0.5


@lru_cache(maxsize=2)
def load_classifier(model: str) -> tuple[Any, Any, str, int | None]:
    """Tokeniser, model, device, and the number of the entailment label (None: one logit).

    Raises:
        EvaluatorError: it cannot be loaded, or no label is named so.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
        classifier = AutoModelForSequenceClassification.from_pretrained(model).eval().to(device)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise EvaluatorError(
            f"The model {model!r} cannot be loaded: {reason}.", hint="Give a path or a hub name."
        ) from None
    labels = classifier.config.id2label
    if len(labels) == 1:
        return tokenizer, classifier, device, None
    named = [i for i, name in labels.items() if str(name).lower().startswith("entail")]
    if len(named) != 1:
        raise EvaluatorError(
            f"{model!r} has the labels {', '.join(map(str, labels.values()))}.",
            hint="Name one of them `entailment` in its config.",
        )
    return tokenizer, classifier, device, int(named[0])


def entailed(pairs: Sequence[tuple[str, str]], model: str) -> list[float]:
    """Probability that the first text of each pair entails the second.

    A pair that is too long for the model loses the end of its longer text.
    """
    import torch

    tokenizer, classifier, device, label = load_classifier(model)
    found: list[float] = []
    for start in range(0, len(pairs), BATCH):
        part = pairs[start : start + BATCH]
        batch = tokenizer(
            [a for a, _ in part],
            [b for _, b in part],
            padding=True,
            truncation="longest_first",
            max_length=_room(classifier),
            return_tensors="pt",
        ).to(device)
        with torch.inference_mode():
            logits = classifier(**batch).logits.float().cpu()
        share = logits.sigmoid()[:, 0] if label is None else logits.softmax(dim=-1)[:, label]
        found += [float(p) for p in share]
    return found


def _room(classifier: Any) -> int:
    """Tokens of a pair that the model reads."""
    return min(getattr(classifier.config, "max_position_embeddings", 512), 512)


def _unread(sample: Sample, sentences: Sequence[tuple[int, int]], model: str) -> str | None:
    """Why a sentence cannot be judged whole: it leaves no room for a window of the source."""
    tokenizer, classifier, _, _ = load_classifier(model)
    room = _room(classifier) // 2
    for a, b in sentences:
        # A token holds a letter at least; only long sentences are worth counting.
        if b - a > room:
            size = len(tokenizer(sample.prediction[a:b], truncation=False)["input_ids"])
            if size > room:
                return f"a sentence of {size} tokens is too long for the model, which reads {room}"
    return None


def source_windows(text: str, *, size: int = WINDOW) -> list[str]:
    """Overlapping runs of some sentences, each moved on by one; none of an empty text."""
    places = split_sentences(text)
    if not places:
        return []
    last = max(1, len(places) - size + 1)
    return [text[places[i][0] : places[min(i + size, len(places)) - 1][1]] for i in range(last)]


def _score(samples: Sequence[Sample], *, model: str) -> list[Score]:
    plans = [(split_sentences(s.prediction), source_windows(source_of(s))) for s in samples]
    unread = [
        _unread(sample, sentences, model)
        for sample, (sentences, _) in zip(samples, plans, strict=True)
    ]
    pairs = [
        (window, sample.prediction[a:b])
        for sample, (sentences, windows), problem in zip(samples, plans, unread, strict=True)
        for a, b in sentences
        for window in windows
        if problem is None
    ]
    shares = iter(entailed(pairs, model))
    return [
        Score(None, error=problem)
        if problem is not None
        else _summarise([(place, max(next(shares) for _ in windows)) for place in sentences])
        for (sentences, windows), problem in zip(plans, unread, strict=True)
    ]


def _summarise(rated: list[tuple[tuple[int, int], float]]) -> Score:
    if not rated:
        return Score(None, not_applicable=True, explanation="the output has no sentence")
    spans = tuple(
        Span(a, b, f"entailed with probability {share:.2f}", "not entailed")
        for (a, b), share in rated
        if share < WEAK
    )
    return Score(
        sum(share for _, share in rated) / len(rated),
        explanation=f"{len(spans)} of {len(rated)} sentences are not entailed by the source",
        spans=spans,
        stats=(float(len(rated)),),
    )


def entailment(model: str) -> Metric:
    """The metric with a named model."""
    return Metric(
        f"entailment:{model}",
        1,
        partial(_score, model=model),
        needs=frozenset({"context"}),
        recipe=lambda scores: f"window:{WINDOW}|max-over-windows|mean-over-sentences",
        description="mean entailment of the sentences by the source",
    )
