"""A chat completion of any server as our result, and whether it is the asked model's.

A body without a text is an error with its reason, never an empty answer. Counts that a server does
not report, or reports by half, are 0, which `reports_usage` lets the engine say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from backend.engines.base import NOT_FINITE, GenerationResult
from backend.engines.openai.events import as_mapping
from backend.errors import EngineError, storable

_LENGTHS = frozenset({"length", "max_tokens", "max_output_tokens"})
_BROKEN_OFF = frozenset({"error", "abort", "cancelled"})  # what came before is half an answer
_DATED = re.compile(r"[-@:](\d{3,8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4})")
_MOST_OF_A_NAME = 120


def read_answer(key: str, body: Mapping[str, Any], *, latency_s: float) -> GenerationResult:
    """A completion as a result: its text, or why there is none."""
    choice = _first_choice(body)
    prompt_tokens, completion_tokens = _counts_of(body) or (0, 0)
    text = _text_of(choice.get("message"))
    logprobs = _logprobs_of(choice)
    finish = _finish_of(choice)
    reason = _why_none(choice, text, finish)
    if reason is None and not all(map(math.isfinite, logprobs)):
        reason = NOT_FINITE
    return GenerationResult(
        key=key,
        text=text if reason is None else None,
        error=None if reason is None else storable(reason),
        finish_reason=finish if reason is None else None,
        token_logprobs=logprobs if reason is None else (),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        latency_s=latency_s,
    )


def reports_usage(body: Mapping[str, Any]) -> bool:
    """Whether a completion counts its tokens, those of the prompt and those that were written."""
    return _counts_of(body) is not None


def model_of(body: Mapping[str, Any]) -> str | None:
    """The model that a completion says it is of; None where it says nothing."""
    said = body.get("model")
    return storable(said)[:_MOST_OF_A_NAME] if isinstance(said, str) and said else None


def check_model(asked: str, said: str, url: str) -> None:
    """Raise EngineError unless `said` is the asked model, or a dated snapshot of it."""
    if is_same_model(asked, said):
        return
    raise EngineError(
        f"The server at {url} was asked for {asked!r} and answered as {said!r}.",
        hint="Nothing of that answer is kept. If that is the model you mean, add it under the name "
        "that the server gives it.",
    )


def is_same_model(asked: str, said: str) -> bool:
    """The same name, or the same with a date or a short number behind it, as vendors write it.

    `gpt-4o-2024-08-06` is `gpt-4o`; `gpt-4o-mini` is another model.
    """
    name, answered = asked.casefold(), said.casefold()
    if name == answered:
        return True
    stem = name.removesuffix("-latest")
    return answered.startswith(stem) and _DATED.fullmatch(answered[len(stem) :]) is not None


def _first_choice(body: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = body.get("choices")
    return as_mapping(choices[0] if isinstance(choices, Sequence) and choices else None)


def _text_of(message: object) -> str | None:
    """A message's text; some servers send it in parts, of which those that are text count."""
    content = as_mapping(message).get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        texts = [part for part in parts if isinstance(part, str)]
        return "".join(texts) if texts else None
    return content if isinstance(content, str) else None


def _logprobs_of(choice: Mapping[str, Any]) -> tuple[float, ...]:
    """Of each written token; none where the server gives none, or for some tokens only."""
    content = as_mapping(choice.get("logprobs")).get("content")
    try:
        return tuple(float(token["logprob"]) for token in content or ())
    except (KeyError, TypeError, ValueError):
        return ()


def _finish_of(choice: Mapping[str, Any]) -> str | None:
    said = choice.get("finish_reason")
    if not isinstance(said, str):
        return None
    return "length" if said in _LENGTHS else said[:32]


def _counts_of(body: Mapping[str, Any]) -> tuple[int, int] | None:
    """Tokens of the prompt and of the answer; None unless there are both, since a 0 beside a count
    would read as counted."""
    said = as_mapping(body.get("usage"))
    prompt, written = (_count(said.get(f"{part}_tokens")) for part in ("prompt", "completion"))
    return None if prompt is None or written is None else (prompt, written)


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if value >= 0 else None


def _why_none(choice: Mapping[str, Any], text: str | None, finish: str | None) -> str | None:
    """Why a completion is no answer; None where it is one."""
    if not choice:
        return "The server answered without any choice."
    if choice.get("error"):
        details = choice["error"]
        words = details.get("message") if isinstance(details, Mapping) else details
        return f"The server broke off: {words}"
    if finish == "content_filter":
        return "The server's content filter withheld the answer or cut it off."
    if finish in _BROKEN_OFF:
        return f"The server broke off ({finish})."
    parts = as_mapping(choice.get("message"))
    if parts.get("refusal"):
        return f"The model declined: {parts['refusal']}"
    if not text and finish == "length":
        return "All tokens were used up before the first of the answer: allow more tokens."
    if not text and parts.get("tool_calls"):
        return "The model asked for a tool and wrote no answer."
    if text is None:
        return "The server answered without a text (content is null)."
    if "\x00" in text or not _is_unicode(text):
        return "The answer holds NUL or half a surrogate pair, which no database keeps."
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
