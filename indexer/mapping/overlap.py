"""How true a map is: of every picture's nearest in the space, how many are among its nearest on the map.

Both are looked for among the training pictures, as many on the map as the space gives. The map keeps one where it
stands no farther off than the last of those; so points in one place count alike, whatever order a tree finds them in.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from explorer.exact import share
from explorer.placement import kept, tree
from indexer.mapping.neighbors import NO_ROW

REVISION = 1
"""Raised when the same map and neighbors would give other counts; part of the stage's key."""
_BLOCK = 8192
_COUNTING = 1 << 9
"""Products of rows that take as long as one row does."""


def overlap(
    points: npt.NDArray[np.float32], train: npt.NDArray[np.bool_], neighbors: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint8]:
    """Count, for every row, how many of its neighbors are among as many nearest training rows on the map.

    Args:
        points: float32 (n, 3), map units.
        train: bool (n,).
        neighbors: int32 (n, k), the nearest training rows of every row in the space, k at most 254; -1 where there are
            fewer.

    Returns:
        uint8 (n,).
    """
    places = np.asarray(points, dtype=np.float64)
    others, k = tree(places[train]), neighbors.shape[1]
    counted = np.zeros(len(points), dtype=np.uint8)

    def one(first: int) -> None:
        block = slice(first, first + _BLOCK)
        is_there = neighbors[block] != NO_ROW
        # A training row is the first that it finds itself.
        last = is_there.sum(axis=1) + train[block] - 1
        found = others.query(places[block], k + 1)[0]
        reach = np.take_along_axis(found, np.maximum(last, 0)[:, None], axis=1)[:, 0]
        counted[block] = kept(places[block], places[neighbors[block]], is_there, reach)

    share(one, range(0, len(points), _BLOCK), products=len(points) * _COUNTING)
    return counted


def mean_share(counted: npt.NDArray[np.uint8], neighbors: npt.NDArray[np.int32]) -> float | None:
    """The share of all neighbors that a map keeps, 0-1, four digits; None where nobody has any.

    Args:
        counted: what `overlap` gave.
        neighbors: what it was given.
    """
    there = np.count_nonzero(neighbors != NO_ROW)
    return round(int(counted.sum(dtype=np.int64)) / there, 4) if there else None
