"""UMAP's layout: the forces against umap-learn's own, the same bytes from one thread, starts of broken graphs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import block_diag, csr_matrix
from scipy.spatial.distance import cdist

from indexer.mapping import neighbors
from indexer.mapping.alignment import aligned
from indexer.mapping.descent import Curve, _compiled, descend
from indexer.mapping.project import MapOptions, project
from indexer.mapping.start import Start, start

CURVE = Curve(0.583, 1.334)


def ring(count: int) -> csr_matrix:
    """A closed chain of rows, each held by its two neighbors."""
    rows = np.arange(count)
    links = csr_matrix((np.ones(count), (rows, (rows + 1) % count)), shape=(count, count))
    return (links + links.T).tocsr().astype(np.float32)


def noise(count: int, seed: int = 0, dim: int = 3) -> npt.NDArray[np.float32]:
    """Rows without an order."""
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


def test_the_table_gives_umap_s_forces() -> None:
    """Pull and push over eight powers of ten of squared distance are umap-learn's, within half a percent."""
    squared = np.geomspace(2.0**-15, 2.0**15, 500).astype(np.float32)
    slots = (squared.view(np.int32) >> 15) - (111 << 8)
    pull, push = CURVE.tables()[:, slots]
    a, b, s = CURVE.a, CURVE.b, squared.astype(np.float64)
    assert pull == pytest.approx(-2 * a * b * s ** (b - 1) / (a * s**b + 1), rel=4.5e-3)
    assert push == pytest.approx(2 * b / ((0.001 + s) * (a * s**b + 1)), rel=4.5e-3)


@pytest.mark.parametrize("parallel", [False, True])
def test_rows_that_hold_each_other_end_side_by_side(parallel: bool) -> None:
    """Of rows in a chain that start anywhere, each ends among its own, by one thread and by all."""
    points = descend(noise(300), ring(300), CURVE, 200, 0, parallel=parallel)
    apart = cdist(points, points)
    held = np.abs(np.subtract.outer(np.arange(300), np.arange(300)))
    held = np.minimum(held, 300 - held)
    assert apart[held == 1].mean() < 0.2 * apart[held > 20].mean()
    assert apart[held > 0].min() > 0  # random others push, so none falls on another


def test_one_thread_gives_the_same_bytes() -> None:
    """Twice the same, in whatever order the start lies in memory; another seed gives another map."""
    graph, begin = ring(200), noise(200)
    first = descend(begin, graph, CURVE, 30, 0, parallel=False)
    assert np.array_equal(first, descend(np.asfortranarray(begin), graph, CURVE, 30, 0, parallel=False))
    assert not np.array_equal(first, descend(begin, graph, CURVE, 30, 1, parallel=False))


def test_threads_share_the_rows_where_they_may() -> None:
    """Compiled for all threads it is another function than for one, whatever numba has in its files."""
    descend(noise(50), ring(50), CURVE, 2, 0, parallel=False)
    descend(noise(50), ring(50), CURVE, 2, 0, parallel=True)
    assert "get_num_threads" in next(iter(_compiled(True).inspect_llvm().values()))


@pytest.mark.parametrize("parts", [(200,), (150, 30), (60, 60, 60)], ids=["whole", "with a crumb", "in pieces"])
@pytest.mark.parametrize("kind", list(Start))
def test_every_graph_has_a_start(parts: tuple[int, ...], kind: Start) -> None:
    """Whole, with a small part off, or without a large part: places for all, no two of them equal."""
    graph = csr_matrix(block_diag([ring(part) for part in parts]))
    count = sum(parts)
    vectors = noise(2 * count, dim=8).astype(np.float16)
    rows = np.arange(1, 2 * count, 2)
    made = start(vectors, rows, graph, kind, 0)
    assert made.shape == (count, 3)
    assert np.isfinite(made).all()
    assert len(np.unique(made, axis=0)) == count
    assert np.array_equal(made, start(vectors, rows, graph, kind, 0))


def test_a_start_by_the_graph_is_its_slowest_vibrations() -> None:
    """The three columns lie in the span of the three eigenvectors that a dense solver finds below the constant one."""
    near = neighbors.find(noise(300, dim=4).astype(np.float16), np.ones(300, bool), 8)
    rows = np.repeat(np.arange(300), 8)
    graph = csr_matrix((np.ones(2400, np.float32), (rows, near.rows.ravel())), shape=(300, 300))
    graph = graph.maximum(graph.T).tocsr()
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    values, exact = np.linalg.eigh(graph.toarray() / np.sqrt(np.outer(degrees, degrees)))
    assert values[-2] < 1 - 1e-3, "the graph hangs together"
    made = start(noise(300).astype(np.float16), np.arange(300), graph, Start.SPECTRAL, 0)
    unit = made / np.linalg.norm(made, axis=0)
    inside = np.linalg.norm(exact[:, -4:-1].T @ unit, axis=0)  # 1 where a column lies in the span of the exact ones
    assert inside == pytest.approx(np.ones(3), abs=0.02)


def test_a_map_that_was_turned_mirrored_and_moved_comes_back() -> None:
    """Onto itself in another frame every row returns to its place, and lengths stay when the other map is another."""
    points, other = noise(100), 3 * noise(100, seed=1)
    turn = np.linalg.qr(noise(3, seed=2))[0]
    mirrored = turn * np.sign(np.linalg.det(turn)) * np.array([-1, 1, 1])
    train = np.arange(100) % 7 != 0
    assert aligned(points @ mirrored + 5, points, train) == pytest.approx(points, abs=1e-4)
    laid = aligned(points, other.astype(np.float32), train)
    assert cdist(laid, laid) == pytest.approx(cdist(points, points), abs=1e-4)
    assert laid[train].mean(axis=0) == pytest.approx(other[train].mean(axis=0), abs=1e-4)
    assert np.linalg.norm(laid[train] - other[train]) < np.linalg.norm(points[train] - other[train])
    assert np.array_equal(aligned(points, other, np.zeros(100, bool)), points)


def test_a_sample_is_fitted_and_the_rest_placed_by_it() -> None:
    """Above `fit_most` so many training rows make the map; the others find their groups all the same."""
    rng = np.random.default_rng(0)
    group = np.arange(600) % 6
    vectors = rng.normal(size=(6, 20))[group] + 0.35 * rng.normal(size=(600, 20))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    train = np.arange(600) % 10 != 3
    found = neighbors.find(vectors, train, 15)
    made = project(vectors, train, found, MapOptions(fit_most=200))
    assert made.fitted == 200
    apart = cdist(made.points, made.points)
    np.fill_diagonal(apart, np.inf)
    assert (group[apart.argmin(axis=1)] == group).mean() > 0.95
    assert np.array_equal(made.points, project(vectors, train, found, MapOptions(fit_most=200)).points)
    assert project(vectors, train, found, MapOptions(fit_most=540)).fitted == train.sum()
