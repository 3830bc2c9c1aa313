"""A small, valid atlas made without any model, in well under a second.

Sixty pictures of colored shapes in six groups of ten: pairs of them are a family, the last family of each group is held
out, and the vectors of a group lie around one direction, so that nearness is known.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image, ImageDraw

from explorer import layout, verify
from explorer.fingerprints import fingerprints
from explorer.records import Record, Split
from explorer.rows import records_table

COLORS = ("red", "orange", "green", "teal", "blue", "purple")
PER_GROUP = 10
VERSION = "20250101T000000Z-small"


@dataclass(frozen=True)
class SmallAtlas:
    """What to write.

    Attributes:
        dims: space -> dimension.
        seed: of the vectors and places.
        change: called with every record before it is written.
        extra_meta: joins, or overrides, what `atlas.json` says.
        picture: what the thumbnail of a row shows; by default a shape, another for every row and seed.
        hashed: whether the pictures are known again by their hashes, as in an atlas of today.
        fine: whether there is a fine level of clusters: each group in two halves, the lower numbers and the higher.
        counted: whether families are weighed and the neighbors that the maps keep are counted.
    """

    dims: Mapping[str, int] = field(default_factory=lambda: {"clip": 32, "vae": 48})
    seed: int = 0
    change: Callable[[Record], Record] = lambda record: record
    extra_meta: Mapping[str, Any] = field(default_factory=dict)
    version: str = VERSION
    pictures: bool = True
    picture: Callable[[int], Image.Image] | None = None
    hashed: bool = False
    fine: bool = True
    counted: bool = True

    def write(self, root: Path) -> Path:
        """Write and publish it under `root`; return `root`."""
        paths = layout.AtlasPaths(root)
        version = paths.version(self.version)
        records = [self.change(_record(row)) for row in range(len(COLORS) * PER_GROUP)]
        layout.write_table(version.records, records_table(records))
        kept = enumerate(records) if self.pictures else ()
        draw = self.picture or partial(_shape, self.seed)
        layout.write_thumbnails(version, ((record.id, _webp(draw(row))) for row, record in kept))
        if self.hashed:
            layout.write_array(version.hashes, np.stack([fingerprints(draw(row)) for row in range(len(records))]))
        clusters = []
        for space, dim in self.dims.items():
            clusters += self._write_space(version, space, dim, records)
        layout.write_table(version.clusters, pa.Table.from_pylist(clusters, schema=layout.CLUSTERS_SCHEMA))
        meta = _meta(self.dims, len(records), self.counted) | {"version": self.version} | dict(self.extra_meta)
        meta["files"] = verify.describe(version)
        layout.write_atomic(version.meta, json.dumps(meta).encode())
        paths.publish(self.version)
        return root

    def _write_space(
        self, version: layout.VersionPaths, space: str, dim: int, records: list[Record]
    ) -> list[dict[str, Any]]:
        rng = np.random.default_rng([self.seed, dim])
        group = np.arange(len(records)) // PER_GROUP
        vectors = rng.normal(size=(len(COLORS), dim))[group] + 0.6 * rng.normal(size=(len(records), dim))
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
        angle = 2 * math.pi * np.arange(len(COLORS)) / len(COLORS)
        centers = 8 * np.stack([np.cos(angle), np.sin(angle), np.sin(2 * angle) / 2], axis=1)
        lone = np.arange(len(records)) % PER_GROUP == (7 + self.seed) % PER_GROUP
        arrays = _neighbors(vectors, records) | {
            "vectors": vectors,
            "mean": (np.zeros(dim) if space == "clip" else rng.normal(size=dim)).astype(np.float32),
            "points": (centers[group] + rng.normal(scale=0.7, size=(len(records), 3))).astype(np.float32),
            "cluster": np.where(lone, -1, group).astype(np.int32),
        }
        halves = 2 * group + (np.arange(len(records)) % PER_GROUP >= PER_GROUP // 2)
        if self.counted:
            arrays["overlap"] = _overlap(arrays["points"], arrays["neighbors"])
        else:
            del arrays["weights"]
        if self.fine:
            arrays["subcluster"] = np.where(lone, -1, halves).astype(np.int32)
        for name, array in arrays.items():
            layout.write_array(version.array(space, name), array)
        members = [np.flatnonzero(arrays["cluster"] == number) for number in range(len(COLORS))]
        clusters = [_cluster(space, number, rows, records) for number, rows in enumerate(members)]
        for number in range(2 * len(COLORS)) if self.fine else ():
            half = _cluster(space, number // 2, np.flatnonzero(arrays["subcluster"] == number), records)
            told = {"level": 1, "cluster": number, "parent": number // 2, "label": f"{half['label']} half {number % 2}"}
            clusters.append(half | told)
        return clusters


def _record(row: int) -> Record:
    color, number = COLORS[row // PER_GROUP], row % PER_GROUP
    family = f"{color}-{number // 2}"
    return Record(
        id=1000 + 7 * row,
        key=f"{color}-{number}",
        split=Split.HELDOUT if number // 2 == 4 else Split.TRAIN,
        family=family,
        captions={"en": f"{color} shape {number}", "zh": f"形状 {number}"},
        tags=(color, "shape"),
        group=color,
        image_url=f"https://pictures.example/{color}/{number}.png",
        page_url=f"https://pictures.example/{color}/{number}",
        host="pictures.example",
        author="Ada",
        licence="CC BY-SA 4.0",
        licence_url="https://creativecommons.org/licenses/by-sa/4.0/",
        width=64,
        height=64,
        sha256=f"{row:064x}",
        phash=f"{row * 2654435761 % 2**64:016x}",
        extra={"corners": number + 3, "year": 1900 + row, "place": "Oslo" if row % 2 else None},
    )


def _shape(seed: int, row: int) -> Image.Image:
    image = Image.new("RGB", (64, 64), "white")
    draw = ImageDraw.Draw(image)
    draw.regular_polygon((32, 32, 24), row % PER_GROUP + 3, rotation=7 * row + seed, fill=COLORS[row // PER_GROUP])
    return image


def _webp(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "WEBP", quality=80)
    return data.getvalue()


def _neighbors(vectors: npt.NDArray[np.float16], records: list[Record]) -> dict[str, npt.NDArray[Any]]:
    """Neighbors, their distances and the baseline, by brute force and as DESIGN.md defines them."""
    similarity = vectors.astype(np.float32) @ vectors.astype(np.float32).T
    np.fill_diagonal(similarity, -np.inf)
    rows = np.argsort(-similarity, axis=1, kind="stable")[:, : layout.NEIGHBORS]
    family = np.array([record.family for record in records])
    train = np.array([record.split is Split.TRAIN for record in records])
    others = np.where(family[:, None] == family[None, :], -np.inf, similarity)[np.ix_(train, train)]
    order = np.argsort(others.max(axis=1), kind="stable")
    return {
        "neighbors": rows.astype(np.int32),
        "distances": (1 - np.take_along_axis(similarity, rows, axis=1)).astype(np.float32),
        "baseline": np.sort(others.max(axis=1)).astype(np.float32),
        "weights": np.array([1 / np.count_nonzero(family[train] == family[train][row]) for row in order], np.float32),
    }


def _overlap(points: npt.NDArray[np.float32], neighbors: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """How many neighbors are among as many nearest on the map, by brute force over all rows, as the neighbors are."""
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    on_map = np.argsort(apart, axis=1, kind="stable")[:, : neighbors.shape[1]]
    return np.array([len(set(a) & set(b)) for a, b in zip(neighbors, on_map, strict=True)], np.uint8)


def _cluster(space: str, number: int, members: npt.NDArray[np.int64], records: list[Record]) -> dict[str, Any]:
    return {
        "space": space,
        "level": 0,
        "cluster": number,
        "label": COLORS[number],
        "size": len(members),
        "exemplars": [records[row].id for row in members[:4]],
    }


def _meta(dims: Mapping[str, int], count: int, counted: bool) -> dict[str, Any]:
    kept = {"overlap": 0.25} if counted else {}
    return {
        "schema": layout.SCHEMA,
        "created": "2025-01-01T00:00:00Z",
        "manifest": {
            "kind": "openmoji",
            "name": "shapes",
            "title": "Colored shapes",
            "licence": "CC BY-SA 4.0",
            "licence_url": "https://creativecommons.org/licenses/by-sa/4.0/",
            "attribution": "Shapes by Ada, CC BY-SA 4.0",
            "homepage": "https://pictures.example/",
            "training": {"relation": "all", "generators": ["demo"]},
        },
        "settings": {},
        "models": {"clip": {"reference": "demo"}, "vae": {"reference": "demo"}, "generator": {"reference": "demo"}},
        "libraries": {},
        "outcomes": {"indexed": count},
        "spaces": {space: {"dim": dim, "a": 1.577, "b": 0.895, "recall": 1.0, **kept} for space, dim in dims.items()},
    }


def changed(**values: Any) -> Callable[[Record], Record]:  # noqa: ANN401 - a record's own fields
    """A `change` that sets the same values on every record."""
    return lambda record: replace(record, **values)
