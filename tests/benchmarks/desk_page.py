"""How long an expert waits for the next item: from Ctrl+Enter to the item in place, in a browser.

python -m tests.benchmarks.desk_page [--items 20] [--out FILE]

Serves a seeded project on this machine, works through single outputs and blind pairs in headless
Chromium, and takes the time in the page itself: from the key to the frame in which the texts and
the questions of the next item are drawn and keys are for it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks._ratios import Ratio, keep, skip
from tests.browser.at_desk import open_queue_named, pairs_of, slot_on_screen
from tests.browser.conftest import ARGUMENTS, seeded_desk, sign_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

SINGLE = "summaries"  # the seeded queue of single outputs; the other holds blind pairs
NEXT = """(slot) => new Promise((done) => {
  const began = performance.now();
  const look = () => {
    const { stropItem: item, stropRead: read } = document.documentElement.dataset;
    const submit = document.querySelector(`.st-key-submit-${item}`);
    const drawn = item !== slot && read === item && submit;
    if (drawn) requestAnimationFrame(() => done(performance.now() - began));
    else requestAnimationFrame(look);
  };
  (document.activeElement ?? document.body).dispatchEvent(new KeyboardEvent('keydown', {
    key: 'Enter', code: 'Enter', ctrlKey: true, bubbles: true, cancelable: true, composed: true }));
  document.dispatchEvent(new KeyboardEvent('keyup', { key: 'Enter', code: 'Enter' }));
  look();
})"""


def main() -> None:
    """Measure both kinds of queue and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        skip(args.out, "next item at the desk", "no Chromium: install the package chromium")
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        seeded_desk(Path(folder) / "home", simulated=False) as desk,
        _page() as page,
    ):
        sign_in(page, desk, "anna")
        found = [
            summary(name, [*_times(page, name, args.items)]) for name in (SINGLE, pairs_of(desk))
        ]
    if args.out:
        args.out.write_text(json.dumps(found, indent=2), encoding="utf-8")
    loads = [(one["load"], os.getloadavg()[0]) for one in found]
    keep(args.out, [Ratio(one["metric"], one["times"], unit="ms", load=load)
                    for one, load in zip(found, loads, strict=True)])  # fmt: skip


@contextmanager
def _page() -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


def _times(page: Page, queue: str, n: int) -> Iterator[float]:
    """Milliseconds from the key to the next item, one after another."""
    open_queue_named(page, queue)
    for _ in range(n):
        slot = slot_on_screen(page)
        if queue == SINGLE:
            page.keyboard.type("151")
            wanted = 3
        else:
            page.keyboard.press("a")
            wanted = 1
        page.wait_for_function(
            "n => document.querySelectorAll('.strop-question .tick').length >= n", arg=wanted
        )
        page.wait_for_selector(".strop-saved:has-text('Saved ')")
        yield float(page.evaluate(NEXT, slot))
        if page.locator(".strop-state").count():
            return


def summary(name: str, times: list[float]) -> dict[str, Any]:
    """Median and 95th percentile with n, printed and returned."""
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
    load = os.getloadavg()[0]
    found = {
        "metric": f"next item, {name}, ms",
        "median": round(statistics.median(times)),
        "p95": round(p95),
        "slowest": round(max(times)),
        "times": times,
        "n": len(times),
        "load": round(load, 1),
        "cores": os.cpu_count(),
    }
    print(
        f"{name}: next item after {found['median']} ms (median), {found['p95']} ms (p95), "
        f"n={found['n']}, load {found['load']} on {found['cores']} cores"
    )
    return found


if __name__ == "__main__":
    main()
