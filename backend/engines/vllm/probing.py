"""Two small questions to a server that is starting: do you answer, and can you write?"""

from __future__ import annotations

import httpx

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
