"""A vLLM server's chat completions as our results, and what is cut off too long prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from backend.engines.base import NOT_FINITE, GenerationResult, SamplingParams
from backend.engines.vllm.server import VllmServer
from backend.errors import EngineError


def read_answer(
    key: str, body: Mapping[str, Any], *, truncated: int, latency_s: float
) -> GenerationResult:
    """A chat completion as our result.

    Raises:
        EngineError: the body is not a chat completion.
    """
    try:
        choice, usage = body["choices"][0], body["usage"]
        content = (choice.get("logprobs") or {}).get("content") or ()
        logprobs = tuple([token["logprob"] for token in content])
        if not all(map(math.isfinite, logprobs)):
            return GenerationResult(key=key, error=NOT_FINITE)
        return GenerationResult(
            key=key,
            text=choice["message"]["content"] or "",
            finish_reason=choice["finish_reason"],
            token_logprobs=logprobs,
            prompt_tokens=usage["prompt_tokens"],
            completion_tokens=usage["completion_tokens"],
            truncated_tokens=truncated,
            latency_s=latency_s,
        )
    except (KeyError, IndexError, TypeError) as error:
        raise EngineError(
            "The server's answer is not a chat completion.",
            hint="Does STROP_VLLM_URL name a vLLM server?",
        ) from error


async def plan_truncation(
    server: VllmServer, payload: Mapping[str, Any], params: SamplingParams
) -> tuple[dict[str, Any], int]:
    """The parameters that keep the end of a prompt, and how many tokens they cut off."""
    wanted = {"model": payload["model"], "messages": payload["messages"]}
    counted = (await server.post("/tokenize", wanted)).body
    kept = int(counted["max_model_len"]) - params.max_tokens
    cut = {"truncate_prompt_tokens": kept, "truncation_side": "left"}
    return cut, int(counted["count"]) - kept


def is_too_long(error: str) -> bool:
    """Whether a server refused a prompt for its length, by its words."""
    return "maximum context length" in error or "max_model_len" in error
