"""Vectors in lists, each around a center: what lies in far lists need not be looked at.

Spherical k-means on a seeded sample. Sources: Dhillon & Modha 2001, "Concept decompositions for large sparse text data
using clustering"; for searching by lists, Sivic & Zisserman 2003, "Video Google".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.exact import Vectors, share

ROUNDS = 8
PER_LIST = 64
"""Rows of the sample for every center."""
_BLOCK = 4096
_LEAST_LENGTH = 1e-12

Floats = npt.NDArray[np.float32]
Lists = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """Rows in lists.

    Attributes:
        centers: float32 (l, d), unit length.
        lists: int32 (n,), the list of every row: that of its nearest center.
    """

    centers: Floats
    lists: Lists

    @classmethod
    def of(cls, vectors: Vectors, lists: int, seed: int = 0, *, wide: bool = False) -> Partition:
        """Cut (n, d) unit vectors into lists; there are at most as many as rows.

        Where it is `wide` sums are taken in float64 and centers are rounded to float16: then float16 vectors are cut
        alike on every machine, for the reason that `explorer.exact.cosines` tells.
        """
        found = centers(vectors, min(lists, len(vectors)), seed, wide=wide)
        return cls(found, assigned(vectors, found, wide=wide))

    def members(self) -> list[npt.NDArray[np.int64]]:
        """The rows of each list, ascending."""
        order = np.argsort(self.lists, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.lists, minlength=len(self.centers)))[:-1])


def lists_for(count: int) -> int:
    """How many lists suit so many rows: the power of two nearest to twice the root.

    Measured at 200,000 x 512, where twice as many lists and half as many are both slower at the same recall.
    """
    return 1 << max(round(math.log2(2 * math.sqrt(max(count, 1)))), 0)


def centers(vectors: Vectors, lists: int, seed: int, *, wide: bool = False) -> Floats:
    """Centers float32 (lists, d), unit length, of a sample of (n, d) unit vectors; `lists` is at most n."""
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(vectors))[: lists * PER_LIST]
    sums: npt.NDArray[np.floating[Any]] = np.array(vectors[np.sort(drawn[:lists])], dtype=_sums(wide))
    sample = np.asarray(vectors[np.sort(drawn)], dtype=sums.dtype)
    found = _unit(sums, wide)
    for _ in range(ROUNDS):
        nearest = assigned(sample, found, wide=wide)
        order = np.argsort(nearest, kind="stable")
        filled, starts = np.unique(nearest[order], return_index=True)
        empty = np.setdiff1d(np.arange(lists), filled)
        sums[filled] = np.add.reduceat(sample[order], starts, axis=0)
        sums[empty] = sample[rng.integers(len(sample), size=len(empty))]
        found = _unit(sums, wide)
    return found


def assigned(vectors: Vectors, centers: Floats, *, wide: bool = False) -> Lists:
    """The nearest center of every row of (n, d), int32 (n,)."""
    lists = np.empty(len(vectors), dtype=np.int32)
    around = centers.T.astype(_sums(wide))

    def assign(start: int) -> None:
        block = np.asarray(vectors[start : start + _BLOCK], dtype=around.dtype)
        lists[start : start + _BLOCK] = (block @ around).argmax(axis=1)

    share(assign, range(0, len(vectors), _BLOCK), products=len(vectors) * len(centers))
    return lists


def _sums(wide: bool) -> type[np.float64 | np.float32]:
    return np.float64 if wide else np.float32


def _unit(rows: npt.NDArray[np.floating[Any]], wide: bool) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found = rows / np.maximum(lengths, rows.dtype.type(_LEAST_LENGTH))
    return np.asarray(found.astype(np.float16) if wide else found, dtype=np.float32)
