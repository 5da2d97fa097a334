"""How much likelier a model finds an output with its source than without it: `support:MODEL`.

The model reads the output twice, after a prompt that shows the source and after the same prompt
with nothing in its place. The gain of a token is log p(with) - log p(without), in nats: pointwise
mutual information of source and token given the tokens before it. What the model would have written
without any source gains nothing, and what the source speaks against loses.

The value is the sum of the gains over the sum of -log p(without): the share of the output's
surprise that the source takes away (an uncertainty coefficient, as of Theil 1970), at most 1, below
0 where the source speaks against the output. How predictable an output is in itself cancels out of
a ratio. It is the best of some thirty ways tried on the same 230 simulated errors in 60 summaries
(SmolLM2-135M), of which none was held out, so what it reached there is optimistic: AUROC .61
between documents, where other ways have .58 to .62, and .82 relative to the other edits of the same
summary, where the mean of tokens has .77 and the lowest sentence .65.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaluators.checks.models.interface import (
    Asker,
    Continuation,
    Likelihood,
    Message,
    opened,
    unasked,
)
from evaluators.checks.text.claims import split_sentences
from evaluators.metric import Metric
from evaluators.types import Sample, Score, Span

READ = "Read this text:\n\n{source}\n\n{task}"
TASK = "Write down what the text says."
NO_SOURCE = "no source to read: the context and the input are empty"


def support(model: str) -> Metric:
    """The check by its name alone, with the name of a model of the project."""
    return unasked(
        f"support:{model}",
        1,
        needs=frozenset(),
        description="share of the model's surprise at an output that its source takes away",
    )


def open_support(model: str) -> Callable[[Asker], Metric]:
    """The check once a worker holds the model."""
    return lambda asker: opened(support(model), asker, score_support)


def score_support(samples: Sequence[Sample], asker: Asker) -> list[Score]:
    """Two readings of each output that has a source and a word."""
    asked = [i for i, sample in enumerate(samples) if _lacks(sample) is None]
    with_source = asker.read([_continuation(samples[i], shown=True) for i in asked])
    without = asker.read([_continuation(samples[i], shown=False) for i in asked])
    readings = dict(zip(asked, zip(with_source, without, strict=True), strict=True))
    return [
        _lacks(sample) or _score(sample.prediction, *readings[i])
        for i, sample in enumerate(samples)
    ]


def _lacks(sample: Sample) -> Score | None:
    if not _source_and_task(sample)[0].strip():
        return Score(None, error=NO_SOURCE)
    if not sample.prediction.strip():
        return Score(None, not_applicable=True, explanation="the output has no words")
    return None


def _source_and_task(sample: Sample) -> tuple[str, str]:
    """The input is the task where there is a context, else it is the source itself."""
    if sample.context and sample.context.strip():
        return sample.context, (sample.input or "").strip() or TASK
    return sample.input or "", TASK


def _continuation(sample: Sample, *, shown: bool) -> Continuation:
    source, task = _source_and_task(sample)
    prompt = READ.format(source=source, task=task) if shown else task
    messages: Sequence[Message] = [{"role": "user", "content": prompt}]
    return Continuation(messages, sample.prediction)


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence, and the mean gain of its tokens in nats."""

    start: int
    end: int
    gain: float


def _score(text: str, shown: Likelihood, hidden: Likelihood) -> Score:
    if error := shown.error or hidden.error:
        return Score(None, error=error)
    if shown.starts != hidden.starts or not shown.starts:
        return Score(None, error="the two readings do not tell of the same tokens")
    surprise = -sum(hidden.logprobs)
    if surprise <= 0:
        return Score(None, error="the model is certain of the output without any source")
    gains = [a - b for a, b in zip(shown.logprobs, hidden.logprobs, strict=True)]
    sentences = _sentences(text, shown.starts, gains)
    spans = tuple(
        Span(s.start, s.end, _reason(s.gain), "no gain") for s in sentences if s.gain <= 0
    )
    return Score(
        sum(gains) / surprise,
        explanation=f"the source makes {len(sentences) - len(spans)} of {len(sentences)} sentences "
        "likelier",
        spans=spans,
        stats=(sum(gains), surprise, float(len(gains))),
    )


def _sentences(text: str, starts: Sequence[int], gains: Sequence[float]) -> list[_Sentence]:
    """Each sentence with its tokens; a token that begins before a sentence goes with the next."""
    found, first = [], 0
    for a, b in split_sentences(text):
        last = bisect_left(starts, b)
        if own := gains[first:last]:
            found.append(_Sentence(a, b, sum(own) / len(own)))
        first = last
    return found


def _reason(gain: float) -> str:
    if gain > -0.05:
        return "the source makes these words no likelier"
    return f"the source makes these words less likely, by {-gain:.1f} nats a token"
