"""Search and placement on an atlas."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import umap

from benchmarks import atlases
from benchmarks.parts import Part
from benchmarks.rows import Row, held, milliseconds, timed
from explorer.atlas import Atlas
from explorer.nearest import VectorIndex
from explorer.placement import place_vectors, placer
from explorer.records import Split

NEIGHBORS = 15
REPEATS = 200
Floats = npt.NDArray[np.float32]


def measure() -> Iterator[Row]:
    """Every row about questions without models."""
    atlas = Atlas.open(atlases.demo())
    yield from search_rows(atlas)
    yield from placement_rows(atlas)


def search_rows(atlas: Atlas) -> Iterator[Row]:
    """One query, 12 hits, `train` alone, against brute force in numpy over float32 copies of the vectors."""
    index = VectorIndex.open(atlas, "clip")
    vectors = np.asarray(atlas.space("clip").vectors, dtype=np.float32)
    allowed = atlas.allowed(Split.TRAIN)
    queries = iter(np.random.default_rng(0).permutation(len(vectors)).repeat(3))

    def brute() -> None:
        similarities = np.where(allowed, vectors @ vectors[next(queries)], -np.inf)
        np.argpartition(-similarities, 12)

    ours = timed(lambda: index.search(vectors[next(queries)], 12, allowed), REPEATS)
    peer = timed(brute, REPEATS)
    yield Row(
        f"search, {len(vectors):,} x {vectors.shape[1]}, one query",
        f"p50 {milliseconds(ours.p50)}, p99 {milliseconds(ours.p99)}",
        f"numpy brute force p50 {milliseconds(peer.p50)}",
        ours.p50 / peer.p50,
    )


def placement_rows(atlas: Atlas) -> Iterator[Row]:
    """Placing one vector, and how well held-out pictures keep their neighbors, against `UMAP.transform`."""
    data = atlas.space("clip")
    vectors = np.asarray(data.vectors, dtype=np.float32)
    train, heldout = vectors[atlas.train], vectors[~atlas.train]
    similarities, rows = VectorIndex.open(atlas, "clip").search(heldout, NEIGHBORS, atlas.train)
    place = placer(atlas, "clip")
    turns = iter(np.random.default_rng(0).integers(0, len(heldout), REPEATS + 10))

    def one() -> None:
        turn = next(turns)
        place.place(rows[turn : turn + 1], similarities[turn : turn + 1])

    ours = timed(one, REPEATS)
    settings = {"n_components": 3, "n_neighbors": NEIGHBORS, "metric": "cosine", "a": data.a, "b": data.b}
    fitted = umap.UMAP(**settings, random_state=0, n_jobs=1).fit(train)
    start = time.perf_counter()
    peer_points = fitted.transform(heldout)
    first = time.perf_counter() - start
    peer = timed(lambda: fitted.transform(heldout[:1]), 10)
    yield Row(
        "placement of one vector, its search not counted",
        f"p50 {milliseconds(ours.p50)}, p99 {milliseconds(ours.p99)}",
        f"UMAP.transform p50 {milliseconds(peer.p50)}, the first ({len(heldout)} at once) {first:.1f} s",
        ours.p50 / peer.p50,
        f"at most 5 ms: {held(ours.p50, 5e-3)}",
    )
    kept = overlap(place_vectors(atlas, "clip", heldout).points, data.points[atlas.train], heldout, train)
    theirs = overlap(peer_points, fitted.embedding_, heldout, train)
    yield Row(
        "k-overlap of held-out pictures, k = 15, map against space",
        f"{kept:.3f}",
        f"UMAP.transform on a map of its own {theirs:.3f}",
        kept / theirs,
        f"at least its figure minus 0.01: {held(theirs - 0.01, kept)}",
    )
    yield self_landing(atlas)


def self_landing(atlas: Atlas) -> Row:
    """How far from its own point a training picture lands when its neighbors are asked without itself."""
    data = atlas.space("clip")
    rows = np.flatnonzero(atlas.train)
    index = VectorIndex.open(atlas, "clip")
    similarities, found = index.search(data.vectors[rows], NEIGHBORS + 1, atlas.train)
    others = found != rows[:, None]
    others[others.all(axis=1), -1] = False
    shape = (len(rows), NEIGHBORS)
    points = placer(atlas, "clip").place(found[others].reshape(shape), similarities[others].reshape(shape))
    away = np.linalg.norm(points - data.points[rows], axis=1) / data.radius
    median = float(np.median(away))
    return Row(
        "landing of a training picture, itself left out",
        f"median {median:.1%} of the map radius",
        "its own point on the map",
        None,
        f"at most 5 %: {held(median, 0.05)}",
    )


def overlap(points: Floats, cloud: Floats, vectors: Floats, space: Floats, k: int = NEIGHBORS) -> float:
    """Mean share of the k nearest that map and space have in common.

    Args:
        points: (q, 3), places of the new pictures.
        cloud: (n, 3), places of the training pictures.
        vectors: (q, d), unit length.
        space: (n, d), unit length.
        k: how many.
    """
    by_vector = np.argpartition(-(vectors @ space.T), k, axis=1)[:, :k]
    distances = np.linalg.norm(np.asarray(points)[:, None] - np.asarray(cloud)[None], axis=2)
    by_point = np.argpartition(distances, k, axis=1)[:, :k]
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(by_vector, by_point, strict=True)]))


PARTS = (Part("questions/demo", measure, minutes=2),)
