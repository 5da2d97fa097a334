"""What every engine on servers has: a loop, a session, the servers, and one pass over requests."""

from __future__ import annotations

import asyncio
import itertools
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, Self, TypeVar

import aiohttp

from backend.engines.remote.line import PromptRequest, in_cache_order
from backend.engines.remote.server import RemoteServer
from backend.engines.remote.server_state import Patience, ServerPlace, Service
from backend.engines.remote.stream import AnswerStream, LoopThread
from backend.errors import EngineUnavailable, UnknownAdapter

_READ_AHEAD = 512

Server = TypeVar("Server", bound=RemoteServer)
Asked = TypeVar("Asked", bound=PromptRequest)
Answered = TypeVar("Answered")


class RemoteEngine(Generic[Server]):
    """The part of an engine that does not depend on what its servers are.

    Args:
        servers: how many there are.
        in_flight: requests with one of them at a time.
        beside: so many of a list may be with one of them where a stream fills it.
        patience: when a server is slow, and how soon one that is out is looked at again.
    """

    name: str

    def __init__(
        self, servers: int, *, in_flight: int, beside: int = 0, patience: Patience = Patience()
    ) -> None:
        self._thread = LoopThread(f"{self.name}-engine")
        self._session = self._thread.run(_open_session((in_flight + beside) * servers + 2))
        self._in_flight = in_flight
        self._beside = beside
        self._patience = patience
        # of those that hold, or may hold, what was loaded
        self._places: list[ServerPlace[Server]] = []
        self._turn = itertools.count()
        self._closed = False

    def close(self) -> None:
        """Close the connections; the servers and what they hold stay as they are."""
        if not self._closed:
            self._closed = True
            self._thread.run(self._session.close())
            self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    async def _look(self, server: Server) -> None:
        """Raise EngineError where a server that was out may not get work (again)."""

    @property
    def _serving(self) -> list[Server]:
        """The servers that get work now."""
        return [place.server for place in self._places if place.serves]

    def _serve_from(
        self, servers: Sequence[Server], gone: Mapping[Server, EngineUnavailable]
    ) -> None:
        """Work with these servers from now on; those that are gone are looked at again later.

        Raises:
            EngineUnavailable: all of them are gone.
        """
        if gone and len(gone) == len(servers):
            raise next(iter(gone.values()))
        self._places = [
            ServerPlace(server, Service.OUT, error=gone[server], looks=1)
            if server in gone
            else ServerPlace(server)
            for server in servers
        ]
        for server in servers:
            server.has_peers = len(servers) > 1

    def _answer(
        self,
        requests: Iterable[Asked],
        ask: Callable[[Server, Asked], Awaitable[Answered]],
        look: Callable[[Server], Awaitable[None]] | None = None,
    ) -> Iterator[Answered]:
        """Have the serving servers asked, `in_flight` at a time on each, as answers arrive.

        `look` is as `_look`, for these requests alone.

        What can be read ahead is asked at once, before the first answer is taken. A list is asked
        in the order that serves the servers' caches, a stream so far as it is read ahead.

        Raises:
            UnknownAdapter: nothing was loaded, so that no server is known to hold it.
        """
        if not self._places:
            raise UnknownAdapter(
                f"The engine {self.name} has loaded no model.", hint="Call load(models) first."
            )
        whole = isinstance(requests, Sequence)
        stream: AnswerStream[Server, Asked, Answered] = AnswerStream(
            self._places,
            ask,
            look=look or self._look,
            in_flight=self._in_flight,
            ahead=max(_READ_AHEAD, 4 * self._in_flight * len(self._places)),
            patience=self._patience,
            share=self._beside if whole else 0,
        )
        return stream.run(self._thread, in_cache_order(list(requests)) if whole else requests)

    def _next_server(self) -> Server:
        serving = self._serving
        if not serving:
            raise EngineUnavailable("No server answers any more.")
        return serving[next(self._turn) % len(serving)]


async def available(
    servers: Sequence[Server], ask: Callable[[Server], Awaitable[Answered]]
) -> tuple[dict[Server, Answered], dict[Server, EngineUnavailable]]:
    """What each server says, all asked at once, and which of them are gone.

    Raises:
        EngineError: of a server that answers, as `ask` raises it.
    """
    said = await asyncio.gather(*map(ask, servers), return_exceptions=True)
    answers: dict[Server, Answered] = {}
    gone: dict[Server, EngineUnavailable] = {}
    for server, answer in zip(servers, said, strict=True):
        if isinstance(answer, EngineUnavailable):
            gone[server] = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            answers[server] = answer
    return answers, gone


async def _open_session(connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections))
