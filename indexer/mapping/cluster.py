"""Groups of pictures that stand together on a map, in two levels, each with its most central pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from indexer.mapping import density
from indexer.mapping.density import NONE, Levels, Sizes
from indexer.mapping.labels import Groups, Key
from indexer.mapping.phrases import PictureText

REVISION = 4
"""Raised when the same map would give other clusters; part of the stage's key."""
_DENSE = 10
"""Neighbors whose mean distance says how dense a place is."""
_BLOCK = 65_536
"""Rows that vote together."""

_SAMPLE = 4096
"""Rows of a cluster, evenly drawn, that tell where it is densest."""

Codes = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How clusters are found.

    Attributes:
        share: of the training rows that the smallest coarse cluster must hold.
        fine: the same of the smallest fine cluster.
        fewest: pictures in a cluster of either level, whatever the share.
        largest: the share of the training rows that no coarse cluster may exceed, and of a coarse one that no fine may.
        samples: HDBSCAN's min_samples: higher leaves more pictures outside.
        joining: a picture outside all clusters joins the one that holds this share of its nearest pictures.
        exemplars: pictures that show a cluster.
    """

    share: float = 0.005
    fine: float = 0.0005
    fewest: int = 5
    largest: float = 0.5
    samples: int = 1
    joining: float = 0.5
    exemplars: int = 8

    def sizes(self, rows: int) -> Sizes:
        """How large the clusters of so many training rows are."""
        coarse, fine = (max(round(share * rows), self.fewest) for share in (self.share, self.fine))
        return Sizes(coarse, min(fine, coarse), self.largest, self.samples)


@dataclass(frozen=True, slots=True)
class RowCluster:
    """A cluster by rows; `exemplars` the most central first, of different families where there are enough.

    Attributes:
        level: 0 = coarse, 1 = fine.
        parent: the coarse cluster that a fine one is a part of; None of a coarse one.
    """

    level: int
    cluster: int
    parent: int | None
    label: str
    size: int
    exemplars: tuple[int, ...]


def find(
    points: npt.NDArray[np.float32], train: npt.NDArray[np.bool_], neighbors: Codes, options: ClusterOptions
) -> Levels:
    """Find the clusters of the training rows on the map; other rows join by their nearest pictures in the space.

    Args:
        points: float32 (n, 3), map units.
        train: bool (n,).
        neighbors: int32 (n, k), the nearest training rows of every row; -1 where there are fewer.
        options: how.

    Returns:
        the coarse clusters numbered from 0, the largest first; the fine ones numbered from 0 too, in the order of their
        coarse ones and in each the largest first.
    """
    found = density.levels(points[train], options.sizes(int(train.sum())))
    both = Levels(*(np.full(len(points), NONE, dtype=np.int32) for _ in range(2)))
    both.coarse[train], both.fine[train] = found.coarse, found.fine
    both = joined(both, neighbors, options.joining)
    coarse = _renumbered(both.coarse, np.zeros_like(both.coarse))
    return Levels(coarse, _renumbered(both.fine, coarse))


def groups(levels: Levels, points: npt.NDArray[np.float32], families: Codes, texts: Sequence[PictureText]) -> Groups:
    """The clusters of n rows with all that names and exemplars are chosen from; for the arguments see `Groups`."""
    central = {
        Key(level, cluster): central_first(rows, points, families)
        for level, codes in enumerate((levels.coarse, levels.fine))
        for cluster, rows in members(codes)
    }
    return Groups(texts, families, levels.coarse, levels.fine, central)


def listed(groups: Groups, labels: Mapping[Key, str], exemplars: int) -> list[RowCluster]:
    """The clusters of both levels, the coarse ones first, each with so many exemplars."""
    return [
        RowCluster(key.level, key.cluster, groups.parent(key), labels[key], len(rows), tuple(rows[:exemplars].tolist()))
        for key, rows in groups.central.items()
    ]


def joined(levels: Levels, neighbors: Codes, share: float) -> Levels:
    """Clusters of rows (n,); those in none join the one that `share` or more of their neighbors (n, k) are in.

    Who joins a coarse cluster, or was in it, joins that one of its fine clusters of which the same is true.
    """
    coarse, fine = levels.coarse.copy(), levels.fine.copy()
    placed = np.flatnonzero((neighbors >= 0).any(axis=1))
    for start in range(0, len(placed), _BLOCK):
        rows = placed[start : start + _BLOCK]
        near = neighbors[rows]
        is_near = near >= 0
        around = np.where(is_near, levels.coarse[near], NONE)
        coarse[rows] = np.where(coarse[rows] == NONE, _favorites(around, is_near, share), coarse[rows])
        is_kin = around == coarse[rows][:, None]
        around = np.where(is_near & is_kin, levels.fine[near], NONE)
        is_open = (fine[rows] == NONE) & (coarse[rows] != NONE)
        fine[rows] = np.where(is_open, _favorites(around, is_near, share), fine[rows])
    return Levels(coarse, fine)


def _favorites(around: Codes, is_near: npt.NDArray[np.bool_], share: float) -> Codes:
    """The cluster that most of each row's neighbors (m, k) are in, int32 (m,), where it is `share` of them or more."""
    votes = (around[:, :, None] == around[:, None, :]).sum(axis=2, dtype=np.int32) * (around != NONE)
    favorite = np.take_along_axis(around, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
    is_joining = votes.max(axis=1) >= np.maximum(share * is_near.sum(axis=1), 1)
    return np.where(is_joining, favorite, NONE).astype(np.int32)


def _renumbered(codes: Codes, above: Codes) -> Codes:
    """Number clusters anew, in the order of the clusters `above` (n,) that they are in, the largest first."""
    rows = np.flatnonzero(codes != NONE)
    sizes = np.bincount(codes[rows])
    parents = np.zeros(len(sizes), np.int64)
    parents[codes[rows]] = above[rows]
    rank = np.empty(len(sizes) + 1, dtype=np.int32)
    rank[np.lexsort((-sizes, parents))] = np.arange(len(sizes))
    rank[NONE] = NONE
    return rank[codes]


def members(codes: Codes) -> Iterator[tuple[int, Numbers]]:
    """Each cluster and its rows, ascending."""
    order = np.argsort(codes, kind="stable")
    numbers, starts = np.unique(codes[order], return_index=True)
    for number, rows in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        if number != NONE:
            yield number, rows


def central_first(rows: Numbers, points: npt.NDArray[np.float32], families: Codes) -> Numbers:
    """The rows of a cluster by their distance to where it is densest; the first of each family, then the others."""
    some = rows[:: -(-len(rows) // _SAMPLE)]
    near = cKDTree(points[some]).query(points[some], min(_DENSE, len(some)))[0].reshape(len(some), -1)
    peak = points[some[near.mean(axis=1).argmin()]]
    ordered = rows[np.argsort(np.linalg.norm(points[rows] - peak, axis=1), kind="stable")]
    first = np.sort(np.unique(families[ordered], return_index=True)[1])
    return np.concatenate([ordered[first], np.delete(ordered, first)])
