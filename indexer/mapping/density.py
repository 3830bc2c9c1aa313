"""Where points stand dense: two nested levels of clusters, the finer inside the coarser, out of one tree of distances.

Sources: HDBSCAN, Campello, Moulavi, Sander 2013, "Density-based clustering based on hierarchical density estimates"
(doi 10.1007/978-3-642-37456-2_14), section 4 for the excess of mass. The spanning tree and its condensed hierarchies
are fast-plscan's, in C++: a million points take half a minute of one core, and nothing is compiled when it is first
asked, which takes fast_hdbscan 50 s; scikit-learn's HDBSCAN, whose clusters these are to the point, is quadratic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NONE = -1
"""The cluster of a point that is in none."""

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large clusters are.

    Attributes:
        coarse: the fewest points of a coarse cluster.
        fine: the fewest of a fine one; not more than `coarse`.
        largest: the share of all points that no coarse cluster may exceed, and of a coarse one's that no fine may.
        samples: a point's density is told by its distance to this neighbor; higher leaves more points outside.
    """

    coarse: int
    fine: int
    largest: float
    samples: int


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """The clusters of some points, -1 = in none.

    Attributes:
        coarse: int32 (n,).
        fine: int32 (n,); all points of one fine cluster are in one coarse one.
    """

    coarse: npt.NDArray[np.int32]
    fine: npt.NDArray[np.int32]


def levels(points: npt.NDArray[np.float32], sizes: Sizes) -> Levels:
    """Find the clusters of points (n, 3), by HDBSCAN at two sizes; the finer ones are those inside each coarse one."""
    if len(points) < 2 * sizes.coarse:
        nothing = np.full(len(points), NONE, np.int32)
        return Levels(nothing, nothing)
    from fast_plscan import compute_mutual_spanning_tree

    contiguous = np.ascontiguousarray(points, dtype=np.float32)
    spanning = compute_mutual_spanning_tree(contiguous, min_samples=sizes.samples)[1]
    tree = _Tree.of(spanning, len(points), sizes.coarse)
    # an evenly dense map would come out as one cluster, which says nothing
    coarse = tree.labels(tree.is_inner & (tree.size <= sizes.largest * len(points)))
    tree = _Tree.of(spanning, len(points), sizes.fine)
    fine = tree.labels(_inside(tree, coarse, sizes.largest))
    return Levels(coarse.astype(np.int32), fine.astype(np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class _Tree:
    """HDBSCAN's condensed tree: k possible clusters, each after the one that it splits off from.

    Attributes:
        above: int64 (k,), the cluster that each splits off from; -1 of roots.
        size: int64 (k,), points; 0 of roots.
        mass: float64 (k,), the excess of mass of each.
        home: int64 (n,), the last cluster that each point was in.
    """

    above: Codes
    size: Codes
    mass: npt.NDArray[np.float64]
    home: Codes

    @classmethod
    def of(cls, spanning: Any, count: int, smallest: int) -> _Tree:  # noqa: ANN401 - fast-plscan keeps the class to itself
        """Condense a spanning tree of `count` points to splits into parts of at least `smallest`."""
        from fast_plscan import clusters_from_spanning_forest

        condensed = clusters_from_spanning_forest(spanning, count, min_cluster_size=float(smallest))[4]
        parent = condensed.parent.astype(np.int64) - count
        child = condensed.child.astype(np.int64) - count
        apart = condensed.distance.astype(np.float64)
        # pictures that are the same stand on one point: as dense as the densest that can be told apart
        density = 1 / np.maximum(apart, apart[apart > 0].min(initial=1.0))
        is_cluster = child >= 0
        k = int(max(parent.max(initial=0), child.max(initial=0))) + 1
        above, size, birth = np.full(k, NONE), np.zeros(k, np.int64), np.zeros(k)
        above[child[is_cluster]] = parent[is_cluster]
        size[child[is_cluster]] = condensed.child_size[is_cluster].astype(np.int64)
        birth[child[is_cluster]] = density[is_cluster]
        excess = (density - birth[parent]) * condensed.child_size
        mass = np.bincount(parent, excess, minlength=k).astype(np.float64)
        home = np.zeros(count, np.int64)
        home[child[~is_cluster] + count] = parent[~is_cluster]
        return cls(above, size, mass, home)

    @property
    def is_inner(self) -> Mask:
        """Which clusters are not the whole, bool (k,)."""
        return self.above != NONE

    def labels(self, may_stand: Mask) -> Codes:
        """The clusters of the points, int64 (n,): of those that may stand, the ones with the greatest mass together.

        A cluster stands where its own mass is no less than that of the best inside it.
        """
        within = np.zeros(len(self.above))
        stands = np.zeros(len(self.above), np.bool_)
        for each in range(len(self.above) - 1, -1, -1):
            stands[each] = may_stand[each] and self.mass[each] >= within[each]
            if self.above[each] != NONE:
                within[self.above[each]] += self.mass[each] if stands[each] else within[each]
        standing = np.full(len(self.above), NONE)
        for each, above in enumerate(self.above.tolist()):
            higher = standing[above] if above != NONE else NONE
            standing[each] = higher if higher != NONE else each if stands[each] else NONE
        found = standing[self.home]
        return np.where(found == NONE, NONE, np.searchsorted(np.unique(found[found != NONE]), found))


def _inside(tree: _Tree, coarse: Codes, largest: float) -> Mask:
    """Which clusters of a finer tree lie inside one of the `coarse` ones (n,), without being it; bool (k,).

    Splits that both trees make are the same, so each coarse cluster is a cluster of the finer tree too.
    """
    lowest, highest = np.full(len(tree.above), np.iinfo(np.int64).max), np.full(len(tree.above), NONE)
    np.minimum.at(lowest, tree.home, coarse)
    np.maximum.at(highest, tree.home, coarse)
    for each in range(len(tree.above) - 1, -1, -1):
        above = tree.above[each]
        if above != NONE:
            lowest[above] = min(lowest[above], lowest[each])
            highest[above] = max(highest[above], highest[each])
    whole = np.where(lowest == highest, highest, NONE)
    is_part = (whole != NONE) & tree.is_inner & (whole[tree.above] == whole)
    sizes = np.bincount(coarse[coarse != NONE], minlength=1)
    return is_part & (tree.size <= largest * sizes[whole])
