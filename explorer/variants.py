"""Lists of pictures in which variants of one picture stand for it once: skin tones, duplicates, near-duplicates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.errors import QueryError
from explorer.nearest import MAX_K, VectorIndex
from explorer.records import Hit, Split
from explorer.search import Mask, hits

_DEEPER = 4
"""How many times as many pictures are looked at where too few families were among them."""

Vectors = npt.NDArray[np.floating[Any]]
Similarities = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


def folded(atlas: Atlas, hits: Iterable[Hit]) -> tuple[Hit, ...]:
    """The first picture of each family, in the order given, with the variants that the atlas has of it now."""
    families: dict[str | int, Hit] = {}
    for hit in hits:
        families.setdefault(hit.family or hit.id, hit)
    first = list(families.values())
    others = _others(atlas, np.array([_family(atlas, hit) for hit in first], np.int32))
    return tuple(replace(hit, variants=count) for hit, count in zip(first, others, strict=True))


def nearest_families(atlas: Atlas, identity: int, space: str, k: int) -> tuple[Hit, ...]:
    """The `k` families nearest to a picture of the atlas, so that no flood of duplicates fills the list.

    Raises:
        QueryError: there is no such picture or space.
    """
    row, data = atlas.row(identity), atlas.space(space)
    allowed = atlas.allowed(Split.TRAIN)
    allowed[row] = False
    return families_near(atlas, space, data.vectors[row], k, allowed)


def families_near(
    atlas: Atlas,
    space: str,
    vector: Vectors,
    k: int,
    allowed: Mask,
    found: tuple[Similarities, Rows] | None = None,
) -> tuple[Hit, ...]:
    """The `k` families nearest to a vector, each by its most similar picture.

    Args:
        atlas: the atlas.
        space: one of its spaces.
        vector: (d,), of any length.
        k: how many; fewer where there are fewer.
        allowed: bool (n,), the pictures that may be found.
        found: cosines and rows (m,) of the nearest allowed pictures, as many as are known already.
    """

    def near(depth: int) -> tuple[Similarities, Rows]:
        similarities, rows = VectorIndex.open(atlas, space).search(vector, min(depth, MAX_K), allowed)
        return similarities[0], rows[0]

    most = min(MAX_K, int(np.count_nonzero(allowed)))
    similarities, rows = found or near(_DEEPER * k)
    while True:
        first = np.sort(np.unique(atlas.families[rows], return_index=True)[1])[:k]  # places of each family's nearest
        if len(first) == k or len(rows) >= most:
            kept = hits(atlas, space, similarities[first], rows[first])
            others = _others(atlas, atlas.families[rows[first]])
            return tuple(replace(hit, variants=count) for hit, count in zip(kept, others, strict=True))
        similarities, rows = near(_DEEPER * len(rows))


def _others(atlas: Atlas, families: npt.NDArray[np.int32]) -> list[int]:
    """How many further pictures the atlas shows of families (k,) that it shows one of; of a negative one none."""
    gone = atlas.families[np.flatnonzero(atlas.denied)]
    counts = atlas.family_sizes[families] - np.count_nonzero(families[:, None] == gone, axis=1) - 1
    others: list[int] = np.where(families < 0, 0, counts).tolist()
    return others


def _family(atlas: Atlas, hit: Hit) -> int:
    """The code of a picture's family; -1 where it has none, or is not there."""
    if hit.family is None:
        return -1
    try:
        return int(atlas.families[atlas.row(hit.id)])
    except QueryError:  # a landing that was kept may name a picture that a later version does not have
        return -1
