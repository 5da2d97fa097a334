"""Two loops at one listening socket, as the API processes of `strop up` are: they share a burst."""

from __future__ import annotations

import asyncio
import socket
from threading import Barrier, Thread

from backend.cli.operations.api_processes import TurnTakingLoop

BURST = 16


def test_connections_that_come_at_once_are_shared_and_none_is_lost() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    listener.setblocking(False)
    counts, ready = [0, 0], Barrier(3)

    async def serve(number: int) -> None:
        class Count(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                counts[number] += 1
                transport.close()

        server = await asyncio.get_running_loop().create_server(Count, sock=listener.dup())
        await asyncio.to_thread(ready.wait)
        while sum(counts) < BURST:
            await asyncio.sleep(0.01)
        server.close()
        await asyncio.sleep(0.02)  # a pause that ends after the server is closed takes up nothing

    def run(number: int) -> None:
        with asyncio.Runner(loop_factory=TurnTakingLoop) as runner:
            runner.run(asyncio.wait_for(serve(number), 20))

    threads = [Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    ready.wait()
    address = listener.getsockname()
    clients = [socket.create_connection(address) for _ in range(BURST)]
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()
    listener.close()
    assert sum(counts) == BURST
    assert min(counts) >= BURST // 4
