"""Nearest training rows, looked for in near lists alone: approximate, with its recall measured against exact ones.

Rows lie in lists around centers. Every list's rows are compared with all rows of the lists nearest to it, in one
product of matrices, which is how brute force is fast too. How many lists that must be is read off a sample: the exact
neighbors of some rows, and how far down the order of lists each of them lies. So nothing is tried twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.exact import cosines, fitting, largest, share
from explorer.partition import Partition, lists_for

SAMPLE = 1000
LEAST_RECALL = 0.98
"""What is missed then are the farthest of the fifteen, whose edges weigh least in UMAP's graph. The one that counts
most, the nearest, lies in the row's own list or in the next."""
MOST_COMPARED = 50_000
"""Rows that one is compared with at most, however low the recall is then: a bound on the work. For a million rows of
512 dimensions that is ten minutes of a core."""

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Training rows in lists, and for every list the ones nearest to it.

    Attributes:
        vectors: float16 (n, d), unit length; may be memory-mapped.
        partition: of all n rows.
        members: the training rows of each list.
        near: int64 (l, p), lists that hold training rows, nearest first.
        wide: see `explorer.exact.cosines`.
    """

    vectors: npt.NDArray[np.float16]
    partition: Partition
    members: list[Rows]
    near: Rows

    wide: bool = False

    @classmethod
    def of(
        cls, vectors: npt.NDArray[np.float16], makers: Rows, partition: Partition | None = None, *, wide: bool = False
    ) -> Lists:
        """Cut the rows of a space; `makers` are the training rows, `partition` their lists where they are known."""
        partition = partition or Partition.of(vectors, lists_for(len(makers)), wide=wide)
        is_maker = np.zeros(len(vectors), dtype=np.bool_)
        is_maker[makers] = True
        members = [rows[is_maker[rows]] for rows in partition.members()]
        is_empty = np.array([not len(rows) for rows in members])
        most = min(max(len(members) * MOST_COMPARED // len(makers), 1), len(members) - int(is_empty.sum()))
        centers = partition.centers.astype(np.float64)
        between = (centers @ centers.T).astype(np.float32)
        np.fill_diagonal(between, np.inf)  # a list is the nearest to itself, whatever the rounding
        between[:, is_empty] = -np.inf  # lists that hold held-out rows alone are near to nothing
        return cls(vectors, partition, members, largest(between, most)[1], wide)

    def probes(self, rows: Rows, truth: npt.NDArray[np.integer[Any]]) -> int:
        """How many lists hold `LEAST_RECALL` of the neighbors of some rows; all that are allowed, where none do.

        Args:
            rows: some rows (s,).
            truth: (s, k), their exact nearest, -1 where there is none.
        """
        place = self.near[self.partition.lists[rows]][:, None, :] == self.partition.lists[truth][:, :, None]
        found = place[truth >= 0]
        held = np.cumsum(found.sum(axis=0)) / max(len(found), 1)
        return min(int(np.searchsorted(held, LEAST_RECALL)) + 1, self.near.shape[1])

    def each(self, asked: Rows, probes: int, use: Callable[[Rows, Rows, Floats], None]) -> None:
        """Compare rows with the training rows of their nearest lists; on all processors.

        Args:
            asked: rows (q,) of the space.
            probes: how many lists.
            use: called with the places (b,) in `asked` of some rows of one list, the rows (c,) that they are compared
                with, and the cosines float32 (b, c); c may be 0.
        """
        order = np.argsort(self.partition.lists[asked], kind="stable")
        sizes = np.bincount(self.partition.lists[asked], minlength=len(self.members))
        places = np.split(order, np.cumsum(sizes)[:-1])
        held = np.array([len(rows) for rows in self.members])[self.near[:, :probes]].sum(axis=1)

        def compare(number: int) -> None:
            rows = np.concatenate([self.members[near] for near in self.near[number, :probes].tolist()])
            stored = self.vectors[rows].astype(np.float64 if self.wide else np.float32)
            step = fitting(len(rows))
            for start in range(0, len(places[number]), step):
                block = places[number][start : start + step]
                use(block, rows, cosines(self.vectors[asked[block]], stored))

        share(compare, np.flatnonzero(sizes).tolist(), products=int(sizes @ held))

    def nearest(self, asked: Rows, probes: int, k: int) -> tuple[Floats, Rows]:
        """Cosines float32 (q, k), most similar first, and rows int64 (q, k) of the training rows found; -inf and -1."""
        similarities = np.full((len(asked), k), -np.inf, dtype=np.float32)
        found = np.full((len(asked), k), -1, dtype=np.int64)

        def keep(block: Rows, rows: Rows, scores: Floats) -> None:
            values, places = largest(scores, k)
            similarities[block, : values.shape[1]] = values
            found[block, : values.shape[1]] = rows[places]

        self.each(asked, probes, keep)
        return similarities, found


def drawn(asked: Rows, seed: int = 0) -> Rows:
    """Places (s,) in `asked` (q,) to measure recall at, ascending."""
    return np.sort(np.random.default_rng(seed).permutation(len(asked))[:SAMPLE])


def recall(found: Floats, truth: Floats) -> float:
    """The share of the exact neighbors that were found, ties allowed; cosines float32 (s, k), most similar first."""
    there = np.isfinite(truth)
    if not there.any():
        return 1.0
    last = np.where(there, truth, np.inf).min(axis=1, keepdims=True)
    hits = ((found >= last - 1e-6) & np.isfinite(found)).sum(axis=1)
    return float(np.minimum(hits, there.sum(axis=1)).sum() / there.sum())
