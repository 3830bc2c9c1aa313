"""Neighbors and baseline against brute force in float64."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from explorer import indexes
from indexer.mapping import neighbors, partitioned
from indexer.mapping.project import MapOptions, project


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


def grouped(count: int, seed: int = 5) -> npt.NDArray[np.float16]:
    """Unit vectors of 24 dimensions in groups that run into each other, float16."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count // 60, 24))[rng.integers(count // 60, size=count)]
    vectors = vectors + 0.6 * rng.normal(size=(count, 24))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def test_neighbors_in_lists_are_nearly_all_and_their_recall_is_told() -> None:
    """What `way` says of recall is what brute force says, at least 0.98 here; what is found is right and in order."""
    vectors = grouped(3000)
    train = np.arange(3000) % 7 > 0
    found, exact = neighbors.find(vectors, train, 15, exact_pairs=0), neighbors.find(vectors, train, 15)
    assert (found.way.method, exact.way.method) == (neighbors.Method.PARTITIONED, neighbors.Method.EXACT)
    shared = [len(np.intersect1d(a, b)) / 15 for a, b in zip(found.rows, exact.rows, strict=True)]
    assert np.mean(shared) == pytest.approx(found.way.recall, abs=0.01)
    assert found.way.recall >= 0.98
    assert found.way.sample == 1000
    assert 1 <= found.way.probes < found.way.lists
    assert train[found.rows].all()
    assert (found.rows != np.arange(3000)[:, None]).all()
    assert (np.diff(found.similarities, axis=1) <= 0).all()
    similar = np.take_along_axis(cosines(vectors), found.rows.astype(int), axis=1)
    assert np.allclose(similar, found.similarities, atol=1e-5)


def test_some_rows_alone_are_looked_for_in_lists_too() -> None:
    """Rows that are asked for, in any order, get what all would get."""
    vectors, asked = grouped(2000), np.array([1900, 3, 700])
    train = np.ones(2000, dtype=np.bool_)
    found = neighbors.find(vectors, train, 15, asked, exact_pairs=0)
    assert found.rows.shape == (3, 15)
    exact = neighbors.find(vectors, train, 15, asked)
    assert np.mean([len(np.intersect1d(a, b)) / 15 for a, b in zip(found.rows, exact.rows, strict=True)]) >= 0.95


def test_a_bound_on_the_work_is_told_as_recall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where too many rows would have to be compared fewer are, and the recall that this costs is written down."""
    monkeypatch.setattr(partitioned, "MOST_COMPARED", 30)
    vectors, train = unit(np.random.default_rng(6), 2000, 24), np.ones(2000, bool)
    found, exact = neighbors.find(vectors, train, 15, exact_pairs=0), neighbors.find(vectors, train, 15)
    shared = [len(np.intersect1d(a, b)) / 15 for a, b in zip(found.rows, exact.rows, strict=True)]
    assert found.way.probes == 1
    assert found.way.recall < 0.9
    assert np.mean(shared) == pytest.approx(found.way.recall, abs=0.03)


def test_equal_vectors_in_lists_never_give_a_row_itself() -> None:
    """Twins fill lists of their own; rows with fewer others in reach than asked for are filled up with -1."""
    vectors = np.repeat(unit(np.random.default_rng(7), 40), 50, axis=0)
    found = neighbors.find(vectors, np.ones(2000, bool), 15, exact_pairs=0)
    assert (found.rows != np.arange(2000)[:, None]).all()
    assert ((found.rows >= 0) == np.isfinite(found.similarities)).all()
    assert np.allclose(found.similarities[found.rows >= 0], 1, atol=2e-3)


def test_heldout_rows_far_from_every_training_row_have_neighbors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists that hold held-out rows alone count for nothing, and who finds too few in lists looks everywhere."""
    monkeypatch.setattr(partitioned, "MOST_COMPARED", 40)
    vectors, train = np.abs(grouped(3000)), np.arange(3000) < 2970
    vectors[~train] *= -1
    found = neighbors.find(vectors, train, 15, exact_pairs=0)
    assert (found.rows >= 0).all()
    assert np.isfinite(found.similarities).all()
    assert np.isfinite(project(vectors, train, found, MapOptions(fewest=10**6)).points).all()


def test_a_list_of_few_rows_is_not_all_that_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one probe a row whose list holds fewer training rows than are asked for gets exact ones."""
    monkeypatch.setattr(partitioned, "MOST_COMPARED", 1)
    vectors = grouped(1200)
    train = np.arange(1200) % 40 == 0
    found = neighbors.find(vectors, train, 15, exact_pairs=0)
    assert found.way.probes == 1
    assert (found.rows >= 0).all()


def test_a_recall_of_nothing_is_told() -> None:
    """A way comes back from JSON as it was, a measured recall of 0 too; an exact one says no more than it must."""
    way = neighbors.Way(neighbors.Method.PARTITIONED, recall=0.0, sample=1000, lists=64, probes=1)
    assert neighbors.Way.of(way.told()) == way
    assert neighbors.Way().told() == {"method": "exact", "recall": 1.0}
    assert neighbors.Way.of(neighbors.Way().told()) == neighbors.Way()


def test_few_rows_among_many_are_not_worth_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cutting all rows into lists costs more than the comparisons that it saves, nothing is cut."""
    assert neighbors.is_exact_cheaper(700, 1_000_000, 1_000_000)
    assert neighbors.is_exact_cheaper(5_000, 1_000_000, 1_000_000) is not neighbors.is_exact_cheaper(
        5_000, 1_000_000, 0
    )
    assert not neighbors.is_exact_cheaper(1_000_000, 1_000_000, 1_000_000)
    assert not neighbors.is_exact_cheaper(30_000, 30_000, 30_000)


def test_wide_neighbors_ask_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be the same on every machine is not left to a device that only some have."""
    monkeypatch.setattr(indexes, "has_gpu", lambda: pytest.fail("asked for a GPU"))
    vectors, train = grouped(1200), np.ones(1200, bool)
    exact, listed = (neighbors.find(vectors, train, 15, exact_pairs=most, wide=True) for most in (10**9, 0))
    assert np.allclose(np.sort(cosines(vectors), axis=1)[:, ::-1][:, :15], exact.similarities, atol=1e-5)
    assert listed.way.recall >= 0.98


@pytest.mark.skipif(not indexes.has_gpu(), reason="needs a faiss with a CUDA device")
def test_a_gpu_finds_what_brute_force_finds() -> None:
    """On CUDA neighbors are exact, whatever their number."""
    vectors, train = grouped(3000), np.arange(3000) % 5 > 0
    found = neighbors.find(vectors, train, 15, exact_pairs=0)
    expected = np.where(train[None, :], cosines(vectors), -np.inf)
    assert found.way.method is neighbors.Method.EXACT
    assert np.allclose(np.sort(expected, axis=1)[:, ::-1][:, :15], found.similarities, atol=1e-5)
