"""A page with nothing but the map on it, over made-up arrays: what tests of the map component open in a browser.

`python tests/pointcloud_page.py` serves it for a look by hand.
"""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import numpy as np
from dash import Dash, Input, html
from flask import Flask, Response, abort, request
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from werkzeug.serving import WSGIRequestHandler, make_server

from webapp.arrays import FORMAT, pack
from webapp.pointcloud import PointCloud
from webapp.security import content_security_policy

HOSTILE = '<img src=x onerror="window.hacked=1"><b>bold</b>'
"""A caption and a label as a stranger may write them."""

NAMES = ("faces", "flags", "animals", "food", "people", "hands", "clothing", "sky", "tools", "sport", "music", "plants")

PIECES, PAUSE = 12, 0.06
"""Of what comes slowly; the pause, seconds, is long enough for a frame or two."""

HEAR = """function(clicked, hovered, view, ready, command) {
    window.heard = {clicked, hovered, view, ready, command};
}"""


@dataclass(frozen=True)
class World:
    """Made-up pictures in two maps.

    Attributes:
        ids: int64 (n,), not the row numbers.
        points: space -> float32 (n, 3), map units.
        clusters: int32 (n,), -1 = none, the same for both spaces.
        hits: paths asked for, in order.
        broken: paths, or scripts by name, that answer 500.
        slow: paths whose bytes come in pieces, with pauses between them.
        pictures: ids whose thumbnails were asked for, many at a time.
        without: ids that have no picture.
        saved: ids whose rows were saved, one list a file.
        unsafe: ids that no file holds.
    """

    ids: NDArray[np.int64]
    points: dict[str, NDArray[np.float32]]
    clusters: NDArray[np.int32]
    hits: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    pictures: list[int] = field(default_factory=list)
    without: set[int] = field(default_factory=set)
    saved: list[list[int]] = field(default_factory=list)
    unsafe: set[int] = field(default_factory=set)

    @property
    def meta(self) -> dict[str, Any]:
        """What the component is told before it fetches."""
        spaces = {name: self.frame(name) for name in self.points}
        return {"version": "v1", "arrays": FORMAT, "n": len(self.ids), "spaces": spaces}

    def frame(self, space: str) -> dict[str, Any]:
        """The quantization of one space."""
        points = self.points[space]
        low, high = points.min(axis=0), points.max(axis=0)
        radius = np.percentile(np.linalg.norm(points - points.mean(axis=0), axis=1), 99)
        scale = float((high - low).max() / 2 / 32767)
        return {"center": ((low + high) / 2).tolist(), "scale": scale, "radius": float(radius)}

    def quantized(self, space: str) -> NDArray[np.int16]:
        """int16 (n, 3)."""
        frame = self.frame(space)
        return np.rint((self.points[space] - np.array(frame["center"])) / frame["scale"]).astype("<i2")

    def labels(self) -> list[dict[str, Any]]:
        """The clusters' names at their middles; the first is hostile."""
        found = []
        for space, points in self.points.items():
            for cluster in range(int(self.clusters.max()) + 1):
                rows = self.clusters == cluster
                name = HOSTILE if cluster == 0 else f"{NAMES[cluster % len(NAMES)]} {cluster}"
                place = np.median(points[rows], axis=0).tolist()
                found.append(
                    {"cluster": cluster, "label": name, "point": place, "size": int(rows.sum()), "space": space}
                )
        return found

    def fine_labels(self) -> list[dict[str, Any]]:
        """The clusters' names and those of their thirds along their longest side, three of each."""
        coarse = self.labels()
        fine = []
        for label in coarse:
            points = self.points[label["space"]][self.clusters == label["cluster"]]
            longest = int(np.argmax(np.ptp(points, axis=0)))
            for part, rows in enumerate(np.array_split(np.argsort(points[:, longest]), 3)):
                place = np.median(points[rows], axis=0).tolist()
                number = 3 * label["cluster"] + part
                name = f"{NAMES[label['cluster'] % len(NAMES)]} {label['cluster']}.{part}"
                own = {"cluster": number, "label": name, "point": place, "size": len(rows)}
                fine.append({**label, **own, "level": 1, "parent": label["cluster"]})
        return coarse + fine


def make_world(n: int = 4000, groups: int = 24, seed: int = 1) -> World:
    """Blobs, threads and a few strays, as UMAP leaves them."""
    rng = np.random.default_rng(seed)
    clusters = rng.integers(-1, groups, n).astype(np.int32)
    maps = {}
    for space, spread in (("clip", 0.35), ("vae", 0.8)):
        middles = rng.normal(0, 3.2, (groups + 1, 3))
        stretch = rng.uniform(0.4, 2.2, (groups + 1, 3)) * spread
        points = middles[clusters] + rng.normal(0, 1, (n, 3)) * stretch[clusters]
        points[clusters < 0] = rng.normal(0, 3.4, (int((clusters < 0).sum()), 3))
        maps[space] = (points * 1.7 + [5, -2, 1]).astype(np.float32)
    return World(ids=rng.permutation(3 * n)[:n].astype(np.int64), points=maps, clusters=clusters)


def make_app(world: World, **props: object) -> Flask:
    """The page and its end points."""
    server = Flask(__name__)
    app = Dash(__name__, server=server, serve_locally=True, update_title="", title="map")
    given = {"meta": world.meta, "labels": world.labels(), "attribution": "Made-up pictures, CC BY-SA 4.0", **props}
    app.layout = html.Div(PointCloud(id="map", **given), id="frame", style={"position": "fixed", "inset": 0})
    outputs = ("clicked", "hovered", "view", "ready", "command")
    app.clientside_callback(HEAR, *(Input("map", name) for name in outputs))
    policy = content_security_policy(f"'{found.strip(chr(39))}'" for found in app.csp_hashes())

    _guard(server, world, policy)
    _serve_arrays(server, world)

    @server.get("/api/v/v1/thumbnails.bin")
    def thumbnails() -> Response:
        if "thumbnails.bin" in world.broken:
            abort(500)
        wanted = [int(found) for found in request.args["ids"].split(",")]
        assert 0 < len(wanted) <= 64
        world.pictures.extend(wanted)
        return Response(
            b"".join(_framed(found, b"" if found in world.without else _picture(found)) for found in wanted)
        )

    @server.post("/api/v/v1/selection.<kind>")
    def selection(kind: str) -> Response:
        return _saved(world, kind)

    @server.get("/api/v/v1/record/<int:found>.json")
    def record(found: int) -> dict[str, Any]:
        return {"id": found, "caption": f"{HOSTILE} picture {found}"}

    @server.get("/api/v/v1/thumbnail/<int:found>.webp")
    def thumbnail(found: int) -> Response:
        return Response(_picture(found), mimetype="image/webp")

    return server


def _guard(server: Flask, world: World, policy: str) -> None:
    """Note every request, refuse what is broken, and keep the page to the app's policy."""

    @server.before_request
    def refuse() -> None:
        if request.path.rsplit("/", 1)[-1] in world.broken:
            abort(500)

    @server.after_request
    def guard(response: Response) -> Response:
        world.hits.append(request.path)
        response.headers["Content-Security-Policy"] = policy
        return response


def _serve_arrays(server: Flask, world: World) -> None:
    arrays = _arrays(world)

    @server.get("/api/v/v1/<path:name>")
    def array(name: str) -> Response:
        if name in world.broken:
            abort(500)
        if name not in arrays or request.args["arrays"] != str(FORMAT):
            abort(404)
        body = _in_pieces(arrays[name]) if name in world.slow else arrays[name]
        return Response(body, mimetype="application/octet-stream")


def _arrays(world: World) -> dict[str, bytes]:
    """What the end points of a version answer, by name."""
    arrays: dict[str, bytes] = {
        "ids.bin": pack(world.ids.astype("<i8"), planes=True).plain,
        "split.bin": (np.arange(len(world.ids)) % 10 == 0).astype(np.uint8).tobytes(),
        "pictures.bin": (~np.isin(world.ids, list(world.without))).astype(np.uint8).tobytes(),
        "matches.bin": (np.arange(len(world.ids)) % 2).astype(np.uint8).tobytes(),
        "clip/similarity.bin": np.linspace(0.1, 0.9, len(world.ids), dtype="<f4").tobytes(),
    }
    for space in world.points:
        arrays[f"{space}/points.bin"] = world.quantized(space).tobytes()
        arrays[f"{space}/cluster.bin"] = pack(world.clusters.astype("<i4"), planes=True).plain
    return arrays


def _in_pieces(body: bytes) -> Iterator[bytes]:
    size = -(-len(body) // PIECES)
    for start in range(0, len(body), size):
        time.sleep(PAUSE)
        yield body[start : start + size]


def _saved(world: World, kind: str) -> Response:
    """Answer a bit mask with the ids that it holds, one a line."""
    if "selection" in world.broken:
        abort(500)
    chosen = np.unpackbits(np.frombuffer(request.data, np.uint8), bitorder="little")[: len(world.ids)]
    world.saved.append(world.ids[chosen == 1].tolist())
    unsafe = world.unsafe & set(world.saved[-1])
    world.saved[-1] = [found for found in world.saved[-1] if found not in unsafe]
    told = {"X-Rows": str(len(world.saved[-1])), "X-Left-Out": str(len(unsafe))}
    return Response("\n".join(["id", *map(str, world.saved[-1])]), mimetype=f"text/{kind}", headers=told)


def tint(found: int) -> tuple[int, int, int]:
    """The color of the disc that is a made-up picture."""
    return (60 + found * 37 % 180, 60 + found * 91 % 180, 60 + found * 53 % 180)


def _framed(found: int, picture: bytes) -> bytes:
    return struct.pack("<qI", found, len(picture)) + picture


def _picture(found: int) -> bytes:
    picture = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(picture).ellipse((18, 18, 110, 110), fill=tint(found))
    out = io.BytesIO()
    picture.save(out, "WEBP")
    return out.getvalue()


class Quiet(WSGIRequestHandler):
    """Answers without a line for each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def serving(world: World, port: int = 0, **props: object) -> Iterator[str]:
    """Serve the page on loopback; yields its address."""
    server = make_server("127.0.0.1", port, make_app(world, **props), threaded=True, request_handler=Quiet)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    make_server("127.0.0.1", 8051, make_app(make_world()), threaded=True).serve_forever()
