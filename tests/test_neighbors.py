"""Neighbors and baseline against brute force in float64."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from indexer.mapping import neighbors


def unit(rng: np.random.Generator, count: int, dim: int = 12) -> npt.NDArray[np.float16]:
    """Random unit vectors, float16 as an atlas stores them."""
    vectors = rng.normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def cosines(vectors: npt.NDArray[np.float16]) -> npt.NDArray[np.float64]:
    """All cosines, float64; a row to itself -inf."""
    exact = vectors.astype(np.float64)
    similar = (exact / np.linalg.norm(exact, axis=1, keepdims=True)) @ exact.T
    np.fill_diagonal(similar, -np.inf)
    return similar


def test_neighbors_are_the_nearest_training_rows() -> None:
    """For training and held-out rows alike: brute force over the training rows, itself left out, ties allowed."""
    rng = np.random.default_rng(0)
    vectors = unit(rng, 300)
    train = rng.random(300) < 0.8
    found = neighbors.find(vectors, train, 15)
    expected = np.where(train[None, :], cosines(vectors), -np.inf)
    assert found.rows.dtype == np.int32
    assert found.rows.shape == found.distances.shape == (300, 15)
    assert train[found.rows].all()
    assert (found.rows != np.arange(300)[:, None]).all()
    assert np.allclose(np.take_along_axis(expected, found.rows.astype(int), 1), found.similarities, atol=1e-5)
    assert np.allclose(np.sort(expected, axis=1)[:, ::-1][:, :15], found.similarities, atol=1e-5)
    assert np.allclose(found.distances, 1 - found.similarities, atol=1e-6)


def test_many_twins_never_give_a_row_itself() -> None:
    """Where more rows are equal than neighbors are asked for, a row is still not its own neighbor."""
    vectors = np.repeat(unit(np.random.default_rng(1), 3), 20, axis=0)
    found = neighbors.find(vectors, np.ones(60, bool), 15)
    assert (found.rows != np.arange(60)[:, None]).all()
    assert np.allclose(found.similarities, 1, atol=2e-3)
    assert (found.distances >= 0).all()


@pytest.mark.parametrize("count", [1, 2, 9])
def test_too_few_rows_are_filled_up(count: int) -> None:
    """A row has as many neighbors as there are others; the rest is -1 at infinite distance."""
    found = neighbors.find(unit(np.random.default_rng(2), count), np.ones(count, bool), 15)
    assert (found.rows >= 0).sum(axis=1).tolist() == [count - 1] * count
    assert (found.rows[:, count - 1 :] == neighbors.NO_ROW).all()
    assert np.isinf(found.distances[:, count - 1 :]).all()
    assert np.isfinite(found.distances[:, : count - 1]).all()


def test_the_baseline_leaves_whole_families_out() -> None:
    """Each training row's largest cosine to a training row of another family, sorted; large families included."""
    rng = np.random.default_rng(3)
    families = np.concatenate([np.zeros(40, np.int32), np.repeat(np.arange(1, 61, dtype=np.int32), 2)])
    centers = rng.normal(size=(61, 12))
    vectors = centers[families] + 0.05 * rng.normal(size=(160, 12))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    train = np.ones(160, bool)
    train[150:] = False
    found = neighbors.baseline(vectors, train, families, neighbors.find(vectors, train, 15))
    others = cosines(vectors)
    others[families[:, None] == families[None, :]] = -np.inf
    others[:, ~train] = -np.inf
    assert found.dtype == np.float32
    assert np.allclose(found, np.sort(others[train].max(axis=1)), atol=1e-4)


def test_one_family_alone_has_no_baseline() -> None:
    """Where nobody has a neighbor outside the family there is nothing to compare with."""
    vectors = unit(np.random.default_rng(4), 20)
    train, families = np.ones(20, bool), np.zeros(20, np.int32)
    assert neighbors.baseline(vectors, train, families, neighbors.find(vectors, train, 15)).shape == (0,)
