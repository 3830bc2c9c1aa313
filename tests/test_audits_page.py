"""Audits in the app: their pictures, an axis as a color, and the dialog in a real browser."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live import Live, live
from playwright.sync_api import Browser
from plotly.utils import PlotlyJSONEncoder
from visitor import Visitor, visit

from explorer.denylist import DenyKind, hashed
from webapp import audits
from webapp.cli import main
from webapp.layout import context_of
from webapp.panels import audits as panel

AXIS = ("red", "blue")


@pytest.fixture(scope="module")
def audited(tiny_atlas: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The tiny atlas with an audit of three captions, two seeds each, and an axis."""
    folder = tmp_path_factory.mktemp("audited")
    copy = Path(shutil.copytree(tiny_atlas, folder / "atlas"))
    arguments = ["--captions", "3", "--seeds", "2", "--steps", "1", "--axis", *AXIS, "--out", str(folder / "my audit")]
    assert main(["audit", str(copy), *arguments, "--device", "cpu"]) == 0
    with live(copy) as running:
        yield running


@pytest.fixture
def visitor(browser: Browser, audited: Live) -> Iterator[Visitor]:
    """Somebody at the page, who complains of nothing at the end."""
    with visit(browser, audited.url, width=1280, height=800) as somebody:
        somebody.go()
        yield somebody


def told(audited: Live) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((audited.site.atlas.path.parent / "my audit" / "audit.json").read_text("utf-8"))
    return found


def test_pictures_of_audits_are_served_by_name_and_row(audited: Live) -> None:
    """A thumbnail of every row of an audit there is; nothing of another name, nor by a path."""
    name = told(audited)["name"]
    answers = [audited.client.get(f"/api/audits/{name}/{row}.webp") for row in range(6)]
    assert {(answer.status_code, answer.headers["content-type"]) for answer in answers} == {(200, "image/webp")}
    assert len({answer.content for answer in answers}) == 6
    for address in (f"{name}/6.webp", f"{'0' * 16}/0.webp", "..%2f..%2fCURRENT/0.webp", f"{name}/-1.webp"):
        assert audited.client.get(f"/api/audits/{address}").status_code in (404, 422)


def test_the_panel_tells_every_prompt_in_every_space(audited: Live) -> None:
    """What the dialog shows can be made of the document alone, for each space: its prompts, pictures and figures."""
    found, site = told(audited), audited.site
    for space in site.atlas.spaces:
        shown = panel.audit(context_of(site), found, space, functools.partial(audits.neighbor, site))
        text = json.dumps(shown, cls=PlotlyJSONEncoder)
        assert all(json.dumps(entry["prompt"])[1:-1] in text for entry in found["ranking"])
        rows = {entry["spaces"][space]["row"] for entry in found["ranking"]}
        assert all(f"/api/audits/{found['name']}/{row}.webp" in text for row in rows)


def test_a_takedown_hides_at_once_what_audits_have_of_a_picture(audited: Live) -> None:
    """From the denylist on, neither the rows of its caption nor their pictures are served, nor is it a neighbor."""
    found, site = told(audited), audited.site
    gone = found["rows"][0]["id"]
    listed = {"kind": "key", "sha256": hashed(DenyKind.KEY, site.atlas.record(gone).key), "at": "2026-01-01"}
    path = site.atlas.path / "denylist.jsonl"
    path.write_text(json.dumps(listed) + "\n", "utf-8")
    try:
        answers = [audited.client.get(f"/api/audits/{found['name']}/{row}.webp").status_code for row in range(6)]
        assert answers == [404, 404, 200, 200, 200, 200]
        after = audits.document(site, found["name"])
        assert after is not None and gone not in {row["id"] for row in after["rows"]}
        assert all(gone not in row["nearest"].values() for row in after["rows"])
    finally:
        path.unlink()
    assert audited.client.get(f"/api/audits/{found['name']}/0.webp").status_code == 200


def test_an_axis_colors_by_the_difference_of_its_phrases(audited: Live) -> None:
    """The values are cosines to the difference, in the map's order; what is no axis is refused."""
    site = audited.site
    low, high = site.models.clip().embed_texts(list(AXIS))
    direction = (high - low) / np.linalg.norm(high - low)
    answer = audited.client.get(f"{audited.version}/clip/similarity.bin", params={"axis": "\n".join(AXIS)})
    found = np.frombuffer(answer.content, "<f4")
    expected = site.atlas.space("clip").vectors.astype(np.float32) @ direction
    np.testing.assert_allclose(found, expected[site.arrays.order], atol=1e-4)
    for params, said in (
        ({"axis": "red\nred"}, "which are the same here"),
        ({"axis": "red"}, "found a text of 0 characters"),
        ({"axis": "red\nblue", "text": "cat"}, "expected exactly one of"),
    ):
        refused = audited.client.get(f"{audited.version}/clip/similarity.bin", params=params)
        assert refused.status_code == 422 and said in refused.json()["error"]
    refused = audited.client.get(f"{audited.version}/vae/similarity.bin", params={"axis": "red\nblue"})
    assert refused.status_code == 422 and "ask clip for an axis" in refused.json()["error"]


@pytest.mark.flaky(reruns=2)  # a browser on a busy machine may stumble; three times is a fault
def test_the_dialog_leads_from_the_list_to_a_neighbor_in_the_map(visitor: Visitor, audited: Live) -> None:
    """Menu, list, audit: density first, every prompt, and a click on a neighbor selects it and puts the dialog away."""
    found, page = told(audited), visitor.page
    page.click(".more")
    page.click("#audits-button")
    visitor.says("#audits-body", "6 pictures of 3 prompts")
    assert visitor.address() == "/?audit=list"
    page.click("#audits-body .audit-name")
    visitor.says("#audits-body", "Prompts, the nearest first")
    assert f"audit={found['name']}" in visitor.address()
    names = page.locator("#audits-body .audit-cells").first.locator(".fine").all_inner_texts()
    assert names[0] == "Density"
    shown = page.locator("#audits-body .audit-prompts > li")
    assert [entry["prompt"] for entry in found["ranking"]] == shown.locator(".caption").all_inner_texts()
    assert "k = 5, 6 pictures against 24" in visitor.text("#audits-body")
    visitor.pixels("audit")
    near = found["ranking"][0]["spaces"]["clip"]["nearest"]["clip"]
    shown.first.locator("[data-do=open]").click()
    visitor.until(lambda: f"id={near}" in visitor.address() and "audit=" not in visitor.address())
    visitor.until(lambda: not page.is_visible("#audits-body"))
    visitor.says("#here-body", audited.site.atlas.record(near).caption)


@pytest.mark.flaky(reruns=2)
def test_the_map_takes_the_colors_of_an_axis(visitor: Visitor, audited: Live) -> None:
    """From an audit's axis the map is colored between its phrases; others can be written into the legend."""
    page = visitor.page
    visitor.go(f"/?audit={told(audited)['name']}")
    before = visitor.pixels("before-axis")
    visitor.says("#audits-body", "Between two phrases")
    page.click("text=Color the map by it")
    visitor.until(lambda: visitor.address() == "/?color=axis&axis=red%0Ablue")
    visitor.until(lambda: page.locator("#legend input").count() == 2)
    assert [page.locator("#legend input").nth(at).input_value() for at in range(2)] == list(AXIS)
    visitor.settled()
    after = visitor.pixels("axis")
    assert (np.abs(before - after).max(axis=2) > 40).sum() > 100
    page.fill("#axis-high", "green")
    page.press("#axis-high", "Enter")
    visitor.until(lambda: "green" in visitor.address())
    visitor.settled()


@pytest.mark.flaky(reruns=2)
def test_without_audits_the_dialog_says_how_to_make_one(browser: Browser, served: Live) -> None:
    """An empty list names the command; an address of an audit that is gone says so."""
    with visit(browser, served.url) as visitor:
        visitor.go(f"/?audit={'0' * 16}")
        visitor.says("#audits-body", "not in the workspace any more")
        visitor.page.click("text=All audits")
        visitor.says("#audits-body", "latent-explorer audit ATLAS")
