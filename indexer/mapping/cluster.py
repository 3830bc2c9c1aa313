"""Groups of pictures that stand together on a map, by density, each with a label and its most central pictures.

Source: HDBSCAN, Campello, Moulavi, Sander 2013, "Density-based clustering based on hierarchical density estimates"
(doi 10.1007/978-3-642-37456-2_14), through scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from indexer.mapping.labels import Member, PictureText, labels

REVISION = 3
"""Raised when the same map would give other clusters; part of the stage's key."""
NONE = -1
_DENSE = 10
"""Neighbors whose mean distance says how dense a place is."""


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How clusters are found.

    Attributes:
        share: of the training rows that the smallest cluster must hold.
        fewest: pictures in a cluster, whatever the share.
        most: the smallest cluster never has to be larger than this.
        largest: the share of the training rows that no cluster may exceed.
        samples: HDBSCAN's min_samples: higher leaves more pictures outside.
        joining: a picture outside all clusters joins the one that holds this share of its nearest pictures.
        exemplars: pictures that show a cluster.
    """

    share: float = 0.005
    fewest: int = 4
    most: int = 200
    largest: float = 0.5
    samples: int = 1
    joining: float = 0.5
    exemplars: int = 8


@dataclass(frozen=True, slots=True)
class RowCluster:
    """A cluster by rows; `exemplars` the most central first, of different families where there are enough."""

    cluster: int
    label: str
    size: int
    exemplars: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """The clusters of one map.

    Attributes:
        cluster: int32 (n,), -1 = in none.
        clusters: the largest first, numbered from 0.
    """

    cluster: npt.NDArray[np.int32]
    clusters: tuple[RowCluster, ...]


def find(
    points: npt.NDArray[np.float32],
    train: npt.NDArray[np.bool_],
    families: npt.NDArray[np.int32],
    neighbors: npt.NDArray[np.int32],
    texts: Sequence[PictureText],
    options: ClusterOptions,
) -> Clustering:
    """Find the clusters of the training rows on the map; other rows join by their nearest pictures in the space.

    Args:
        points: float32 (n, 3), map units.
        train: bool (n,).
        families: int32 (n,).
        neighbors: int32 (n, k), the nearest training rows of every row; -1 where there are fewer.
        texts: of every row.
        options: how.
    """
    cluster = np.full(len(points), NONE, dtype=np.int32)
    cluster[train] = _density(points[train], options)
    cluster = _by_size(joined(cluster, neighbors, options.joining))
    members = {
        number: central_first(np.flatnonzero(cluster == number), points, families)
        for number in range(int(cluster.max()) + 1)
    }
    named = labels(
        {number: [Member(int(families[row]), texts[row]) for row in rows] for number, rows in members.items()}
    )
    return Clustering(
        cluster,
        tuple(
            RowCluster(number, named[number], len(rows), tuple(int(row) for row in rows[: options.exemplars]))
            for number, rows in members.items()
        ),
    )


def _density(points: npt.NDArray[np.float32], options: ClusterOptions) -> npt.NDArray[np.int64]:
    """HDBSCAN's clusters of (m, 3) points, int64 (m,), -1 = in none."""
    from sklearn.cluster import HDBSCAN

    smallest = int(np.clip(round(options.share * len(points)), options.fewest, options.most))
    if len(points) < 2 * smallest:
        return np.full(len(points), NONE)
    model = HDBSCAN(
        min_cluster_size=smallest,
        min_samples=options.samples,
        # an evenly dense map would come out as one cluster, which says nothing
        max_cluster_size=int(options.largest * len(points)),
        copy=True,
    )
    return np.asarray(model.fit_predict(points.astype(np.float64)))


def joined(cluster: npt.NDArray[np.int32], neighbors: npt.NDArray[np.int32], share: float) -> npt.NDArray[np.int32]:
    """Clusters (n,), with the rows that had none and whose neighbors (n, k), `share` of them or more, are in one."""
    outside = np.flatnonzero(cluster == NONE)
    is_near = neighbors[outside] >= 0
    around = np.where(is_near, cluster[neighbors[outside]], NONE)
    votes = (around[:, :, None] == around[:, None, :]).sum(axis=2) * (around != NONE)
    favorite = np.take_along_axis(around, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
    is_joining = votes.max(axis=1) >= np.maximum(share * is_near.sum(axis=1), 1)
    joined = cluster.copy()
    joined[outside] = np.where(is_joining, favorite, NONE)
    return joined


def _by_size(cluster: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Number clusters anew, the largest first."""
    sizes = np.bincount(cluster[cluster != NONE])
    rank = np.empty(len(sizes) + 1, dtype=np.int32)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    rank[NONE] = NONE
    return rank[cluster]


def central_first(
    rows: npt.NDArray[np.int64], points: npt.NDArray[np.float32], families: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """The rows of a cluster by their distance to where it is densest; the first of each family, then the others."""
    near = cKDTree(points[rows]).query(points[rows], min(_DENSE, len(rows)))[0].reshape(len(rows), -1)
    peak = points[rows[near.mean(axis=1).argmin()]]
    ordered = rows[np.argsort(np.linalg.norm(points[rows] - peak, axis=1), kind="stable")]
    first = np.sort(np.unique(families[ordered], return_index=True)[1])
    return np.concatenate([ordered[first], np.delete(ordered, first)])
