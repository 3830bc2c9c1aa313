"""From opening a page to when it stands as it will stay, by the same ruler for every page: what a screen would show."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as BrowserError

from benchmarks.meter import Meter

VIEWPORT = {"width": 1280, "height": 720}
QUIET = 6.0
"""Seconds without a change after which a page is taken to stay as it is."""
PATIENCE = 300.0
"""Seconds that a page is given."""
STEP = 0.2
"""Seconds between two looks, the look not counted."""
SHARE, STEPS = 0.01, 24
"""Pixels that may differ between two looks that are the same, and by how much of 255 a pixel has to, to differ."""

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Look:
    """A page at a moment.

    Attributes:
        seconds: since it was opened.
        sent: bytes until then.
        picture: uint8 (h, w, 3).
    """

    seconds: float
    sent: int
    picture: Picture


@dataclass(frozen=True, slots=True)
class Visit:
    """What a visit took.

    Attributes:
        seconds: until the page stood as it stayed.
        sent: bytes until then.
    """

    seconds: float
    sent: int


def visit(browser: Browser, url: str, ready: str) -> Visit:
    """Open a page with an empty cache, and watch it until nothing changes.

    Args:
        browser: where.
        url: the page.
        ready: in JavaScript, whether it has come so far that resting is not waiting.

    Raises:
        TimeoutError: it does not come to rest.
    """
    context = browser.new_context(viewport=VIEWPORT)
    try:
        with Meter(url) as meter:
            page = context.new_page()
            page.set_default_timeout(1e3 * PATIENCE)
            started = time.perf_counter()
            page.goto(meter.url, wait_until="commit")
            return settled(_watch(page, meter, started, ready))
    finally:
        context.close()


def settled(looks: Sequence[Look]) -> Visit:
    """The first look from which on none differs from the last."""
    first = looks[-1]
    for look in reversed(looks):
        if differs(look.picture, looks[-1].picture):
            break
        first = look
    return Visit(first.seconds, first.sent)


def differs(one: Picture, other: Picture) -> bool:
    """Whether two pictures of a page show something else."""
    apart = np.abs(one.astype(np.int16) - other.astype(np.int16)).max(axis=2)
    return float((apart > STEPS).mean()) > SHARE


def _watch(page: Page, meter: Meter, started: float, ready: str) -> list[Look]:
    looks: list[Look] = []
    changed, is_ready = started, False
    while (now := time.perf_counter()) - changed < QUIET or not is_ready:
        if now - started > PATIENCE:
            raise TimeoutError(f"{meter.url} still changes after {PATIENCE:.0f} s")
        sent = meter.sent
        try:
            shot = page.screenshot(type="png", animations="allow")
        except BrowserError:  # it draws for seconds, and gives no picture meanwhile
            time.sleep(STEP)
            continue
        look = Look(time.perf_counter() - started, sent, np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")))
        was_ready, is_ready = is_ready, is_ready or bool(page.evaluate(ready))
        is_same = looks and sent == looks[-1].sent and not differs(look.picture, looks[-1].picture)
        if not (was_ready and is_same):
            changed = time.perf_counter()
        looks.append(look)
        time.sleep(STEP)
    return looks
