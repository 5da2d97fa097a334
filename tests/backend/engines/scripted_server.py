"""A small HTTP server that speaks as much of vLLM's API as the engine uses, and stumbles on demand.

`ScriptedServer` runs in a thread of its own. Its `script` says, for each chat request in the order
of arrival, what goes wrong; after the script all goes well: the answer is the last message. A test
that needs a request under way, or several, says so by `gate`, never by a time.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

from aiohttp import web

Say = Callable[[dict[str, Any]], web.Response]  # from the payload
Step = str | int | Say | None  # "drop", "half", an HTTP status, what to say, or None: answer
WAIT_S = 60.0  # for what comes at once; so long that no machine is too slow for it


class ScriptedServer:
    """One server; use it in a `with` block.

    Attributes:
        gate: a chat request waits until this holds (for a minute at the longest).
        delay_s: an answer takes so long besides.
        poisonous: says of a payload whether the server fails at it with 500, each time.
        weights: moves the log-probabilities of its first tokens, as other weights would.
    """

    def __init__(
        self,
        script: list[Step] | None = None,
        *,
        adapters: list[str] | None = None,
        loads: bool = True,
        healthy: bool = True,
        error: str = "scripted",
        always: Step = None,
        base: str = "base",
    ) -> None:
        self.base = base
        self.script = list(script or [])
        self.always = always
        self.gate: Callable[[], bool] = lambda: True
        self.delay_s = 0.0
        self.poisonous: Callable[[dict[str, Any]], bool] = lambda payload: False
        self.weights = 0.0
        self.adapters = dict.fromkeys(adapters or [], "/static")
        self.loads = loads
        self.healthy = healthy
        self.error = error
        self.lists = 200  # the status of its list of models
        self.unloadable: set[str] = set()  # folders of adapters that do not fit
        self.url = ""
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []  # the Authorization of every chat request
        self.in_flight = 0
        self.most_in_flight = 0
        self.cancelled = 0
        self.calls: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()

    def come_back(self) -> None:
        """Listen at the same address again, as a server that was started anew."""
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(WAIT_S)

    def hang_up(self) -> None:
        """Die now: stop listening and cut every connection."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(WAIT_S)

    async def _end(self) -> None:
        for site in list(self._runner.sites):
            await site.stop()
        for task in asyncio.all_tasks():  # whoever is just being let in is let in, and then cut
            if getattr(task.get_coro(), "__name__", "") == "_accept_connection2":
                await asyncio.wait([task])
        connections = list(self._runner.server.connections) if self._runner.server else []
        transports = [one.transport for one in connections if one.transport is not None]
        await self._runner.cleanup()
        for transport in transports:  # a socket that is left to the collector warns in any test
            transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)

    async def _start(self) -> str:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_post("/tokenize", self._tokenize)
        if self.loads:
            app.router.add_post("/v1/load_lora_adapter", self._load)
            app.router.add_post("/v1/unload_lora_adapter", self._unload)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        port = int(self.url.rpartition(":")[2] or 0)
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.calls["chat"] += 1
        payload = await request.json()
        self.keys.append(request.headers.get("Authorization"))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._until_gate()
            await asyncio.sleep(self.delay_s)
            return await self._answer(request, payload)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1

    async def _until_gate(self) -> None:
        due = self._loop.time() + WAIT_S
        while not self.gate() and self._loop.time() < due:
            await asyncio.sleep(0.002)

    async def _answer(self, request: web.Request, payload: dict[str, Any]) -> web.StreamResponse:
        step = self.script.pop(0) if self.script else self.always
        step = 500 if self.poisonous(payload) else step
        if step is not None:
            return await self._stumble(request, payload, step)
        if payload["model"] not in {self.base, *self.adapters}:
            message = f"The model `{payload['model']}` does not exist."
            return web.json_response({"error": {"message": message}}, status=404)
        if top := payload.get("top_logprobs", 0):
            return web.json_response(self._first_tokens(payload, top))
        self.asked.append(payload)
        return web.json_response(completion(payload))

    def _first_tokens(self, payload: dict[str, Any], top: int) -> dict[str, Any]:
        """The likeliest tokens 0, 1, ..., each less likely than the one before."""
        body = completion(payload)
        likely = [
            {"token": f"token_id:{n}", "logprob": -0.5 * n - self.weights * (n % 2 + 1)}
            for n in range(top)
        ]
        body["choices"][0]["logprobs"]["content"] = [{**likely[0], "top_logprobs": likely}]
        return body

    async def _stumble(
        self, request: web.Request, payload: dict[str, Any], step: str | int | Say
    ) -> web.Response:
        if step == "drop":
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if step == "half":
            return web.Response(text='{"choices": [', content_type="application/json")
        if isinstance(step, int):
            return web.json_response({"error": {"message": self.error}}, status=step)
        assert callable(step)
        self.asked.append(payload)
        return step(payload)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        """Reads a prompt of token ids: the n-th token has the log-probability -n."""
        self.calls["complete"] += 1
        payload = await request.json()
        step = self.script.pop(0) if self.script else self.always
        if step is not None:
            return await self._stumble(request, payload, step)
        if payload["model"] not in {self.base, *self.adapters}:
            message = f"The model `{payload['model']}` does not exist."
            return web.json_response({"error": {"message": message}}, status=404)
        self.asked.append(payload)
        told = [{str(token): {"logprob": -float(n)}} for n, token in enumerate(payload["prompt"])]
        return web.json_response({"choices": [{"text": "", "prompt_logprobs": [None, *told[1:]]}]})

    async def _models(self, request: web.Request) -> web.Response:
        if self.lists != 200:
            return web.json_response({"error": {"message": self.error}}, status=self.lists)
        base = {"id": self.base, "root": f"/models/{self.base}", "parent": None}
        adapters = [{"id": n, "root": r, "parent": self.base} for n, r in self.adapters.items()]
        return web.json_response({"data": [base, *adapters]})

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if self.healthy else 500)

    async def _tokenize(self, request: web.Request) -> web.Response:
        return web.json_response({"count": 50, "max_model_len": 40, "tokens": list(range(50))})

    async def _load(self, request: web.Request) -> web.Response:
        payload = await request.json()
        self.calls["load"] += 1
        assert not payload.get("load_inplace"), "vLLM would keep the flag and load in every step"
        if payload["lora_path"] in self.unloadable:
            return web.json_response({"error": {"message": "does not fit"}}, status=500)
        if payload["lora_name"] in self.adapters:
            return web.json_response({"error": {"message": "already been loaded"}}, status=400)
        self.adapters[payload["lora_name"]] = payload["lora_path"]
        return web.Response(text="Success")

    async def _unload(self, request: web.Request) -> web.Response:
        known = self.adapters.pop((await request.json())["lora_name"], None)
        return web.Response(status=200 if known else 404)


def completion(payload: dict[str, Any]) -> dict[str, Any]:
    text = payload["messages"][-1]["content"]
    token = {"token": "x", "logprob": -0.25, "top_logprobs": []}
    return json.loads(
        json.dumps(
            {
                "model": payload["model"],
                "choices": [
                    {
                        "message": {"role": "assistant", "content": text},
                        "finish_reason": "stop",
                        "logprobs": {"content": [token, token]},
                    }
                ],
                "usage": {"prompt_tokens": 5, "completion_tokens": 2},
            }
        )
    )
