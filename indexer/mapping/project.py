"""A 3D map of one space: UMAP on the training rows, given their neighbors; other rows join as any new picture does.

The graph is umap-learn's, its start and its layout are ours (`start`, `descent`), for the time that they save. Where
there are more training rows than one fit should hold, it holds a sample of them, whose neighbors are looked for among
themselves, and the rest is placed. Too few rows for UMAP are laid out by their principal components.

Source: McInnes, Healy, Melville 2018 (arXiv 1802.03426), through umap-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from explorer.errors import BuildError
from explorer.exact import share
from explorer.layout import NEIGHBORS
from explorer.placement import Placer
from indexer.mapping import neighbors
from indexer.mapping.descent import Curve, descend
from indexer.mapping.neighbors import NO_ROW, Neighbors
from indexer.mapping.start import Start, principal_components, start

REVISION = 3
"""Raised when the same neighbors would give another map; part of the stage's key."""
_BLOCK = 1024
_PLACING = 1 << 13
"""Products of rows that take as long as placing one row does."""
_FARTHEST = 2.0
"""The largest cosine distance."""


class Layout(StrEnum):
    """What made a map."""

    UMAP = "umap"
    PCA = "pca"


@dataclass(frozen=True, slots=True)
class MapOptions:
    """How a map is made.

    Attributes:
        neighbors: UMAP's n_neighbors, the picture itself counted; 2 to 16, as each has 15 others.
        min_dist: UMAP's, map units.
        epochs: UMAP's n_epochs; None = its own rule, 500 up to 10,000 rows and 200 above.
        start: UMAP's init.
        seed: of all chance.
        fewest: below this many training rows the principal components are the map.
        fit_most: above this many training rows a sample of so many is fitted and the others are placed.
        threads_from: from this many rows on, all threads share the fit, and no two builds give the same bytes;
            None = never.
    """

    neighbors: int = 15
    min_dist: float = 0.5
    epochs: int | None = None
    start: Start = Start.SPECTRAL
    seed: int = 0
    fewest: int = 32
    fit_most: int = 2_000_000
    threads_from: int | None = 250_000

    def __post_init__(self) -> None:
        """Refuse what would silently be less.

        Raises:
            BuildError: `neighbors` are more than are found, or none.
        """
        if not 2 <= self.neighbors <= NEIGHBORS + 1:
            raise BuildError(
                f"a map's neighbors: found {self.neighbors}; expected 2 to {NEIGHBORS + 1}, the picture itself counted"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A map and the curve that it was fitted with.

    Attributes:
        points: float32 (n, 3), map units.
        layout: what made it.
        a: of UMAP's curve 1 / (1 + a x^2b).
        b: the same.
        fitted: rows that were laid out together; the others were placed.
    """

    points: npt.NDArray[np.float32]
    layout: Layout
    a: float
    b: float
    fitted: int


def project(
    vectors: npt.NDArray[np.float16],
    train: npt.NDArray[np.bool_],
    near: Neighbors,
    options: MapOptions,
    *,
    wide: bool = False,
) -> Map:
    """Lay out every row of a space.

    Args:
        vectors: float16 (n, d), unit length; may be memory-mapped.
        train: bool (n,); the rows that may make the map.
        near: the nearest training rows of every row.
        options: how.
        wide: of the neighbors in a sample, see `explorer.exact.cosines`.
    """
    makers = np.flatnonzero(train)
    if len(makers) > options.fit_most:
        chosen = np.random.default_rng(options.seed).permutation(makers)[: options.fit_most]
        makers, train = np.sort(chosen), np.zeros_like(train)
        train[makers] = True
        near = neighbors.find(vectors, train, near.rows.shape[1], wide=wide)
    points = np.zeros((len(vectors), 3), dtype=np.float32)
    if len(makers) < options.fewest:
        layout, curve = Layout.PCA, Curve(1.0, 1.0)
        points[makers] = principal_components(vectors, makers)
    else:
        layout, curve = Layout.UMAP, _curve(options)
        points[makers] = _fit(vectors, makers, near, options, curve)
    placer = Placer(points, train, curve.a, curve.b, settle=layout is Layout.UMAP)
    _place(points, placer, np.flatnonzero(~train), near)
    return Map(points, layout, curve.a, curve.b, len(makers))


def _curve(options: MapOptions) -> Curve:
    from umap.umap_ import find_ab_params

    a, b = find_ab_params(1.0, options.min_dist)
    return Curve(float(a), float(b))


def _fit(
    vectors: npt.NDArray[np.float16], makers: npt.NDArray[np.int64], near: Neighbors, options: MapOptions, curve: Curve
) -> npt.NDArray[np.float32]:
    """UMAP of the training rows, float32 (m, 3)."""
    count = len(makers)
    epochs = options.epochs or (500 if count <= 10_000 else 200)
    graph = _graph(makers, near, options.neighbors - 1, epochs)
    places = start(vectors, makers, graph, options.start, options.seed)
    parallel = options.threads_from is not None and count >= options.threads_from
    return descend(places, graph, curve, epochs, options.seed, parallel=parallel)


def _graph(makers: npt.NDArray[np.int64], near: Neighbors, others: int, epochs: int) -> csr_matrix:
    """UMAP's membership strengths of the training rows, without those too weak to be drawn in so many epochs."""
    from umap.umap_ import fuzzy_simplicial_set

    place = np.full(len(near.rows) + 1, NO_ROW)  # the last stands for no row
    place[makers] = np.arange(len(makers))
    rows = np.column_stack([np.arange(len(makers)), place[near.rows[makers, :others]]])
    distances = np.zeros(rows.shape, dtype=np.float32)
    distances[:, 1:] = np.clip(1 - near.similarities[makers, :others], 0, _FARTHEST)
    graph, _, _ = fuzzy_simplicial_set(
        rows,  # asked for its length alone, where the neighbors are given
        others + 1,
        random_state=None,
        metric="cosine",
        knn_indices=rows,
        knn_dists=distances,
    )
    graph = graph.tocsr().astype(np.float32)
    graph.data[graph.data < graph.data.max(initial=0) / epochs] = 0
    graph.eliminate_zeros()
    graph.sort_indices()
    return graph


def _place(points: npt.NDArray[np.float32], placer: Placer, rows: npt.NDArray[np.int64], near: Neighbors) -> None:
    """Give rows their places on a map that stands, on all processors."""

    def one(first: int) -> None:
        block = rows[first : first + _BLOCK]
        points[block] = placer.place(near.rows[block], near.similarities[block])

    share(one, range(0, len(rows), _BLOCK), products=len(rows) * _PLACING)
