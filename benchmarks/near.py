"""A frame of the page where the camera is near and hundreds of points are shown as their thumbnails.

The peer is the one of `frames`: bare three.js Points, the same points, canvas and camera, each as large as ours are on
the average of those in view; the two take turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from playwright.sync_api import Page, ViewportSize

from benchmarks import drawn
from benchmarks.frames import cloud_of, in_turns, opened, told
from benchmarks.page import served
from benchmarks.parts import Part
from benchmarks.rows import Figure, Row, held
from explorer.atlas import Atlas
from tests.chromium import chromium

SIZES = {100_000: 2.0, 1_000_000: 8.0}
"""Points -> minutes."""
VIEWPORT: ViewportSize = {"width": 1920, "height": 1080}
"""Larger than that of `frames`, so that hundreds of thumbnails find room beside each other."""
MOST = 1.5
PICTURES = 100_000
"""Thumbnails in the atlas: all points around the camera have one."""
DISTANCES = (0.6, 0.8, 1.0)
"""Of the camera from the middle of the densest place, as parts of the depth at which points turn into pictures."""
SAMPLE = 20_000
"""Points of which the mean size is taken."""

SHOWN = "() => document.querySelector('#map').thumbnails().length"
TURN = """() => {
    const map = document.querySelector('#map');
    let turns = 0;
    window.turn = () => {
        turns += 1;
        const key = turns % 2 ? 'ArrowLeft' : 'ArrowRight';
        map.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    };
}"""
"""To and fro, so that the same pictures stay in view."""
ACROSS = """ids => {
    const map = document.querySelector('#map');
    return ids.map((id) => map.project(id)).filter((disc) => disc.visible).map((disc) => disc.across);
}"""


def measure(n: int) -> Iterator[Row]:
    """The frame with the most thumbnails that the page shows, at most 300."""
    root = drawn.atlas(n, PICTURES)
    with served(root) as url, chromium() as browser:
        page = opened(browser, url)
        page.set_viewport_size(VIEWPORT)
        shown = come_near(page, root)
        cloud = replace(cloud_of(page, url), size=mean(page.evaluate(ACROSS, list(range(1, SAMPLE + 1)))))
        page.evaluate(TURN)
        seen = in_turns(browser, page, cloud, VIEWPORT)
        left = page.evaluate(SHOWN)
    yield Row(
        f"a frame near by, {n:,} points, {min(shown, left)} of them as thumbnails, with labels",
        told(seen.ours),
        f"bare three.js Points of {cloud.size:.1f} px: {told(seen.bare)}",
        seen.ratio,
        f"at most {MOST} times: {held(seen.ratio, MOST)}",
        drawn.SAYS,
        (Figure("a frame with thumbnails", n, seen.ours.processor, "ms"),),
    )


def come_near(page: Page, root: Path) -> int:
    """Stand where most thumbnails are shown; returns how many."""
    data = Atlas.open(root).space(drawn.SPACE)
    identity = 1 + int(drawn.middle_out(np.asarray(data.points), np.asarray(data.cluster))[0])
    target = page.evaluate("id => document.querySelector('#map').worldOf(id)", identity)
    # a point's diameter in scene units, by the map's own rule; a picture has 3.2 times it, and at least 48 pixels
    diameter = min(0.04, max(0.0022, 0.018 * np.cbrt(4000 / len(data.points))))
    depth = 3.2 * diameter * VIEWPORT["height"] / (2 * np.tan(np.radians(22.5))) / 48
    counts = {part: look(page, target, part * depth) for part in DISTANCES}
    best = max(counts, key=lambda part: counts[part])
    return look(page, target, best * depth)


def look(page: Page, target: list[float], distance: float) -> int:
    """Look at a place from a distance, scene units; returns how many thumbnails are shown once all have come."""
    view: dict[str, Any] = {"position": [target[0], target[1], target[2] + distance], "target": target}
    page.evaluate("view => window.dash_clientside.set_props('map', { view })", view)
    before = -1
    for _ in range(60):
        page.wait_for_timeout(700)
        still = page.get_attribute("#map", "data-moving") == "false"
        now = int(page.evaluate(SHOWN))
        if still and now == before:
            break
        before = now
    return before


PARTS = tuple(Part(f"near/{n}", partial(measure, n), minutes) for n, minutes in SIZES.items())
