"""One vLLM server as seen over HTTP: asks it, and asks again when it stumbles.

What is tried again: connections refused or cut, timeouts, half-written answers, and the statuses
429, 500, 502, 503, 504; with exponential back-off and jitter, a bounded number of times. Then
`EngineUnavailable`. Every other status comes back to the caller as it is. It knows no requests of
ours and no adapters.

Two small questions to a server that is starting: do you answer, and can you write?

A vLLM server's chat completions as our results, and what is cut off too long prompts.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx

from backend.engines.base import NOT_FINITE, GenerationResult, SamplingParams
from backend.engines.prompts import first_line
from backend.errors import EngineError, EngineUnavailable

_PATIENCE_S = 120.0


def answers_get(url: str) -> bool:
    """Whether a GET is answered with 200 within two seconds."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == httpx.codes.OK
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


TRIED_AGAIN = frozenset({429, 500, 502, 503, 504})
RESUME_HINT = "What was answered is kept; start the server and run the same again to resume."


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how soon a request is tried again.

    The n-th pause is `first_s * 2**n`, at most `longest_s`, times a random factor in [0.5, 1].
    """

    attempts: int = 6
    first_s: float = 0.25
    longest_s: float = 8.0

    def pause(self, tried: int, *, asked_for_s: float = 0.0) -> float:
        """Seconds to wait after `tried` failures; a server may ask for more, up to the longest."""
        wished = max(self.first_s * 2.0 ** (tried - 1), asked_for_s)
        return min(wished, self.longest_s) * random.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: HTTP status and decoded JSON (an empty object where there is none)."""

    status: int
    body: Mapping[str, Any]

    @property
    def error(self) -> str:
        """The server's own words on what is wrong."""
        found = self.body.get("error", self.body.get("detail", self.body.get("message")))
        if isinstance(found, Mapping):
            found = found.get("message")
        return str(found or f"status {self.status}")


class _NoReply(Exception):
    """An attempt failed in a way that may pass."""

    def __init__(self, reason: str, *, status: int | None = None, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.status = status
        self.wait_s = wait_s


class VllmServer:
    """A server at one address.

    Args:
        url: address without `/v1`.
        session: open HTTP session; the caller closes it.
        timeout_s: seconds without a byte after which an attempt is given up.
    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        retries: Retries,
        timeout_s: float,
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._session = session
        self._retries = retries
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=timeout_s)

    async def get(self, path: str) -> Reply:
        """GET with retries."""
        return await self._send("GET", path, None, TRIED_AGAIN)

    async def post(
        self, path: str, payload: Mapping[str, Any], *, tried_again: frozenset[int] = TRIED_AGAIN
    ) -> Reply:
        """POST JSON with retries.

        Raises:
            EngineUnavailable: no answer after all attempts.
            EngineError: the server refused the token.
        """
        return await self._send("POST", path, json.dumps(payload).encode(), tried_again)

    async def is_healthy(self) -> bool:
        """Whether the server says now, at the first attempt, that it works."""
        try:
            return (await self._attempt("GET", "/health", None, frozenset())).status == 200
        except _NoReply:
            return False

    async def _send(
        self, method: str, path: str, data: bytes | None, tried_again: frozenset[int]
    ) -> Reply:
        failures = 0
        while True:
            try:
                reply = await self._attempt(method, path, data, tried_again)
            except _NoReply as failure:
                failures += 1
                if failures >= self._retries.attempts:
                    return await self._give_up(failure, failures)
                await asyncio.sleep(self._retries.pause(failures, asked_for_s=failure.wait_s))
                continue
            if reply.status in {401, 403}:
                raise EngineError(
                    f"The vLLM server at {self.url} refused the token: {reply.error}.",
                    hint="Set STROP_VLLM_API_KEY to the server's --api-key.",
                )
            return reply

    async def _attempt(
        self, method: str, path: str, data: bytes | None, tried_again: frozenset[int]
    ) -> Reply:
        headers = {"Content-Type": "application/json"} if data is not None else None
        try:
            async with self._session.request(
                method, self.url + path, data=data, headers=headers, timeout=self._timeout
            ) as response:
                raw = await response.read()
                status, wait = response.status, response.headers.get("Retry-After", "")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _NoReply(first_line(error)) from error
        if status in tried_again:
            reason = Reply(status, _decode(raw) or {}).error
            raise _NoReply(
                f"status {status}, {reason}",
                status=status,
                wait_s=float(wait) if wait.isdigit() else 0.0,
            )
        body = _decode(raw)
        if body is None and status == 200 and raw.lstrip()[:1] == b"{":
            raise _NoReply("a half-written answer")
        return Reply(status, body or {})

    async def _give_up(self, failure: _NoReply, failures: int) -> Reply:
        """A server that lives and fails on this request alone has answered; another is gone."""
        if failure.status == 500 and await self.is_healthy():
            return Reply(500, {"error": f"{failure} ({failures} attempts)"})
        raise EngineUnavailable(
            f"The vLLM server at {self.url} does not answer "
            f"({failures} attempts; the last: {failure}).",
            hint=RESUME_HINT,
        )


def _decode(raw: bytes) -> dict[str, Any] | None:
    """The JSON object in a body; None when it is something else."""
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


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
