"""Every picture's nearest training pictures in one space.

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
from explorer.exact import knn
from explorer.partition import PER_LIST, ROUNDS, Partition, lists_for
from indexer.mapping import partitioned
from indexer.mapping.partitioned import SAMPLE, Floats, Lists, Rows

REVISION = 3
"""Raised when the same vectors would give other neighbors; part of the stage's key."""
NO_ROW = -1
EXACT_PAIRS = 25_000**2
"""Up to so many comparisons, those of 25,000 rows, brute force costs ten seconds of a core at 512 dimensions. Lists are
faster from 10,000 rows on, but only by seconds there, and they cost recall."""


class Method(StrEnum):
    """How neighbors were found."""

    EXACT = "exact"
    PARTITIONED = "partitioned"


@dataclass(frozen=True, slots=True)
class NeighborOptions:
    """How neighbors are found.

    Attributes:
        wide: the same on every machine, see `explorer.exact.cosines`; no GPU is asked then.
    """

    wide: bool = False


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
        told = asdict(self)
        return told if self.method is Method.PARTITIONED else {name: told[name] for name in ("method", "recall")}


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
    wide: bool = False,
) -> Neighbors:
    """Find them.

    Args:
        vectors: float16 (n, d), unit length; may be memory-mapped.
        train: bool (n,).
        k: how many.
        asked: rows (q,) whose neighbors to find; None = all.
        exact_pairs: up to so many comparisons they are exact.
        wide: the same on every machine, see `explorer.exact.cosines`; no GPU is asked then.
    """
    rows = np.arange(len(vectors)) if asked is None else np.asarray(asked, dtype=np.int64)
    makers = np.flatnonzero(train)
    if not len(makers) or not len(rows):
        return Neighbors(np.full((len(rows), k), NO_ROW, np.int32), np.full((len(rows), k), -np.inf, np.float32))
    if not wide and indexes.has_gpu():
        return _others(rows, k, indexes.knn_on_gpu(vectors, vectors[rows], k + 1, makers))
    if is_exact_cheaper(len(rows), len(makers), len(vectors), exact_pairs):
        return _others(rows, k, knn(vectors, vectors[rows], k + 1, makers, wide=wide))
    return _in_lists(Lists.of(vectors, makers, wide=wide), makers, rows, k)


def is_exact_cheaper(asked: int, makers: int, count: int, exact_pairs: int = EXACT_PAIRS) -> bool:
    """Whether comparing so many rows with all makers is cheap, or costs less than to cut `count` rows into lists.

    Looking into lists needs the exact neighbors of a sample besides, so for no more rows than that it brings nothing.

    Args:
        asked: how many rows look for others.
        makers: how many training rows there are.
        count: how many rows there are; 0 where lists are known.
        exact_pairs: what is cheap, comparisons; 0 = nothing, so lists are always taken.
    """
    lists = lists_for(makers)
    cutting = lists * (count + ROUNDS * min(lists * PER_LIST, count))
    return asked * makers <= exact_pairs or (exact_pairs > 0 and (asked - SAMPLE) * makers <= cutting)


def _in_lists(lists: Lists, makers: Rows, asked: Rows, k: int) -> Neighbors:
    """Look in near lists, in as many as a sample's exact neighbors need; everywhere for those who find too few."""
    sample = partitioned.drawn(asked)
    truth = _others(asked[sample], k, _among(lists, makers, asked[sample], k))
    probes = lists.probes(asked[sample], truth.rows)
    found = _others(asked, k, lists.nearest(asked, probes, k + 1))
    bereft = np.flatnonzero((found.rows == NO_ROW).any(axis=1))
    rest = _others(asked[bereft], k, _among(lists, makers, asked[bereft], k))
    found.rows[bereft], found.similarities[bereft] = rest.rows, rest.similarities
    recall = partitioned.recall(found.similarities[sample], truth.similarities)
    way = Way(Method.PARTITIONED, round(recall, 4), len(sample), len(lists.members), probes)
    return Neighbors(found.rows, found.similarities, way, lists.partition)


def _among(lists: Lists, makers: Rows, asked: Rows, k: int) -> tuple[Floats, Rows]:
    """The exact k + 1 nearest."""
    return knn(lists.vectors, lists.vectors[asked], k + 1, makers, wide=lists.wide)


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
