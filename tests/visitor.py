"""A visitor of the page in a real browser: looks, clicks, waits, and notes every complaint."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from chromium import Watched
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page

SHOTS = Path(__file__).with_name("screenshots")
PATIENCE = 120.0  # seconds; another busy process slows software rendering down a lot


class Visitor:
    """One tab with a browser profile of its own.

    Attributes:
        page: the tab.
        home: the app's address.
    """

    def __init__(self, page: Page, home: str) -> None:
        self.page, self.home = page, home.rstrip("/")
        self.watched = Watched(page, self.home)
        page.set_default_timeout(PATIENCE * 1000)
        page.on("dialog", lambda dialog: self.watched.complaints.append(f"dialog: {dialog.message}"))
        page.on("dialog", lambda dialog: dialog.dismiss())

    def go(self, address: str = "/") -> None:
        """Open an address of the app and wait until the map stands still."""
        self.page.goto(self.home + address)
        self.settled()

    def settled(self) -> None:
        """Until the cloud is there and nothing moves any more."""
        self.page.wait_for_selector("#map[data-ready=true]")
        self.until(self._is_still)

    def until(self, question: Callable[[], bool]) -> None:
        """Until a question is answered with yes; the policy forbids Playwright's own waiting, which evaluates text."""
        end = time.monotonic() + PATIENCE
        while not question():
            assert time.monotonic() < end, f"in vain: {question}; {self.watched.complaints}"
            self.page.wait_for_timeout(50)

    def _is_still(self) -> bool:
        before = self._frame()
        self.page.wait_for_timeout(250)
        return before == self._frame() and before[1] == "false"

    def _frame(self) -> list[str]:
        look = "() => { const { frame, moving } = document.querySelector('#map').dataset; return [frame, moving]; }"
        found: list[str] = self.page.evaluate(look)
        return found

    def text(self, selector: str) -> str:
        """The words that an element shows."""
        return self.page.inner_text(selector)

    def says(self, selector: str, words: str) -> None:
        """Wait until an element shows some words."""
        self.until(lambda: words in (self.page.text_content(selector) or ""))

    def listen(self) -> None:
        """Note all that the studio says and shows from now on: a quick job may be over before a test looks again."""
        self.page.evaluate(
            """() => {
                window.heard = [];
                const note = () => window.heard.push(
                    document.querySelector('#live-words').textContent,
                    document.querySelector('#live-preview').getAttribute('src') ?? '');
                const watched = { childList: true, subtree: true, characterData: true, attributes: true };
                new MutationObserver(note).observe(document.querySelector('#live-box'), watched);
            }"""
        )

    def hears(self, words: str) -> None:
        """Wait until the studio has said some words, or shown an address, since `listen`."""
        self.until(lambda: any(words in each for each in self.page.evaluate("() => window.heard")))

    def address(self) -> str:
        """What follows the host in the address bar."""
        return self.page.url.removeprefix(self.home)

    def place(self, identity: int) -> tuple[float, float]:
        """Where a picture's point stands, CSS pixels."""
        spot = self.page.evaluate("id => document.querySelector('#map').project(id)", identity)
        return spot["x"], spot["y"]

    def clear(self, ids: Sequence[int]) -> int:
        """One of some pictures whose point stands free: nothing nearer than a click's reach, no panel above it."""
        spots = {identity: self.place(identity) for identity in ids}
        for identity, (x, y) in spots.items():
            free = 340 < x < 920 and 90 < y < 620
            if free and all(np.hypot(x - a, y - b) > 16 for other, (a, b) in spots.items() if other != identity):
                return identity
        raise AssertionError("no point stands free; turn the camera")

    def pixels(self, name: str) -> NDArray[np.int16]:
        """The page's pixels, int16 (height, width, 3); kept among the run's screenshots."""
        SHOTS.mkdir(exist_ok=True)
        data = self.page.screenshot(path=SHOTS / f"page-{name}.png")
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(np.int16)

    def prompt(self, words: str, *, steps: int, seed: int = 7) -> None:
        """Fill in the studio and press Generate."""
        self.page.fill("#prompt", words)
        self.page.fill("#steps", str(steps))
        self.page.fill("#seed", str(seed))
        self.page.click("#generate")

    def search(self, words: str) -> None:
        """Type into the search line, press Enter, and wait for the answer."""
        self.page.fill("#search", words)
        self.page.press("#search", "Enter")
        self.says("#found-head", words)


@contextmanager
def visit(
    browser: Browser, home: str, *, width: int = 1280, height: int = 720, complaints: bool = True
) -> Iterator[Visitor]:
    """A visitor with a fresh profile; at the end, nothing may have been complained about."""
    context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
    visitor = Visitor(context.new_page(), home)
    try:
        yield visitor
        if complaints:
            assert not visitor.watched.complaints
    finally:
        context.close()
