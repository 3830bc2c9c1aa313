"""One space of an atlas: its vectors, its map, and how near is near in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from explorer.errors import AtlasError
from explorer.layout import ADDED_ARRAYS, SPACE_ARRAYS, UNMEASURED, VersionPaths

_RADIUS_PERCENTILE = 99
_MAPPED = frozenset({"vectors", "points", "neighbors", "distances"})
"""What grows with the corpus and is read here and there."""


@dataclass(frozen=True, eq=False)
class SpaceData:
    """One space of an atlas and its map.

    Attributes:
        name: the space's name.
        vectors: float16 (n, d), unit length, memory-mapped.
        mean: float32 (d,), what was subtracted before normalizing; zeros in `clip`.
        points: float32 (n, 3), map units, memory-mapped.
        cluster: int32 (n,), the coarse level, -1 = in no cluster.
        subcluster: int32 (n,), the fine level, -1 = in none; each inside one coarse cluster.
        neighbors: int32 (n, 15), rows, nearest first, memory-mapped.
        distances: float32 (n, 15), cosine distance to them, memory-mapped.
        baseline: float32 (m,), ascending: each training picture's similarity to its nearest outside its family.
        weights: float32 (m,), of the same pictures: 1 over how many of them are of its family; 0 = not known.
        overlap: uint8 (n,), how many of `neighbors` are among as many nearest on the map; `UNMEASURED` = not counted.
        a: UMAP's curve 1 / (1 + a x^2b), as the map was fitted with.
        b: the same.
    """

    name: str
    vectors: npt.NDArray[np.float16]
    mean: npt.NDArray[np.float32]
    points: npt.NDArray[np.float32]
    cluster: npt.NDArray[np.int32]
    subcluster: npt.NDArray[np.int32]
    neighbors: npt.NDArray[np.int32]
    distances: npt.NDArray[np.float32]
    baseline: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    overlap: npt.NDArray[np.uint8]
    a: float
    b: float

    @cached_property
    def center(self) -> npt.NDArray[np.float64]:
        """The points' centroid, float64 (3,), map units."""
        center: npt.NDArray[np.float64] = self.points.mean(axis=0, dtype=np.float64)
        return center

    @cached_property
    def radius(self) -> float:
        """99th percentile of the points' distance to `center`, map units."""
        return float(np.percentile(np.linalg.norm(self.points - self.center, axis=1), _RADIUS_PERCENTILE))

    def clusters(self, level: int) -> npt.NDArray[np.int32]:
        """int32 (n,), the cluster of each picture on a level, 0 or 1; -1 = in none."""
        return (self.cluster, self.subcluster)[level]

    def kept(self, row: int) -> int | None:
        """How many of a picture's 15 neighbors the map keeps; None where it has fewer, or nobody has counted."""
        is_counted = self.overlap[row] != UNMEASURED and (self.neighbors[row] >= 0).all()
        return int(self.overlap[row]) if is_counted else None

    def percentiles(self, similarities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """0-100: the share of training pictures whose own nearest, its family left out, is less similar than this.

        NaN everywhere where no training picture has a neighbor outside its family.
        """
        if not len(self.baseline):
            return np.full(np.shape(similarities), np.nan)
        return 100.0 * np.searchsorted(self.baseline, similarities, side="left") / len(self.baseline)

    def family_percentiles(self, similarities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """The same with every family counted once: large families stand near each other, and would count for all.

        Pictures that are new, of families of their own, have percentiles evenly from 0 to 100 by this count alone. NaN
        everywhere where the families' weights are not known.
        """
        total = self._below[-1]
        if not total:
            return np.full(np.shape(similarities), np.nan)
        found: npt.NDArray[np.float64] = self._below[np.searchsorted(self.baseline, similarities, side="left")] / total
        return 100.0 * found

    @cached_property
    def _below(self) -> npt.NDArray[np.float64]:
        """float64 (m + 1,): the weight of the first so many of the baseline."""
        return np.concatenate([[0.0], np.cumsum(self.weights[: len(self.baseline)], dtype=np.float64)])


def load_space(version: VersionPaths, name: str, meta: Mapping[str, Any]) -> SpaceData:
    """Map one space of a version; `meta` is its entry in `atlas.json`.

    Raises:
        AtlasError: an array is of another type, or the entry lacks the map's curve.
    """
    arrays: dict[str, Any] = {}
    for array, (dtype, _) in SPACE_ARRAYS.items():
        if array in ADDED_ARRAYS and not version.array(name, array).exists():
            arrays[array] = np.full(len(arrays["points"]), ADDED_ARRAYS[array], dtype)
            continue
        try:
            mode: Literal["r"] | None = "r" if array in _MAPPED else None
            # A view of the base class: every slice of a memmap would cost ten times as much.
            arrays[array] = np.asarray(np.load(version.array(name, array), mmap_mode=mode, allow_pickle=False))
        except (OSError, ValueError) as error:
            raise AtlasError(f"{name}/{array}.npy is damaged ({error}); index the corpus again") from error
        if arrays[array].dtype != dtype:
            raise AtlasError(f"{name}/{array}.npy: expected {dtype}, found {arrays[array].dtype}; index again")
    try:
        a, b = float(meta["a"]), float(meta["b"])
    except (KeyError, TypeError, ValueError) as error:
        raise AtlasError(f"atlas.json: space {name} has no curve a and b; index the corpus again") from error
    return SpaceData(name=name, **arrays, a=a, b=b)
