"""An atlas whose map is drawn, not fitted, for what depends on the number of points alone: made in minutes at any size.

Its vectors are short and its neighbors are drawn too, so that nothing about nearness can be measured on it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from benchmarks.atlases import FOLDER
from explorer import layout, verify
from explorer.records import Split

VERSION = "20260101T000000Z-drawn"
SAYS = "drawn points"
GROUPS, FINE, DIM, HELDOUT = 64, 4, 16, 0.01
EXEMPLARS = 8
THUMBNAIL, COLORS = 256, 64
SPACE = "clip"


def atlas(n: int, pictures: int = 0) -> Path:
    """The atlas of n drawn points; the `pictures` of them nearest to the middle of the first group have thumbnails."""
    root = FOLDER / (f"drawn-{n}-{pictures}" if pictures else f"drawn-{n}")
    paths = layout.AtlasPaths(root)
    if paths.current.exists():
        return root
    version, rng = paths.version(VERSION), np.random.default_rng(n)
    fine = rng.integers(0, GROUPS * FINE, n).astype(np.int32)
    ids = np.arange(1, n + 1, dtype=np.int64)
    layout.write_table(version.records, _records(ids, fine, rng.random(n) < HELDOUT))
    arrays = _arrays(fine, rng)
    for name, array in arrays.items():
        layout.write_array(version.array(SPACE, name), array)
    layout.write_table(version.clusters, _clusters(ids, fine))
    layout.write_thumbnails(version, _thumbnails(ids[middle_out(arrays["points"], arrays["cluster"])[:pictures]]))
    meta = _meta(n) | {"files": verify.describe(version)}
    layout.write_atomic(version.meta, json.dumps(meta).encode())
    paths.publish(VERSION)
    return root


def middle_out(points: npt.NDArray[np.float32], cluster: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    """All rows, those nearest to the middle of the first group first."""
    far = np.linalg.norm(points - np.median(points[cluster == 0], axis=0), axis=1)
    return np.argsort(far, kind="stable")


def _thumbnails(ids: npt.NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
    """A tile of one color each, of the size that thumbnails have."""
    tiles = []
    for color in range(COLORS):
        out = io.BytesIO()
        plain = Image.new("HSV", (THUMBNAIL, THUMBNAIL), (color * 256 // COLORS, 160, 220))
        plain.convert("RGB").save(out, "WEBP")
        tiles.append(out.getvalue())
    for identity in ids.tolist():
        yield identity, tiles[identity % COLORS]


def _records(ids: npt.NDArray[np.int64], fine: npt.NDArray[np.int32], heldout: npt.NDArray[np.bool_]) -> pa.Table:
    """`records.parquet`: what every picture has; all else is unknown."""
    schema, n = layout.RECORDS_SCHEMA, len(ids)
    columns = {
        "id": pa.array(ids),
        "key": pa.array([f"drawn:{number}" for number in ids.tolist()]),
        "placed": pa.array(heldout),
        "split": pa.array(np.where(heldout, Split.HELDOUT.value, Split.TRAIN.value)),
        "captions": pa.array([[("en", f"{_label(k)}, number {row}")] for row, k in enumerate(fine.tolist())],
                             type=schema.field("captions").type),
        "image_url": pa.array([f"https://pictures.example/{number}.png" for number in ids.tolist()]),
    }  # fmt: skip
    return pa.table([columns.get(f.name, pa.nulls(n, f.type)) for f in schema], schema=schema)


def _arrays(fine: npt.NDArray[np.int32], rng: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    """The arrays of the space; points lie in groups of groups."""
    n = len(fine)
    coarse = rng.normal(scale=6, size=(GROUPS, 1, 3)) + rng.normal(scale=1.5, size=(GROUPS, FINE, 3))
    vectors = rng.standard_normal((n, DIM), np.float32)
    return {
        "points": (coarse.reshape(-1, 3)[fine] + rng.normal(scale=0.6, size=(n, 3))).astype(np.float32),
        "vectors": (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16),
        "mean": np.zeros(DIM, np.float32),
        "cluster": fine // FINE,
        "subcluster": fine,
        "neighbors": rng.integers(0, n, (n, layout.NEIGHBORS)).astype(np.int32),
        "distances": np.sort(rng.random((n, layout.NEIGHBORS), np.float32), axis=1),
        "baseline": np.sort(rng.random(n, np.float32)),
    }


def _clusters(ids: npt.NDArray[np.int64], fine: npt.NDArray[np.int32]) -> pa.Table:
    rows = []
    for level, numbers in enumerate((fine // FINE, fine)):
        for cluster in np.unique(numbers).tolist():
            members = ids[numbers == cluster]
            row = {"space": SPACE, "level": level, "cluster": cluster, "size": len(members)}
            row |= {"label": _label(cluster if level else cluster * FINE) if level else f"group {cluster}"}
            row |= {"exemplars": members[:EXEMPLARS].tolist(), "parent": cluster // FINE if level else None}
            rows.append(row)
    return pa.Table.from_pylist(rows, schema=layout.CLUSTERS_SCHEMA)


def _label(fine: int) -> str:
    return f"group {fine // FINE}, shade {fine % FINE}"


def _meta(n: int) -> dict[str, Any]:
    manifest = {"kind": "embeddings", "name": "drawn", "title": f"{n:,} drawn points", "models": {"clip": "demo"}}
    return {
        "schema": layout.SCHEMA, "version": VERSION, "created": "2026-01-01T00:00:00Z", "settings": {}, "libraries": {},
        "manifest": manifest | {"path": ".", "licence": "", "training": {"relation": "none", "generators": []}},
        "models": {"clip": {"reference": "demo"}, "generator": {"reference": "demo"}},
        "outcomes": {"indexed": n},
        "spaces": {SPACE: {"dim": DIM, "a": 1.577, "b": 0.895, "recall": 1.0}},
    }  # fmt: skip
