"""Which parameters a server takes for a model: found out by asking, and remembered.

Servers of one protocol refuse different parts of it: log-probabilities, a seed, `max_tokens` or
`max_completion_tokens`. What a run can do without is left out and said in a note. What would change
the answers, a temperature that is not the server's own, is never left out: the run stops.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from backend.engines.base import SamplingParams
from backend.engines.openai.events import as_mapping
from backend.engines.remote.server import ServerReply
from backend.errors import EngineError

_LIMITS = ("max_tokens", "max_completion_tokens")
_DISPENSABLE: Mapping[str, str] = {
    "logprobs": "gives no log-probabilities: what is computed from them has none",
    "seed": "takes no seed: a sampled answer cannot be drawn again",
    "stream_options": "reports no token counts while it streams",
}
_AT_ONE: Mapping[str, str] = {
    "top_p": "takes no top_p: its own counts",
    "temperature": "takes no temperature: its own counts",
}
_REFUSAL = re.compile(
    r"unsupported|not\W+support|n't support|unknown|unrecogni|unexpected|not permitted|"
    r"not allowed|not available|cannot be|can't be|extra|invalid param|disabled|deprecated",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context[ _](length|window|size)|max_model_len|too many tokens|prompt is too long|"
    r"input is too long|reduce the length|maximum.{0,20}tokens.{0,40}(input|prompt)|"
    r"`inputs` (tokens|must)",
    re.IGNORECASE,
)
_SEEDS = 2**31  # some servers keep a seed in 32 bits


@dataclass(frozen=True, slots=True)
class ServerParameters:
    """What a server takes for a model: the name of the limit, and what has to be left out."""

    limit: str = _LIMITS[0]
    left_out: frozenset[str] = frozenset()

    def notes(self, called: str) -> list[str]:
        """One sentence for each parameter that is left out."""
        said = {**_DISPENSABLE, **_AT_ONE}
        return [f"{called} {said[name]}." for name in said if name in self.left_out]


def chat_parameters(
    params: SamplingParams, taken: ServerParameters, *, seed: int, stream: bool
) -> dict[str, Any]:
    """The parameters of a chat request, as this server takes them."""
    wished: dict[str, Any] = {
        taken.limit: params.max_tokens,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "seed": seed % _SEEDS,
        "logprobs": True,
    }
    if stream:
        wished |= {"stream": True, "stream_options": {"include_usage": True}}
    return {name: value for name, value in wished.items() if name not in taken.left_out}


def without_refused(
    reply: ServerReply, payload: Mapping[str, Any], taken: ServerParameters
) -> ServerParameters | None:
    """What to ask with instead, where a reply refuses a parameter; None where it does not.

    Raises:
        EngineError: it refuses one without which the answers would be others.
    """
    refused = [name for name in refused_parameters(reply) if name in payload]
    if taken.limit in refused and taken.limit == _LIMITS[0]:
        return replace(taken, limit=_LIMITS[1])
    for name in refused:
        if name in _DISPENSABLE or (name in _AT_ONE and payload[name] == 1.0):
            return replace(taken, left_out=taken.left_out | {name})
        if name in _AT_ONE:
            raise EngineError(
                f"The server refuses {name} {payload[name]:g}: {reply.error}",
                hint=f"Ask with the one it takes, often 1: strop run --{name.replace('_', '-')} 1.",
            )
    return None


def refused_parameters(reply: ServerReply) -> list[str]:
    """The parameters that a server says it does not take; none where a prompt is too long."""
    if reply.status == 200 or is_too_long(reply):
        return []
    words = f"{as_mapping(reply.body.get('error')).get('param') or ''} {reply.error}"
    if not _REFUSAL.search(reply.error):
        return []
    known = (*_LIMITS, *_DISPENSABLE, *_AT_ONE)
    return [name for name in known if re.search(rf"(?<![a-z_]){name}(?![a-z_])", words)]


def is_too_long(reply: ServerReply) -> bool:
    """Whether a server refused a prompt for its length, by its code or its words."""
    code = as_mapping(reply.body.get("error")).get("code")
    long = code == "context_length_exceeded" or reply.status == 413
    return long or (reply.status in {400, 422} and _TOO_LONG.search(reply.error) is not None)
