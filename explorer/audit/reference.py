"""What a set of pictures is held against: training pictures, and held-out ones beside them, one of each family.

Variants of one picture would make the balls around it tiny and let it count many times; so a family has one voice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.records import Split

MOST = 10_000
"""Pictures of a set that are compared: as many as Naeem 2020 takes."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Rows of an atlas, ascending, one of each family.

    Attributes:
        train: training pictures, int64 (n,), at most `MOST`.
        heldout: held-out ones, int64 (p,), at most `MOST`; empty where nothing is held out.
        families: of all the training pictures that may be shown.
    """

    train: Rows
    heldout: Rows
    families: int


def reference(atlas: Atlas, seed: int = 0, most: int = MOST) -> Reference:
    """Draw the reference of an atlas."""
    train = one_a_family(atlas, Split.TRAIN, seed)
    heldout = one_a_family(atlas, Split.HELDOUT, seed)
    return Reference(sample(train, most, seed), sample(heldout, most, seed), len(train))


def one_a_family(atlas: Atlas, split: Split, seed: int = 0) -> Rows:
    """A random picture of each family of a split, int64 (f,), ascending."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(atlas.allowed(split)))
    return np.sort(rows[np.unique(atlas.families[rows], return_index=True)[1]])


def sample(rows: Rows, most: int, seed: int = 0) -> Rows:
    """At most so many of some rows, ascending."""
    return rows if len(rows) <= most else np.sort(np.random.default_rng(seed).permutation(rows)[:most])
