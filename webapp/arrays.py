"""The atlas's arrays as the map receives them: quantized, in one random order, packed once.

The order is random so that a cloud that arrives in pieces fills evenly; it is the same for every array of a version,
so that row i is the same picture in all of them.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas

ORDER_SEED = 0
INT16_MAX = 32767
GZIP_PAYS = 0.9
"""Compressed bytes are kept where they are at most this share of the plain ones."""
ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Packed:
    """An array's bytes, ready to send; `gzipped` is None where it would save too little."""

    plain: bytes
    gzipped: bytes | None
    etag: str


@dataclass(frozen=True, slots=True)
class Quantized:
    """Points as int16; a point in map units is ``center + scale * q``.

    Attributes:
        q: int16 (n, 3).
        center: float64 (3,), map units, the middle of the points' bounding box.
        scale: map units a step.
    """

    q: npt.NDArray[np.int16]
    center: npt.NDArray[np.float64]
    scale: float


def quantize(points: npt.NDArray[np.floating[Any]]) -> Quantized:
    """Quantize points (n, 3), n >= 1; the error is at most half a step, 1/65,534 of the longest side, on each axis."""
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    center = (low + high) / 2
    scale = float((high - low).max() / 2 / INT16_MAX) or 1.0
    return Quantized(np.rint((points - center) / scale).astype("<i2"), center, scale)


def pack(array: npt.NDArray[Any]) -> Packed:
    """Pack an array's bytes, row after row, in its own byte order."""
    plain = array.tobytes()
    gzipped = gzip.compress(plain, compresslevel=6, mtime=0)
    pays = len(gzipped) <= GZIP_PAYS * len(plain)
    return Packed(plain, gzipped if pays else None, hashlib.sha256(plain).hexdigest()[:32])


class MapArrays:
    """The packed arrays of one atlas version, each made when it is first asked for; for any thread."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas
        self._order = np.random.default_rng(ORDER_SEED).permutation(len(atlas))
        self._quantized = {name: quantize(atlas.space(name).points) for name in atlas.spaces}
        self._packed: dict[str, Packed] = {}
        self._lock = Lock()

    def meta(self) -> dict[str, Any]:
        """What the map component must know before it fetches.

        The version, the number of points, each space's frame, and whether there are thumbnails at all.
        """
        spaces = {
            name: {"center": found.center.tolist(), "scale": found.scale, "radius": self._atlas.space(name).radius}
            for name, found in self._quantized.items()
        }
        return {
            "version": self._atlas.version,
            "n": len(self._atlas),
            "spaces": spaces,
            "pictures": self._atlas.has_thumbnails,
        }

    def points(self, space: str) -> Packed:
        """int16 (n, 3), quantized."""
        return self._once(f"points {space}", lambda: self._quantized[space].q)

    def clusters(self, space: str) -> Packed:
        """int32 (n,), -1 = in no cluster."""
        return self._once(f"cluster {space}", lambda: self._atlas.space(space).cluster.astype("<i4"))

    def ids(self) -> Packed:
        """int64 (n,)."""
        return self._once("ids", lambda: self._atlas.ids.astype("<i8"))

    def splits(self) -> Packed:
        """uint8 (n,), 0 = train, 1 = heldout."""
        return self._once("split", lambda: (~self._atlas.train).astype(np.uint8))

    def mask(self, rows: npt.NDArray[np.bool_]) -> Packed:
        """uint8 (n,), 1 where a row of `rows`, bool (n,), is true."""
        return pack(rows.astype(np.uint8)[self._order])

    def similarity(self, space: str, query: npt.NDArray[np.floating[Any]]) -> Packed:
        """float32 (n,): cosine of every picture to `query` (d,), of any length but zero."""
        unit = (query / np.linalg.norm(query)).astype(np.float32)
        vectors = self._atlas.space(space).vectors
        found = np.empty(len(vectors), "<f4")
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            found[rows] = vectors[rows].astype(np.float32) @ unit
        return pack(found[self._order])

    def _once(self, name: str, make: Callable[[], npt.NDArray[Any]]) -> Packed:
        with self._lock:
            if name not in self._packed:
                self._packed[name] = pack(make()[self._order])
            return self._packed[name]
