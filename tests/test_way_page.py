"""The way in a real browser: scrubbed, charted, branched, compared, saved; and a picture's way into noise."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import av
import numpy as np
import pytest
from live import Live, live
from playwright.sync_api import Browser
from visitor import Visitor, visit

from explorer.noising import NoisePlan, lost, noised
from explorer.records import Schedule
from webapp.site import GeneratorOptions

pytestmark = pytest.mark.flaky(reruns=2)  # a browser on a busy machine may stumble; three times is a fault
STEPS = 12


@pytest.fixture
def visitor(browser: Browser, served: Live) -> Iterator[Visitor]:
    with visit(browser, served.url) as somebody:
        yield somebody


def made(served: Live, **recipe: object) -> str:
    """A finished picture's job."""
    job = served.submit(steps=STEPS, **recipe)
    assert served.events(job)[-1]["kind"] == "done"
    return job


def scrub(visitor: Visitor, step: int) -> None:
    """Put the slider on a step, and wait until the page says so."""
    visitor.page.fill("#way-step", str(step))
    visitor.says("#way-words", f"Step {step} of ")


def near(visitor: Visitor) -> list[int]:
    """Whom the panel shows near the step."""
    return [int(each.get_attribute("data-to") or 0) for each in visitor.page.locator("#way-neighbors button").all()]


def test_a_way_is_scrubbed_step_by_step(visitor: Visitor, served: Live) -> None:
    """At every step the panel shows its picture and its neighbors, in either space; the picture stands in the map."""
    job = made(served, seed=11)
    steps = [event for event in served.events(job) if event["kind"] == "step"]
    visitor.go(f"/?job={job}")
    visitor.page.click("#here-body [data-do=way]")
    visitor.says("#way-words", f"Step {len(steps)} of {len(steps)}")
    assert parse_qs(urlsplit(visitor.page.url).query)["way"] == ["on"]
    visitor.says("#way-means", "Its nearest family stands from step ")
    for step in (1, 5):
        scrub(visitor, step)
        told = [each["id"] for each in steps[step - 1]["neighbors"]["clip"]]
        visitor.until(lambda told=told: near(visitor) == told)
        for picture in ("#way-preview", ".pointcloud-landing"):
            address = steps[step - 1]["preview"]
            visitor.until(lambda p=picture, a=address: visitor.page.get_attribute(p, "src") == a)
    visitor.says("#way-means", "decoded and encoded anew")
    visitor.page.press("#way-step", "ArrowRight")
    visitor.says("#way-words", "Step 6 of ")
    visitor.page.click("#space-control >> text=VAE")
    other = [each["id"] for each in steps[5]["neighbors"]["vae"]]
    visitor.until(lambda: near(visitor) == other)
    visitor.says("#way-means", "the latent that the model then expects at the end, undecoded")
    assert "generator" not in visitor.text("#way-means")
    curves = visitor.page.locator("#way-panel .js-line")
    visitor.until(lambda: curves.count() == 2)
    visitor.settled()
    visitor.pixels("way")
    visitor.page.click("#way-play")
    visitor.says("#way-words", f"Step {len(steps)} of ")
    visitor.page.click("[data-do=way-close]")
    visitor.until(lambda: visitor.page.is_hidden("#way-panel") and "way" not in visitor.address())


def test_branches_fan_out_beside_their_trunk(visitor: Visitor, served: Live) -> None:
    """Branch here makes a picture a new seed, which grow beside the first, in the map, the charts and the history."""
    job = made(served, seed=12)
    visitor.go(f"/?job={job}&way=on")
    visitor.says("#way-words", "Step ")
    scrub(visitor, 4)
    visitor.page.fill("#way-seeds", "2")
    visitor.page.click("[data-do=branch]")
    tiles = visitor.page.locator("#way-beside img")
    visitor.until(lambda: tiles.count() == 3)
    visitor.until(lambda: visitor.page.locator("#way-panel .js-line").count() == 6)
    names = parse_qs(urlsplit(visitor.page.url).query)["way"][0].split(",")
    assert len(names) == 2 and job not in names
    for name in names:
        recipe = served.events(name)[-1]["recipe"]
        assert [branch["step"] for branch in recipe["branches"]] == [4] and recipe["seed"] == 12
    visitor.until(lambda: visitor.page.locator(".pointcloud-landing").count() == 3)
    scrub(visitor, 4)
    visitor.until(lambda: {str(tile.get_attribute("src")).split("/")[-1] for tile in tiles.all()} == {"4.webp"})
    scrub(visitor, STEPS)
    visitor.settled()
    visitor.pixels("branches")
    visitor.page.click("#way-beside [data-do=beside] >> nth=0")
    visitor.until(lambda: parse_qs(urlsplit(visitor.page.url).query)["way"] == [names[1]])
    visitor.until(lambda: tiles.count() == 2)


def test_ways_of_other_prompts_are_compared_and_saved(visitor: Visitor, served: Live, tmp_path: Path) -> None:
    """A picture of this browser's is put beside another; the film that is saved has a frame a step."""
    visitor.go()
    visitor.prompt("a green shape", steps=6, seed=3)
    visitor.page.wait_for_selector("#live-box.live-done")
    visitor.says("#here-body", "a green shape")
    visitor.prompt("a blue shape", steps=6, seed=3)
    visitor.says("#here-body", "a blue shape")
    visitor.page.click("#here-body [data-do=way]")
    visitor.says("#way-words", "Step ")
    visitor.page.click("#way-panel [data-do=beside][data-to='']")
    visitor.page.click("#way-choices button[title*='a green shape']")
    visitor.until(lambda: visitor.page.locator("#way-beside img").count() == 2)
    visitor.page.wait_for_selector("#way-choices button.way-open[title^='Take away']")
    assert visitor.page.locator("#way-choices button").count() == 1  # not the one that leads
    assert "a green shape" in (visitor.page.get_attribute("#way-beside .way-tile >> nth=1", "title") or "")
    with visitor.page.expect_download() as film:
        visitor.page.click("#way-save >> text=WebM")
    film.value.save_as(tmp_path / "way.webm")
    with av.open(io.BytesIO((tmp_path / "way.webm").read_bytes())) as played:
        assert len(list(played.decode(video=0))) >= 6


def test_a_picture_goes_into_noise(visitor: Visitor, served: Live) -> None:
    """From the picture in view: its steps, how many neighbors it keeps, when it lost them; by every schedule."""
    atlas, models = served.site.atlas, served.site.models
    identity = int(atlas.ids[np.flatnonzero(atlas.train)[6]])
    way = list(noised(atlas, models, NoisePlan(identity)))
    visitor.go(f"/?id={identity}")
    visitor.page.click("#here-body [data-do=noise]")
    visitor.says("#way-words", "Step 26 of 26")
    visitor.says("#way-title", "Into noise")
    place = lost(way)["clip"]
    said = f"From step {place.neighbors} on fewer" if place.neighbors else "At least half of its neighbors stay its own"
    visitor.says("#way-means", said)
    scrub(visitor, 3)
    visitor.says("#way-words", f"{way[2].kept['clip']} of 15 neighbors kept".replace("of 15", "of its 15"))
    visitor.until(lambda: near(visitor) == [each.id for each in way[2].trajectory.neighbors["clip"]])
    visitor.settled()
    visitor.pixels("noise")
    visitor.page.click("#way-schedule >> text=cosine")
    cosine = lost(list(noised(atlas, models, NoisePlan(identity, Schedule.COSINE))))["clip"]
    visitor.until(lambda: parse_qs(urlsplit(visitor.page.url).query)["noise"] == ["cosine"])
    visitor.says("#way-words", "Step 26 of 26")
    visitor.says("#way-means", f"From step {cosine.neighbors} on" if cosine.neighbors else "stay its own")
    visitor.page.click("#way-medium >> text=pixels")
    visitor.until(lambda: parse_qs(urlsplit(visitor.page.url).query)["noise"] == ["cosine.pixels"])
    visitor.page.go_back()
    visitor.until(lambda: visitor.page.input_value("#way-medium input:checked") == "latents")


def test_another_generators_way_says_so(
    browser: Browser, tiny_atlas: Path, tiny_turbo_dir: Path, tmp_path: Path
) -> None:
    """Where the VAE is not the atlas's, and where two ways are not of one generator, the panel says it."""
    with live(tiny_atlas, workspace=tmp_path) as first:
        before = made(first, seed=14)
    options = GeneratorOptions(str(tiny_turbo_dir), device="cpu")
    with live(tiny_atlas, workspace=tmp_path, options=options) as running, visit(browser, running.url) as visitor:
        job = made(running, seed=14)
        visitor.go(f"/?job={job}&way=on&space=vae")
        visitor.says("#way-means", "The generator's VAE is not the one that this map was made with")
        visitor.says("#way-means", "decoded and encoded anew")
        visitor.page.click("#space-control >> text=CLIP")
        visitor.until(lambda: "VAE" not in visitor.text("#way-means") and "anew" in visitor.text("#way-means"))
        assert "not all of one generator" not in visitor.text("#way-means")
        visitor.go(f"/?job={job}&way={before}")
        visitor.says("#way-means", "These ways are not all of one generator")


def test_a_phone_shows_the_way_as_a_sheet(browser: Browser, served: Live) -> None:
    """On a small screen the way slides up in the place of the other panels, within the window."""
    job = made(served, seed=13)
    with visit(browser, served.url, width=390, height=844) as visitor:
        visitor.go(f"/?job={job}&way=on")
        visitor.says("#way-words", "Step ")
        box = visitor.page.locator("#way-panel").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 844
        scrub(visitor, 2)
        visitor.page.evaluate("() => { document.getElementById('way-panel').scrollTop = 0; }")
        slider = visitor.page.locator("#way-step").bounding_box()
        assert slider and box["y"] < slider["y"] < box["y"] + box["height"]  # beside the picture, without scrolling
        visitor.settled()
        assert visitor.page.locator(".pointcloud-landing").first.is_visible()  # the camera has gone to the whole way
        visitor.pixels("way-phone")
