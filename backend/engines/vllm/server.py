"""What is particular to a vLLM server, beside what every server over HTTP has.

How its health is asked, and which setting holds its token. It knows no adapters.

Two small questions to a server that is starting: do you answer, and can you write?

A vLLM server's chat completions as our results, and what is cut off too long prompts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import httpx

from backend.engines.base import NOT_FINITE, GenerationResult, SamplingParams
from backend.engines.remote.server import NoReply, RemoteServer, Retries
from backend.errors import EngineError

_PATIENCE_S = 120.0


def answers_get(client: httpx.Client, url: str) -> bool:
    """Whether a GET is answered with 200 within two seconds."""
    try:
        return client.get(url, timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def warm_up(url: str, model: str, *, token: str | None) -> None:
    """Have the model write two tokens, so that the first real request finds everything made.

    Raises:
        httpx.HTTPError: the server broke off.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = {
        "model": model,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 2,
        "logprobs": True,
    }
    httpx.post(
        f"{url}/v1/chat/completions",
        json=request,
        headers=headers,
        timeout=_PATIENCE_S,
        trust_env=False,
    )


class VllmServer(RemoteServer):
    """A vLLM server at one address.

    Args:
        url: address without `/v1`.
        session: open HTTP session; the caller closes it.
        timeout_s: seconds without a byte after which an attempt is given up.
    """

    called = "vLLM server"
    key_hint = "Set STROP_VLLM_API_KEY to the server's --api-key."

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        retries: Retries,
        timeout_s: float,
        key: str | None = None,
    ) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=timeout_s)
        address = url.rstrip("/").removesuffix("/v1")
        super().__init__(address, session, retries=retries, timeout=timeout, key=key)

    async def is_healthy(self) -> bool:
        """Whether the server says now, at the first attempt, that it works."""
        try:
            return (await self.attempt("GET", "/health", None, frozenset())).status == 200
        except NoReply:
            return False


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


def read_first_tokens(body: Mapping[str, Any], top: int) -> dict[int, float]:
    """Ids of the likeliest first tokens of a chat completion, with their log-probabilities.

    Raises:
        EngineError: the body tells none.
    """
    try:
        told = body["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        found = {
            int(entry["token"].removeprefix("token_id:")): float(entry["logprob"])
            for entry in told[:top]
        }
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        found = {}
    if not found:
        raise EngineError(
            "The server does not tell how likely the first tokens of an answer are.",
            hint="Does STROP_VLLM_URL name a vLLM server, and was it started as strop serve does?",
        )
    return found


def read_prompt_logprobs(body: Mapping[str, Any], tail: Sequence[int]) -> tuple[float, ...]:
    """Natural logs of the probabilities of the last tokens of a completion's prompt.

    Args:
        tail: ids of those tokens, which the server must have read in these places.

    Raises:
        EngineError: the body tells nothing of its prompt, or of another one.
    """
    try:
        told = body["choices"][0]["prompt_logprobs"][-len(tail) :]
        return tuple(
            [float(entry[str(token)]["logprob"]) for token, entry in zip(tail, told, strict=True)]
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise EngineError(
            "The server does not tell how likely the tokens of a prompt are.",
            hint="Does STROP_VLLM_URL name a vLLM server, and does it serve this base?",
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
