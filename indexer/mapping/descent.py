"""UMAP's layout of a graph: every edge pulls its two ends together, a few random points push each away, 200 times.

The objective, the sampling of edges and of negatives, the learning rate and the bound on the forces are umap-learn's;
the same start gives a map of the same quality (see benchmarks/maps.py) in about a ninth of the processor time. What
makes the difference: the forces come from a table over the squared distance instead of two powers each, which edge is
due follows from its weight alone instead of two counters an edge, and a point stays in registers while its edges pass.

One thread takes the edges in one order and draws from a generator that is seeded by point and epoch, with no operation
that a processor may fuse or reorder: the same graph and start give the same bytes. Several threads write to one map
without waiting for each other, so that their answers differ from run to run.

Source: McInnes, Healy, Melville 2018 (arXiv 1802.03426), appendix C and algorithm 5; Niu, Recht, Re, Wright 2011,
"Hogwild!" (arXiv 1106.5730) for the threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

REVISION = 1
"""Raised when the same graph and start would give another map; part of a map's key."""
NEGATIVES = 5
"""Random points that push, for every edge that pulls."""
LIMIT = 4.0
"""Of each component of a force."""
EXTENT = 10.0
"""A start is stretched to this many map units along each axis."""

_FINE = 8
_SLOTS = 1 << _FINE
"""Of the table, between a squared distance and its double: a force is off by less than half a percent."""
_LEAST, _MOST = -16, 16
"""The table covers squared distances from 2**-16 to 2**16; beyond, the force is that of the border."""
_TABLE = (_MOST - _LEAST) * _SLOTS
_SHIFT = 23 - _FINE
_FIRST = (127 + _LEAST) << _FINE
"""Where the table begins, in the leading bits of a float32."""
_LOW, _HIGH = np.float32(-LIMIT), np.float32(LIMIT)


@dataclass(frozen=True, slots=True)
class Curve:
    """The likeness of two points at a distance x on the map, 1 / (1 + a x^2b)."""

    a: float
    b: float

    def tables(self) -> npt.NDArray[np.float32]:
        """Pull and push at the middle of every slot, per map unit between two points: float32 (2, slots)."""
        slots = np.arange(_TABLE)
        squared = 2.0 ** (_LEAST + slots // _SLOTS) * (1 + (slots % _SLOTS + 0.5) / _SLOTS)
        spread = 1 + self.a * squared**self.b
        pull = -2 * self.a * self.b * squared ** (self.b - 1) / spread
        push = 2 * self.b / ((0.001 + squared) * spread)
        return np.array([pull, push], dtype=np.float32)


def descend(
    start: npt.NDArray[np.float32], graph: csr_matrix, curve: Curve, epochs: int, seed: int, *, parallel: bool
) -> npt.NDArray[np.float32]:
    """Lay out a graph.

    Args:
        start: float32 (n, 3), stretched to `EXTENT` here; no two rows equal.
        graph: (n, n), symmetric, UMAP's membership strengths.
        curve: of the map.
        epochs: how often the strongest edges pull; an edge of half their weight pulls half as often.
        seed: of the draws.
        parallel: whether all threads share the work; the answer differs from run to run then.

    Returns:
        float32 (n, 3), map units.
    """
    share = (graph.data / graph.data.max(initial=1e-9)).astype(np.float32)
    low, high = start.min(axis=0), start.max(axis=0)
    spread = np.maximum(high - low, np.finfo(np.float32).tiny)
    points = np.ascontiguousarray(EXTENT * (start - low) / spread, dtype=np.float32)
    epoch, tables = _compiled(parallel), curve.tables()
    for number in range(1, epochs):
        rate = np.float32(1 - number / epochs)
        epoch(points, graph.indptr, graph.indices, share, tables, number, rate, np.uint64(seed))
    return points


@cache
def _compiled(parallel: bool) -> Any:  # noqa: ANN401 - numba has no types
    # Points are finite, so nothing need be kept for those that are not; no flag here lets sums be fused or reordered.
    # numba's files know a function by its text alone, so the two cannot both be kept in them.
    return numba.njit(_epoch, parallel=parallel, fastmath={"nnan", "ninf", "nsz"}, cache=not parallel)


@numba.njit(inline="always")
def _slot(squared: Any) -> Any:  # noqa: ANN401 - numba's scalars
    """Where a squared distance stands in the tables: exponent and leading bits of its mantissa."""
    return min(max((np.float32(squared).view(np.int32) >> _SHIFT) - _FIRST, 0), _TABLE - 1)


@numba.njit(inline="always")
def _bound(force: Any) -> Any:  # noqa: ANN401 - numba's scalars
    return min(max(force, _LOW), _HIGH)


@numba.njit(inline="always")
def _seeded(seed: Any, row: Any, epoch: Any) -> Any:  # noqa: ANN401 - numba's scalars
    """A state for the draws of one point in one epoch, by splitmix64 (Steele, Lea, Flood 2014)."""
    state = seed + np.uint64(row) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(epoch) * np.uint64(0xD1B54A32D192ED03)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _epoch(
    points: Any,  # noqa: ANN401 - numba's arrays
    first: Any,  # noqa: ANN401
    ends: Any,  # noqa: ANN401
    share: Any,  # noqa: ANN401
    tables: Any,  # noqa: ANN401
    epoch: int,
    rate: Any,  # noqa: ANN401
    seed: Any,  # noqa: ANN401
) -> None:
    """Every edge that is due pulls both its ends, and its first end is pushed by random points."""
    count = points.shape[0]
    for row in numba.prange(count):
        x, y, z = points[row, 0], points[row, 1], points[row, 2]
        state = _seeded(seed, row, epoch)
        for edge in range(first[row], first[row + 1]):
            times = np.int32(np.float32(epoch) * share[edge])
            if times == np.int32(np.float32(epoch - 1) * share[edge]):
                continue
            end = ends[edge]
            dx, dy, dz = x - points[end, 0], y - points[end, 1], z - points[end, 2]
            force = tables[0, _slot(dx * dx + dy * dy + dz * dz)]
            dx, dy, dz = rate * _bound(force * dx), rate * _bound(force * dy), rate * _bound(force * dz)
            x, y, z = x + dx, y + dy, z + dz
            points[end, 0] -= dx
            points[end, 1] -= dy
            points[end, 2] -= dz
            for _ in range(NEGATIVES - (times == 1)):  # as UMAP counts them: one less for an edge's first pull
                state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                other = np.int64(((state >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32))
                if other == row:
                    continue
                dx, dy, dz = x - points[other, 0], y - points[other, 1], z - points[other, 2]
                force = tables[1, _slot(dx * dx + dy * dy + dz * dz)]
                x += rate * _bound(force * dx)
                y += rate * _bound(force * dy)
                z += rate * _bound(force * dz)
        points[row, 0], points[row, 1], points[row, 2] = x, y, z
