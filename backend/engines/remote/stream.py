"""Keeps several servers busy for one caller that is not asynchronous.

The caller's thread reads the requests (they may come from a database session) and takes the
answers; an event loop in another thread asks the servers. Each request goes to the server that
should be done soonest: a quick one gets more. At most `in_flight` requests are with one server, and
at most `ahead` requests are read before their answers are taken.

A server that does not answer, answers with internal errors or is far slower than its peers is taken
out, its requests are asked of the others, and it is looked at again, less and less often, and let
back on trial. Of a request that is asked twice the first answer counts, and no other. When all
servers are out and stay out the error reaches the caller, after every answer that came before it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from itertools import islice
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from backend.engines.remote.line import Line, PromptRequest, Waiting, beginning, in_cache_order
from backend.engines.remote.server import RESUME_HINT
from backend.engines.remote.server_state import (
    Patience,
    ServerPlace,
    Service,
    by_load,
    is_slow,
    is_worth_asking,
    late_after,
)
from backend.errors import EngineError, EngineUnavailable, UnknownAdapter

Asked = TypeVar("Asked", bound=PromptRequest)
Answered = TypeVar("Answered")
Server = TypeVar("Server")
Value = TypeVar("Value")

log = logging.getLogger(__name__)

_MOST_LOSSES = 3  # of a model, by one server, without an answer in between
_LOOKS_WITHIN = 10  # the least time in which an answer may be late
_READINGS = 4  # in which the requests ahead are read, each put in order


class LostModel(UnknownAdapter):
    """A server no longer holds a model that was loaded there; it may have been started anew."""


class InternalError(Exception):
    """A server that lives failed at this request; `answer` says so, should all others too."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer


class LoopThread:
    """An event loop in a daemon thread of its own; `close` ends it."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Run a coroutine in the loop and wait for what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def close(self) -> None:
        """Stop the loop; nothing may be running in it any more."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class AnswerStream(Generic[Server, Asked, Answered]):
    """One pass over the requests; use it once.

    Args:
        places: the servers; what is learned of them is left there for the next pass.
        ask: asks one server one thing. It raises EngineUnavailable when the server is gone,
            LostModel when it lost one, InternalError when it lives and failed; any other error
            ends the pass.
        look: raises EngineError where a server that was out may not get work.
        share: requests that it may have at each server even where other passes fill it.
    """

    def __init__(
        self,
        places: Sequence[ServerPlace[Server]],
        ask: Callable[[Server, Asked], Awaitable[Answered]],
        *,
        look: Callable[[Server], Awaitable[None]],
        in_flight: int,
        ahead: int,
        patience: Patience,
        share: int = 0,
    ) -> None:
        self._places = places
        self._ask = ask
        self._look = look
        self._in_flight = in_flight
        self._ahead = ahead
        self._patience = patience
        self._share = share
        self._line: Line[Asked] = Line()
        self._tasks: dict[asyncio.Task[None], tuple[Waiting[Asked], int, float]] = {}
        self._lookers: dict[int, asyncio.Task[None]] = {}
        self._arrived: SimpleQueue[Answered | Future[None]] = SimpleQueue()
        self._any_refused = False  # else all that wait would be asked, at every answer
        self._ended: asyncio.Future[None] | None = None  # while the pass lasts

    def run(self, thread: LoopThread, asked: Iterable[Asked]) -> Iterator[Answered]:
        """Ask what can be read ahead at once, and yield the answers as they arrive.

        Closing the generator early cancels what is left.
        """
        answers = self._run(thread, iter(asked))
        next(answers)
        return answers  # type: ignore[return-value]

    def _run(self, thread: LoopThread, source: Iterator[Asked]) -> Iterator[Answered | None]:
        """None once, when all is under way, then the answers."""
        serving = asyncio.run_coroutine_threadsafe(self._serve(), thread.loop)
        serving.add_done_callback(self._arrived.put)
        try:
            yield from self._feed(thread, source)
        finally:
            if not thread.loop.is_closed():
                serving.cancel()
                thread.run(_breathe())  # the cancelled requests let go of their connections

    def _feed(self, thread: LoopThread, source: Iterator[Asked]) -> Iterator[Answered | None]:
        unanswered, ended, begun = 0, False, False
        size = self._in_flight * len(self._places)  # what can be asked at once first of all
        while True:
            while not ended and unanswered + size <= self._ahead:
                read = list(islice(source, size))
                ended = len(read) < size
                unanswered += len(read)
                items = [Waiting(one, beginning(one)) for one in in_cache_order(read)]
                thread.loop.call_soon_threadsafe(self._put, items)
                size = self._ahead // _READINGS
            if not begun:
                begun = True
                yield None
            if not unanswered:
                return
            answer = self._arrived.get()
            if isinstance(answer, Future):
                _raise_failure(answer)
            else:
                unanswered -= 1
                yield answer

    # All that follows runs in the loop's thread.

    async def _serve(self) -> None:
        self._ended = asyncio.get_running_loop().create_future()
        for index, place in enumerate(self._places):
            if not place.serves:
                self._start_looking(index)
        self._settle()
        ended = self._ended
        try:
            while not ended.done():
                await asyncio.wait([ended], timeout=self._patience.least_s / _LOOKS_WITHIN)
                self._watch()
            ended.result()
        finally:
            tasks = [*self._tasks, *self._lookers.values()]
            self._ended = None
            ended.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _put(self, items: Sequence[Waiting[Asked]]) -> None:
        self._line.put(items)
        self._settle()

    def _settle(self) -> None:
        """Give out what waits, as far as there is room."""
        if self._ended is None or self._ended.done():
            return
        self._give_up_refused()
        while self._line and self._give_one():
            pass
        if not self._line:
            self._ask_late_elsewhere()

    def _give_one(self) -> bool:
        alone = sum(place.serves for place in self._places) == 1
        free = self._with_room()
        if self._tasks and len(self._places) > 1:  # what waits can wait for a quicker server
            waiting = len(self._line)
            places = self._places
            free = [p for p in free if is_worth_asking(p, places, waiting, self._in_flight)]
        for place in free:
            index = self._places.index(place)
            if (item := self._line.take(index, alone=alone)) is not None:
                self._start(item, index)
                return True
        return False

    def _with_room(self) -> list[ServerPlace[Server]]:
        own = Counter(index for _, index, _ in self._tasks.values()) if self._share else Counter()
        rooms = [
            place.room(self._in_flight, spare=self._share - own[index])
            for index, place in enumerate(self._places)
        ]
        return by_load(self._places, rooms)

    def _start(self, item: Waiting[Asked], index: int) -> None:
        loop = asyncio.get_running_loop()
        item.places.add(index)
        self._places[index].outstanding += 1
        task = loop.create_task(self._attend(item, index))
        self._tasks[task] = (item, index, loop.time())
        task.add_done_callback(partial(self._let_go, item, index))  # also of one that never began

    async def _attend(self, item: Waiting[Asked], index: int) -> None:
        """Ask, and see to what comes of it; an answer that comes second is dropped."""
        place, began = self._places[index], asyncio.get_running_loop().time()
        try:
            answer = await self._ask(place.server, item.asked)
        except InternalError as error:
            self._stumbled(item, index, error)
        except LostModel as error:
            place.fell += place.serves  # else another pass has counted this loss
            if place.fell >= _MOST_LOSSES:
                self._fail(error)
            self._take_out(index, error)
        except EngineUnavailable as error:
            self._take_out(index, error)
        except Exception as error:  # whatever it is, it ends the pass and reaches the caller
            self._fail(error)
        else:
            place.answered(asyncio.get_running_loop().time() - began)
            self._deliver(item, answer)
            self._judge(index)

    def _let_go(self, item: Waiting[Asked], index: int, task: asyncio.Task[None]) -> None:
        """A request that nobody answers any more waits again, in front."""
        del self._tasks[task]
        self._places[index].outstanding -= 1
        item.places.discard(index)
        if not item.answered and not item.places:
            self._line.put_back(item)
        self._settle()

    def _deliver(self, item: Waiting[Asked], answer: Answered) -> None:
        if item.answered:
            return
        item.answered = True
        self._arrived.put(answer)
        if len(item.places) > 1:
            self._cancel(lambda other, _: other is item)

    def _cancel(self, wanted: Callable[[Waiting[Asked], int], bool]) -> None:
        """End attempts, but not the one that asks for it."""
        own = asyncio.current_task()
        for task, (item, index, _) in list(self._tasks.items()):
            if task is not own and wanted(item, index):
                task.cancel()

    def _stumbled(self, item: Waiting[Asked], index: int, error: InternalError) -> None:
        """Ask another server first: it may be the request that is at fault, or this one."""
        place = self._places[index]
        item.refused.add(index)
        self._any_refused = True
        item.fallback = error.answer
        place.stumbles += 1
        if place.stumbles >= self._patience.errors and len(self._places) > 1:
            said = f"{_named(place)} answers with internal errors."
            self._take_out(index, EngineUnavailable(said, hint=RESUME_HINT), answers=True)

    def _give_up_refused(self) -> None:
        """Answer with an error what every server that gets work has failed at."""
        serving = {index for index, place in enumerate(self._places) if place.serves}
        if not (serving and self._any_refused):
            return
        for item in self._line.remove(lambda waiting: serving <= waiting.refused):
            item.answered = True
            self._arrived.put(item.fallback)  # type: ignore[arg-type]

    def _judge(self, index: int) -> None:
        """After an answer, or a late one: is the server too slow, or has it passed its trial?"""
        place = self._places[index]
        if len(self._places) > 1 and is_slow(place, self._places, self._patience):
            self._take_out(index, None, answers=True)
        elif place.service is Service.TRIAL:
            place.service = Service.IN

    def _take_out(self, index: int, error: EngineError | None, *, answers: bool = False) -> None:
        """Give a server no more work, ask what it has of the others, and look at it again later.

        Args:
            error: why; None where it is only slow.
            answers: it may still answer what it has, which is left to it if nothing is asked twice.
        """
        place = self._places[index]
        if not place.serves:  # another pass over the same servers may have found it out
            self._start_looking(index)
            return
        lost = isinstance(error, LostModel)
        if error is not None and len(self._places) == 1 and not lost:
            self._fail(error)
            return
        place.service, place.error = Service.OUT, error
        place.looks += 0 if lost else 1
        if self._patience.asks_twice or not answers:
            self._cancel(lambda _, where: where == index)
        left = sum(other.serves for other in self._places)
        what = error.message if error else f"{_named(place)} is far slower than the others."
        level = logging.WARNING if place.looks < 2 else logging.INFO  # said once, not at each trial
        log.log(level, "%s It gets no work for now; %d others do.", what, left)
        if not left:
            self._take_slow_ones()
        self._start_looking(index)

    def _take_slow_ones(self) -> None:
        """Better a slow server than none."""
        for place in self._places:
            if not place.serves and place.error is None:
                place.let_back()
                place.service = Service.IN

    def _start_looking(self, index: int) -> None:
        if (task := self._lookers.get(index)) is not None and not task.done():
            return
        self._lookers[index] = asyncio.get_running_loop().create_task(self._bring_back(index))

    async def _bring_back(self, index: int) -> None:
        """Look at a server again and again, until it may be let back on trial."""
        place = self._places[index]
        pause = 0.0 if isinstance(place.error, LostModel) else self._patience.pause(place.looks)
        while not place.serves:
            await asyncio.sleep(pause)
            try:
                await self._look(place.server)
            except EngineError as error:
                place.error = error
                place.looks += 1
                self._fail_if_all_are_gone()
                pause = self._patience.pause(place.looks)
            except Exception as error:  # whatever it is: a look that ended would never be missed
                self._fail(error)
                return
            else:
                if not place.serves:
                    place.let_back()
                    log.info("%s answers again.", _named(place))
        self._settle()

    def _fail_if_all_are_gone(self) -> None:
        if any(place.serves for place in self._places):
            return
        looks = 0 if len(self._places) == 1 else self._patience.probes
        if all(place.looks > looks for place in self._places) and self._places[0].error:
            self._fail(self._places[0].error)

    def _watch(self) -> None:
        """Count what is late against its server; ask it of another where there is room.

        And see what another pass over the same servers did: made room, or took one out.
        """
        if self._ended is None or self._ended.done():
            return
        for index, place in enumerate(self._places):
            if not place.serves:
                self._start_looking(index)
        now = asyncio.get_running_loop().time()
        after = [late_after(place, self._places, self._patience) for place in self._places]
        for item, index, began in list(self._tasks.values()):
            if index not in item.late_at and now - began > after[index]:
                item.late_at.add(index)
                self._places[index].took(now - began)
                self._judge(index)
        self._settle()

    def _ask_late_elsewhere(self) -> None:
        """While nobody waits, what is late is asked of a second server, if one has room."""
        if not self._patience.asks_twice:
            return
        for item, index, _ in list(self._tasks.values()):
            if index not in item.late_at or item.answered or len(item.places) > 1:
                continue
            for place in self._with_room():
                other = self._places.index(place)
                if other not in item.places | item.refused | item.late_at:
                    self._start(item, other)
                    break

    def _fail(self, error: Exception) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)


def _named(place: ServerPlace[Any]) -> str:
    return f"The server at {getattr(place.server, 'url', place.server)}"


def _raise_failure(serving: Future[None]) -> None:
    try:
        serving.result()
    except CancelledError as error:
        raise EngineUnavailable("The engine was closed while it was writing.") from error
    raise EngineUnavailable("The engine stopped before every request was answered.")


async def _breathe() -> None:
    for _ in range(3):
        await asyncio.sleep(0)
