"""The names above the map in a real browser: two levels of them, none above another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from map_page import MapPage, opened
from playwright.sync_api import Browser
from pointcloud_page import World, make_world, serving

pytestmark = pytest.mark.flaky(reruns=2)  # a browser on a busy machine may stumble; three times is a fault

CLUSTER, OWN = 4, "people 4"

BOXES = """() => [...document.querySelectorAll('.pointcloud-labels > span')]
    .filter((span) => Number(span.style.opacity) > 0)
    .map((span) => ({ text: span.textContent, ...span.getBoundingClientRect().toJSON() }))"""

SEEN = """() => [...document.querySelectorAll('.pointcloud-labels > span')]
    .filter((span) => Number(getComputedStyle(span).opacity) > 0)
    .map((span) => span.getBoundingClientRect().toJSON())"""


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(n=1500, groups=12)


@pytest.fixture
def scene(browser: Browser, world: World) -> Iterator[MapPage]:
    meta = {**world.meta, "pictures": False}
    with serving(world, labels=world.fine_labels(), meta=meta) as address:
        yield from opened(browser, world, address)


def names(scene: MapPage) -> list[str]:
    """The names shown."""
    return [box["text"] for box in scene.page.evaluate(BOXES)]


def look_at(scene: MapPage, cluster: int, distance: float) -> None:
    """Stand off from a coarse cluster's name, scene units."""
    frame = scene.world.frame("clip")
    label = next(found for found in scene.world.labels() if found["cluster"] == cluster)
    place = [(a - b) / frame["radius"] for a, b in zip(label["point"], frame["center"], strict=True)]
    scene.set(view={"position": [place[0], place[1], place[2] + distance], "target": place})


def apart(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two boxes have no pixel in common."""
    return a["right"] <= b["left"] or b["right"] <= a["left"] or a["bottom"] <= b["top"] or b["bottom"] <= a["top"]


def opening(world: World, cluster: int) -> float:
    """The distance, scene units, from which a cluster's parts lie 110 CSS pixels (root mean square) around it."""
    labels = [found for found in world.fine_labels() if found["space"] == "clip"]
    (own,) = [found for found in labels if found["cluster"] == cluster and "level" not in found]
    parts = [found for found in labels if found.get("parent") == cluster]
    squares = [np.square(np.subtract(part["point"], own["point"])).sum() for part in parts]
    reach = np.sqrt(np.average(squares, weights=[part["size"] for part in parts])) / world.frame("clip")["radius"]
    return float(reach * 720 / (2 * np.tan(np.radians(22.5))) / 110)


def test_names_refine_as_the_camera_comes_nearer(scene: MapPage) -> None:
    """A cluster wears its own name until its parts' names have room, and again a quarter farther away than that."""
    limit = opening(scene.world, CLUSTER)
    for distance, fine in ((1.03, False), (0.97, True), (1.2, True), (1.3, False)):
        look_at(scene, CLUSTER, distance * limit)
        found = names(scene)
        assert any(name.startswith(f"{OWN}.") for name in found) == fine
        assert (OWN in found) != fine


def test_names_of_both_levels_never_cover_each_other(scene: MapPage) -> None:
    """Not on the way either, where one level fades out while the other fades in."""
    several = 0
    for distance in (3.0, 1.0, 0.3):
        look_at(scene, CLUSTER, distance)
        boxes = scene.page.evaluate(BOXES)
        assert all(apart(a, b) for a, b in combinations(boxes, 2))
        several += len(boxes) >= 2
    assert several >= 2
    scene.page.evaluate("() => window.dash_clientside.set_props('map', { flyTo: { target: 'reset', nonce: 1 } })")
    for _ in range(12):
        assert all(apart(a, b) for a, b in combinations(scene.page.evaluate(SEEN), 2))
        scene.page.wait_for_timeout(60)
