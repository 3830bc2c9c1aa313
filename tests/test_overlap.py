"""How many neighbors a map keeps: against counting them one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from small_atlas import SmallAtlas

from explorer.atlas import Atlas
from explorer.layout import UNMEASURED
from explorer.placement import Placer
from explorer.status import status
from explorer.verify import verify
from indexer.editing.forget import forget
from indexer.mapping.overlap import mean_share, overlap
from tests.test_neighbors import cosines, unit


def kept_by_counting(
    points: npt.NDArray[Any], train: npt.NDArray[np.bool_], neighbors: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """For each row: those of its neighbors that fewer than k other training rows stand nearer to it than."""
    counts = np.zeros(len(points), np.int64)
    for row in range(len(points)):
        apart = np.linalg.norm(points.astype(np.float64) - points[row], axis=1)
        others = np.flatnonzero(train & (np.arange(len(points)) != row))
        near = neighbors[row][neighbors[row] >= 0]
        counts[row] = sum(np.count_nonzero(apart[others] < apart[each]) < len(near) for each in near)
    return counts


def nearest_training(vectors: npt.NDArray[Any], train: npt.NDArray[np.bool_], k: int) -> npt.NDArray[np.int32]:
    """Rows of the k nearest training rows of each, -1 where there are fewer."""
    others = cosines(vectors)
    others[:, ~train] = -np.inf
    order = np.argsort(-others, axis=1, kind="stable")[:, :k]
    return np.where(np.isfinite(np.take_along_axis(others, order, axis=1)), order, -1).astype(np.int32)


@pytest.mark.parametrize("count", [400, 16, 9, 2, 1])
def test_the_overlap_is_what_counting_gives(count: int) -> None:
    """Of training and held-out rows alike, also where fewer than 15 others are there."""
    rng = np.random.default_rng(count)
    points = rng.normal(size=(count, 3)).astype(np.float32)
    vectors = unit(rng, count)
    vectors[:, :3] += points.astype(np.float16)
    train = rng.random(count) < 0.8
    near = nearest_training(vectors, train, 15)
    found = overlap(points, train, near)
    assert found.dtype == np.uint8
    assert found.tolist() == kept_by_counting(points, train, near).tolist()


def test_points_in_one_place_count_alike() -> None:
    """Thirty points of one place: whichever of them a tree finds first, each keeps all of its neighbors there."""
    rng = np.random.default_rng(1)
    points = np.repeat(rng.normal(size=(10, 3)).astype(np.float32), 30, axis=0)
    train = np.arange(300) % 5 > 0
    places, rows = np.arange(300) // 30, np.arange(300)
    near = [rng.choice(np.flatnonzero(train & (places == places[row]) & (rows != row)), 15) for row in rows]
    assert (overlap(points, train, np.array(near, np.int32)) == 15).all()


def test_a_map_that_is_the_space_keeps_all_and_a_shuffled_one_few() -> None:
    """The mean share is 1 where map and space agree, and about chance where they have nothing in common."""
    rng = np.random.default_rng(2)
    angle = rng.uniform(0, 2 * np.pi, 2000)
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    points = np.concatenate([vectors, np.zeros((2000, 1), np.float32)], axis=1)
    train = np.ones(2000, bool)
    near = nearest_training(vectors, train, 15)
    assert mean_share(overlap(points, train, near), near) == pytest.approx(1, abs=1e-3)
    lost = overlap(points[rng.permutation(2000)], train, near)
    assert mean_share(lost, near) == pytest.approx(15 / 1999, rel=0.3)
    assert mean_share(lost[:1], np.full((1, 15), -1, np.int32)) is None


def test_a_landing_is_counted_as_a_row_is() -> None:
    """A held-out picture's own place keeps as many neighbors as the stage says of it."""
    rng = np.random.default_rng(3)
    points = rng.normal(size=(300, 3)).astype(np.float32)
    vectors = unit(rng, 300)
    train = np.arange(300) < 250
    near = nearest_training(vectors, train, 15)
    counted = overlap(points, train, near)
    placer = Placer(points, train, 1.5, 0.9)
    assert placer.kept(points[250:], near[250:]).tolist() == counted[250:].tolist()


def test_of_fifteen_is_said_where_there_are_fifteen(tmp_path: Path) -> None:
    """A count is told where a picture has fifteen neighbors; not of one with fewer, nor where nobody has counted."""
    counted = Atlas.open(SmallAtlas().write(tmp_path / "counted")).space("clip")
    assert counted.kept(3) == counted.overlap[3] <= 15
    near = counted.neighbors.copy()
    near[3, 9:] = -1
    few = replace(counted, neighbors=near)
    assert (few.kept(3), few.kept(4)) == (None, counted.overlap[4])
    assert replace(counted, overlap=np.full(60, UNMEASURED, np.uint8)).kept(4) is None


def test_an_atlas_of_before_is_not_counted_until_it_changes(tmp_path: Path) -> None:
    """Without the file an atlas opens, is whole, and says that nobody has counted; a takedown counts."""
    path = SmallAtlas(counted=False).write(tmp_path / "before")
    assert verify(path) == []
    atlas = Atlas.open(path)
    assert (atlas.space("clip").overlap == UNMEASURED).all()
    assert np.isnan(atlas.space("clip").family_percentiles(np.array([0.5], np.float32))).all()
    assert "overlap" not in status(path)["spaces"]["clip"]
    forget(path, ids=[1021])
    after = Atlas.open(path)
    assert (after.space("clip").overlap <= 15).all()
    assert status(path)["spaces"]["clip"]["overlap"] == after.meta["spaces"]["clip"]["overlap"] > 0
    assert verify(path) == []
