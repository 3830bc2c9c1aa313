"""The map component in a real browser, over made-up arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from chromium import Watched
from map_page import SHOTS, SIZE, MapPage, opened
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser
from pointcloud_page import HOSTILE, World, make_world, serving

from webapp import figures
from webapp.pointcloud import TEXTS, PointCloud

GROUND = (11, 13, 18)

pytestmark = pytest.mark.flaky(reruns=2)  # a browser on a busy machine may stumble; three times is a fault


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[str]:
    with serving(world) as found:
        yield found


@pytest.fixture
def scene(browser: Browser, world: World, address: str) -> Iterator[MapPage]:
    yield from opened(browser, world, address)


@pytest.fixture
def still_scene(browser: Browser, world: World, address: str) -> Iterator[MapPage]:
    """The page for somebody who asked for no motion."""
    yield from opened(browser, world, address, reduced_motion="reduce")


def drawn(pixels: NDArray[np.int16]) -> int:
    """How many pixels differ from the ground."""
    return int((np.abs(pixels - np.array(GROUND)).max(axis=2) > 24).sum())


def test_the_cloud_is_drawn_in_the_clusters_colors(scene: MapPage) -> None:
    """All points are on screen, each cluster in its color of the palette."""
    pixels = scene.shot("first")
    assert 15_000 < drawn(pixels) < 400_000
    assert scene.page.get_attribute("#map", "data-points") == "4000"
    ready = scene.heard("ready")
    assert (ready["points"], ready["bytes"]) == (4000, 4000 * (6 + 8))
    for color in figures.PALETTE["dark"]:
        wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
        cosine = (pixels @ wanted) / np.maximum(1, np.linalg.norm(pixels, axis=2) * np.linalg.norm(wanted))
        assert ((cosine > 0.995) & (pixels.max(axis=2) > 90)).sum() > 200, color


def test_points_stand_where_the_atlas_puts_them(scene: MapPage) -> None:
    """Quantization moves a point by at most half a step on each axis."""
    frame = scene.world.frame("clip")
    for row in (0, 17, 3999):
        expected = (scene.world.points["clip"][row] - frame["center"]) / frame["radius"]
        error = np.abs(scene.world_of(int(scene.world.ids[row])) - expected).max()
        assert error <= 0.51 * frame["scale"] / frame["radius"]


def test_nothing_moves_by_itself_and_dragging_turns_the_cloud(scene: MapPage) -> None:
    """Frames are drawn on demand only; a drag changes the picture, R brings the first one back."""
    before = scene.shot("before-drag")
    mouse = scene.page.mouse
    mouse.move(640, 60)
    mouse.down()
    mouse.move(760, 100, steps=6)
    mouse.up()
    mouse.move(2, 2)
    scene.rest()
    turned = scene.shot("after-drag")
    assert (np.abs(turned - before).max(axis=2) > 40).sum() > 10_000
    assert scene.heard("clicked") is None, "a drag is not a click"
    scene.page.focus("#map")
    scene.page.keyboard.press("r")
    scene.rest()
    inside = np.s_[4:-4, 4:-4]  # the rim shows the focus; a name may have taken another's place
    assert (np.abs(scene.shot("after-reset") - before)[inside].max(axis=2) > 40).sum() < 3_000


def test_the_keyboard_moves_the_camera(scene: MapPage) -> None:
    """Arrows, plus and WASD each change what the camera sees, and the page learns of it once it rests."""
    scene.page.focus("#map")
    seen = [scene.heard("view")]
    for key in ("ArrowLeft", "ArrowUp", "+", "d", "Shift+ArrowUp"):
        scene.page.keyboard.press(key)
        seen.append(scene.heard_anew("view", seen[-1]))
    assert all(seen[1:])
    assert all(a != b for a, b in zip(seen, seen[1:], strict=False))
    scene.page.keyboard.press("]")
    scene.until("() => window.heard.command")
    assert scene.heard("command")["name"] == "next"


def test_the_list_of_keys_opens_and_closes(scene: MapPage) -> None:
    """`?` opens the list as a dialog, Escape closes it and gives the focus back."""
    scene.page.focus("#map")
    scene.page.keyboard.press("?")
    dialog = scene.page.get_by_role("dialog", name=TEXTS["keysTitle"])
    dialog.wait_for()
    assert TEXTS["keyFly"] in dialog.inner_text()
    scene.shot("keys")
    scene.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert scene.page.evaluate("document.activeElement.id") == "map"


def test_a_point_is_found_under_the_pointer(scene: MapPage) -> None:
    """Hovering a known point shows its thumbnail and caption as text; clicking it tells its id."""
    wanted = scene.clear_id()
    x, y = scene.place(wanted)
    scene.page.mouse.move(x + 1, y)
    card = scene.page.locator(".pointcloud-card")
    card.wait_for(state="visible")
    scene.until("() => document.querySelector('.pointcloud-card img').naturalWidth === 128")
    assert card.inner_text() == f"{HOSTILE} picture {wanted}"
    scene.until("id => window.heard.hovered === id", wanted)
    scene.shot("hover")
    scene.page.mouse.click(x + 1, y)
    scene.until("() => window.heard.clicked")
    assert scene.heard("clicked")["id"] == wanted


def test_hovering_draws_no_frame(scene: MapPage) -> None:
    """The ring around a point lies above the canvas: at a million points a frame for it would be felt."""
    x, y = scene.place(scene.clear_id())
    frames = scene.page.get_attribute("#map", "data-frame")
    scene.page.mouse.move(x + 1, y)
    marker = scene.page.locator(".pointcloud-ring")
    marker.wait_for(state="visible")
    box = marker.bounding_box()
    assert box
    assert np.hypot(box["x"] + box["width"] / 2 - x, box["y"] + box["height"] / 2 - y) < 1
    scene.page.mouse.move(3, 3)
    marker.wait_for(state="hidden")
    assert scene.page.get_attribute("#map", "data-frame") == frames


def test_a_tap_selects(browser: Browser, world: World, address: str) -> None:
    """A finger is wider than a pointer: a tap beside a point still finds it."""
    for scene in opened(browser, world, address, has_touch=True):
        wanted = scene.clear_id()
        x, y = scene.place(wanted)
        scene.page.touchscreen.tap(x + 7, y + 3)
        scene.until("() => window.heard.clicked")
        assert scene.heard("clicked")["id"] == wanted


def test_the_keyboard_alone_selects(scene: MapPage) -> None:
    """Enter takes the point nearest to the middle of what is free."""
    wanted = scene.clear_id()
    scene.set(selected=wanted, flyTo={"target": "selection", "nonce": 1})
    scene.page.focus("#map")
    scene.page.keyboard.press("Enter")
    scene.until("() => window.heard.clicked")
    assert scene.heard("clicked")["id"] == wanted


def test_the_map_can_be_taken_away(scene: MapPage) -> None:
    """Taken out of the page in the middle of a flight, it leaves nothing running behind."""
    scene.page.evaluate("window.dash_clientside.set_props('map', {space: 'vae', flyTo: {target: 'reset', nonce: 9}})")
    scene.page.evaluate("window.dash_clientside.set_props('frame', {children: []})")
    scene.page.locator("#map").wait_for(state="detached")
    scene.page.wait_for_timeout(1200)


def test_a_strangers_words_stay_words(scene: MapPage) -> None:
    """A label that looks like HTML is shown letter by letter."""
    labels = scene.page.locator(".pointcloud-labels > span")
    assert HOSTILE in labels.all_inner_texts()
    assert scene.page.locator(".pointcloud-labels img").count() == 0
    assert scene.page.evaluate("window.hacked") is None


def test_labels_never_cover_each_other(scene: MapPage) -> None:
    """From several sides, and after the window shrank."""
    for press in (None, "ArrowLeft", "ArrowUp", "+", "shrink"):
        if press == "shrink":
            scene.page.set_viewport_size({"width": 500, "height": 420})
        elif press:
            scene.page.focus("#map")
            scene.page.keyboard.press(press)
        scene.rest()
        boxes = scene.page.evaluate(
            """() => [...document.querySelectorAll('.pointcloud-labels > span')]
                .filter((span) => Number(span.style.opacity) > 0)
                .map((span) => span.getBoundingClientRect().toJSON())"""
        )
        assert len(boxes) >= 4
        for i, a in enumerate(boxes):
            for b in boxes[:i]:
                apart = a["right"] <= b["left"] or b["right"] <= a["left"]
                assert apart or a["bottom"] <= b["top"] or b["bottom"] <= a["top"]


def test_what_is_found_stands_out(scene: MapPage) -> None:
    """The rest dims, the found ones keep their color and stand before the rest; null undoes it."""
    before = scene.shot("before-found").max(axis=2)
    found = scene.world.ids[scene.world.clusters == 7].tolist()
    scene.set(highlighted=found)
    after = scene.shot("found").max(axis=2)
    assert (after > 110).sum() < 0.5 * (before > 110).sum()
    for identity in found[:40]:
        x, y = scene.place(identity)
        assert after[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].max() > 120
    scene.set(highlighted=None)
    assert np.abs(scene.shot("not-found").max(axis=2) - before).max() < 12


def test_a_selection_shows_its_neighbors_and_can_be_flown_to(scene: MapPage) -> None:
    """The selection comes to the middle, ringed, with lines in the accent to its neighbors."""
    rows = np.flatnonzero(scene.world.clusters == 3)
    chosen, *near = scene.world.ids[rows[:9]].tolist()
    before = accent_pixels(scene.shot("before-selection"))
    scene.set(selected=chosen, neighbors=near, flyTo={"target": "selection", "nonce": 1})
    assert accent_pixels(scene.shot("selection")) > before + 300
    assert np.hypot(*(np.array(scene.place(chosen)) - (640, 360))) < 4
    assert all(0 < scene.place(identity)[0] < 1280 for identity in near)


def test_panels_move_the_middle(scene: MapPage) -> None:
    """The cloud is centered in what the panels leave free."""
    chosen = int(scene.world.ids[0])
    scene.set(insets={"left": 300, "right": 0, "top": 60, "bottom": 0})
    scene.set(selected=chosen, flyTo={"target": "selection", "nonce": 1})
    assert np.hypot(*(np.array(scene.place(chosen)) - (790, 390))) < 4


def accent_pixels(pixels: NDArray[np.int16]) -> int:
    """Pixels of the accent's hue, dimmed ones among them."""
    wanted = np.array([int(figures.ACCENT["dark"][i : i + 2], 16) for i in (1, 3, 5)])
    cosine = (pixels @ wanted) / np.maximum(1, np.linalg.norm(pixels, axis=2) * np.linalg.norm(wanted))
    return int(((cosine > 0.99) & (pixels[:, :, 0] > 70)).sum())


def test_a_generated_picture_lands(scene: MapPage) -> None:
    """The path grows step by step in the accent, the picture stands above its place, both in either map."""
    world = scene.world
    goal = {space: points[5].tolist() for space, points in world.points.items()}
    path = {
        space: np.linspace(points.mean(axis=0) + 3, points[5], 12).tolist() for space, points in world.points.items()
    }
    counts = [accent_pixels(scene.shot("path-0"))]
    for steps in (2, 6, 12):
        scene.set(trajectory={space: places[:steps] for space, places in path.items()})
        counts.append(accent_pixels(scene.shot(f"path-{steps}")))
    assert counts == sorted(counts)
    assert counts[-1] > counts[0] + 200
    picture = f"/api/v/v1/thumbnail/{int(world.ids[5])}.webp"
    scene.set(landing={"points": goal, "imageUrl": picture}, neighbors=world.ids[6:12].tolist())
    scene.page.locator(".pointcloud-landing").wait_for(state="visible")
    scene.shot("landing")
    scene.set(flyTo={"target": "landing", "nonce": 2})
    box = scene.page.locator(".pointcloud-landing").bounding_box()
    assert box is not None
    assert abs(box["x"] + box["width"] / 2 - 640) < 4
    scene.set(space="vae")
    assert scene.page.get_attribute("#map", "data-space") == "vae"
    assert scene.page.locator(".pointcloud-landing").is_visible() or accent_pixels(scene.shot("landing-vae")) > 200


def test_the_cloud_morphs_into_the_other_map(scene: MapPage) -> None:
    """On the way a point stands between its two places; at the end in the other map's, colored and labelled."""
    world, wanted = scene.world, int(scene.world.ids[10])
    start = scene.world_of(wanted)
    scene.page.evaluate("window.dash_clientside.set_props('map', {space: 'vae'})")
    scene.until("([id, x]) => Math.abs(document.querySelector('#map').worldOf(id)[0] - x) > 1e-3", [wanted, start[0]])
    scene.rest()
    frame = world.frame("vae")
    expected = (world.points["vae"][10] - frame["center"]) / frame["radius"]
    assert np.abs(scene.world_of(wanted) - expected).max() <= 0.51 * frame["scale"] / frame["radius"]
    scene.shot("vae")
    scene.set(space="clip")
    assert np.abs(scene.world_of(wanted) - start).max() < 1e-6


def test_colors_by_split_and_by_similarity(scene: MapPage) -> None:
    """Each coloring shows another picture; similarity is asked for once, by its address."""
    by_cluster = scene.shot("by-cluster")
    scene.set(colorBy="split")
    by_split = scene.shot("by-split")
    scene.set(colorBy="similarity", similarityUrl="/api/v/v1/clip/similarity.bin")
    by_similarity = scene.shot("by-similarity")
    scene.set(highlighted=scene.world.ids[:5].tolist())
    for a, b in ((by_cluster, by_split), (by_split, by_similarity)):
        assert (np.abs(a - b).max(axis=2) > 30).sum() > 5_000
    assert scene.world.hits.count("/api/v/v1/clip/similarity.bin") == 1


def test_the_light_theme_has_a_light_ground(scene: MapPage) -> None:
    """The ground turns near-white, the points stay visible on it."""
    scene.set(theme="light")
    pixels = scene.shot("light")
    assert tuple(pixels[700, 1270]) == (246, 247, 249)
    assert (pixels.max(axis=2) < 200).sum() > 8_000


def test_without_motion_everything_is_at_once(still_scene: MapPage) -> None:
    """Flights and morphs end with the frame in which they begin."""
    frames = int(still_scene.page.get_attribute("#map", "data-frame") or 0)
    chosen = int(still_scene.world.ids[3])
    still_scene.set(selected=chosen, flyTo={"target": "selection", "nonce": 1}, space="vae")
    assert int(still_scene.page.get_attribute("#map", "data-frame") or 0) - frames <= 8
    assert still_scene.page.get_attribute("#map", "data-space") == "vae"


def test_the_view_is_told_and_can_be_given(browser: Browser, world: World) -> None:
    """A page that starts with a view stands there, and tells it when it changes."""
    view = {"position": [0.4, 0.1, 1.2], "target": [0.1, -0.2, 0.3]}
    with serving(world, view=view) as address:
        for scene in opened(browser, world, address):
            scene.page.focus("#map")
            before = scene.heard("view")
            scene.page.keyboard.press("+")
            told = scene.heard_anew("view", before)
            assert told["target"] == view["target"]
            expected = np.array(view["target"]) + (np.array(view["position"]) - view["target"]) / 1.2
            assert np.abs(np.array(told["position"]) - expected).max() < 2e-3


def test_a_lost_context_comes_back(scene: MapPage) -> None:
    """The graphics card takes the context away and gives it back: the same picture, whatever happened to the window."""
    scene.set(selected=int(scene.world.ids[0]), theme="light")
    before = scene.shot("before-loss")
    scene.page.evaluate(
        """() => {
            window.lossOf = document.querySelector('#map canvas').getContext('webgl2')
                .getExtension('WEBGL_lose_context');
            window.lossOf.loseContext();
        }"""
    )
    scene.page.wait_for_selector("#map[data-context=lost]")
    for size in ({"width": 900, "height": 500}, SIZE):
        scene.page.set_viewport_size(size)
        scene.page.wait_for_timeout(100)
    scene.page.evaluate("window.lossOf.restoreContext()")
    scene.page.wait_for_selector("#map[data-context=ok]")
    scene.rest()
    assert np.abs(scene.shot("after-loss") - before).max() <= 2
    # three.js reports both as console messages; they are the only ones.
    scene.watched.complaints[:] = [text for text in scene.watched.complaints if "Context" not in text]


def test_the_saved_picture_carries_the_attribution(scene: MapPage, tmp_path: Path) -> None:
    """A PNG of the view's size, with the attribution along its foot."""
    with scene.page.expect_download() as download:
        scene.set(savePng=1)
    assert download.value.suggested_filename == "latent-explorer-clip.png"
    download.value.save_as(tmp_path / "view.png")
    saved = np.asarray(Image.open(tmp_path / "view.png").convert("RGB")).astype(np.int16)
    assert saved.shape == (720, 1280, 3)
    foot = saved[-28:, :260]
    assert (foot.min(axis=2) > 150).sum() > 100, "no words at the foot"
    Image.open(tmp_path / "view.png").save(SHOTS / "pointcloud-saved.png")


def test_a_failed_fetch_says_so_and_can_be_tried_again(browser: Browser) -> None:
    """The server fails, the map says what happened, and Try again works once the server does."""
    world = make_world(n=300, groups=3)
    world.broken.add("clip/points.bin")
    with serving(world) as address:
        context = browser.new_context(viewport=SIZE)
        page = context.new_page()
        page.goto(address)
        notice = page.get_by_role("alert")
        notice.wait_for()
        assert TEXTS["failed"] in notice.inner_text()
        assert "HTTP 500" in notice.inner_text()
        world.broken.clear()
        page.get_by_role("button", name=TEXTS["retry"]).click()
        page.wait_for_selector("#map[data-ready=true]")
        assert not page.locator(".pointcloud-notice").is_visible()
        context.close()


def test_without_its_worker_the_map_says_so(browser: Browser) -> None:
    """A worker that does not load is a failure that is told and can be tried again, not a wait without end."""
    world = make_world(n=300, groups=3)
    world.broken.add("worker.js")
    with serving(world) as address:
        page = browser.new_context(viewport=SIZE).new_page()
        page.goto(address)
        notice = page.get_by_role("alert")
        notice.wait_for()
        assert "the map's worker failed" in notice.inner_text()
        world.broken.clear()
        page.get_by_role("button", name=TEXTS["retry"]).click()
        page.wait_for_selector("#map[data-ready=true]")
        page.context.close()


COUNT_BUFFERS = """window.made = {};
const before = WebGL2RenderingContext.prototype.bufferData;
WebGL2RenderingContext.prototype.bufferData = function (target, data, ...rest) {
    if (data.byteLength) window.made[data.byteLength] = (window.made[data.byteLength] ?? 0) + 1;
    return before.call(this, target, data, ...rest);
};"""


def test_a_cloud_that_comes_in_pieces_is_one_buffer(browser: Browser) -> None:
    """Each piece goes into the buffer of the first one; the camera then stands off the middle of all of the rows."""
    world = make_world(n=20_000)
    order = np.argsort(world.clusters, kind="stable")  # so that the first rows are no fair sample
    world = replace(world, clusters=world.clusters[order], points={k: v[order] for k, v in world.points.items()})
    world.slow.add("clip/points.bin")
    with serving(world) as address:
        context = browser.new_context(viewport=SIZE)
        context.add_init_script(COUNT_BUFFERS)
        scene = MapPage(page := context.new_page(), world, Watched(page, address))
        page.goto(address)
        scene.wait()
        assert int(page.get_attribute("#map", "data-frame") or 0) > 3, "it was drawn while it came"
        assert page.evaluate("bytes => window.made[bytes]", 6 * len(world.ids)) == 1
        frame = world.frame("clip")
        middle = (world.points["clip"].mean(axis=0) - frame["center"]) / frame["radius"]
        assert np.abs(page.evaluate("document.querySelector('#map').view()")["target"] - middle).max() < 0.03
        context.close()
        assert scene.watched.complaints == []


def test_an_unknown_prop_is_refused_by_name() -> None:
    """A misspelt prop is the caller's mistake, and the message lists the right ones."""
    with pytest.raises(TypeError, match="no prop colourBy.*colorBy"):
        PointCloud(id="map", colourBy="split")
