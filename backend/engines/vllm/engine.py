"""The engine `vllm`: one or several vLLM servers, which hold the base and all its adapters.

The servers run as processes of their own, started by `strop serve` or by somebody else; this
module speaks to them over HTTP and never imports vllm.

An adapter is loaded under a name that carries its digest (`v1@2#3fa9c1d2e4b5`): changed weights
can then never answer under an old name, not even from the server's prefix cache, which knows
adapters by name and path. What is loaded is left on the server, which evicts by itself.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from backend.engines.adapters.folders import content_digest, shared_base
from backend.engines.base import (
    NOT_FINITE,
    GenerationRequest,
    GenerationResult,
    Message,
    ReadRequest,
    ReadResult,
    SamplingParams,
    ServedModel,
    request_seed,
    require_finite_logprobs,
)
from backend.engines.first_tokens import LARGEST_GAP, median_gap
from backend.engines.prompts import PromptRefused, decode_prompt, encode_answer, load_tokenizer
from backend.engines.remote.engine import RemoteEngine, available
from backend.engines.remote.server import RESUME_HINT, TRIED_AGAIN, NoReply, Retries
from backend.engines.remote.server_state import Patience
from backend.engines.remote.stream import InternalError, LostModel
from backend.engines.vllm.models import (
    Listed,
    changes_head,
    load_adapter,
    name_of_base,
    point_alias,
    read_models,
    require_unchanged,
)
from backend.engines.vllm.server import (
    VllmServer,
    is_too_long,
    plan_truncation,
    read_answer,
    read_first_tokens,
    read_prompt_logprobs,
)
from backend.errors import EngineError, EngineUnavailable, UnknownAdapter

Asked = TypeVar("Asked", GenerationRequest, ReadRequest)
Answered = TypeVar("Answered")

_CHAT = "/v1/chat/completions"
# vllm-project/vllm#51594: its delta there is dropped without a word.
_HEAD_UNREAD = (
    "vLLM does not tell how likely a text is with an adapter that changes the output layer; "
    "the engine local does."
)


_HEALTH_S = 10.0  # for a server that was out to say that it is healthy
_LOOK_S = 120.0  # and to load its adapters and answer some prompts
_BESIDE = 8  # probes of a preflight, which the run that has begun would else keep waiting
_KNOWN_BY = 2  # prompts of each model by which a server that comes back is known again


class VllmEngine(RemoteEngine[VllmServer]):
    """Asks vLLM servers: all that hold the base which was loaded last; others are left out.

    Several servers have to say the same of every prompt that `next_token_logprobs` is asked for, as
    a preflight does. One that was gone gets its adapters again, and gets work when it says of some
    of those prompts what the others said.

    Args:
        urls: addresses without `/v1`.
        in_flight: requests with one server at a time; beside a stream of them a list, as a
            preflight asks, gets a few more.
        timeout_s: seconds without a byte after which an attempt is given up and made again.
    """

    name = "vllm"

    def __init__(
        self,
        urls: Sequence[str],
        *,
        in_flight: int = 32,
        api_key: str | None = None,
        retries: Retries | None = None,
        timeout_s: float = 600.0,
        patience: Patience = Patience(),
    ) -> None:
        beside = min(in_flight, _BESIDE)
        super().__init__(len(urls), in_flight=in_flight, beside=beside, patience=patience)
        again = retries or Retries()
        self._servers = [
            VllmServer(url, self._session, key=api_key, retries=again, timeout_s=timeout_s)
            for url in urls
        ]
        self._serve_from(self._servers, {})
        self._loaded: dict[str, ServedModel] = {}  # of this base, by all jobs
        self._last: Sequence[ServedModel] = ()  # of them those that were loaded last
        self._known: dict[str, list[tuple[Sequence[Message], dict[int, float]]]] = {}
        self._names: dict[str, str] = {}  # our serving name -> the server's
        self._notes: dict[str, str] = {}
        self._heads: set[str] = set()  # adapters that change the output layer
        self._aliases: dict[str, ServedModel] = {}  # names that may move while we ask
        self._base: str | None = None
        self._tokenizer: Any = None

    @property
    def notes(self) -> Sequence[str]:
        """Adapters that a server held before and whose digest cannot be proved."""
        return tuple(self._notes.values())

    def load(self, models: Sequence[ServedModel]) -> None:
        """Find the base on every server and load the adapters that are not there.

        A server that does not answer is left out, with a note, and looked at again while the others
        work.

        Raises:
            EngineUnavailable: no server answers.
            UnknownAdapter: a server has not got a model and cannot load it.
        """
        base = shared_base(list(models))
        if base != self._base:
            self._base, self._tokenizer, self._loaded = base, None, {}
        for model in models:
            self._loaded[model.name] = model
            self._known.pop(model.name, None)
        self._last = tuple(models)
        self._thread.run(self._load_everywhere(models))

    def generate(
        self, requests: Iterable[GenerationRequest], params: SamplingParams
    ) -> Iterator[GenerationResult]:
        """Answer the requests, `in_flight` at a time on each server, in the order of arrival.

        Raises:
            EngineUnavailable: no server answers any more; what was yielded stays valid.
            UnknownAdapter: a model that was not loaded, or that a server has lost.
        """

        async def ask(server: VllmServer, request: GenerationRequest) -> GenerationResult:
            return await self._ask(server, request, params)

        return self._answer_all(requests, ask)

    def read(self, requests: Iterable[ReadRequest]) -> Iterator[ReadResult]:
        """Read the answers, `in_flight` at a time on each server, in the order of arrival.

        Raises:
            EngineUnavailable: no server answers any more; what was yielded stays valid.
            UnknownAdapter: a model that was not loaded, or that a server has lost.
            InvalidInput: the base's own tokeniser, which places the tokens, cannot be read here.
        """
        self._own_tokenizer()
        return self._answer_all(requests, self._ask_likelihood)

    def _answer_all(
        self, requests: Iterable[Asked], ask: Callable[[VllmServer, Asked], Awaitable[Answered]]
    ) -> Iterator[Answered]:
        """Have them answered; a server that comes back gets the models that they name, which are
        not those that were loaded last where two jobs share this engine."""
        names = {model.name for model in self._last}

        async def noted(server: VllmServer, request: Asked) -> Answered:
            names.add(request.model)
            return await ask(server, request)

        return self._answer(requests, noted, partial(self._look, names=names))

    def next_token_logprobs(
        self, model: str, messages: Sequence[Message], *, top: int = 20
    ) -> dict[str, float]:
        """Log-probabilities of the likeliest first tokens, by their spelling in the vocabulary.

        Raises:
            EngineError: two servers do not say the same.
        """
        return self.first_tokens(model, [messages], top=top)[0]

    def first_tokens(
        self, model: str, prompts: Sequence[Sequence[Message]], *, top: int = 20
    ) -> list[dict[str, float]]:
        """The same of several prompts, asked at once, of every server.

        Raises:
            EngineError: two servers do not say the same.
        """
        found = self._thread.run(self._first_tokens(model, prompts, top))
        for of_one in found:
            require_finite_logprobs(model, of_one.values())
        to_spelling = self._own_tokenizer().convert_ids_to_tokens
        return [dict(zip(to_spelling([*one]), one.values(), strict=True)) for one in found]

    def token_ids(self, messages: Sequence[Message]) -> list[int]:
        """What the server's own template and tokeniser make of the messages."""
        server = self._next_server()
        payload = {"messages": [dict(message) for message in messages]}
        reply = self._thread.run(server.post("/tokenize", payload))
        _require_success(reply.status, reply.error, "the base")
        return [int(token) for token in reply.body["tokens"]]

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt that the server makes of the messages, in the base's own spelling."""
        return decode_prompt(self._own_tokenizer(), self.token_ids(messages))

    def serve_as(self, alias: str, model: ServedModel | None) -> None:
        """Have the alias mean this adapter on every server, whatever it meant before.

        Raises:
            EngineError: a server refuses.
        """
        for server in self._serving:
            self._thread.run(point_alias(server, alias, model))
        named = model is not None and model.adapter_path is not None
        self._names[alias] = alias if named or model is None else self._names[model.name]
        self._aliases.pop(alias, None)
        if model is not None and named:
            self._aliases[alias] = model

    def _tried_again(self, model: str) -> frozenset[int]:
        """A name that moves is gone for a moment, in which the server knows no such model."""
        return TRIED_AGAIN | {404} if model in self._aliases else TRIED_AGAIN

    async def _load_everywhere(self, models: Sequence[ServedModel]) -> None:
        """Work from now on with the servers that hold the base, or do not say yet what they do."""
        lists, gone = await available(self._servers, read_models)
        holding = self._holding_base(lists, models) if lists else []
        stale = {model.name for model in models}  # another job may be asking under them meanwhile
        _, lost = await available(holding, lambda server: self._load_on(server, models, stale))
        gone |= lost
        self._serve_from([s for s in self._servers if s in gone or s in holding], gone)
        for server in gone:
            self._notes[server.url] = (
                f"The server at {server.url} does not answer; it gets work when it does, holds the "
                "models, and says what the others say."
            )

    def _holding_base(
        self, lists: Mapping[VllmServer, Sequence[Listed]], models: Sequence[ServedModel]
    ) -> list[VllmServer]:
        """Those of the servers that hold the base; of the others there is a note."""
        refused: dict[VllmServer, UnknownAdapter] = {}
        for base in [model for model in models if model.adapter_path is None][:1]:
            for server, listed in lists.items():
                try:
                    name_of_base(listed, base, server)
                except UnknownAdapter as error:
                    refused[server] = error
        if refused and len(refused) == len(lists):
            raise next(iter(refused.values()))
        for server in self._servers:
            self._notes.pop(server.url, None)
        for server in refused:
            self._notes[server.url] = (
                f"The server at {server.url} serves another base and is left out."
            )
        return [server for server in lists if server not in refused]

    async def _look(self, server: VllmServer, names: Collection[str] = ()) -> None:
        """Have a server that was gone hold everything again, and compare it with the others.

        Raises:
            EngineUnavailable: it is not healthy.
            EngineError: it cannot hold a model as the others do.
        """
        try:
            async with asyncio.timeout(_HEALTH_S):
                reply = await server.attempt("GET", "/health", None, frozenset())
            if reply.status != 200:
                raise NoReply(f"status {reply.status}")
            async with asyncio.timeout(_LOOK_S):
                await self._hold_again(server, names)
        except (NoReply, TimeoutError) as error:
            raise EngineUnavailable(
                f"The vLLM server at {server.url} is not healthy ({error or 'no answer'}).",
                hint=RESUME_HINT,
            ) from error

    async def _hold_again(self, server: VllmServer, names: Collection[str]) -> None:
        # A copy, since another job may load meanwhile.
        models = [model for name, model in list(self._loaded.items()) if name in names]
        for model in [*models, *self._aliases.values()]:
            await asyncio.to_thread(require_unchanged, model)
        await self._load_on(server, models, set())
        for alias, model in self._aliases.items():
            await point_alias(server, alias, model)
        for name in [*(model.name for model in models), *self._aliases]:
            known = list(self._known.get(name, ()))
            said = await asyncio.gather(*[self._first_at(server, name, p) for p, _ in known])
            self._require_alike(name, server, said, [found for _, found in known])
        self._notes.pop(server.url, None)

    async def _first_tokens(
        self, model: str, prompts: Sequence[Sequence[Message]], top: int
    ) -> list[dict[int, float]]:
        """What the servers say, who have to say the same; the first one's words are kept."""
        serving = self._serving or [self._next_server()]

        async def ask_all(server: VllmServer) -> list[dict[int, float]]:
            return await asyncio.gather(*[self._first_at(server, model, p, top) for p in prompts])

        found = await asyncio.gather(*map(ask_all, serving))
        for server, said in zip(serving[1:], found[1:], strict=True):
            self._require_alike(model, server, said, found[0])
        known = self._known.setdefault(model, [])
        known += zip(prompts[: _KNOWN_BY - len(known)], found[0], strict=False)
        return found[0]

    async def _first_at(
        self, server: VllmServer, model: str, messages: Sequence[Message], top: int = 20
    ) -> dict[int, float]:
        payload = {
            **self._chat(model, messages, SamplingParams(max_tokens=1), seed=0),
            "top_logprobs": top,
            "return_tokens_as_token_ids": True,
        }
        reply = await server.post(_CHAT, payload, tried_again=self._tried_again(model))
        _require_success(reply.status, reply.error, model)
        return read_first_tokens(reply.body, top)

    def _require_alike(
        self,
        model: str,
        server: VllmServer,
        said: Sequence[Mapping[int, float]],
        known: Sequence[Mapping[int, float]],
    ) -> None:
        """Raise EngineError where a server does not say what the others say."""
        if not said or (gap := median_gap(said, known)) <= LARGEST_GAP:
            return
        raise EngineError(
            f"The server at {server.url} does not answer for {model} as the others do (first "
            f"tokens {gap:.2f} nats apart): it holds other weights, or another template.",
            hint="Start it anew with the files of the others, or take it out of STROP_VLLM_URL.",
        )

    async def _load_on(
        self, server: VllmServer, models: Sequence[ServedModel], stale: set[str]
    ) -> None:
        """Find or load the models; `stale` are names of which what was known counts no more."""
        listed = await read_models(server)
        for model in models:
            if model.adapter_path is None:
                self._remember(model.name, name_of_base(listed, model, server), stale)
                continue
            loaded = await load_adapter(server, listed, model, content_digest(model))
            self._remember(model.name, loaded.name, stale)
            self._notes.pop(model.name, None)
            self._heads.discard(model.name)
            if changes_head(model.adapter_path):
                self._heads.add(model.name)
            if loaded.note:
                self._notes[model.name] = loaded.note

    def _remember(self, name: str, at_server: str, stale: set[str]) -> None:
        """Names are the same on all servers, because any of them may get a request."""
        known = at_server if name in stale else self._names.get(name, at_server)
        stale.discard(name)
        if len(self._servers) > 1 and known != at_server:
            raise EngineError(
                f"The servers hold {name!r} under different names: "
                f"{self._names[name]!r} and {at_server!r}.",
                hint="Start all of them with the same flags.",
            )
        self._names[name] = at_server

    def _own_tokenizer(self) -> Any:
        if self._base is None:
            raise UnknownAdapter(
                "The vLLM engine has loaded no model.", hint="Call load(models) first."
            )
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self._base)
        return self._tokenizer

    def _chat(
        self, model: str, messages: Sequence[Message], params: SamplingParams, *, seed: int
    ) -> dict[str, Any]:
        """A chat request; every sampling parameter is named, so that no server default counts."""
        if model not in self._names:
            raise UnknownAdapter(
                f"The vLLM engine has not loaded {model!r}.",
                hint="Loaded: " + ", ".join(sorted(self._names)) + "." if self._names else None,
            )
        return {
            "model": self._names[model],
            "messages": [dict(message) for message in messages],
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "seed": seed,
            "logprobs": True,
        }

    async def _ask(
        self, server: VllmServer, request: GenerationRequest, params: SamplingParams
    ) -> GenerationResult:
        seed = request_seed(params.seed, request.key)
        payload = self._chat(request.model, request.messages, params, seed=seed)
        reply = await server.post(_CHAT, payload, tried_again=self._tried_again(request.model))
        truncated = 0
        if reply.status == 400 and params.truncate_prompt and is_too_long(reply.error):
            cut, truncated = await plan_truncation(server, payload, params)
            reply = await server.post(_CHAT, {**payload, **cut})
        if reply.status != 200:
            _refuse_unknown_model(reply.status, reply.error, request.model)
            failed = GenerationResult(key=request.key, error=f"vLLM: {reply.error}")
            if reply.status == 500:
                raise InternalError(failed)
            return failed
        return read_answer(request.key, reply.body, truncated=truncated, latency_s=reply.seconds)

    async def _ask_likelihood(self, server: VllmServer, request: ReadRequest) -> ReadResult:
        """Two requests: how the server renders the prompt, then how likely it finds the whole."""
        if request.model in self._heads:
            return ReadResult(request.key, error=f"{request.model}: {_HEAD_UNREAD}")
        try:
            ids, starts = encode_answer(self._own_tokenizer(), request.answer)
        except PromptRefused as refused:
            return ReadResult(request.key, error=str(refused))
        chat = self._chat(request.model, request.messages, SamplingParams(max_tokens=1), seed=0)
        again = self._tried_again(request.model)
        named = {"model": chat["model"], "messages": chat["messages"]}
        prompt = await server.post("/tokenize", named, tried_again=again)
        if prompt.status == 200 and not ids:
            return ReadResult(request.key)
        reply = prompt
        if prompt.status == 200:
            # the request that has a server tell of each token of a prompt how likely it is
            tokens = [*map(int, prompt.body["tokens"]), *ids]
            plain = {key: chat[key] for key in chat if key not in {"messages", "logprobs"}}
            payload = {**plain, "prompt": tokens, "max_tokens": 1, "prompt_logprobs": 0}
            reply = await server.post("/v1/completions", payload, tried_again=again)
        if reply.status != 200:
            _refuse_unknown_model(reply.status, reply.error, request.model)
            unread = ReadResult(request.key, error=f"vLLM: {reply.error}")
            if reply.status == 500:
                raise InternalError(unread)
            return unread
        logprobs = read_prompt_logprobs(reply.body, ids)
        if not all(map(math.isfinite, logprobs)):
            return ReadResult(request.key, error=NOT_FINITE)
        return ReadResult(request.key, tuple(starts), logprobs)


def _refuse_unknown_model(status: int, error: str, model: str) -> None:
    if status == 404:
        raise LostModel(
            f"The vLLM server does not serve {model!r}: {error}",
            hint="Load it again, or start the server with `strop serve`.",
        )


def _require_success(status: int, error: str, model: str) -> None:
    _refuse_unknown_model(status, error, model)
    if status != 200:
        raise EngineError(f"The vLLM server could not answer for {model}: {error}.")
