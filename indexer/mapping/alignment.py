"""One map laid over another, so that the eye can follow a group from the one to the other.

Source: Schonemann 1966, "A generalized solution of the orthogonal Procrustes problem" (doi 10.1007/BF02289451).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

REVISION = 1
"""Raised when the same maps would be laid over each other otherwise; part of a map's key."""

Points = npt.NDArray[np.float32]


def aligned(points: Points, onto: Points, train: npt.NDArray[np.bool_]) -> Points:
    """A map, turned, mirrored and moved to where its rows come nearest to their places on another map; never scaled.

    Args:
        points: float32 (n, 3), map units.
        onto: float32 (n, 3), the other map of the same rows.
        train: bool (n,), the rows that count.

    Returns:
        float32 (n, 3); distances within it are those within `points`.
    """
    if not train.any():
        return points
    here, there = (each[train].mean(axis=0, dtype=np.float64) for each in (points, onto))
    left, _, right = np.linalg.svd((points[train] - here).T @ (onto[train] - there))
    return np.asarray((points - here) @ (left @ right) + there, dtype=np.float32)
