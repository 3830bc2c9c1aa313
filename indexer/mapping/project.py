"""A 3D map of one space: UMAP on the training rows, given their neighbors; held-out rows join as any new picture does.

Source: McInnes, Healy, Melville 2018 (arXiv 1802.03426), through umap-learn. Too few rows for UMAP are laid out by
their principal components.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from explorer.placement import Placer
from indexer.mapping.neighbors import Neighbors

REVISION = 1
"""Raised when the same neighbors would give another map; part of the stage's key."""


class Layout(StrEnum):
    """What made a map."""

    UMAP = "umap"
    PCA = "pca"


@dataclass(frozen=True, slots=True)
class MapOptions:
    """How a map is made.

    Attributes:
        neighbors: UMAP's n_neighbors, the picture itself counted.
        min_dist: UMAP's, map units.
        seed: of UMAP's chance.
        fewest: below this many training rows the principal components are the map.
    """

    neighbors: int = 15
    min_dist: float = 0.5
    seed: int = 0
    fewest: int = 32


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A map and the curve that it was fitted with.

    Attributes:
        points: float32 (n, 3), map units.
        layout: what made it.
        a: of UMAP's curve 1 / (1 + a x^2b).
        b: the same.
    """

    points: npt.NDArray[np.float32]
    layout: Layout
    a: float
    b: float


def project(
    vectors: npt.NDArray[np.float16], train: npt.NDArray[np.bool_], neighbors: Neighbors, options: MapOptions
) -> Map:
    """Lay out every row of a space.

    Args:
        vectors: float16 (n, d), unit length.
        train: bool (n,); the rows that make the map.
        neighbors: the nearest training rows of every row.
        options: how.
    """
    points = np.zeros((len(vectors), 3), dtype=np.float32)
    makers = np.flatnonzero(train)
    if len(makers) < options.fewest:
        layout, a, b = Layout.PCA, 1.0, 1.0
        points[makers] = principal_components(vectors[makers].astype(np.float32))
    else:
        layout, (a, b) = Layout.UMAP, _curve(options)
        points[makers] = _fit(vectors, makers, neighbors, options, a, b)
    placer = Placer(points, train, a, b, settle=layout is Layout.UMAP)
    points[~train] = placer.place(neighbors.rows[~train], neighbors.similarities[~train])
    return Map(points, layout, a, b)


def principal_components(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The first three principal components of (m, d), float32 (m, 3); each one's largest entry is positive."""
    centered = vectors - vectors.mean(axis=0)
    left, strengths, _ = np.linalg.svd(centered, full_matrices=False)
    scores = np.zeros((len(vectors), 3), dtype=np.float32)
    kept = min(3, len(strengths))
    scores[:, :kept] = left[:, :kept] * strengths[:kept]
    largest = np.take_along_axis(scores, np.abs(scores).argmax(axis=0)[None, :], axis=0)
    return scores * np.where(largest < 0, np.float32(-1), np.float32(1))


def _curve(options: MapOptions) -> tuple[float, float]:
    from umap.umap_ import find_ab_params

    a, b = find_ab_params(1.0, options.min_dist)
    return float(a), float(b)


def _fit(
    vectors: npt.NDArray[np.float16],
    makers: npt.NDArray[np.int64],
    neighbors: Neighbors,
    options: MapOptions,
    a: float,
    b: float,
) -> npt.NDArray[np.float32]:
    """UMAP of the training rows, float32 (m, 3)."""
    from umap import UMAP

    others = options.neighbors - 1
    place = np.full(len(vectors), -1, dtype=np.int64)
    place[makers] = np.arange(len(makers))
    rows = np.column_stack([np.arange(len(makers)), place[neighbors.rows[makers, :others]]])
    distances = np.column_stack([np.zeros(len(makers), np.float32), neighbors.distances[makers, :others]])
    model = UMAP(
        n_components=3,
        n_neighbors=options.neighbors,
        metric="cosine",
        a=a,
        b=b,
        random_state=options.seed,
        n_jobs=1,
        precomputed_knn=(rows, distances),
        force_approximation_algorithm=True,  # the given neighbors count even below UMAP's 4,096 rows
    )
    with warnings.catch_warnings():
        # umap-learn says that a model without a search index cannot transform, and where its spectral start fails
        # it says so and starts from noise; neither is a fault here.
        warnings.simplefilter("ignore", UserWarning)
        points = model.fit_transform(vectors[makers].astype(np.float32))
    # A row whose neighbors are all beyond reach gets no place from UMAP.
    return np.nan_to_num(np.asarray(points, dtype=np.float32))
