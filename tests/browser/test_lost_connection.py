"""The line to the server breaks in the middle of an answer, and the page is never loaded anew.

First only the line: it is cut, refuses whoever calls, and is mended. Then the server itself is
killed and started again. What was typed, marked and chosen meanwhile is in the draft afterwards.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.browser.at_desk import (
    key_of,
    open_queue_named,
    select_points,
    slot_on_screen,
    wait_until_draft,
)
from tests.browser.conftest import Desk, sign_in
from tests.browser.seed_desk import CASES
from tests.browser.servers import running_server
from tests.fixtures_ports import lasting_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
HOST = "127.0.0.1"
OFFLINE = ".strop-offline"
DIALOG_MS = 6_000  # Streamlit's page would open its own within five seconds


class Line:
    """A line to a server: a port of its own from which every call is passed on, until it is cut."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.port = lasting_port()

    def mend(self) -> None:
        """Take calls, again on the same port."""
        self._listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self._take_calls, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """End every call at once, also one that is being taken, and refuse new ones."""
        with self._lock:
            ends = [end for end in (self._listener, *self._open) if end]
            self._listener = None
            self._open.clear()
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _take_calls(self, listener: socket.socket) -> None:
        with suppress(OSError):  # it was cut
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection((HOST, self._server_port))
                except OSError:  # the server is dead
                    near.close()
                    continue
                with self._lock:
                    if self._listener is not listener:
                        near.close()
                        far.close()
                        return
                    self._open |= {near, far}
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while some := source.recv(65536):
            target.sendall(some)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextmanager
def line_to(address: str) -> Iterator[Line]:
    """A line to the server of this address, whole at first."""
    line = Line(int(address.rpartition(":")[2]))
    line.mend()
    yield line
    line.cut()


def lose(page: Page) -> None:
    """Wait until the page says that it is alone."""
    page.locator(OFFLINE).wait_for()


def test_nothing_is_lost_and_the_page_goes_on(page: Page, clinic: Desk) -> None:
    output = CASES["scales"][1]
    port = lasting_port()
    with running_server(clinic.settings, port=port) as (address, server), line_to(address) as line:
        through = Desk(
            f"http://{HOST}:{line.port}", clinic.settings, clinic.seeded, clinic.sessions
        )
        sign_in(page, through, "bert")
        slot = open_queue_named(page, "scales")
        page.evaluate("window.stropStayed = true")
        page.keyboard.press("2")
        page.keyboard.press("e")
        box = page.locator(f"{key_of(slot, 'correction')} textarea")
        box.fill("Beck takes")
        wait_until_draft(clinic, slot, correction="Beck takes", ratings={"safe": "fail"})

        line.cut()
        box.press_sequentially(" nothing")
        lose(page)
        page.keyboard.press("Escape")
        start = output.index("5 mg")
        select_points(page, start, start + 4)
        for key in ("m", "1", "2", "Enter"):
            page.keyboard.press(key)
        page.wait_for_selector(".strop-reader .marks li")
        line.mend()
        wait_until_draft(
            clinic, slot, correction="Beck takes nothing", spans=lambda found: bool(found)
        )
        page.locator(OFFLINE).wait_for(state="hidden")
        assert slot_on_screen(page) == slot

        server.send_signal(signal.SIGKILL)
        server.wait()
        lose(page)
        page.wait_for_timeout(DIALOG_MS)
        assert page.get_by_role("dialog").count() == 0  # nothing is laid over the work
        page.keyboard.press("4")  # for the question that is next; the 2 is not to count again
        with running_server(clinic.settings, port=port):
            draft = wait_until_draft(clinic, slot, ratings={"safe": "fail", "good": 4})
            page.locator(OFFLINE).wait_for(state="hidden")
            assert slot_on_screen(page) == slot
            assert box.input_value() == "Beck takes nothing"
            assert page.locator(".strop-reader .marks li").count() == 1
            assert page.evaluate("window.stropStayed") is True
    assert draft["correction"] == "Beck takes nothing"
    assert [output[span["start"] : span["end"]] for span in draft["spans"]] == ["5 mg"]
