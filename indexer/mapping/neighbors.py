"""Every picture's nearest training pictures in one space, and how near training pictures come to each other.

Exact while that is the faster way, and always on CUDA; beyond, in lists, see `indexer.mapping.partitioned`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer import indexes
from explorer.exact import knn, normalized
from explorer.partition import Partition
from indexer.mapping import partitioned
from indexer.mapping.partitioned import Floats, Lists, Rows

REVISION = 2
"""Raised when the same vectors would give other neighbors; part of the stage's key."""
NO_ROW = -1
EXACT_PAIRS = 25_000**2
"""Up to so many comparisons, those of 25,000 rows, brute force costs ten seconds of a core at 512 dimensions. Lists are
faster from 10,000 rows on, but only by seconds there, and they cost recall."""
_BLOCK = 1024
_BASE_BLOCK = 65_536


class Method(StrEnum):
    """How neighbors were found."""

    EXACT = "exact"
    PARTITIONED = "partitioned"


@dataclass(frozen=True, slots=True)
class Way:
    """How neighbors were found, as `atlas.json` says it.

    Attributes:
        method: how.
        recall: the share of the exact neighbors among them, of a sample's.
        sample: how many rows that was measured on; 0 where there was nothing to measure.
        lists: how many lists there are; 0 where there are none.
        probes: how many of them were looked at for each.
    """

    method: Method = Method.EXACT
    recall: float = 1.0
    sample: int = 0
    lists: int = 0
    probes: int = 0

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Way:
        """What `told` gave."""
        return cls(**{**told, "method": Method(told["method"])})

    def told(self) -> dict[str, Any]:
        """As JSON; without what says nothing of an exact way."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True, eq=False)
class Neighbors:
    """The nearest training rows of every row, itself left out.

    Attributes:
        rows: int32 (n, k), nearest first; -1 where the training set has fewer.
        similarities: float32 (n, k), the cosines to them; -inf where there is none.
        way: how they were found.
        partition: the lists of all rows, where they were looked for in lists.
    """

    rows: npt.NDArray[np.int32]
    similarities: npt.NDArray[np.float32]
    way: Way = field(default_factory=Way)
    partition: Partition | None = None

    @property
    def distances(self) -> npt.NDArray[np.float32]:
        """float32 (n, k), cosine distances, never below 0; inf where there is none."""
        return np.maximum(1 - self.similarities, 0, dtype=np.float32)


def find(
    vectors: npt.NDArray[np.float16],
    train: npt.NDArray[np.bool_],
    k: int,
    asked: npt.NDArray[np.integer[Any]] | None = None,
    *,
    exact_pairs: int = EXACT_PAIRS,
) -> Neighbors:
    """Find them.

    Args:
        vectors: float16 (n, d), unit length; may be memory-mapped.
        train: bool (n,).
        k: how many.
        asked: rows (q,) whose neighbors to find; None = all.
        exact_pairs: up to so many comparisons they are exact.
    """
    rows = np.arange(len(vectors)) if asked is None else np.asarray(asked, dtype=np.int64)
    makers = np.flatnonzero(train)
    if not len(makers) or not len(rows):
        return Neighbors(np.full((len(rows), k), NO_ROW, np.int32), np.full((len(rows), k), -np.inf, np.float32))
    if indexes.has_gpu():
        return _others(rows, k, indexes.knn_on_gpu(vectors, vectors[rows], k + 1, makers))
    if len(rows) * len(makers) <= exact_pairs:
        return _others(rows, k, knn(vectors, vectors[rows], k + 1, makers))
    return _in_lists(vectors, makers, rows, k)


def _in_lists(vectors: npt.NDArray[np.float16], makers: Rows, asked: Rows, k: int) -> Neighbors:
    """Look in near lists, in as many as a sample's exact neighbors need."""
    lists = Lists.of(vectors, makers)
    sample = partitioned.drawn(asked)
    truth = _others(asked[sample], k, knn(vectors, vectors[asked[sample]], k + 1, makers))
    probes = lists.probes(asked[sample], truth.rows)
    found = _others(asked, k, lists.nearest(asked, probes, k + 1))
    recall = partitioned.recall(found.similarities[sample], truth.similarities)
    way = Way(Method.PARTITIONED, round(recall, 4), len(sample), len(lists.members), probes)
    return Neighbors(found.rows, found.similarities, way, lists.partition)


def _others(asked: Rows, k: int, found: tuple[Floats, Rows]) -> Neighbors:
    """The k nearest without the row itself, out of the k + 1 nearest (q, k') of the rows asked (q,)."""
    similarities, rows = found
    is_self = (rows == asked[:, None]) | (rows == NO_ROW)
    # A picture with k twins may not be among its own nearest; then its last neighbor goes instead of itself.
    is_self[~is_self.any(axis=1) & (rows.shape[1] > k), -1] = True
    order = np.argsort(is_self, axis=1, kind="stable")
    gone = np.take_along_axis(is_self, order, axis=1)
    rows = np.where(gone, NO_ROW, np.take_along_axis(rows, order, axis=1))
    similarities = np.where(gone, -np.inf, np.take_along_axis(similarities, order, axis=1))
    missing = max(k - rows.shape[1], 0)
    return Neighbors(
        np.pad(rows, ((0, 0), (0, missing)), constant_values=NO_ROW)[:, :k].astype(np.int32),
        np.pad(similarities, ((0, 0), (0, missing)), constant_values=-np.inf)[:, :k].astype(np.float32),
    )


def baseline(
    vectors: npt.NDArray[np.float16],
    train: npt.NDArray[np.bool_],
    families: npt.NDArray[np.int32],
    neighbors: Neighbors,
    *,
    exact_pairs: int = EXACT_PAIRS,
) -> npt.NDArray[np.float32]:
    """How near training pictures come to each other: each one's cosine to its nearest outside its family.

    Args:
        vectors: float16 (n, d), unit length.
        train: bool (n,).
        families: int32 (n,), equal where two rows are of one family.
        neighbors: of the same rows.
        exact_pairs: up to so many comparisons, of those whose neighbors are all of their family, they are exact.

    Returns:
        float32 (m,), ascending; without the rows that have nobody outside their family.
    """
    makers = np.flatnonzero(train)
    rows = neighbors.rows[makers]
    stranger = (rows != NO_ROW) & (families[rows] != families[makers][:, None])
    first = stranger.argmax(axis=1)
    nearest = np.where(stranger.any(axis=1), neighbors.similarities[makers, first], np.float32(-np.inf))
    hidden = np.flatnonzero(~stranger.any(axis=1))
    if len(hidden) * len(makers) > exact_pairs:
        lists = Lists.of(vectors, makers, neighbors.partition)
        nearest[hidden] = _strangers_in_lists(lists, makers[hidden], families, neighbors.way.probes)
        hidden = hidden[~np.isfinite(nearest[hidden])]
    for start in range(0, len(hidden), _BLOCK):
        block = hidden[start : start + _BLOCK]
        nearest[block] = _nearest_strangers(vectors, makers, makers[block], families)
    return np.sort(nearest[np.isfinite(nearest)]).astype(np.float32)


def _strangers_in_lists(lists: Lists, asked: Rows, families: npt.NDArray[np.int32], probes: int) -> Floats:
    """The cosine float32 (q,) of every row asked to its nearest outside its family, in near lists; -inf: none there."""
    nearest = np.full(len(asked), -np.inf, dtype=np.float32)

    def look(block: Rows, others: Rows, scores: Floats) -> None:
        scores[families[asked[block]][:, None] == families[others][None, :]] = -np.inf
        nearest[block] = scores.max(axis=1, initial=-np.inf)

    lists.each(asked, max(probes, 1), look)
    return nearest


def _nearest_strangers(
    vectors: npt.NDArray[np.float16], makers: Rows, asked: Rows, families: npt.NDArray[np.int32]
) -> Floats:
    """The same among all training rows."""
    queries = normalized(vectors[asked])
    nearest = np.full(len(asked), -np.inf, dtype=np.float32)
    for start in range(0, len(makers), _BASE_BLOCK):
        others = makers[start : start + _BASE_BLOCK]
        scores = queries @ vectors[others].astype(np.float32).T
        scores[families[asked][:, None] == families[others][None, :]] = -np.inf
        nearest = np.maximum(nearest, scores.max(axis=1))
    return nearest
