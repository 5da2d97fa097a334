"""The engine `openai`: a model served elsewhere, asked by the name under which the server knows it.

Any server of the protocol will do: vLLM, TGI, llama.cpp, a vendor. What it is that answers cannot
be proved, only asked: `notes` says what is taken on trust. An answer under another model's name is
refused; a dated snapshot of the asked one is noted, and a change of it in the middle stops the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from backend.engines.base import (
    GenerationRequest,
    GenerationResult,
    Message,
    SamplingParams,
    ServedModel,
    request_seed,
    require_finite_logprobs,
)
from backend.engines.openai.answers import check_model, model_of, read_answer, reports_usage
from backend.engines.openai.parameters import (
    ServerParameters,
    chat_parameters,
    is_too_long,
    without_refused,
)
from backend.engines.openai.server import CHAT, OpenaiServer, address_of
from backend.engines.remote.engine import RemoteEngine, available
from backend.engines.remote.server import RESUME_HINT, Retries, ServerReply
from backend.engines.remote.server_state import Patience
from backend.engines.remote.stream import InternalError
from backend.errors import CannotCompute, EngineError, EngineUnavailable, UnknownAdapter, storable

_PATIENCE = Retries(attempts=7, first_s=0.5, longest_s=30.0)
PAID = Patience(asks_twice=False)  # what is under way may be paid for already
MOST_REFUSED = 20  # prompts in a row, for a reason that each might have alone
_OF_THE_PROMPT = frozenset({400, 409, 413, 422, 500, 501})


class OpenaiEngine(RemoteEngine[OpenaiServer]):
    """Asks the servers that know the models which were loaded last.

    Args:
        urls: addresses as OPENAI_BASE_URL is written; several must know the same models, or list
            those that they know.
        keys: of each address its own, None for none.
        in_flight: requests with one server at a time.
        timeout_s: seconds for one attempt, from sending to the last byte.
        stream: have the answers streamed, for servers behind a gateway that cuts silent requests.
    """

    name = "openai"

    def __init__(
        self,
        urls: Sequence[str],
        *,
        keys: Sequence[str | None] = (),
        in_flight: int = 8,
        retries: Retries = _PATIENCE,
        timeout_s: float = 600.0,
        stream: bool = False,
        patience: Patience = PAID,
    ) -> None:
        addresses = [address_of(url) for url in urls]
        super().__init__(len(urls), in_flight=in_flight, patience=patience)
        self._servers = [
            OpenaiServer(url, self._session, key=key, retries=retries, timeout_s=timeout_s)
            for url, key in zip(addresses, keys or [None] * len(urls), strict=True)
        ]
        self._stream = stream
        self._asked_as: dict[str, str] = {}  # our serving name -> the server's
        # address and model -> what it takes
        self._taken: dict[tuple[str, str], ServerParameters] = {}
        self._refused: dict[tuple[str, str], int] = {}  # how many prompts in a row
        self._answered_as: dict[str, str] = {}  # the server's name -> what it answers as
        self._notes: dict[str, str] = {}

    @property
    def notes(self) -> Sequence[str]:
        """What the servers left out, did not say, or say in other words."""
        left_out = [
            note
            for (url, model), taken in self._taken.items()
            for note in taken.notes(f"{model} at {url}")
        ]
        return (*self._notes.values(), *left_out)

    def load(self, models: Sequence[ServedModel]) -> None:
        """Find the servers that know the models; nothing is loaded anywhere.

        Raises:
            EngineUnavailable: a server does not answer.
            EngineError: no server is named, or one refuses the key.
            UnknownAdapter: a model is an adapter, which has to be served under a name of its own.
        """
        for model in models:
            if model.adapter_path is not None:
                raise UnknownAdapter(
                    f"The engine openai cannot load the adapter {model.name!r} into a server.",
                    hint="Serve it there, and add it as a model under the name it has there.",
                )
        if not self._servers:
            raise EngineError(
                "The engine openai knows no server.",
                hint="Set STROP_OPENAI_URL to its address, such as http://127.0.0.1:8000/v1.",
            )
        self._notes = {}
        names = {model.name: model.base_model for model in models}
        self._thread.run(self._find_serving(list(names.values())))
        self._asked_as |= names
        self._answered_as, self._taken = {}, {}  # servers change between two jobs
        self._refused = {}
        hello = {"messages": [{"role": "user", "content": "Hello"}]}
        for server in self._servers:
            server.greeting = {"model": models[-1].base_model, **hello}

    def generate(
        self, requests: Iterable[GenerationRequest], params: SamplingParams
    ) -> Iterator[GenerationResult]:
        """Answer the requests, `in_flight` at a time on each server, in the order of arrival.

        Raises:
            EngineUnavailable: no server answers any more; what was yielded stays valid.
            UnknownAdapter: a model that was not loaded, or that a server does not know.
            EngineError: the key is refused, another model answered, the decoding is not taken, or
            MOST_REFUSED prompts in a row are refused.
        """

        async def ask(server: OpenaiServer, request: GenerationRequest) -> GenerationResult:
            return await self._ask(server, request, params)

        return self._answer(requests, ask)

    def next_token_logprobs(
        self, model: str, messages: Sequence[Message], *, top: int = 20
    ) -> dict[str, float]:
        """Log-probabilities of the likeliest first tokens, by their text at the server.

        Raises:
            CannotCompute: the server gives none.
        """
        asked = self._name_at_server(model)
        payload = {
            "model": asked,
            "messages": [dict(message) for message in messages],
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": True,
            "top_logprobs": top,
        }
        server = self._next_server()
        reply = self._thread.run(server.post(CHAT, payload))
        if reply.status != 200:
            raise CannotCompute(f"{asked} at {server.url} gives no log-probabilities.")
        return _first_tokens(asked, reply.body)

    def token_ids(self, messages: Sequence[Message]) -> list[int]:
        """Never: the protocol shows no tokens of a prompt.

        Raises:
            CannotCompute: always.
        """
        _cannot_see_prompts()

    def render(self, messages: Sequence[Message]) -> str:
        """Never: the protocol shows no prompt.

        Raises:
            CannotCompute: always.
        """
        _cannot_see_prompts()

    async def _find_serving(self, names: Sequence[str]) -> None:
        """Servers that list the models or give no list; where none does, all, with a note."""
        lists, gone = await available(self._servers, _listed)
        knowing = [s for s, listed in lists.items() if listed is None or {*names} <= listed]
        for server in (serving := knowing or list(lists)):
            listed = lists[server]
            missing = [name for name in names if listed is not None and name not in listed]
            if listed is None:
                self._notes[server.url] = f"The server at {server.url} lists no models."
            elif missing:
                self._notes[server.url] = (
                    f"The server at {server.url} does not list {', '.join(missing)}."
                )
        for server in gone:
            self._notes[server.url] = (
                f"The server at {server.url} does not answer; it gets work when it does."
            )
        self._serve_from([s for s in self._servers if s in serving or s in gone], gone)

    async def _look(self, server: OpenaiServer) -> None:
        """Greet a server that was gone.

        Raises:
            EngineUnavailable: it does not answer a greeting.
        """
        if not await server.is_healthy():
            raise EngineUnavailable(
                f"The server at {server.url} does not answer a greeting.", hint=RESUME_HINT
            )

    def _name_at_server(self, model: str) -> str:
        if model not in self._asked_as:
            raise UnknownAdapter(
                f"The engine openai was not told of {model!r}.", hint="Call load(models) first."
            )
        return self._asked_as[model]

    async def _ask(
        self, server: OpenaiServer, request: GenerationRequest, params: SamplingParams
    ) -> GenerationResult:
        asked = self._name_at_server(request.model)
        reply = await self._ask_as_taken(server, asked, request, params)
        if reply.status != 200:
            failed = _failed(request.key, reply, server, asked, params)
            if reply.status == 500 and server.has_peers:
                raise InternalError(failed)
            self._count_refusal(server, asked, failed)
            return failed
        self._refused[server.url, asked] = 0
        if not reply.body:
            raise EngineError(
                f"What answers at {server.url} is no server of the OpenAI protocol.",
                hint="Does its address lack /v1?",
            )
        if reply.body.get("choices"):
            self._hold_to_name(server, asked, reply.body)
        return read_answer(request.key, reply.body, latency_s=reply.seconds)

    def _count_refusal(self, server: OpenaiServer, asked: str, failed: GenerationResult) -> None:
        """End the run where one prompt after the other is refused: it is not the prompts' fault.

        Raises:
            EngineError: so many in a row were.
        """
        in_a_row = self._refused.get((server.url, asked), 0) + 1
        self._refused[server.url, asked] = in_a_row
        if in_a_row >= MOST_REFUSED:
            raise EngineError(
                f"The server at {server.url} refused {in_a_row} prompts for {asked!r} in a row; "
                f"the last: {failed.error}",
                hint="Mend what it says, and ask them again: strop run --resume RUN --retry-failed",
            )

    async def _ask_as_taken(
        self, server: OpenaiServer, asked: str, request: GenerationRequest, params: SamplingParams
    ) -> ServerReply:
        """The reply to a request from which what the server refuses was left out.

        What has to be left out is remembered only when the server answers without it.
        """
        taken = known = self._taken.get((server.url, asked), ServerParameters())
        seed = request_seed(params.seed, request.key)
        messages = [dict(message) for message in request.messages]
        while True:
            wished = chat_parameters(params, taken, seed=seed, stream=self._stream)
            reply = await server.post(CHAT, {"model": asked, "messages": messages, **wished})
            other = without_refused(reply, wished, taken)
            if other is None:
                break
            taken = other
        if reply.status == 200 and taken != known:
            self._taken[server.url, asked] = taken
        return reply

    def _hold_to_name(self, server: OpenaiServer, asked: str, body: Mapping[str, Any]) -> None:
        """Refuse another model's answer; note what the answers do not say, or say otherwise."""
        if not reports_usage(body):
            self._notes["usage " + server.url] = (
                f"The server at {server.url} reports no token counts for prompt and answer: "
                "where it does not, 0 stands for unknown."
            )
        if (said := model_of(body)) is None:
            self._notes["name " + server.url] = (
                f"The server at {server.url} does not say which model answers."
            )
            return
        check_model(asked, said, server.url)
        before = self._answered_as.setdefault(asked, said)
        if before != said:
            raise EngineError(
                f"The server at {server.url} answered for {asked!r} as {before!r} and now as "
                f"{said!r}: two models in one run.",
                hint="Add the model under its dated name, and run that.",
            )
        if said != asked:
            self._notes["as " + asked] = f"{asked} answers as {said}."


async def _listed(server: OpenaiServer) -> set[str] | None:
    """The names of the models that a server lists; None where it gives no list."""
    found = (await server.get("/models")).body.get("data")
    if not isinstance(found, list):
        return None
    return {str(entry.get("id")) for entry in found if isinstance(entry, Mapping)} or None


def _failed(
    key: str, reply: ServerReply, server: OpenaiServer, asked: str, params: SamplingParams
) -> GenerationResult:
    """What a refusal means: an error of this prompt, or the end of the run."""
    words = reply.error.strip().rstrip(".")
    if reply.status == 404:
        raise UnknownAdapter(
            f"The server at {server.url} does not serve {asked!r}: {words}.",
            hint="Is the name the server's own, and its address right?",
        )
    if reply.status not in _OF_THE_PROMPT:
        raise EngineError(f"The server at {server.url} does not answer for {asked!r}: {words}.")
    said = f"The server: {words}."
    if params.truncate_prompt and is_too_long(reply):
        said += " The engine openai cannot cut prompts."
    return GenerationResult(key=key, error=storable(said))


def _first_tokens(asked: str, body: Mapping[str, Any]) -> dict[str, float]:
    try:
        entries = body["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        found = {str(entry["token"]): float(entry["logprob"]) for entry in entries}
    except (KeyError, IndexError, TypeError, ValueError):
        found = {}
    if not found:
        raise CannotCompute(f"{asked} gives no log-probabilities.")
    require_finite_logprobs(asked, found.values())
    return found


def _cannot_see_prompts() -> NoReturn:
    raise CannotCompute(
        "A server of the OpenAI protocol does not show the prompt that its model is given."
    )
