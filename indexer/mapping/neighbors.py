"""Every picture's nearest training pictures in one space, and how near training pictures come to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.nearest import knn, normalized

REVISION = 1
"""Raised when the same vectors would give other neighbors; part of the stage's key."""
NO_ROW = -1
_BLOCK = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Neighbors:
    """The nearest training rows of every row, itself left out.

    Attributes:
        rows: int32 (n, k), nearest first; -1 where the training set has fewer.
        similarities: float32 (n, k), the cosines to them; -inf where there is none.
    """

    rows: npt.NDArray[np.int32]
    similarities: npt.NDArray[np.float32]

    @property
    def distances(self) -> npt.NDArray[np.float32]:
        """float32 (n, k), cosine distances, never below 0; inf where there is none."""
        return np.maximum(1 - self.similarities, 0, dtype=np.float32)


def find(
    vectors: npt.NDArray[np.float16],
    train: npt.NDArray[np.bool_],
    k: int,
    asked: npt.NDArray[np.integer[Any]] | None = None,
) -> Neighbors:
    """Find them, exactly.

    Args:
        vectors: float16 (n, d), unit length.
        train: bool (n,).
        k: how many.
        asked: rows (q,) whose neighbors to find; None = all.
    """
    asked = np.arange(len(vectors)) if asked is None else asked
    makers = np.flatnonzero(train)
    found = min(k + 1, len(makers))
    if not found or not len(asked):
        return Neighbors(
            np.full((len(asked), k), NO_ROW, dtype=np.int32), np.full((len(asked), k), -np.inf, dtype=np.float32)
        )
    similarities, places = knn(vectors[makers], vectors[asked], found)
    rows = makers[places].astype(np.int32)
    is_self = rows == asked[:, None]
    # A picture with k twins may not be among its own nearest; then its last neighbor goes instead of itself.
    is_self[~is_self.any(axis=1) & (found > k), -1] = True
    order = np.argsort(is_self, axis=1, kind="stable")
    gone = np.take_along_axis(is_self, order, axis=1)
    rows = np.where(gone, NO_ROW, np.take_along_axis(rows, order, axis=1))
    similarities = np.where(gone, -np.inf, np.take_along_axis(similarities, order, axis=1))
    missing = max(k - found, 0)
    return Neighbors(
        np.pad(rows, ((0, 0), (0, missing)), constant_values=NO_ROW)[:, :k].astype(np.int32),
        np.pad(similarities, ((0, 0), (0, missing)), constant_values=-np.inf)[:, :k].astype(np.float32),
    )


def baseline(
    vectors: npt.NDArray[np.float16],
    train: npt.NDArray[np.bool_],
    families: npt.NDArray[np.int32],
    neighbors: Neighbors,
) -> npt.NDArray[np.float32]:
    """How near training pictures come to each other: each one's cosine to its nearest outside its family.

    Args:
        vectors: float16 (n, d), unit length.
        train: bool (n,).
        families: int32 (n,), equal where two rows are of one family.
        neighbors: of the same rows.

    Returns:
        float32 (m,), ascending; without the rows that have nobody outside their family.
    """
    makers = np.flatnonzero(train)
    rows = neighbors.rows[makers]
    stranger = (rows != NO_ROW) & (families[rows] != families[makers][:, None])
    first = stranger.argmax(axis=1)
    nearest = np.where(stranger.any(axis=1), neighbors.similarities[makers, first], np.nan)
    hidden = np.flatnonzero(~stranger.any(axis=1))
    base = vectors[makers].astype(np.float32) if len(hidden) else np.empty((0, 0), np.float32)
    for start in range(0, len(hidden), _BLOCK):
        block = hidden[start : start + _BLOCK]
        similarities = normalized(base[block]) @ base.T
        similarities[families[makers][block][:, None] == families[makers][None, :]] = -np.inf
        nearest[block] = similarities.max(axis=1)
    return np.sort(nearest[np.isfinite(nearest)]).astype(np.float32)
