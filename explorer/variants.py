"""Lists of pictures in which variants of one picture stand for it once: skin tones, duplicates, near-duplicates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from explorer.atlas import Atlas
from explorer.errors import QueryError
from explorer.nearest import MAX_K
from explorer.records import Hit
from explorer.search import hits, rows_near

_DEEPER = 4
"""How many times as many pictures are looked at where too few families were among them."""


@dataclass(frozen=True, slots=True)
class Kin:
    """A family among the pictures that were found.

    Attributes:
        hit: its most similar picture.
        others: how many further pictures of the family the atlas has, found or not.
    """

    hit: Hit
    others: int = 0


def folded(atlas: Atlas, hits: Iterable[Hit]) -> tuple[Kin, ...]:
    """The first picture of each family, in the order given."""
    families: dict[str | int, Hit] = {}
    for hit in hits:
        families.setdefault(hit.family or hit.id, hit)
    return tuple(Kin(hit, _others(atlas, hit) if hit.family else 0) for hit in families.values())


def nearest_families(atlas: Atlas, identity: int, space: str, k: int) -> tuple[Kin, ...]:
    """The `k` families nearest to a picture of the atlas, so that no flood of duplicates fills the list.

    Raises:
        QueryError: there is no such picture or space.
    """
    depth = k
    while True:
        depth = min(depth * _DEEPER, MAX_K, len(atlas))
        similarities, rows = rows_near(atlas, identity, space, depth)
        first = np.sort(np.unique(atlas.families[rows], return_index=True)[1])  # places of each family's nearest
        if len(first) >= k or depth >= min(MAX_K, len(atlas)):
            shown = first[:k]
            return folded(atlas, hits(atlas, space, similarities[shown], rows[shown]))


def _others(atlas: Atlas, hit: Hit) -> int:
    try:
        row = atlas.row(hit.id)
    except QueryError:  # a landing that was kept may name a picture that a later version does not have
        return 0
    return int(np.count_nonzero((atlas.families == atlas.families[row]) & ~atlas.denied)) - 1
