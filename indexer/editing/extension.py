"""A space with more pictures: nothing is fitted anew, the new ones stand where the old ones put them.

A new picture is placed, and joins a cluster, by the rule for held-out ones: by its nearest among the pictures that made
the map. Old rows keep vector, point and cluster; new training pictures may be among their nearest, and count in the
baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.errors import BuildError
from explorer.exact import knn
from explorer.layout import NEIGHBORS
from explorer.placement import Placer
from indexer.editing.contents import Arrays
from indexer.editing.subset import cosines
from indexer.mapping import cluster, neighbors
from indexer.mapping.baseline import baseline
from indexer.mapping.density import NONE, Levels
from indexer.mapping.neighbors import NO_ROW, Neighbors
from indexer.mapping.overlap import overlap
from indexer.mapping.project import Layout

REVISION = 4
"""Raised when the same new pictures would stand elsewhere; part of the stage's key."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of a longer version: n old ones, then m new ones.

    Attributes:
        train: bool (n + m,).
        families: int32 (n + m,), equal where two rows are of one family.
        makers: bool (n,), the old rows that the maps were fitted on.
    """

    train: Mask
    families: npt.NDArray[np.int32]
    makers: Mask


def extended(
    arrays: Arrays, added: npt.NDArray[np.float16], rows: Rows, meta: Mapping[str, Any], joining: float
) -> Arrays:
    """The arrays of a space with new rows behind the old ones.

    Args:
        arrays: of the n old rows.
        added: float16 (m, d), the vectors of the new ones, in the frame of the old.
        rows: the old and the new ones.
        meta: what `atlas.json` says of the space.
        joining: see `indexer.mapping.cluster.ClusterOptions`.

    Raises:
        BuildError: no picture is left of those that made the map.
    """
    count = len(rows.makers)
    vectors = np.concatenate([arrays["vectors"], added])
    guides = _guides(arrays["vectors"], rows.makers, added)
    placer = Placer(arrays["points"], rows.makers, meta["a"], meta["b"], settle=meta.get("layout") != Layout.PCA)
    around = np.full((len(vectors), guides.rows.shape[1]), NO_ROW, dtype=np.int32)
    around[count:] = guides.rows
    outside = np.full(len(added), NONE, dtype=np.int32)
    before = Levels(*(np.concatenate([arrays[name], outside]) for name in ("cluster", "subcluster")))
    joined = cluster.joined(before, around, joining)
    near = _near(arrays, vectors, rows)
    points = np.concatenate([arrays["points"], placer.place(guides.rows, guides.similarities)])
    usual = baseline(vectors, rows.train, rows.families, Neighbors(near.rows, cosines(vectors, near.rows)))
    return {
        "vectors": vectors,
        "mean": arrays["mean"],
        "points": points,
        "cluster": joined.coarse,
        "subcluster": joined.fine,
        "neighbors": near.rows,
        "distances": near.distances,
        "baseline": usual.similarities,
        "weights": usual.weights,
        "overlap": overlap(points, rows.train, near.rows),
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Near:
    """The nearest training rows of every row, and the distances to them; as `SPACE_ARRAYS` has them."""

    rows: npt.NDArray[np.int32]
    distances: npt.NDArray[np.float32]


def _guides(vectors: npt.NDArray[np.float16], makers: Mask, added: npt.NDArray[np.float16]) -> Neighbors:
    """The nearest of those who made the map, of every new row."""
    rows = np.flatnonzero(makers)
    if not len(rows):
        raise BuildError("none of the pictures that made the map is left; index the corpus again, without --append")
    similarities, found = knn(vectors, added, NEIGHBORS, rows)
    return Neighbors(found.astype(np.int32), similarities)


def _near(arrays: Arrays, vectors: npt.NDArray[np.float16], rows: Rows) -> _Near:
    """The nearest among old and new training rows: of the new rows found, of the old ones the new put in between."""
    count = len(rows.makers)
    found = neighbors.find(vectors, rows.train, NEIGHBORS, np.arange(count, len(vectors)))
    near, distances = np.asarray(arrays["neighbors"]), np.asarray(arrays["distances"])
    joining = count + np.flatnonzero(rows.train[count:])
    if len(joining):
        similarities, found_by = knn(vectors, vectors[:count], NEIGHBORS, joining)
        both = np.concatenate([distances, np.maximum(1 - similarities, 0)], axis=1)
        order = np.argsort(both, axis=1, kind="stable")[:, :NEIGHBORS]
        near = np.take_along_axis(np.concatenate([near, found_by], axis=1), order, axis=1)
        distances = np.take_along_axis(both, order, axis=1)
    return _Near(
        np.concatenate([near, found.rows]).astype(np.int32),
        np.concatenate([distances, found.distances]).astype(np.float32),
    )
