"""Where a new vector stands on a finished map: first between its neighbors, then moved as UMAP would move it.

The map is fixed, and every new point is placed by itself, so one answer never depends on what else was asked. Against
`UMAP.transform`, whose objective this is: the weights are the same; attraction is applied in expectation instead of by
sampled edges; repulsion comes from the nearest points of the map instead of a random few, since its force falls with
the distance, and never from the neighbors themselves, so that a copy can stand on its original. So there is no chance
in it, and no fitted model to keep.

Source: McInnes, Healy, Melville 2018, "UMAP: Uniform Manifold Approximation and Projection" (arXiv 1802.03426),
sections 3.1 and 3.2, and the forces of its appendix C.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.errors import QueryError
from explorer.layout import NEIGHBORS
from explorer.nearest import VectorIndex
from explorer.records import Split

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]

REVISION = 3
"""Raised when the same neighbors would be placed elsewhere; part of a map's key."""
ITERATIONS = 30
LEARNING_RATE = 1.0
REPELLING = 64
"""Points of the map that push a new one away: this many, the nearest."""
NEGATIVE_RATE = 5.0
"""UMAP draws this many negative samples for every attracted one."""
FORCE_LIMIT = 4.0
"""UMAP's bound on each component of the force between two points."""
_SOFT = 0.001
"""UMAP's, by which no push becomes endless."""

_BLOCK = 1024
_SEARCH_STEPS = 32
_LEAST_SIGMA, _MOST_SIGMA = 1e-9, 8.0
_ROUNDING = 1e-9
"""By which two sums of the same distance may differ, relative to it."""


class Placer:
    """A map that stands still and takes new points."""

    def __init__(self, points: Floats, train: Mask, a: float, b: float, *, settle: bool = True) -> None:
        """Prepare the map.

        Args:
            points: (n, 3), map units, every row of the atlas.
            train: (n,), the rows that made the map; only they push a new point away.
            a: of the map's curve 1 / (1 + a x^2b).
            b: the same.
            settle: whether to move a point after weighing its neighbors; False for a map that UMAP did not make.
        """
        self._points = np.asarray(points, dtype=np.float64)
        self._a, self._b, self._is_settling = a, b, settle
        self._maker_rows = np.flatnonzero(train)
        self._makers, self._others = tree(self._points[train]), tree(self._points[~train])

    def place(self, rows: Integers, similarities: Floats) -> npt.NDArray[np.float32]:
        """Place new vectors by their neighbors.

        Args:
            rows: (q, k), rows of the nearest training pictures, most similar first; -1 fills up where there are fewer.
            similarities: (q, k), the cosines to them.

        Returns:
            float32 (q, 3), map units.
        """
        placed = np.empty((len(rows), 3), dtype=np.float32)
        for start in range(0, len(rows), _BLOCK):
            block = slice(start, start + _BLOCK)
            weights = fuzzy_weights(similarities[block], rows[block] >= 0)
            neighbors = self._points[rows[block]]
            points = np.einsum("qk,qkd->qd", weights, neighbors) / weights.sum(axis=1)[:, None]
            placed[block] = self._settled(points, rows[block], weights) if self._is_settling else points
        return placed

    def distances(self, points: Floats) -> npt.NDArray[np.float32]:
        """Distance from each of `points` (q, 3) to the nearest point of the map, float32 (q,), map units."""
        nearest = np.minimum(self._makers.query(points)[0], self._others.query(points)[0])
        return np.asarray(nearest, dtype=np.float32)

    def kept(self, points: Floats, rows: Integers) -> npt.NDArray[np.uint8]:
        """How many of new points' nearest training pictures are among as many nearest on the map, uint8 (q,).

        Args:
            points: (q, 3), map units.
            rows: (q, k), the nearest training pictures by the vectors.
        """
        count = rows.shape[1]
        reach = self._makers.query(points, count)[0].reshape(len(points), count)[:, -1]
        return kept(np.asarray(points, dtype=np.float64), self._points[rows], np.ones(rows.shape, np.bool_), reach)

    def _settled(self, points: Floats, rows: Integers, weights: Floats) -> Floats:
        """Move (q, 3) points downhill on UMAP's cross entropy, under their neighbors' pull and the others' push."""
        makers = min(REPELLING, self._makers.n)
        nearest = self._maker_rows[self._makers.query(points, makers)[1].reshape(len(points), makers)]
        is_other = ~(nearest[:, :, None] == rows[:, None, :]).any(axis=2)
        push = is_other * weights.sum(axis=1)[:, None] * (NEGATIVE_RATE / self._makers.n)
        count, around = rows.shape[1], self._points[np.concatenate([rows, nearest], axis=1)]
        for step in range(ITERATIONS):
            forces = self._forces(points, around, count)
            pull = np.einsum("qk,qkd->qd", weights, forces[:, :count])
            pushed = np.einsum("qm,qmd->qd", push, forces[:, count:])
            points = points + LEARNING_RATE * (1 - step / ITERATIONS) * (pull + pushed)
        return points

    def _forces(self, points: Floats, around: Floats, count: int) -> Floats:
        """The force (q, c, 3) of each of (q, c, 3) points of the map: the first `count` pull, the others push."""
        apart = points[:, None, :] - around
        squared = np.einsum("qcd,qcd->qc", apart, apart)
        squared[:, :count] += np.finfo(np.float64).tiny
        power = self._a * squared**self._b
        strength = 2 * self._b / (power + 1)
        strength[:, :count] *= -power[:, :count] / squared[:, :count]
        strength[:, count:] /= _SOFT + squared[:, count:]
        return np.asarray(np.clip(strength[:, :, None] * apart, -FORCE_LIMIT, FORCE_LIMIT))


def kept(points: Floats, near: Floats, is_there: Mask, reach: Floats) -> npt.NDArray[np.uint8]:
    """How many neighbors stand within reach of their points, uint8 (q,).

    Args:
        points: float64 (q, 3), map units.
        near: float64 (q, k, 3), where the neighbors stand.
        is_there: (q, k), False where a point has fewer.
        reach: float64 (q,), map units; whoever stands exactly so far away is within it.
    """
    apart = np.linalg.norm(near - points[:, None, :], axis=2)
    is_kept = is_there & (apart <= reach[:, None] * (1 + _ROUNDING))
    return np.asarray(np.count_nonzero(is_kept, axis=1), dtype=np.uint8)


def tree(points: Floats) -> cKDTree:
    """A tree of (n, 3) points with cells cut in the middle: made in half the time of scipy's usual, asked in as much.

    A million points take a quarter of a second, and the first placement in a process waits for them.
    """
    from scipy.spatial import cKDTree  # a quarter of a second, for which no search waits

    return cKDTree(points, balanced_tree=False, compact_nodes=False)


def fuzzy_weights(similarities: Floats, present: Mask) -> npt.NDArray[np.float64]:
    """UMAP's membership strengths of new points: exp(-d / sigma), with sigma such that a row sums to log2(k).

    d is the cosine distance. As in `UMAP.transform`, no neighbor is taken as certain (rho is 0), so that a copy of
    one picture is still drawn to all the others around it, as that picture is.

    Args:
        similarities: (q, k), cosines.
        present: (q, k), False where a row has fewer neighbors.

    Returns:
        float64 (q, k), 0 where absent.
    """
    distances = np.where(present, np.maximum(1 - np.asarray(similarities, dtype=np.float64), 0), np.inf)
    goal = np.log2(np.maximum(present.sum(axis=1), 2))
    low, high = np.full(len(distances), _LEAST_SIGMA), np.full(len(distances), _MOST_SIGMA)
    for _ in range(_SEARCH_STEPS):
        sigma = np.sqrt(low * high)
        too_wide = np.exp(-distances / sigma[:, None]).sum(axis=1) > goal
        low, high = np.where(too_wide, low, sigma), np.where(too_wide, sigma, high)
    return np.asarray(np.exp(-distances / high[:, None]))


def placer(atlas: Atlas, space: str) -> Placer:
    """The placer of one of an atlas's maps, made once and kept as long as the atlas is."""
    with _lock:
        made = _placers.setdefault(atlas, {})
        if space not in made:
            data = atlas.space(space)
            is_umap = atlas.meta["spaces"][space].get("layout", "umap") == "umap"
            made[space] = Placer(data.points, atlas.train, data.a, data.b, settle=is_umap)
        return made[space]


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """New vectors on a map, and the training pictures that put them there.

    Attributes:
        points: float32 (q, 3), map units.
        rows: int64 (q, k), rows of the nearest training pictures, most similar first.
        similarities: float32 (q, k), the cosines to them.
    """

    points: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    similarities: npt.NDArray[np.float32]


def place_vectors(
    atlas: Atlas, space: str, vectors: Floats, *, k: int = NEIGHBORS, exclude_family: int | None = None
) -> Placed:
    """Place vectors on a map by their nearest training pictures.

    Args:
        atlas: the atlas.
        space: one of its spaces.
        vectors: (q, d), centered where the space is, of any length.
        k: how many neighbors to tell of; the first `NEIGHBORS` place.
        exclude_family: a code of `atlas.families` whose pictures are left out.

    Raises:
        QueryError: a vector has no direction, or no training picture is left.
    """
    allowed = atlas.allowed(Split.TRAIN)
    if exclude_family is not None:
        allowed &= atlas.families != exclude_family
    similarities, rows = VectorIndex.open(atlas, space).search(vectors, max(k, NEIGHBORS), allowed)
    if not rows.shape[1]:
        raise QueryError("found no training picture to place this by; index a corpus with some")
    points = placer(atlas, space).place(rows[:, :NEIGHBORS], similarities[:, :NEIGHBORS])
    return Placed(points, rows[:, :k], similarities[:, :k])


_lock = threading.Lock()
_placers: WeakKeyDictionary[Atlas, dict[str, Placer]] = WeakKeyDictionary()
