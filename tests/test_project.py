"""Maps: UMAP from given neighbors, principal components for a handful, held-out rows placed like any new picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.linalg import block_diag
from scipy.sparse import csr_matrix

from explorer.errors import BuildError
from explorer.placement import Placer
from indexer.mapping import neighbors
from indexer.mapping.project import Layout, MapOptions, project
from indexer.mapping.start import Start, principal_components, start


def blobs(count: int, groups: int = 6, dim: int = 20, seed: int = 0) -> npt.NDArray[np.float16]:
    """Unit vectors around `groups` directions, row i in group i % groups."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(groups, dim))[np.arange(count) % groups] + 0.35 * rng.normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def test_umap_keeps_groups_and_places_heldout_rows() -> None:
    """Groups of the space are groups of the map; held-out rows stand where the placer puts them."""
    from umap.umap_ import find_ab_params

    vectors = blobs(240)
    group = np.arange(240) % 6
    train = np.arange(240) % 10 != 3
    found = neighbors.find(vectors, train, 15)
    made = project(vectors, train, found, MapOptions())
    assert made.layout is Layout.UMAP
    assert made.points.dtype == np.float32
    assert made.points.shape == (240, 3)
    assert (made.a, made.b) == pytest.approx(find_ab_params(1.0, MapOptions().min_dist))
    apart = np.linalg.norm(made.points[:, None] - made.points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (group[apart.argmin(axis=1)] == group).mean() > 0.95
    placer = Placer(made.points, train, made.a, made.b)
    assert np.array_equal(made.points[~train], placer.place(found.rows[~train], found.similarities[~train]))
    again = project(vectors, train, found, MapOptions())
    assert np.array_equal(made.points, again.points)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 15, 16, 31])
def test_a_handful_is_laid_out_by_principal_components(count: int) -> None:
    """Too few rows for UMAP get a map all the same, and three dimensions of it keep their distances."""
    vectors = blobs(count, dim=3)
    made = project(vectors, np.ones(count, bool), neighbors.find(vectors, np.ones(count, bool), 15), MapOptions())
    assert made.layout is Layout.PCA
    assert np.isfinite(made.points).all()
    exact = vectors.astype(np.float64)
    expected = np.linalg.norm(exact[:, None] - exact[None], axis=2)
    assert np.allclose(np.linalg.norm(made.points[:, None] - made.points[None], axis=2), expected, atol=1e-3)


def test_equal_pictures_have_a_map() -> None:
    """Forty copies of one picture are no reason to fail."""
    vectors = np.repeat(blobs(1), 40, axis=0)
    train = np.ones(40, bool)
    made = project(vectors, train, neighbors.find(vectors, train, 15), MapOptions())
    assert np.isfinite(made.points).all()


def test_components_do_not_depend_on_the_sign_of_the_day() -> None:
    """Each component's largest entry is positive, so that a map is not mirrored by another linear algebra."""
    vectors = blobs(12).astype(np.float32)
    scores = principal_components(vectors, np.arange(12))
    largest = np.take_along_axis(scores, np.abs(scores).argmax(axis=0)[None, :], axis=0)
    assert (largest > 0).all()
    assert np.allclose(scores, principal_components(vectors, np.arange(12)[::-1])[::-1], atol=1e-5)


def test_more_neighbors_than_there_are_is_refused() -> None:
    """A map of more neighbors than are found would silently be one of fewer, so it is refused in one line."""
    assert MapOptions(neighbors=16).neighbors == 16
    for count in (1, 17, 50):
        with pytest.raises(BuildError, match=f"a map's neighbors: found {count}; expected 2 to 16"):
            MapOptions(neighbors=count)


def test_components_are_those_of_float64_and_rounded() -> None:
    """They span what an independent decomposition says, and noise in its last bits does not reach them."""
    vectors = blobs(500)
    scores = principal_components(vectors, np.arange(500))
    exact = vectors.astype(np.float64) - vectors.astype(np.float64).mean(axis=0)
    left, values, _ = np.linalg.svd(exact, full_matrices=False)
    expected = left[:, :3] * values[:3]
    assert np.allclose(np.abs(scores), np.abs(expected), atol=1e-3)
    again = principal_components(vectors[np.arange(500)[::-1]], np.arange(500))[::-1]
    assert np.array_equal(scores, again)


def test_many_small_components_stand_near_their_likes() -> None:
    """Components beside the largest start amid the rows that are most like them, each found in one pass over all."""
    vectors = blobs(400)
    big = np.ones((360, 360)) - np.eye(360)
    graph = csr_matrix(block_diag(big, *[np.ones((4, 4)) - np.eye(4)] * 10))
    places = start(vectors, np.arange(400), graph, Start.SPECTRAL, 0)
    assert np.isfinite(places).all()
    apart = np.linalg.norm(
        places[360:].reshape(10, 4, 3) - places[360:].reshape(10, 4, 3).mean(axis=1)[:, None], axis=2
    )
    assert apart.max() < 0.01 * np.abs(places).max()
