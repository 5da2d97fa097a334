"""The line of requests that wait for a server, in the order that serves its prefix cache.

A server such as vLLM keeps what it has computed of a prompt and computes only what comes after a
beginning that it knows, for each adapter apart. `in_cache_order` sets requests with long common
beginnings side by side and mixes the models, so that a batch holds all adapters; `Line` gives each
of several servers what it knows already, as far as nobody waits for that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from heapq import merge
from operator import itemgetter
from typing import Generic, Protocol, TypeVar

from backend.engines.base import Message

_BEGINNING = 512  # characters of the last message that count as its beginning
_LOOK_AHEAD = 64  # waiting requests among which a server finds what it knows
_KNOWN = 64  # beginnings of which it is remembered which server got them last


class PromptRequest(Protocol):
    """A request with a prompt."""

    @property
    def model(self) -> str:
        """Serving name of the model."""

    @property
    def messages(self) -> Sequence[Message]:
        """The prompt."""


Asked = TypeVar("Asked")
ByPrompt = TypeVar("ByPrompt", bound=PromptRequest)


def in_cache_order(requests: Sequence[ByPrompt]) -> list[ByPrompt]:
    """The same requests: prompts with common beginnings side by side, the models mixed.

    Of each model the prompts are sorted as texts, so that the longest common beginnings are
    neighbours; equal prompts keep their order. The models then take turns, each as often as its
    share of the requests, so that their last requests come together.
    """
    by_model: dict[str, list[ByPrompt]] = {}
    for request in requests:
        by_model.setdefault(request.model, []).append(request)
    lanes = [
        [((place + 0.5) / len(own), lane, request) for place, request in enumerate(_sorted(own))]
        for lane, own in enumerate(by_model.values())
    ]
    return [request for _, _, request in merge(*lanes, key=itemgetter(0, 1))]


def _sorted(requests: list[ByPrompt]) -> list[ByPrompt]:
    return sorted(requests, key=lambda request: [m["content"] for m in request.messages])


def beginning(request: PromptRequest) -> Hashable:
    """What two requests have in common when a server that answered one knows much of the other."""
    *before, last = request.messages or ({"content": ""},)
    return (
        request.model,
        hash(tuple(message["content"] for message in before)),
        last["content"][:_BEGINNING],
    )


@dataclass(slots=True, eq=False)
class Waiting(Generic[Asked]):
    """A request until it is answered.

    Attributes:
        begins: its beginning, as the servers know it.
        places: where it is being asked now; more than one where it was late.
        refused: at which places it failed by an internal error.
        fallback: the answer that says so, for want of a better one.
        late_at: places where it was found to be late.
    """

    asked: Asked
    begins: Hashable = None
    places: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    late_at: set[int] = field(default_factory=set)
    fallback: object = None
    answered: bool = False


class Line(Generic[Asked]):
    """Who waits, in order."""

    def __init__(self) -> None:
        self._items: deque[Waiting[Asked]] = deque()
        self._known: dict[Hashable, int] = {}  # beginning -> the place that got it last

    def __len__(self) -> int:
        return len(self._items)

    def put(self, items: Sequence[Waiting[Asked]]) -> None:
        """At the end."""
        self._items.extend(items)

    def put_back(self, item: Waiting[Asked]) -> None:
        """At the front: it has waited before."""
        self._items.appendleft(item)

    def take(self, place: int, *, alone: bool) -> Waiting[Asked] | None:
        """The next for a place; None where it failed at all that wait.

        Of the first few it is one whose beginning the place knows, else one whose beginning no
        place knows, else the first.

        Args:
            alone: no other place gets work, so that there is nothing to choose.
        """
        best, rank = None, 3
        for index, item in enumerate(self._items):
            if best is not None and (alone or index >= _LOOK_AHEAD):
                break
            if place in item.refused:
                continue
            owner = self._known.get(item.begins)
            found = 0 if owner == place else 1 if owner is None else 2
            if found < rank:
                best, rank = index, found
            if found == 0:
                break
        if best is None:
            return None
        item = self._items[best]
        del self._items[best]
        self._remember(item.begins, place)
        return item

    def remove(self, wanted: Callable[[Waiting[Asked]], bool]) -> list[Waiting[Asked]]:
        """Take out those that are wanted, in order."""
        found = [item for item in self._items if wanted(item)]
        if found:
            self._items = deque(item for item in self._items if not wanted(item))
        return found

    def _remember(self, begins: Hashable, place: int) -> None:
        self._known.pop(begins, None)
        self._known[begins] = place
        if len(self._known) > _KNOWN:
            del self._known[next(iter(self._known))]
