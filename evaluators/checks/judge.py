"""A language model as a judge, behind a `generate` callable, with its own biases measured.

Prompts are files under `evaluators/prompts`, named with a version that goes into the signature.
Answers must be one JSON object of the stated shape; an answer that is not is asked for again.
Pairs are judged in both orders (Zheng et al. 2023, arXiv:2306.05685): a verdict that does not
survive the swap is a tie, and the rate of such flips is reported with the position and length bias.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from evaluators.errors import EvaluatorError
from evaluators.metric import Metric
from evaluators.metrics.forms import parse_json
from evaluators.statistics.intervals import wilson
from evaluators.types import Sample, Score, Span

Generate = Callable[[str], str]
TRIES = 3


@lru_cache(maxsize=16)
def load_prompt(name: str) -> str:
    """Text of a prompt file by name, such as `faithfulness_v1`.

    Raises:
        EvaluatorError: there is no such prompt; lists those there are.
    """
    folder = Path(__file__).parents[1] / "prompts"
    path = folder / f"{name}.md"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.md")))
        raise EvaluatorError(f"There is no prompt {name!r}.", hint=f"Known: {known}.")
    return path.read_text(encoding="utf-8")


def ask(
    generate: Generate, prompt: str, check: Callable[[Any], str | None], *, tries: int = TRIES
) -> tuple[dict[str, Any] | None, str]:
    """The answer as an object that passes the check, or None with the last reason."""
    problem = "no answer"
    for _ in range(tries):
        value, reason = parse_json(generate(prompt))
        problem = reason or check(value) or ""
        if not problem:
            return value, ""
    return None, problem


def _check_score(value: Any) -> str | None:
    if not isinstance(value, dict) or "score" not in value:
        return "not an object with a score"
    score = value["score"]
    good = isinstance(score, int) and not isinstance(score, bool) and 1 <= score <= 5
    return None if good else f"the score is {score!r}, not 1 to 5"


def _check_winner(value: Any) -> str | None:
    if not isinstance(value, dict) or value.get("winner") not in ("a", "b", "tie"):
        return "not an object with a winner a, b or tie"
    return None


def _score(
    samples: Sequence[Sample], *, generate: Generate, template: str, tries: int
) -> list[Score]:
    found = []
    for s in samples:
        prompt = template.format(context=s.context, input=s.input or "", prediction=s.prediction)
        answer, problem = ask(generate, prompt, _check_score, tries=tries)
        if answer is None:
            found.append(Score(None, error=f"the judge gave no usable answer: {problem}"))
        else:
            reason = str(answer.get("reason", ""))
            spans = tuple(_quoted_spans(reason, s.prediction)) if answer["score"] < 5 else ()
            found.append(Score((answer["score"] - 1) / 4, explanation=reason, spans=spans))
    return found


_QUOTED = re.compile(r"[\"“”]([^\"“”]{3,300})[\"“”]|(?<!\w)['‘]([^'‘’\n]{3,300})['’](?!\w)")


def _quoted_spans(reason: str, output: str) -> Iterator[Span]:
    """The words that the judge quotes, where the output holds them."""
    for m in _QUOTED.finditer(reason):
        words = m[1] or m[2]
        at = output.find(words)
        if at >= 0:
            yield Span(at, at + len(words), reason, "unfaithful")


def judge(
    generate: Generate, *, model: str, prompt: str = "faithfulness_v1", tries: int = TRIES
) -> Metric:
    """A judge of single outputs; 1 to 5 is mapped to 0 to 1.

    Args:
        generate: prompt -> answer.
        model: name of the judge, for the signature.
    """
    template = load_prompt(prompt)
    return Metric(
        f"judge:{model}",
        1,
        partial(_score, generate=generate, template=template, tries=tries),
        needs=frozenset({"context"}),
        recipe=lambda scores: f"prompt:{prompt}|tries:{tries}",
        description="faithfulness by a language model",
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """A pair judged in both orders: `winner` is a, b or tie; flipped if the orders disagree."""

    winner: str | None
    forward: str | None
    backward: str | None
    error: str | None = None

    @property
    def flipped(self) -> bool:
        """Whether the two orders named different winners."""
        return self.error is None and self.forward != self.backward


def judge_pair(
    first: Sample,
    second: Sample,
    generate: Generate,
    *,
    prompt: str = "pair_v1",
    tries: int = TRIES,
) -> Verdict:
    """Which of two outputs for one input is better, asked in both orders."""
    template, said = load_prompt(prompt), []
    for a, b in ((first, second), (second, first)):
        text = template.format(
            context=first.context or "",
            input=first.input or "",
            first=a.prediction,
            second=b.prediction,
        )
        answer, problem = ask(generate, text, _check_winner, tries=tries)
        if answer is None:
            return Verdict(None, None, None, f"the judge gave no usable answer: {problem}")
        said.append(str(answer["winner"]))
    backward = {"a": "b", "b": "a"}.get(said[1], "tie")
    return Verdict(said[0] if said[0] == backward else "tie", said[0], backward)


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of n with its 95% Wilson interval."""

    name: str
    value: float
    low: float
    high: float
    n: int


def judge_biases(verdicts: Sequence[Verdict], pairs: Sequence[tuple[Sample, Sample]]) -> list[Rate]:
    """Flip rate, share of decided single verdicts for the first shown, and for the longer output.

    A rate that rests on no case is left out.
    """
    judged = [(v, p) for v, p in zip(verdicts, pairs, strict=True) if v.error is None]
    shown = [v.forward == "a" for v, _ in judged if v.forward != "tie"]
    shown += [v.backward == "b" for v, _ in judged if v.backward != "tie"]
    longer = [
        (v.winner == "a") == (len(a.prediction) > len(b.prediction))
        for v, (a, b) in judged
        if v.winner in ("a", "b") and len(a.prediction) != len(b.prediction)
    ]
    cases = {"flipped": [v.flipped for v, _ in judged], "first_wins": shown, "longer_wins": longer}
    return [_rate(name, hits) for name, hits in cases.items() if hits]


def _rate(name: str, hits: Sequence[bool]) -> Rate:
    low, high = wilson(sum(hits), len(hits))
    return Rate(name, sum(hits) / len(hits), low, high, len(hits))
