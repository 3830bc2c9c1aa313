"""Placement: weights, forces and limits by themselves, and its bars against UMAP on real handwritten digits."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import brentq
from scipy.spatial.distance import cdist
from small_atlas import SmallAtlas, changed
from umap import UMAP

from explorer.atlas import Atlas
from explorer.errors import QueryError
from explorer.placement import Placer, fuzzy_weights, place_vectors, placer
from indexer.mapping import neighbors
from indexer.mapping.neighbors import Neighbors
from indexer.mapping.project import MapOptions, project

A, B = 1.577, 0.895


def cloud(count: int = 300) -> npt.NDArray[np.float64]:
    """A map of three groups."""
    rng = np.random.default_rng(0)
    return 6 * np.eye(3)[np.arange(count) % 3] + rng.normal(size=(count, 3))


def nearest(points: npt.NDArray[np.float64], queries: npt.NDArray[np.float64], k: int = 15) -> Neighbors:
    """The nearest points of `queries`, their distance turned into something like a cosine."""
    apart = cdist(queries, points)
    rows = np.argsort(apart, axis=1)[:, :k]
    return Neighbors(rows.astype(np.int32), (1 - 0.05 * np.take_along_axis(apart, rows, 1)).astype(np.float32))


def test_weights_solve_umap_s_equation() -> None:
    """A row's weights are exp(-d / sigma) and sum to log2(k); sigma as another solver finds it."""
    rng = np.random.default_rng(1)
    distances = np.sort(rng.uniform(0.01, 0.8, size=(20, 15)), axis=1)
    weights = fuzzy_weights(1 - distances, np.ones((20, 15), bool))
    assert weights.sum(axis=1) == pytest.approx(np.full(20, np.log2(15)), rel=1e-5)
    for row, found in zip(distances, weights, strict=True):
        sigma = brentq(lambda sigma, row=row: np.exp(-row / sigma).sum() - np.log2(15), 1e-3, 50)
        assert found == pytest.approx(np.exp(-row / sigma), rel=1e-3)


def test_weights_of_odd_rows() -> None:
    """Absent neighbors weigh nothing; copies, a single neighbor and opposite vectors have finite weights."""
    absent = fuzzy_weights(np.array([[0.9, 0.8, 0.7, -np.inf]]), np.array([[True, True, True, False]]))
    assert absent[0, 3] == 0
    assert absent.sum() == pytest.approx(np.log2(3), rel=1e-5)
    copies = fuzzy_weights(np.array([[1.0] * 6 + [0.5] * 9]), np.ones((1, 15), bool))
    assert copies[0] == pytest.approx([1] * 6 + [0] * 9)
    single = fuzzy_weights(np.array([[0.3]]), np.array([[True]]))
    assert 0 < single[0, 0] <= 1
    assert np.isfinite(fuzzy_weights(np.full((1, 15), -1.0), np.ones((1, 15), bool))).all()


def test_without_settling_a_point_is_the_weighted_mean() -> None:
    """A map that UMAP did not make takes a new point at the mean of its neighbors, by their weights."""
    points = cloud()
    found = nearest(points, points[:5] + 0.2)
    weights = fuzzy_weights(found.similarities, np.ones((5, 15), bool))
    expected = [np.average(points[rows], axis=0, weights=w) for rows, w in zip(found.rows, weights, strict=True)]
    placed = Placer(points, np.ones(300, bool), A, B, settle=False).place(found.rows, found.similarities)
    assert placed.dtype == np.float32
    assert placed == pytest.approx(np.array(expected), abs=1e-4)


def test_settling_goes_downhill_on_umap_s_cross_entropy() -> None:
    """The settled point has a lower cross entropy than the weighted mean, both by the formula."""
    points = cloud()
    found = nearest(points, cloud(340)[300:] + 0.1)
    weights = fuzzy_weights(found.similarities, np.ones((40, 15), bool))

    def loss(at: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        near = 1 / (1 + A * cdist(at, points) ** (2 * B))
        pull = -(weights * np.log(np.take_along_axis(near, found.rows.astype(int), 1))).sum(axis=1)
        others = near.copy()
        np.put_along_axis(others, found.rows.astype(int), 0, axis=1)
        push = -5 / len(points) * weights.sum(axis=1) * np.log1p(-np.minimum(others, 1 - 1e-3)).sum(axis=1)
        return pull + push

    train = np.ones(300, bool)
    settled = Placer(points, train, A, B).place(found.rows, found.similarities)
    mean = Placer(points, train, A, B, settle=False).place(found.rows, found.similarities)
    assert (loss(settled) < loss(mean) + 1e-3).mean() > 0.9
    assert loss(settled).mean() < loss(mean).mean()


def test_a_point_does_not_depend_on_what_else_is_asked() -> None:
    """One at a time, all together, and again: the same places."""
    points = cloud()
    found = nearest(points, cloud(1400)[300:])
    place = Placer(points, np.arange(300) % 7 != 0, A, B).place
    together = place(found.rows, found.similarities)
    alone = np.concatenate([place(found.rows[i : i + 1], found.similarities[i : i + 1]) for i in (0, 7, 1090)])
    assert np.allclose(together[[0, 7, 1090]], alone, atol=1e-5)
    assert np.array_equal(together, place(found.rows, found.similarities))


def test_heldout_points_push_nobody() -> None:
    """A map with other held-out points takes a new point at the same place."""
    points = cloud()
    train = np.arange(300) < 200
    found = nearest(points[:200], points[200:260])
    moved = points.copy()
    moved[200:] += 3
    first, second = (Placer(each, train, A, B).place(found.rows, found.similarities) for each in (points, moved))
    assert np.array_equal(first, second)


def test_distances_are_to_the_nearest_point_of_the_whole_map() -> None:
    """Brute force over all points, held-out ones included."""
    points = cloud().astype(np.float32)
    asked = np.random.default_rng(5).normal(scale=8, size=(50, 3))
    found = Placer(points, np.arange(300) < 20, A, B).distances(asked)
    assert found == pytest.approx(cdist(asked, points).min(axis=1), rel=1e-5)


def test_placing_needs_neither_umap_nor_numba() -> None:
    """The import that costs seconds is not on this path."""
    code = "import sys, explorer.provenance; sys.exit(any(name in sys.modules for name in ('umap', 'numba')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent, check=False).returncode == 0


def test_vectors_are_placed_by_allowed_training_pictures(small_atlas: Path) -> None:
    """Held-out pictures and the excluded family are not among the neighbors; the place is in the right group."""
    atlas = Atlas.open(small_atlas)
    data = atlas.space("clip")
    row = 23
    placed = place_vectors(atlas, "clip", 3 * data.vectors[row : row + 1].astype(np.float32), k=20)
    assert placed.rows.shape == placed.similarities.shape == (1, 20)
    assert placed.rows[0, 0] == row
    assert atlas.train[placed.rows].all()
    without = place_vectors(atlas, "clip", data.vectors[row : row + 1], exclude_family=int(atlas.families[row]))
    assert atlas.families[row] not in atlas.families[without.rows]
    for each in (placed, without):
        assert np.abs(cdist(each.points, data.points).argmin() - row) < 10  # groups are ten rows each
    assert placer(atlas, "clip") is placer(atlas, "clip")


def test_nothing_to_place_by_is_one_clear_line(tmp_path: Path) -> None:
    """An atlas of one family, with that family left out, says so."""
    atlas = Atlas.open(SmallAtlas(change=changed(family="one")).write(tmp_path / "atlas"))
    with pytest.raises(QueryError, match="no training picture"):
        place_vectors(atlas, "clip", atlas.space("clip").vectors[:1], exclude_family=int(atlas.families[0]))


@dataclass
class Digits:
    """Real pictures with UMAP's own answer: 900 handwritten digits make the map, 150 are held out."""

    seed: int = 0

    @cached_property
    def vectors(self) -> npt.NDArray[np.float16]:
        """Centered, unit length."""
        from sklearn.datasets import load_digits

        pixels = load_digits().data
        order = np.random.default_rng(self.seed).permutation(len(pixels))[:1050]
        centered = pixels[order] - pixels[order[:900]].mean(axis=0)
        return (centered / np.linalg.norm(centered, axis=1, keepdims=True)).astype(np.float16)

    @property
    def train(self) -> npt.NDArray[np.bool_]:
        """Which rows make the map."""
        return np.arange(1050) < 900

    @cached_property
    def found(self) -> Neighbors:
        """Their nearest training rows."""
        return neighbors.find(self.vectors, self.train, 15)

    @cached_property
    def umap(self) -> UMAP:
        """Fitted on the first 900."""
        model = UMAP(n_components=3, n_neighbors=15, metric="cosine", random_state=0, n_jobs=1, n_epochs=200)
        return model.fit(self.vectors[:900].astype(np.float32))


@pytest.fixture(scope="module")
def digits() -> Digits:
    """The digits, their neighbors computed once."""
    return Digits()


def overlap(points: npt.NDArray[np.float32], made: npt.NDArray[np.float32], rows: npt.NDArray[np.int32]) -> float:
    """Mean share of the 15 nearest in the space that are among the 15 nearest training rows on the map."""
    near = np.argsort(cdist(points, made), axis=1)[:, :15]
    return float(np.mean([len(np.intersect1d(a, b)) / 15 for a, b in zip(near, rows, strict=True)]))


def test_placement_is_as_good_as_umap_s_own_transform(digits: Digits) -> None:
    """On one map: held-out pictures keep as many neighbors, and a training picture comes back to its own point."""
    model, made = digits.umap, digits.umap.embedding_
    theirs = overlap(model.transform(digits.vectors[900:].astype(np.float32)), made, digits.found.rows[900:])
    points = np.concatenate([made, np.zeros((150, 3), np.float32)])
    ours = Placer(points, digits.train, float(model._a), float(model._b))
    placed = ours.place(digits.found.rows, digits.found.similarities)
    assert overlap(placed[900:], made, digits.found.rows[900:]) >= theirs - 0.01

    radius = np.percentile(np.linalg.norm(made - made.mean(axis=0), axis=1), 99)
    error = np.linalg.norm(placed[:900] - made, axis=1) / radius
    assert np.median(error) <= 0.05


def test_a_map_is_as_good_as_umap_s_own(digits: Digits) -> None:
    """Of the same pictures with the same settings: as many of a picture's nearest are its nearest on the map."""
    made = project(digits.vectors, digits.train, digits.found, MapOptions(min_dist=0.1, epochs=200)).points[:900]

    def kept(points: npt.NDArray[np.float32]) -> float:
        apart = cdist(points, points)
        np.fill_diagonal(apart, np.inf)
        near = np.argsort(apart, axis=1)[:, :15]
        return float(np.mean([len(np.intersect1d(a, b)) / 15 for a, b in zip(near, digits.found.rows, strict=False)]))

    assert kept(made) >= kept(digits.umap.embedding_) - 0.01
