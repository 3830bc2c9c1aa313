"""A frame of the page's cloud against bare three.js Points and plotly's scatter3d; the page's heap and answers.

The peer gets the same points in the same order, the same canvas, camera and mean size of a point on screen, in the same
Chromium; the two take turns. The page is the whole app on an atlas of drawn points, labels shown.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import plotly
from playwright.sync_api import Browser, Page, ViewportSize
from playwright.sync_api import Error as BrowserError

from benchmarks import drawn
from benchmarks.bare import PATIENCE, PLOTLY, VIEWPORT, bundled, peer_page
from benchmarks.browser_cost import Frame, Tasks, Traced, frames, heap
from benchmarks.page import served
from benchmarks.parts import Part
from benchmarks.rows import Figure, Row, held
from tests.chromium import chromium

SIZES = {10_000: 2.0, 100_000: 3.0, 600_000: 6.0, 1_000_000: 9.0}
"""Points -> minutes."""
ROUNDS = 5
"""In which ours and the peer take turns; the median of them counts."""
FRAMES = {10_000: 30, 100_000: 12, 600_000: 4, 1_000_000: 3}
COMPARED = 100_000
"""Points at which scatter3d still turns."""
MOST_FRAME, LEAST_PLOTLY = 1.25, 40.0
MOST_HEAP, MOST_TASK, MOST_HOVER, MOST_LASSO = 150.0, 100.0, 30.0, 200.0
"""MB; ms."""
NOTE = """Rendering is in software: a frame's processor time is what it costs, and the ratios are of processor time,
which depends little on what else the machine does. The page is the whole app, labels shown, thumbnails not. Where the
processor draws, the page does without multisampling from 30,000 points on; the peer's canvas is the same."""

TURN = """() => {
    const map = document.querySelector('#map');
    window.canvas = map.querySelector('canvas');
    window.rests = () => map.dataset.moving === 'false';
    window.turn = () => map.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft', bubbles: true }));
}"""
LISTEN = """() => {
    const map = document.querySelector('#map');
    const ring = document.querySelector('.pointcloud-ring');
    window.waits = [];
    let rested = 0;
    new MutationObserver(() => { if (map.dataset.moving === 'false') rested = performance.now(); })
        .observe(map, { attributeFilter: ['data-moving'] });
    new MutationObserver(() => {
        if (ring.style.display === '' && rested) window.waits.push(performance.now() - rested);
        if (ring.style.display === '') rested = 0;
    }).observe(ring, { attributeFilter: ['style'] });
}"""
"""Notes how long after the camera's rest the ring stands around the point under the pointer, ms."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """The points as the page has them.

    Attributes:
        positions: float32 (n, 3), scene units, in the order in which they are drawn.
        size: mean diameter on screen, CSS pixels.
        view: the camera.
        antialias: whether the canvas is multisampled.
    """

    positions: npt.NDArray[np.float32]
    size: float
    view: dict[str, Any]
    antialias: bool


def measure(n: int) -> Iterator[Row]:
    """All rows of one size."""
    with served(drawn.atlas(n)) as url, chromium() as browser:
        page = opened(browser, url)
        cloud = cloud_of(page, url)
        yield against_bare(browser, page, cloud)
        if n == COMPARED:
            yield plotly_row(browser, page, cloud)
        yield from answers(browser, page, n)


def opened(browser: Browser, url: str) -> Page:
    """The app, once its cloud stands still."""
    page = browser.new_context(viewport=VIEWPORT).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(url)
    page.wait_for_selector("#map[data-ready=true][data-moving=false]")
    page.evaluate(TURN)
    return page


def cloud_of(page: Page, url: str) -> Cloud:
    """What the page draws, and how."""
    found = page.evaluate("() => document.querySelector('#map').view()")
    ids = list(range(1, 2001))
    seen = page.evaluate("ids => ids.map((id) => document.querySelector('#map').project(id).across)", ids)
    base = page.evaluate(
        "() => performance.getEntriesByType('resource').map((e) => e.name).find((name) => name.includes('points.bin'))"
    )
    quantized = np.frombuffer(httpx.get(base, timeout=60).content, "<i2").reshape(-1, 3)
    smooth = page.evaluate("() => window.canvas.getContext('webgl2').getContextAttributes().antialias")
    places = (quantized * unit_of(page, base, quantized)).astype(np.float32)
    return Cloud(places, float(np.mean(seen)), found, smooth)


def unit_of(page: Page, address: str, quantized: npt.NDArray[np.int16]) -> float:
    """Scene units a quantized step: from one picture's place in both."""
    ids = np.frombuffer(httpx.get(address.rsplit("/", 2)[0] + "/ids.bin", timeout=60).content, "<i8")
    row = int(np.abs(quantized[:1000].astype(float)).sum(axis=1).argmax())
    place = page.evaluate("id => document.querySelector('#map').worldOf(id)", int(ids[row]))
    return float(np.linalg.norm(place) / np.linalg.norm(quantized[row].astype(float)))


@dataclass(frozen=True, slots=True)
class Turns:
    """Frames of ours and of bare Points that took turns: the medians, and that of the rounds' own ratios."""

    ours: Frame
    bare: Frame
    ratio: float


def in_turns(browser: Browser, page: Page, cloud: Cloud, viewport: ViewportSize = VIEWPORT) -> Turns:
    """Frames of the page and of bare Points on a canvas like its own."""
    n = len(cloud.positions)
    with tempfile.TemporaryDirectory() as folder:
        peer = peer_page(browser, bundled(Path(folder)), cloud.positions)
        peer.set_viewport_size(viewport)
        canvas = {**viewport, "size": cloud.size, "view": cloud.view, "antialias": cloud.antialias}
        peer.evaluate("given => window.stand(given)", canvas)
        rounds = [(frames(page, FRAMES[n]), frames(peer, FRAMES[n])) for _ in range(ROUNDS)]
        peer.context.close()
    ratio = median(ours.processor / bare.processor for ours, bare in rounds)
    return Turns(middle([ours for ours, _ in rounds]), middle([bare for _, bare in rounds]), ratio)


def against_bare(browser: Browser, page: Page, cloud: Cloud) -> Row:
    """A frame of ours and one of bare Points."""
    n, seen = len(cloud.positions), in_turns(browser, page, cloud)
    return Row(
        f"a frame, {n:,} points of {cloud.size:.1f} px, with labels",
        told(seen.ours),
        f"bare three.js Points: {told(seen.bare)}",
        seen.ratio,
        f"at most {MOST_FRAME} times: {held(seen.ratio, MOST_FRAME)}",
        drawn.SAYS,
        (
            Figure("a frame", n, seen.ours.processor, "ms"),
            Figure("a frame of bare Points", n, seen.bare.processor, "ms"),
        ),
    )


def plotly_row(browser: Browser, page: Page, cloud: Cloud) -> Row:
    """A frame of ours and one of scatter3d."""
    n, release = len(cloud.positions), f"plotly {version('plotly')}"
    ours = frames(page, FRAMES[n])
    package = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    try:
        peer = peer_page(browser, package.read_bytes(), cloud.positions)
        peer.evaluate(PLOTLY)
        theirs = frames(peer, 3)
        peer.context.close()
    except BrowserError as error:
        return Row(f"a frame, {n:,} points", told(ours), f"scatter3d ({release}) breaks: {str(error).splitlines()[0]}")
    times = theirs.processor / ours.processor
    return Row(
        f"a frame, {n:,} points",
        told(ours),
        f"scatter3d ({release}): {told(theirs)}",
        1 / times,
        f"at least {LEAST_PLOTLY:.0f} times faster: {'yes' if times >= LEAST_PLOTLY else 'NO'} ({times:.0f})",
        drawn.SAYS,
    )


def answers(browser: Browser, page: Page, n: int) -> Iterator[Row]:
    """What the page answers while it stands: heap, longest task, hover, lasso."""
    with Traced(browser, page) as traced:
        used(page)
    waits = hovered(page)
    lasso = [lassoed(page) for _ in range(ROUNDS)]
    memory = heap(page) / 1e6
    yield Row("JavaScript heap", f"{memory:.0f} MB", "", None, f"at most 150 MB: {held(memory, MOST_HEAP)}",
              drawn.SAYS, (Figure("JavaScript heap", n, memory, "MB"),))  # fmt: skip
    yield task_row(traced.longest)
    wait = median(waits)
    yield Row("from the camera's rest to the ring around the point under the pointer", f"{wait:.1f} ms", "", None,
              f"at most 30 ms: {held(wait, MOST_HOVER)}", drawn.SAYS, (Figure("hover", n, wait, "ms"),))  # fmt: skip
    took = median(lasso)
    yield Row(f"a lasso over {n:,} points, in the worker", f"{took:.0f} ms", "", None,
              f"at most 200 ms: {held(took, MOST_LASSO)}", drawn.SAYS, (Figure("lasso", n, took, "ms"),))  # fmt: skip


def task_row(longest: Tasks) -> Row:
    """The longest task of the page's own thread."""
    return Row(
        "longest task of the page's thread while orbiting, hovering, searching",
        f"{longest.processor:.0f} ms of processor, {longest.clock:.0f} ms by the clock",
        "",
        None,
        f"at most 100 ms: {held(longest.processor, MOST_TASK)}",
        drawn.SAYS,
    )


def used(page: Page) -> None:
    """Orbit, hover, and search for what is like a picture, with the map colored by similarity to it."""
    page.mouse.move(640, 360)
    page.mouse.down()
    for step in range(12):
        page.mouse.move(640 + 9 * step, 360 + 4 * step)
    page.mouse.up()
    settled(page)
    for step in range(12):
        page.mouse.move(560 + 14 * step, 330 + 6 * step)
        page.wait_for_timeout(60)
    page.evaluate("() => window.dash_clientside.explorer.go({ like: 5, color: 'similarity' })")
    page.locator("#found").wait_for(state="visible")
    page.wait_for_timeout(1000)
    settled(page)


def hovered(page: Page) -> list[float]:
    """Milliseconds from the camera's rest to the ring, at several places."""
    page.evaluate(LISTEN)
    for turn in range(8):
        page.mouse.move(600 + 10 * turn, 350)
        page.mouse.wheel(0, -60)
        page.wait_for_timeout(300)
        settled(page)
        page.wait_for_timeout(200)
    found: list[float] = page.evaluate("() => window.waits")
    return found


def lassoed(page: Page) -> float:
    """Milliseconds that the worker takes for a line around most of the cloud."""
    page.keyboard.down("Shift")
    page.mouse.move(420, 160)
    page.mouse.down()
    for x, y in ((860, 150), (900, 400), (820, 560), (480, 580), (400, 380)):
        page.mouse.move(x, y, steps=8)
    page.evaluate("() => delete document.querySelector('#map').dataset.lassoMs")
    page.mouse.up()
    page.keyboard.up("Shift")
    page.wait_for_selector("#map[data-lasso-ms]")
    settled(page)
    return float(page.get_attribute("#map", "data-lasso-ms") or "nan")


def settled(page: Page) -> None:
    """Wait until nothing moves in the map."""
    page.wait_for_selector("#map[data-moving=false]")


def middle(rounds: list[Frame]) -> Frame:
    """The medians."""
    return Frame(median(each.processor for each in rounds), median(each.clock for each in rounds))


def told(frame: Frame) -> str:
    """A frame for the table."""
    return f"{frame.processor:,.0f} ms of processor, {frame.clock:,.0f} ms by the clock"


PARTS = tuple(Part(f"frames/{n}", partial(measure, n), minutes) for n, minutes in SIZES.items())
