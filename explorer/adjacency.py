"""Who is whose neighbor, seen from both sides: what a search graph walks along."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

_ABOVE_ZERO = np.float32(2)
"""Added to cosines while they lie in a sparse matrix, where zero is nothing."""


def both_ways(similarities: Floats, neighbors: npt.NDArray[np.integer], most: int) -> tuple[Floats, Rows]:
    """Every row's neighbors and those whose neighbor it is, the most similar of them.

    Args:
        similarities: float32 (n, k), cosines.
        neighbors: integers (n, k), rows; -1 where there are fewer.
        most: how many a row keeps.

    Returns:
        cosines float32 (n, most) and rows int64 (n, most), most similar first; -1 fills up both.
    """
    from scipy.sparse import csr_array

    count = len(neighbors)
    known = neighbors >= 0
    starts = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
    one_way = csr_array((similarities[known] + _ABOVE_ZERO, neighbors[known], starts), shape=(count, count))
    graph = csr_array(one_way.maximum(one_way.T))
    row_of = np.repeat(np.arange(count), np.diff(graph.indptr))
    order = np.lexsort((-graph.data, row_of))
    place = np.arange(len(order)) - graph.indptr[row_of]
    kept = place < most
    cosines, rows = np.full((count, most), -1, np.float32), np.full((count, most), -1, np.int64)
    cosines[row_of[kept], place[kept]] = graph.data[order[kept]] - _ABOVE_ZERO
    rows[row_of[kept], place[kept]] = graph.indices[order[kept]]
    return cosines, rows
