"""How long a person waits at first: `strop --help`, `strop score`, the first text of a page.

    python -m tests.benchmarks.start_up [--turns 7] [--pages desk overview runs] [--out FILE]

Commands are told in processor seconds, user and system, beside a bare `python -c pass` in the same
turn. A page is asked for in headless Chromium by somebody who is signed in, of a server that has
shown it before; the clock of the page runs from the navigation to the frame in which the main
column holds text. The first visit of a browser fetches the scripts too; later ones have them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks._ratios import Ratio, keep, take_turns

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.conftest import Desk

PAGES = {"desk": ("anna", "/"), "overview": ("lena", "/"), "runs": ("lena", "/runs")}
ROW = {"prediction": "It costs 12 EUR a month.", "reference": "It costs 11 EUR a month."}
HELP, SCORE, PAGE = 0.3, 1.0, 1.0  # seconds
FIRST_TEXT = """() => {
  const main = document.querySelector('[data-testid=stMainBlockContainer]');
  if (!main || main.innerText.trim().length < 20) return null;
  return performance.now();
}"""


def spent_by_children() -> float:
    """Processor seconds, user and system, of all processes started here that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_python(*arguments: str) -> Callable[[], object]:
    """A Python process with these arguments, its output thrown away."""
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def measure_commands(folder: Path, *, turns: int) -> list[Ratio]:
    """Processor seconds of both commands, and how many times those of Python alone they are."""
    ten = folder / "ten.jsonl"
    rows = [json.dumps({"id": str(i), **ROW}) + "\n" for i in range(10)]
    ten.write_text("".join(rows), encoding="utf-8")
    sides = {
        "python alone": run_python("-c", "pass"),
        "help": run_python("-m", "backend.cli", "--help"),
        "score": run_python("-m", "backend.cli", "score", str(ten)),
    }
    for side in sides.values():
        side()  # files are in memory, and compiled
    found = take_turns(sides, times=turns, clock=spent_by_children)
    bare, seconds = found.seconds["python alone"], found.seconds
    return [
        Ratio("strop --help, processor", seconds["help"], None, HELP, "s", load=found.load),
        Ratio("strop score, ten lines, processor", seconds["score"], None, SCORE, "s",
              load=found.load),
        *(
            Ratio(f"{name}, times a bare python", [a / b for a, b in zip(seconds[side], bare,
                  strict=True)], load=found.load)
            for name, side in (("strop --help", "help"), ("strop score", "score"))
        ),
    ]  # fmt: skip


def measure_pages(folder: Path, names: list[str], *, turns: int) -> list[Ratio]:
    """Seconds from navigation to first text: a new browser, and one that was here before."""
    from tests.browser.conftest import seeded_desk

    with seeded_desk(folder / "home", simulated=False) as desk, _chromium() as browser:
        return [
            ratio for name in names for ratio in _visits(browser, desk, name, *PAGES[name], turns)
        ]


def _visits(
    browser: Browser, desk: Desk, name: str, person: str, path: str, turns: int
) -> Iterator[Ratio]:
    from tests.browser.conftest import sign_in

    first, again = [], []
    before = os.getloadavg()[0]
    for turn in range(turns + 1):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        if person not in desk.cookies:
            sign_in(page, desk, person)
            context.close()
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
        context.add_cookies([desk.cookies[person]])
        for side in (first, again):
            page.goto(desk.address + path, wait_until="commit")
            told = page.wait_for_function(FIRST_TEXT, polling="raf", timeout=60_000)
            if turn:  # the first turn warms the server up
                side.append(float(told.json_value()) / 1000)
        context.close()
    load = (before, os.getloadavg()[0])
    yield Ratio(f"{name}: first text, a browser that was here before", again, None, PAGE, "s",
                load=load)  # fmt: skip
    yield Ratio(f"{name}: first text, a new browser", first, unit="s", load=load)


@contextmanager
def _chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import ARGUMENTS

    with sync_playwright() as driver:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--pages", nargs="*", choices=list(PAGES), default=list(PAGES))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure_commands(Path(folder), turns=args.turns)
        if args.pages and not (shutil.which("chromium") or shutil.which("chromium-browser")):
            print("pages are left out: no Chromium (install the package chromium)")
        elif args.pages:
            found += measure_pages(Path(folder), args.pages, turns=args.turns)
    keep(args.out, found)
    if args.out:
        figures = [ratio.as_row() for ratio in found]
        args.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
