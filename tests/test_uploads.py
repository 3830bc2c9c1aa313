"""Pictures that visitors bring: decoded as hostile, encoded anew, found, and nowhere on disk."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from live import Live, live
from PIL import Image, PngImagePlugin

from explorer import provenance
from explorer.errors import QueueFull, RejectReason
from explorer.pictures import open_picture
from explorer.records import to_json
from webapp.cli import takes_uploads
from webapp.security import MAX_UPLOAD, UPLOADS
from webapp.uploads import Uploads

SECRET = b"<script>alert('a polyglot')</script>"


def drawn(format: str = "PNG", size: tuple[int, int] = (96, 80), **options: object) -> bytes:
    """A picture that no atlas has."""
    rows = np.arange(size[1])[:, None] * np.ones(size[0])[None, :]
    pixels = np.stack([rows * 2 % 256, np.full_like(rows, 40), 255 - rows], axis=2).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format, **options)
    return data.getvalue()


def hand_in(site: Live, data: bytes, kind: str = "application/octet-stream") -> httpx.Response:
    return site.client.post(UPLOADS, content=data, headers={"Content-Type": kind})


def flat(told: object, path: str = "") -> dict[str, object]:
    """Path of each value in JSON -> the value."""
    if isinstance(told, dict | list | tuple):
        items = told.items() if isinstance(told, dict) else enumerate(told)
        return {at: value for key, each in items for at, value in flat(each, f"{path}/{key}").items()}
    return {path: told}


@pytest.fixture(scope="module")
def brought(served: Live) -> dict[str, object]:
    """What the server said of one picture."""
    answer = hand_in(served, drawn())
    assert answer.status_code == 201, answer.text
    told: dict[str, object] = answer.json()
    return told


def test_a_picture_lands_as_locate_says(served: Live, brought: dict[str, object]) -> None:
    """The landing is that of `locate` for the same picture: places, hits, percentiles and verdict."""
    site = served.site
    expected = provenance.locate(site.atlas, site.models, open_picture(drawn()))
    said, told = flat(httpx.Response(200, json=to_json(expected)).json()), flat(brought["landing"])
    sums = [path for path, value in said.items() if isinstance(value, float)]
    # Sums in another order differ in float32's last bits; all else is the same.
    assert [told.pop(path) for path in sums] == pytest.approx([said.pop(path) for path in sums], rel=1e-5, abs=1e-6)
    assert told == said
    again = served.client.get(f"{UPLOADS}/{brought['upload']}").json()
    assert again == brought


def test_similarities_to_it_are_cosines(served: Live, brought: dict[str, object]) -> None:
    """The map colors by likeness to the picture, in each space."""
    site = served.site
    ids = np.frombuffer(served.client.get(f"{served.version}/ids.bin").content, "<i8")
    for space in site.atlas.spaces:
        answer = served.client.get(f"{served.version}/{space}/similarity.bin?upload={brought['upload']}")
        vector = site.uploads.get(str(brought["upload"])).vectors[space]  # type: ignore[union-attr]
        expected = site.atlas.space(space).vectors.astype(np.float64) @ vector
        assert np.abs(np.frombuffer(answer.content, "<f4") - expected[site.atlas.rows(ids)]).max() < 1e-5


def polyglots() -> Iterator[tuple[str, bytes]]:
    """Pictures that carry markup where decoders do not look."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    yield "a PNG with a comment", drawn(pnginfo=text)
    yield "a PNG with a tail", drawn() + SECRET
    yield "a JPEG with a comment", drawn("JPEG", comment=SECRET)
    yield "a JPEG with EXIF", drawn("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08" + SECRET)
    yield "a GIF with a comment", drawn("GIF", comment=SECRET)
    yield "a WebP with XMP", drawn("WEBP", xmp=SECRET)


@pytest.mark.parametrize(("what", "data"), polyglots())
def test_what_is_served_back_was_encoded_anew(served: Live, what: str, data: bytes) -> None:
    """Nothing that a file carries beside its pixels comes back, and a browser is told not to open it as a page."""
    assert SECRET in data, what
    answer = hand_in(served, data)
    assert answer.status_code == 201, answer.text
    picture = served.client.get(answer.json()["image"])
    assert picture.content[:4] + picture.content[8:12] == b"RIFFWEBP"
    assert SECRET not in picture.content
    assert picture.headers["content-type"] == "image/webp"
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert picture.headers["content-disposition"].startswith("attachment")
    assert picture.headers["cache-control"] == "no-store"
    with Image.open(io.BytesIO(picture.content)) as image:
        assert image.size == (96, 80)


def bomb() -> bytes:
    """A few kilobytes of PNG that are 72 million pixels."""
    data = io.BytesIO()
    Image.new("1", (9000, 8000)).save(data, "PNG")
    return data.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
REFUSED = {
    RejectReason.EMPTY: b"",
    RejectReason.NOT_A_PICTURE: SVG,
    RejectReason.TRUNCATED: drawn()[:200],
    RejectReason.TOO_SMALL: drawn(size=(4, 4)),
    RejectReason.TOO_LARGE: bomb(),
    RejectReason.ASPECT: drawn(size=(1000, 10)),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_no_fit_picture_is_refused_with_its_reason(served: Live, reason: RejectReason) -> None:
    """The answer has the closed word for it, and a line."""
    answer = hand_in(served, REFUSED[reason])
    assert answer.status_code == 422
    assert answer.json()["reason"] == reason
    assert answer.json()["error"].count("\n") == 0


@pytest.mark.parametrize("head", [b"<!doctype html>", b"%PDF-1.7", b"%!PS-Adobe EPSF", b"BM", b"{}"])
def test_only_four_formats_are_pictures(served: Live, head: bytes) -> None:
    """HTML, PDF, EPS, BMP and JSON are none, whatever follows."""
    assert hand_in(served, head + drawn()).json()["reason"] == RejectReason.NOT_A_PICTURE


def test_ten_megabytes_are_taken_and_no_more(served: Live) -> None:
    """Up to the limit a body is looked at; past it, it is answered 413; other addresses keep their own limit."""
    padded = drawn() + bytes(MAX_UPLOAD - len(drawn()))
    assert hand_in(served, padded).status_code == 201
    assert hand_in(served, padded + b"x").status_code == 413
    assert served.client.post("/api/jobs", content=padded).status_code == 413


def test_a_form_of_another_site_cannot_send_one(served: Live) -> None:
    """Only one media type is taken, which no form has; and never from another site."""
    for kind in ("multipart/form-data", "text/plain", "image/png", ""):
        assert hand_in(served, drawn(), kind).status_code == 415
    headers = {"Content-Type": "application/octet-stream", "Sec-Fetch-Site": "cross-site"}
    assert served.client.post(UPLOADS, content=drawn(), headers=headers).status_code == 403


@pytest.mark.parametrize("name", ["nothing", "..%2f..%2fetc", "%00", "x" * 500])
def test_an_unknown_name_is_nothing(served: Live, name: str) -> None:
    """What was never brought, or is forgotten, is 404 in every place."""
    for path in (f"{UPLOADS}/{name}", f"{UPLOADS}/{name}/picture.webp"):
        assert served.client.get(path).status_code == 404
    assert served.client.get(f"{served.version}/clip/similarity.bin", params={"upload": name}).status_code == 404


def test_nothing_is_kept_on_disk(tiny_atlas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of the atlas, the workspace or the temporary folder holds the picture, as it came or encoded anew."""
    atlas = Path(shutil.copytree(tiny_atlas, tmp_path / "atlas"))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    marked = drawn() + SECRET
    with live(atlas, workspace=tmp_path / "workspace") as running:
        before = files(tmp_path)
        told = hand_in(running, marked).json()
        encoded = running.client.get(told["image"]).content
        after = files(tmp_path)
        assert marked[:64] and not [name for name, data in after.items() if SECRET in data or encoded[20:60] in data]
        assert not {name for name in after.keys() - before.keys() if "cache" not in name.parts}


def files(folder: Path) -> dict[Path, bytes]:
    found = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return {path: path.read_bytes() for path in found if path.is_file()}


def test_the_last_few_are_remembered_and_only_so_many_are_looked_at(served: Live) -> None:
    """The oldest goes first; a picture that finds no room is refused, not queued."""
    site = served.site
    uploads = Uploads(site.atlas, site.models, kept=2)
    names = [uploads.take(drawn()).name for _ in range(2)]
    assert uploads.get(names[0]) is not None  # asked for, so the other one is the oldest now
    names.append(uploads.take(drawn()).name)
    assert [uploads.get(name) is not None for name in names] == [True, False, True]
    with pytest.raises(QueueFull):
        Uploads(site.atlas, site.models, at_once=0).take(drawn())


def test_uploads_can_be_off(tiny_atlas: Path, tmp_path: Path) -> None:
    """By default they are on at loopback alone; where they are off, the page offers none and the server takes none."""
    assert [takes_uploads("auto", host) for host in ("127.0.0.1", "[::1]", "localhost", "10.0.0.7")] == [True] * 3 + [
        False
    ]
    assert takes_uploads("on", "10.0.0.7") and not takes_uploads("off", "127.0.0.1")
    with live(tiny_atlas, workspace=tmp_path, uploads=False) as running:
        answer = hand_in(running, drawn())
        assert answer.status_code == 403
        assert "--uploads on" in answer.json()["error"]
        assert running.client.get(f"{UPLOADS}/x").status_code == 403
