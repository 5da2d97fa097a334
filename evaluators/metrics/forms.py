"""The form of an output, without a reference: JSON, patterns, length, repetition, refusal.

A pattern that somebody names is run by RE2, in time linear in the text: with Python's own engine
one pattern such as `(\\w+\\W?)+#` would hold a worker for ever. RE2 has no backreferences and no
look-around, and its \\w, \\d and \\b know ASCII alone (`\\p{L}` is any letter).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from evaluators.errors import EvaluatorError
from evaluators.metric import Metric, each
from evaluators.metrics.tokens import script_of, unspaced_note
from evaluators.types import Sample, Score, Span

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?```\s*\Z", re.DOTALL)


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


def compile_pattern(pattern: str) -> Any:
    """The pattern as RE2 runs it, on bytes of UTF-8.

    Raises:
        EvaluatorError: RE2 does not know the expression; the message says at what it stops.
    """
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern.encode("utf-8", "replace"), options)
    except re2.error as error:
        said = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise EvaluatorError(
            f"{pattern!r} is no regular expression of RE2: {said}.",
            hint="RE2 has no backreferences and no look-around.",
        ) from None


@lru_cache(maxsize=8)
def _validator(path: str) -> Any:
    """A validator whose patterns are linear in time too, and which fetches nothing by `$ref`."""
    from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

    try:
        schema = json.loads(Path(path).read_text(encoding="utf-8"))
        return Draft202012Validator(schema, pattern_options=RegexOptions(), retriever=_stay_here)
    except ValidationError as error:
        raise _no_schema(path, error.message) from None
    except (OSError, ValueError, RecursionError) as error:
        raise _no_schema(path, str(error)) from None


def _stay_here(uri: str) -> Any:
    raise ValueError(f"{uri} lies outside the schema")


def _no_schema(path: str, why: str) -> EvaluatorError:
    return EvaluatorError(f"{path} is no JSON schema: {why}.", hint="Check it.")


def _matches_schema(sample: Sample, *, path: str) -> Score:
    value, problem = parse_json(sample.prediction)
    validator = _validator(path)
    if problem is None:
        try:
            error = next(iter(validator.iter_errors(value)), None)
            problem = None if error is None else error.message
        except (ValueError, RecursionError, OverflowError) as unfit:
            problem = f"the value cannot be checked: {unfit}"
    return Score(float(problem is None), explanation=problem)


def json_schema(path: str) -> Metric:
    """Share of outputs that are JSON of a schema (draft 2020-12) in a file."""
    return Metric(
        f"json_schema:{path}",
        2,
        each(partial(_matches_schema, path=path)),
        description="share of outputs that fit a JSON schema",
    )


def _matches_pattern(sample: Sample, *, pattern: Any) -> Score:
    found = pattern.search(sample.prediction.encode("utf-8", "replace"))
    return Score(float(found is not None), label=found[0].decode() if found else None)


def regex(pattern: str) -> Metric:
    """Share of outputs in which a regular expression of RE2 is found.

    Raises:
        EvaluatorError: the expression is not valid.
    """
    return Metric(
        f"regex:{pattern}",
        2,
        each(partial(_matches_pattern, pattern=compile_pattern(pattern))),
        description="share of outputs that match a pattern",
    )


def _script(sample: Sample) -> tuple[float, ...]:
    script = script_of(sample.prediction)
    return () if script is None else (float(script),)


_note = partial(unspaced_note, place=0, instead="count its words elsewhere")


def _length(sample: Sample) -> Score:
    return Score(float(len(sample.prediction.split())), stats=_script(sample))


def _repetition(sample: Sample) -> Score:
    """Share of word 4-grams that occurred before in the same output (Welleck et al. 2019)."""
    words = sample.prediction.lower().split()
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    if not grams:
        return Score(None, not_applicable=True, explanation="fewer than 4 words")
    return Score(1 - len(set(grams)) / len(grams), stats=_script(sample))


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
LENGTH = Metric(
    "length",
    1,
    each(_length),
    scale=None,
    description="words of the output, split at spaces",
    notes=_note,
)
REPETITION = Metric(
    "repetition",
    1,
    each(_repetition),
    higher_is_better=False,
    description="share of repeated word 4-grams",
    notes=_note,
)
REFUSAL = Metric(
    "refusal", 1, each(_refusal), higher_is_better=False, description="share of refusals"
)
