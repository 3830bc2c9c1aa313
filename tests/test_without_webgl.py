"""The page in a browser that offers no WebGL 2: no map, and everything else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import chromium
from live import Live
from playwright.sync_api import Browser
from visitor import Visitor, visit

from explorer.records import Split
from explorer.search import search_text
from webapp.english import ENGLISH
from webapp.panels.clusters import by_size

pytestmark = pytest.mark.flaky(reruns=2)  # a browser on a busy machine may stumble; three times is a fault


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium("--disable-webgl2") as running:
        yield running


@pytest.fixture
def visitor(browser: Browser, served: Live) -> Iterator[Visitor]:
    """Somebody at the page, who complains of nothing at the end."""
    with visit(browser, served.url) as somebody:
        somebody.page.goto(served.url)
        somebody.page.wait_for_selector("#map[data-ready=unsupported]")
        yield somebody


def test_the_page_says_so_and_still_answers(visitor: Visitor, served: Live) -> None:
    """A sentence where the map would be; words find pictures, a picture has its record, its neighbors, an export."""
    page, atlas = visitor.page, served.site.atlas
    assert page.evaluate("() => document.createElement('canvas').getContext('webgl2')") is None
    visitor.says(".pointcloud-notice", ENGLISH["map.noWebgl"])
    assert not page.is_visible("#save-button")
    visitor.pixels("without-webgl")
    visitor.search("red shape")
    hit = search_text(atlas, served.site.models, "red shape", k=1, split=Split.TRAIN)[0]
    page.click(f"#found-cards [data-to='{hit.id}']")
    visitor.says("#here-body", atlas.record(hit.id).caption)
    page.wait_for_selector("#nearest-body .picture-button")
    visitor.pixels("without-webgl-found")
    address = page.get_attribute("#found a[download$='.csv']", "href")
    answer = served.client.get(address or "")
    assert answer.status_code == 200
    assert str(hit.id) in answer.text


def test_a_cluster_without_a_map_opens_its_first_example(visitor: Visitor, served: Live) -> None:
    """There is nowhere to fly to, so a click on a cluster, coarse or fine, shows one of its own; its export works."""
    atlas = served.site.atlas
    largest = by_size(atlas.clusters("clip"))[0]
    visitor.page.click(f"#clusters-body [data-do='cluster'][data-to='{largest.cluster}']")
    visitor.says("#here-body", atlas.record(largest.exemplars[0]).caption)
    fine = next(
        found
        for found in by_size(atlas.clusters("clip", 1))
        if found.parent == largest.cluster and found.exemplars[0] != largest.exemplars[0]
    )
    visitor.page.click(
        f"#clusters-body .cluster:has([data-do='cluster'][data-to='{largest.cluster}']) summary >> nth=-1"
    )
    visitor.page.click(f"#clusters-body [data-do='subcluster'][data-to='{fine.cluster}']")
    visitor.says("#here-body", atlas.record(fine.exemplars[0]).caption)
    address = visitor.page.get_attribute("#clusters-body a[download$='.csv'] >> nth=0", "href")
    answer = served.client.get(address or "")
    assert answer.status_code == 200
    assert len(answer.text.splitlines()) == 1 + largest.size
