"""The atlas's arrays as the map receives them: quantized, in one random order, packed once.

The order is random so that a cloud that arrives in pieces fills evenly; it is the same for every array of a version,
so that row i is the same picture in all of them. It takes one row of every `STRATUM`, a random one, then another of
each, and so on, the strata of a pass in blocks: within one ids ascend, so that little remains of them where their bytes
are sorted by worth. Browsers keep arrays for a year: `FORMAT` stands in their addresses.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas

FORMAT = 2
"""The order and layout of all arrays; another number wherever either changes, so that no browser mixes two of them."""
ORDER_SEED = 0
STRATUM = 64
"""Rows of which each pass takes one; at a million a pass is 94 kB of points."""
BLOCK = 32
"""Strata that stand together in a pass. Between blocks a pass jumps, so that its first rows are from everywhere too;
without jumps ids would be a tenth smaller, and single strata would double them."""
INT16_MAX = 32767
GZIP_PAYS = 0.9
"""Compressed bytes are kept where they are at most this share of the plain ones."""
GZIP_SAMPLES, GZIP_SAMPLE = 8, 8_192
"""Pieces, and bytes of each, from all over an array, that tell whether it is worth compressing."""
GZIP_WINDOW = 31
"""zlib's largest window, 15, in gzip's format."""
ROWS_AT_ONCE = 65_536
ROWS_IN_CACHE = 1_024
"""Vectors that are widened to float32 at a time, so that they are multiplied before they leave the processor."""
THREADS = min(4, os.cpu_count() or 1)
"""That compare all vectors with one."""


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


def pack(array: npt.NDArray[Any], *, planes: bool = False) -> Packed:
    """Pack an array's bytes in its own byte order.

    Args:
        array: (n, ...).
        planes: the first byte of every number, then the second of each, and so on, in place of number after number:
            what is alike stands together, so that it compresses well.
    """
    plain = array.tobytes()
    if planes:
        plain = np.frombuffer(plain, np.uint8).reshape(-1, array.itemsize).T.tobytes()
    return Packed(plain, gzipped(plain) if _pays(plain) else None, hashlib.sha256(plain).hexdigest()[:32])


def gzipped(plain: bytes) -> bytes:
    """Compress an array, fast: in random order little repeats, and to look for more of it takes ten times as long."""
    return zlib.compress(plain, level=1, wbits=GZIP_WINDOW)


def _pays(plain: bytes) -> bool:
    starts = np.linspace(0, max(0, len(plain) - GZIP_SAMPLE), GZIP_SAMPLES, dtype=np.int64).tolist()
    sample = b"".join(plain[start : start + GZIP_SAMPLE] for start in dict.fromkeys(starts))
    return len(gzipped(sample)) <= GZIP_PAYS * len(sample)


def spread(count: int) -> npt.NDArray[np.int32]:
    """A random order of `count` rows that takes from everywhere at any time; int32 (count,)."""
    rng = np.random.default_rng(ORDER_SEED)
    blocks = -(-count // (STRATUM * BLOCK))
    strata = np.arange(blocks * BLOCK * STRATUM, dtype=np.int32).reshape(-1, STRATUM)
    passes = rng.permuted(strata, axis=1).T.reshape(STRATUM, blocks, BLOCK)
    jumps = rng.permuted(np.tile(np.arange(blocks), (STRATUM, 1)), axis=1)
    order = np.take_along_axis(passes, jumps[:, :, None], axis=1)[rng.permutation(STRATUM)].ravel()
    return order[order < count]


def cosines(vectors: npt.NDArray[np.float16], unit: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Inner products of all vectors (n, d) with one (d,), float32 (n,); Python's lock is free meanwhile.

    One by one: a product of matrices would start threads of its own for each block, which wait for one another longer
    than they count.
    """
    found = np.empty(len(vectors), "<f4")

    def part(start: int) -> None:
        wide = np.empty((ROWS_IN_CACHE, vectors.shape[1]), np.float32)
        for first in range(start, min(start + ROWS_AT_ONCE, len(vectors)), ROWS_IN_CACHE):
            some = vectors[first : min(first + ROWS_IN_CACHE, start + ROWS_AT_ONCE)]
            np.copyto(wide[: len(some)], some)
            np.vecdot(wide[: len(some)], unit, out=found[first : first + len(some)])

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(part, range(0, len(vectors), ROWS_AT_ONCE)))
    return found


class MapArrays:
    """The packed arrays of one atlas version, each made when it is first asked for; for any thread."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas
        self._packed: dict[tuple[str, bool], Packed] = {}
        self._lock = Lock()

    @cached_property
    def order(self) -> npt.NDArray[np.int32]:
        """The row of the atlas behind each row of the map; int32 (n,)."""
        return spread(len(self._atlas))

    def meta(self) -> dict[str, Any]:
        """What the map component must know before it fetches.

        The version, the format of its arrays, the number of points, each space's frame, and whether there are
        thumbnails at all.
        """
        spaces = {}
        for name in self._atlas.spaces:
            frame = quantize(self._atlas.space(name).points)
            radius = self._atlas.space(name).radius
            spaces[name] = {"center": frame.center.tolist(), "scale": frame.scale, "radius": radius}
        return {
            "version": self._atlas.version,
            "arrays": FORMAT,
            "n": len(self._atlas),
            "spaces": spaces,
            "pictures": self._atlas.has_thumbnails,
        }

    def points(self, space: str, *, planes: bool = False) -> Packed:
        """int16 (n, 3), quantized."""
        return self._once(f"points {space}", lambda: quantize(self._atlas.space(space).points).q, planes)

    def clusters(self, space: str, *, planes: bool = False) -> Packed:
        """int32 (n,), the coarse clusters; -1 = in none."""
        return self._once(f"cluster {space}", lambda: self._atlas.space(space).cluster.astype("<i4"), planes)

    def subclusters(self, space: str, *, planes: bool = False) -> Packed:
        """int32 (n,), the fine clusters; -1 = in none."""
        return self._once(f"subcluster {space}", lambda: self._atlas.space(space).subcluster.astype("<i4"), planes)

    def overlap(self, space: str, *, planes: bool = False) -> Packed:
        """uint8 (n,), how many of its 15 neighbors the map keeps; 255 = not counted."""
        return self._once(f"overlap {space}", lambda: self._atlas.space(space).overlap, planes)

    def ids(self, *, planes: bool = False) -> Packed:
        """int64 (n,)."""
        return self._once("ids", lambda: self._atlas.ids.astype("<i8"), planes)

    def splits(self, *, planes: bool = False) -> Packed:
        """uint8 (n,), 0 = train, 1 = heldout."""
        return self._once("split", lambda: (~self._atlas.train).astype(np.uint8), planes)

    def pictures(self, *, planes: bool = False) -> Packed:
        """uint8 (n,), 1 where a thumbnail was kept."""
        return self._once("pictures", lambda: self._atlas.with_thumbnails().astype(np.uint8), planes)

    def mask(self, rows: npt.NDArray[np.bool_]) -> Packed:
        """uint8 (n,), 1 where a row of `rows`, bool (n,), is true."""
        return pack(rows.astype(np.uint8)[self.order])

    def rows(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Which rows of the atlas are chosen where some of the map's are; both bool (n,)."""
        found = np.zeros(len(chosen), dtype=np.bool_)
        found[self.order[chosen]] = True
        return found

    def similarity(self, space: str, query: npt.NDArray[np.floating[Any]]) -> Packed:
        """float32 (n,): cosine of every picture to `query` (d,), of any length but zero."""
        unit = (query / np.linalg.norm(query)).astype(np.float32)
        return pack(cosines(self._atlas.space(space).vectors, unit)[self.order])

    def _once(self, name: str, make: Callable[[], npt.NDArray[Any]], planes: bool) -> Packed:
        with self._lock:
            if (name, planes) not in self._packed:
                self._packed[name, planes] = pack(make()[self.order], planes=planes)
            return self._packed[name, planes]
