"""A visitor of the map alone: what tests of the component ask of `pointcloud_page` in a browser."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from chromium import Watched
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page
from pointcloud_page import World

SHOTS = Path(__file__).with_name("screenshots")
PATIENCE = 120.0  # seconds; another busy process slows software rendering down a lot
SIZE = {"width": 1280, "height": 720}


class MapPage:
    """The page, and what the tests ask of it."""

    def __init__(self, page: Page, world: World, watched: Watched) -> None:
        self.page, self.world, self.watched = page, world, watched

    def wait(self) -> None:
        """Until the cloud is there and nothing moves any more."""
        self.page.wait_for_selector("#map[data-ready=true]")
        self.rest()

    def until(self, question: str, arg: object = None) -> None:
        """Until a function in the page answers yes; Playwright's own waiting needs `eval`, which the policy forbids."""
        end = time.monotonic() + PATIENCE
        while not self.page.evaluate(question, arg):
            assert time.monotonic() < end, f"in vain: {question}"
            self.page.wait_for_timeout(30)

    def rest(self) -> None:
        """Until no frame has been drawn for 250 ms; fails if something moves by itself."""
        self.until(
            """() => new Promise((resolve) => {
                const map = document.querySelector('#map');
                const before = map.dataset.frame;
                setTimeout(() => resolve(map.dataset.frame === before && map.dataset.moving === 'false'), 250);
            })"""
        )

    def set(self, **props: object) -> None:
        """Set props as a callback of the page would, and wait until the map has followed."""
        self.page.evaluate("props => window.dash_clientside.set_props('map', props)", props)
        self.rest()

    def heard(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON the map told
        """The last thing that the map told the page."""
        return self.page.evaluate("name => window.heard && window.heard[name]", name)

    def heard_anew(self, name: str, before: Any) -> Any:  # noqa: ANN401 - the same
        """Wait until the map rests and has told something else than before."""
        self.rest()
        end = time.monotonic() + PATIENCE
        while (now := self.heard(name)) == before:
            assert time.monotonic() < end, f"nothing new of {name}"
            self.page.wait_for_timeout(30)
        return now

    def place(self, identity: int) -> tuple[float, float]:
        """Where a picture's point stands, CSS pixels."""
        spot = self.page.evaluate("id => document.querySelector('#map').project(id)", identity)
        return spot["x"], spot["y"]

    def world_of(self, identity: int) -> NDArray[np.float64]:
        """Where a picture's point stands, scene units."""
        return np.array(self.page.evaluate("id => document.querySelector('#map').worldOf(id)", identity))

    def shot(self, name: str) -> NDArray[np.int16]:
        """The page's pixels, int16 (height, width, 3); kept among the run's screenshots."""
        SHOTS.mkdir(exist_ok=True)
        data = self.page.screenshot(path=SHOTS / f"pointcloud-{name}.png")
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(np.int16)

    def clear_id(self) -> int:
        """A picture whose point is the topmost where it stands and well inside the window."""
        found = self.page.evaluate(
            """ids => ids.find((id) => {
                const a = document.querySelector('#map').project(id);
                return a.x > 100 && a.x < 1180 && a.y > 100 && a.y < 620 && ids.every((other) => {
                    if (other === id) return true;
                    const b = document.querySelector('#map').project(other);
                    return Math.hypot(a.x - b.x, a.y - b.y) > 14;
                });
            })""",
            self.world.ids.tolist(),
        )
        assert found is not None
        return int(found)


def opened(browser: Browser, world: World, address: str, **options: Any) -> Iterator[MapPage]:  # noqa: ANN401
    """Open the page in a context of its own; at the end it must have had nothing to complain about."""
    context = browser.new_context(viewport=SIZE, **options)
    page = context.new_page()
    found = MapPage(page, world, Watched(page, address))
    page.goto(address)
    found.wait()
    yield found
    complaints = found.watched.complaints
    context.close()
    assert complaints == []
