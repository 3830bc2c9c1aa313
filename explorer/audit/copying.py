"""Are generated pictures nearer to the training pictures than held-out ones are? A test for data copying.

Held-out pictures are what a generator that had learned and not memorized would draw. Cell by cell of the space, the
distances of both to the nearest training picture are compared by ranks; both are distances to the same training set,
for a larger set is nearer to everything.

Source: Meehan, Chaudhuri, Dasgupta 2020, "A Non-Parametric Test to Detect Data-Copying in Generative Models"
(arXiv 2004.05675), and the authors' code: cells by k-means of the training set, Z_U in each, C_T their mean weighted
by held-out share over the cells with enough generated pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.errors import QueryError
from explorer.exact import knn

FEW = 20
"""Held-out or generated pictures below which a cell, or a whole set, says nothing."""
PER_CELL = 60
"""Held-out pictures and generated ones that there are for every cell."""
MOST_CELLS = 20
_SAMPLE = 20_000
"""Training pictures that k-means sees."""

Floats = npt.NDArray[np.floating[Any]]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cell:
    """A part of the space.

    Attributes:
        train: training pictures in it.
        heldout: held-out pictures in it.
        generated: generated pictures in it.
        z: Z_U there, below 0 where the generated pictures are the nearer; None where it has too few of either.
    """

    train: int
    heldout: int
    generated: int
    z: float | None


@dataclass(frozen=True, slots=True)
class DataCopying:
    """What the test says of one space.

    Attributes:
        c_t: below 0 where generated pictures are nearer to the training pictures than held-out ones are.
        p: how probable so low a C_T is where they are not nearer, from the normal distribution, one-sided.
        nearer: the share of pairs of a generated and a held-out picture of one cell in which the generated one is
            nearer; ties count half. 0.5 says neither.
        train: training pictures.
        heldout: held-out pictures that were compared.
        generated: generated pictures that were compared.
        cells: largest held-out share first.
    """

    c_t: float
    p: float
    nearer: float
    train: int
    heldout: int
    generated: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class _Ranked:
    z: float
    nearer: float


def data_copying(
    train: Floats, heldout: Floats, generated: Floats, *, among: Rows | None = None, seed: int = 0
) -> DataCopying:
    """Test for data copying in one space.

    Args:
        train: (n, d), unit length; may be memory-mapped.
        heldout: (p, d), one picture a family.
        generated: (q, d).
        among: the rows of `train` that are training pictures, ascending; None = all.
        seed: of the cells.

    Raises:
        QueryError: there are too few held-out or generated pictures, in all or in every cell.
    """
    if min(len(heldout), len(generated)) < FEW:
        found = f"{len(heldout):,} held-out and {len(generated):,} generated pictures"
        raise QueryError(f"found {found}; the test expects at least {FEW} of each")
    makers = np.arange(len(train)) if among is None else among
    count = min(MOST_CELLS, len(heldout) // PER_CELL, len(generated) // PER_CELL)
    centers = _centers(train, makers, count, seed)
    home = _cells_of(train, centers)[makers]
    ours, theirs = _cells_of(heldout, centers), _cells_of(generated, centers)
    parts = [
        _part(train, makers[home == cell], heldout[ours == cell], generated[theirs == cell])
        for cell in range(len(centers))
    ]
    used = [(part.cell.heldout, part.ranked) for part in parts if part.ranked]
    if not used:
        raise QueryError(f"found no part of the space with {FEW} held-out and {FEW} generated pictures")
    weights = np.array([held for held, _ in used]) / sum(held for held, _ in used)
    c_t = float(weights @ [ranked.z for _, ranked in used])
    return DataCopying(
        c_t=c_t,
        p=_chance(c_t / float(np.sqrt((weights**2).sum()))),
        nearer=float(weights @ [ranked.nearer for _, ranked in used]),
        train=len(makers),
        heldout=len(heldout),
        generated=len(generated),
        cells=tuple(sorted((part.cell for part in parts), key=lambda cell: -cell.heldout)),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    cell: Cell
    ranked: _Ranked | None


def _part(train: Floats, rows: Rows, heldout: Floats, generated: Floats) -> _Part:
    """Compare the pictures of one cell, if there are enough of them."""
    ranked = None
    if len(rows) and min(len(heldout), len(generated)) >= FEW:
        ranked = _compare(_distances(train, rows, generated), _distances(train, rows, heldout))
    return _Part(Cell(len(rows), len(heldout), len(generated), ranked.z if ranked else None), ranked)


def _centers(train: Floats, makers: Rows, cells: int, seed: int) -> Floats:
    """Where the cells' middles are, (c, d); one for all where there are few pictures."""
    from sklearn.cluster import KMeans  # takes a second, which no other verb waits for

    rows = np.random.default_rng(seed).permutation(makers)[:_SAMPLE]
    sample = np.asarray(train[np.sort(rows)], np.float32)
    means = KMeans(max(cells, 1), n_init=4, random_state=seed).fit(sample)
    return np.asarray(means.cluster_centers_, np.float32)


def _cells_of(vectors: Floats, centers: Floats) -> npt.NDArray[np.int64]:
    """The cell of each vector, int64 (n,): that with the nearest center."""
    found = np.empty(len(vectors), dtype=np.int64)
    squares = np.einsum("cd,cd->c", centers, centers)
    for start in range(0, len(vectors), _SAMPLE):
        some = np.asarray(vectors[start : start + _SAMPLE], np.float32)
        found[start : start + _SAMPLE] = (squares - 2 * some @ centers.T).argmin(axis=1)
    return found


def _distances(train: Floats, rows: Rows, vectors: Floats) -> Floats:
    """The cosine distance of each vector to the nearest of some training rows, (n,)."""
    return np.asarray(1 - knn(train, vectors, 1, rows)[0][:, 0])


def _compare(generated: Floats, heldout: Floats) -> _Ranked:
    """Mann-Whitney's U of distances (m,) against (n,), and its Z under the hypothesis that both are alike."""
    from scipy.stats import rankdata

    m, n = len(generated), len(heldout)
    both = np.concatenate([generated, heldout])
    u = float(rankdata(both)[:m].sum() - m * (m + 1) / 2)
    _, ties = np.unique(both, return_counts=True)
    tied = float((ties**3 - ties).sum()) / ((m + n) * (m + n - 1))
    spread = float(np.sqrt(m * n / 12 * (m + n + 1 - tied)))
    return _Ranked((u - m * n / 2) / spread if spread else 0.0, 1 - u / (m * n))


def _chance(z: float) -> float:
    from scipy.stats import norm

    return float(norm.cdf(z))
