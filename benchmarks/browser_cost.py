"""What a page in Chromium costs: processor time of the browser, frames, memory, tasks of the page's own thread."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import psutil
from playwright.sync_api import Browser, Page

FRAMES = """async (count) => {
    const gl = window.canvas.getContext('webgl2') ?? window.canvas.getContext('webgl');
    const pixel = new Uint8Array(4);
    const begun = performance.now();
    for (let i = 0; i < count; i += 1) {
        window.turn();
        await new Promise((drawn) => requestAnimationFrame(() => {
            gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);  // waits until the frame is drawn
            drawn();
        }));
    }
    return (performance.now() - begun) / count;
}"""
"""Draws frames one after the other: `window.turn` turns the camera and asks for one of `window.canvas`."""
REST = """async () => {
    const gl = window.canvas.getContext('webgl2') ?? window.canvas.getContext('webgl');
    do await new Promise(requestAnimationFrame); while (!window.rests());
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
}"""
"""Waits for frames that a page draws after the last that was asked for, such as those of a glide."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What one frame took.

    Attributes:
        processor: of all of the browser's processes, ms; rendering in software, it is what a frame costs.
        clock: ms.
    """

    processor: float
    clock: float


@dataclass(frozen=True, slots=True)
class Tasks:
    """The longest task of a page's own thread.

    Attributes:
        clock: ms.
        processor: of the one that needed most, ms.
    """

    clock: float
    processor: float


def frames(page: Page, count: int) -> Frame:
    """Draw some frames, after one that does not count."""
    page.evaluate(FRAMES, 1)
    page.evaluate(REST)
    before = processor_seconds()
    clock = page.evaluate(FRAMES, count)
    spent = processor_seconds() - before
    page.evaluate(REST)  # what it draws yet is not the next one's
    return Frame(spent / count * 1e3, clock)


def processor_seconds() -> float:
    """What all Chromium processes below this one have used so far, seconds."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" in process.name():
                times = process.cpu_times()
                total += times.user + times.system
        except psutil.NoSuchProcess:  # it has just ended
            continue
    return total


def heap(page: Page) -> float:
    """Bytes of JavaScript's heap after a collection, arrays' own memory included."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    usage = session.send("Runtime.getHeapUsage")
    session.detach()
    return float(usage["usedSize"] + usage.get("backingStorageSize", 0))


class Traced:
    """Notes every task of a page's own thread while it lasts; a context manager."""

    def __init__(self, browser: Browser, page: Page) -> None:
        self._browser, self._page = browser, page
        self.longest = Tasks(0, 0)

    def __enter__(self) -> Traced:
        self._browser.start_tracing(page=self._page, categories=["disabled-by-default-devtools.timeline", "__metadata"])
        return self

    def __exit__(self, *error: object) -> None:
        events = json.loads(self._browser.stop_tracing())["traceEvents"]
        own = {(e["pid"], e["tid"]) for e in events if _is_main(e, self._renderer(events))}
        tasks = [e for e in events if e["name"] == "RunTask" and (e["pid"], e["tid"]) in own]
        clock = max((e.get("dur", 0) for e in tasks), default=0) / 1e3
        self.longest = Tasks(clock, max((e.get("tdur", 0) for e in tasks), default=0) / 1e3)

    @staticmethod
    def _renderer(events: list[dict[str, Any]]) -> int:
        """The process that ran most tasks on a page's thread: the page that was used."""
        mains = {(e["pid"], e["tid"]) for e in events if _is_main(e, None)}
        counts: dict[int, int] = {}
        for event in events:
            if event["name"] == "RunTask" and (event["pid"], event["tid"]) in mains:
                counts[event["pid"]] = counts.get(event["pid"], 0) + 1
        return max(counts, key=lambda pid: counts[pid], default=-1)


def _is_main(event: dict[str, Any], renderer: int | None) -> bool:
    is_name = event["name"] == "thread_name" and event["args"].get("name") == "CrRendererMain"
    return is_name and renderer in (None, event["pid"])
