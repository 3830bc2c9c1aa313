"""What the page moves and how long it takes until the whole cloud stands, in real Chromium."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from benchmarks import atlases
from benchmarks.parts import Part
from benchmarks.rows import Row
from explorer.atlas import Atlas
from tests.chromium import chromium

BYTES = """() => {
    const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
    const sum = (chosen) => chosen.reduce((total, entry) => total + entry.transferSize, 0);
    return {all: sum(entries), map: sum(entries.filter((entry) => new URL(entry.name).pathname.endsWith('.bin')))};
}"""


def measure() -> Iterator[Row]:
    """Bytes and time of a first visit and of a second one."""
    atlas = Atlas.open(atlases.demo())
    with served(atlas.path) as url, chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 720})
        first, second = visit(context.new_page(), url), visit(context.new_page(), url)
    floor = len(atlas) * 3 * 2
    yield Row(
        f"the map's bytes, {len(atlas):,} points",
        f"{first['map'] / 1e3:,.0f} kB",
        f"int16 positions of one space {floor / 1e3:,.0f} kB",
        first["map"] / floor,
    )
    yield Row(
        "all bytes of a first visit", f"{first['all'] / 1e6:.2f} MB", f"a second visit {second['all'] / 1e6:.2f} MB"
    )
    yield Row(
        "from opening to the whole cloud (software rendering)",
        f"{first['seconds']:.1f} s",
        f"a second visit {second['seconds']:.1f} s",
    )


def visit(page: Page, url: str) -> dict[str, float]:
    """Open the page and wait for the cloud: bytes moved and seconds."""
    page.goto(url)
    page.wait_for_selector("[data-ready='true']", timeout=300_000)
    seconds = page.evaluate("() => performance.now() / 1e3")
    return {**page.evaluate(BYTES), "seconds": seconds}


@contextmanager
def served(path: Path) -> Iterator[str]:
    """The app on `path`, as a process of its own."""
    command = atlases.verb("serve", path, "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


PARTS = (Part("page/demo", measure),)
