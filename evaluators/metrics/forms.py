"""The form of an output, without a reference: JSON, patterns, length, repetition, refusal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from evaluators.errors import EvaluatorError
from evaluators.metric import Metric
from evaluators.types import Sample, Score, Span

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?```\s*\Z", re.DOTALL)


def each(score_one: Callable[[Sample], Score]) -> Callable[[Sequence[Sample]], list[Score]]:
    """A scorer of one sample as a scorer of many."""
    return partial(_score_each, score_one)


def _score_each(score_one: Callable[[Sample], Score], samples: Sequence[Sample]) -> list[Score]:
    return [score_one(sample) for sample in samples]


def parse_json(text: str) -> tuple[Any, str | None]:
    """The value of a JSON text, a Markdown fence around it allowed; or the reason why not."""
    fenced = _FENCE.match(text)
    try:
        return json.loads(fenced[1] if fenced else text, parse_constant=_refuse), None
    except (ValueError, RecursionError) as error:
        return None, str(error) or "nested too deeply"


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _valid_json(sample: Sample) -> Score:
    _, problem = parse_json(sample.prediction)
    return Score(float(problem is None), explanation=problem)


@lru_cache(maxsize=8)
def _validator(path: str) -> Any:
    from jsonschema import Draft202012Validator
    from referencing import Registry

    try:
        schema = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluatorError(f"{path} is no JSON schema: {error}.", hint="Check it.") from None
    Draft202012Validator.check_schema(schema)
    # A registry of its own: the default one fetches what a $ref names from the network.
    return Draft202012Validator(schema, registry=Registry())


def _matches_schema(sample: Sample, *, path: str) -> Score:
    value, problem = parse_json(sample.prediction)
    if problem is None:
        error = next(iter(_validator(path).iter_errors(value)), None)
        problem = None if error is None else error.message
    return Score(float(problem is None), explanation=problem)


def json_schema(path: str) -> Metric:
    """Share of outputs that are JSON of a schema (draft 2020-12) in a file."""
    return Metric(
        f"json_schema:{path}",
        1,
        each(partial(_matches_schema, path=path)),
        description="share of outputs that fit a JSON schema",
    )


def _matches_pattern(sample: Sample, *, pattern: re.Pattern[str]) -> Score:
    found = pattern.search(sample.prediction)
    return Score(float(found is not None), label=found[0] if found else None)


def regex(pattern: str) -> Metric:
    """Share of outputs in which a regular expression is found.

    Raises:
        EvaluatorError: the expression is not valid.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise EvaluatorError(f"{pattern!r} is no regular expression: {error}.") from None
    return Metric(
        f"regex:{pattern}",
        1,
        each(partial(_matches_pattern, pattern=compiled)),
        description="share of outputs that match a pattern",
    )


def _length(sample: Sample) -> Score:
    return Score(float(len(sample.prediction.split())))


def _repetition(sample: Sample) -> Score:
    """Share of word 4-grams that occurred before in the same output (Welleck et al. 2019)."""
    words = sample.prediction.lower().split()
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    if not grams:
        return Score(None, not_applicable=True, explanation="fewer than 4 words")
    return Score(1 - len(set(grams)) / len(grams))


_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am)? (?:sorry|unable|afraid)|i can(?:no|')t (?:help|assist|provide|answer|do)|"
    r"i (?:won't|will not|must decline)|as an ai\b|not able to (?:help|assist|provide)|"
    r"(?:es )?tut mir leid|ich kann (?:ihnen )?(?:dabei |das )?nicht)",
    re.IGNORECASE,
)


def _refusal(sample: Sample) -> Score:
    """Whether the output begins with words of refusal."""
    found = _REFUSAL.search(sample.prediction, 0, 200)
    spans = (Span(found.start(), found.end(), "refuses", "refusal"),) if found else ()
    return Score(float(found is not None), spans=spans)


VALID_JSON = Metric("valid_json", 1, each(_valid_json), description="share of outputs that parse")
LENGTH = Metric("length", 1, each(_length), scale=None, description="words of the output")
REPETITION = Metric(
    "repetition",
    1,
    each(_repetition),
    higher_is_better=False,
    description="share of repeated word 4-grams",
)
REFUSAL = Metric(
    "refusal", 1, each(_refusal), higher_is_better=False, description="share of refusals"
)
