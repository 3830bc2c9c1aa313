"""The baseline: the similarity that is usual between training pictures of different families, against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.mapping import baseline as room
from indexer.mapping import neighbors, partitioned
from indexer.mapping.baseline import baseline
from indexer.mapping.neighbors import Method
from tests.test_neighbors import cosines, grouped, unit


def test_the_baseline_leaves_whole_families_out() -> None:
    """Each training row's largest cosine to a training row of another family, sorted; large families included."""
    rng = np.random.default_rng(3)
    families = np.concatenate([np.zeros(40, np.int32), np.repeat(np.arange(1, 61, dtype=np.int32), 2)])
    centers = rng.normal(size=(61, 12))
    vectors = centers[families] + 0.05 * rng.normal(size=(160, 12))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    train = np.ones(160, bool)
    train[150:] = False
    found = baseline(vectors, train, families, neighbors.find(vectors, train, 15)).similarities
    others = cosines(vectors)
    others[families[:, None] == families[None, :]] = -np.inf
    others[:, ~train] = -np.inf
    assert found.dtype == np.float32
    assert np.allclose(found, np.sort(others[train].max(axis=1)), atol=1e-4)


def test_each_family_weighs_the_same() -> None:
    """The weights stand beside the picture that they are of, and those of a family add up to 1."""
    rng = np.random.default_rng(5)
    families = np.repeat(np.arange(12, dtype=np.int32), np.arange(1, 13))
    vectors = unit(rng, len(families))
    train = rng.random(len(families)) < 0.8
    found = baseline(vectors, train, families, neighbors.find(vectors, train, 15))
    others = cosines(vectors)
    others[families[:, None] == families[None, :]] = -np.inf
    nearest = others[:, train].max(axis=1)
    size = np.array([np.count_nonzero(train & (families == family)) for family in families])
    for row in np.flatnonzero(train):
        at = np.argmin(np.abs(found.similarities - nearest[row]))
        assert found.weights[at] == np.float32(1 / size[row])
    assert found.weights.dtype == np.float32
    assert found.weights.sum() == pytest.approx(len(np.unique(families[train])), abs=1e-4)


def test_one_family_alone_has_no_baseline() -> None:
    """Where nobody has a neighbor outside the family there is nothing to compare with."""
    vectors = unit(np.random.default_rng(4), 20)
    train, families = np.ones(20, bool), np.zeros(20, np.int32)
    assert baseline(vectors, train, families, neighbors.find(vectors, train, 15)).similarities.shape == (0,)


def test_the_baseline_of_large_families_is_found_in_lists() -> None:
    """Rows whose neighbors are all of their family look in near lists, and everywhere where those hold no stranger."""
    vectors = grouped(3000)
    families = np.where(np.arange(3000) < 600, 0, np.arange(3000)).astype(np.int32)
    vectors[:600] = np.repeat(vectors[:30], 20, axis=0)
    train = np.ones(3000, bool)
    near = neighbors.find(vectors, train, 15)
    exact = baseline(vectors, train, families, near).similarities
    found = baseline(vectors, train, families, near, exact_pairs=0).similarities
    assert len(found) == len(exact) == 3000
    assert (found <= exact + 1e-6).all()
    assert np.mean(exact - found) < 0.01
    alone = np.zeros(3000, np.int32)
    assert len(baseline(vectors, train, alone, near, exact_pairs=0).similarities) == 0


def test_strangers_get_probes_of_their_own() -> None:
    """Families that fill lists hide their strangers farther off than neighbors lie: they are found all the same.

    The recall that is told is what brute force says, on as many rows as are told.
    """
    rng = np.random.default_rng(8)
    families = np.repeat(np.arange(150, dtype=np.int32), 20)
    vectors = rng.normal(size=(150, 24))[families] + 0.1 * rng.normal(size=(3000, 24))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    train = np.ones(3000, bool)
    near = neighbors.find(vectors, train, 15, exact_pairs=0)
    made = baseline(vectors, train, families, near, exact_pairs=0)
    others = cosines(vectors)
    others[families[:, None] == families[None, :]] = -np.inf
    exact = np.sort(others.max(axis=1))
    assert np.allclose(
        np.quantile(made.similarities, [0.25, 0.5, 0.75]), np.quantile(exact, [0.25, 0.5, 0.75]), atol=0.003
    )
    assert (made.way.method, made.way.sample) == (Method.PARTITIONED, 1000)
    assert made.way.probes > near.way.probes
    assert made.way.recall >= 0.98
    lean = neighbors.Neighbors(near.rows, near.similarities)
    assert baseline(vectors, train, families, lean, exact_pairs=0).way.recall >= 0.98
    assert baseline(vectors, train, families, lean).way == neighbors.Way()


def test_a_family_that_fills_the_lists_costs_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the rows that find no stranger in near lists only a sample looks everywhere, and it speaks for the others."""
    monkeypatch.setattr(partitioned, "SAMPLE", 50)
    monkeypatch.setattr(partitioned, "MOST_COMPARED", 200)
    vectors, families = grouped(3000), np.zeros(3000, np.int32)
    families[:30] = 1
    asked: list[int] = []
    looked = room.Strangers.exact

    def counted(self: room.Strangers, rows: partitioned.Rows) -> room.Found:
        asked.append(len(rows))
        return looked(self, rows)

    monkeypatch.setattr(room.Strangers, "exact", counted)
    train = np.ones(3000, bool)
    near = neighbors.find(vectors, train, 15)
    made = baseline(vectors, train, families, near, exact_pairs=0)
    assert max(asked) <= 50
    assert len(made.similarities) == 3000
    assert np.isfinite(made.similarities).all()
    whole = baseline(vectors, train, families, near).similarities
    assert abs(np.median(made.similarities) - np.median(whole)) < 0.05


def test_one_family_alone_compares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus of one family has nobody to compare with, and is told so without a single product."""
    monkeypatch.setattr(room, "compare", None)
    monkeypatch.setattr(partitioned.Lists, "of", None)
    vectors, train, families = grouped(600), np.arange(600) % 3 > 0, np.zeros(600, np.int32)
    families[::3] = 1  # held-out rows are nobody's strangers
    near = neighbors.find(vectors, train, 15)
    assert not len(baseline(vectors, train, families, near, exact_pairs=0).similarities)
