"""Isolation, realism, cluster and percentiles by family: against their formulae, written anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from small_atlas import SmallAtlas, changed

from explorer import nearness
from explorer.atlas import Atlas
from explorer.errors import AtlasError
from explorer.layout import AtlasPaths, write_array
from explorer.nearness import Balls, cluster_place, euclidean, isolation
from explorer.records import Record, Split
from explorer.verify import current
from tests.test_levels import republished

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """The small atlas with all of its sixty pictures in training."""
    return Atlas.open(SmallAtlas(change=changed(split=Split.TRAIN)).write(tmp_path_factory.mktemp("near") / "small"))


def query(atlas: Atlas, row: int) -> Floats:
    """A vector near to one picture's, of unit length."""
    vector = atlas.space("clip").vectors[row].astype(np.float32)
    moved = vector + 0.05 * np.random.default_rng(row).normal(size=vector.shape).astype(np.float32)
    return np.asarray(moved / np.linalg.norm(moved), np.float32)


def test_distances_are_those_of_the_vectors() -> None:
    """Cosines become what the norm of the difference is, and a copy is no nearer than float16 can tell."""
    vectors = np.random.default_rng(0).normal(size=(20, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = np.linalg.norm(vectors[1:] - vectors[0], axis=1)
    assert euclidean(vectors[1:] @ vectors[0]) == pytest.approx(expected)
    assert euclidean(np.array([1.0, 1.0004])).tolist() == [nearness.RESOLUTION] * 2


def test_isolation_is_the_first_distance_over_the_mean_of_the_next_49(atlas: Atlas) -> None:
    """A copy of a lone picture has little of it; with fewer than fifty pictures there is none to tell."""
    vectors = atlas.space("clip").vectors.astype(np.float64)
    asked = query(atlas, 12)
    distances = np.sort(np.linalg.norm(vectors - asked, axis=1))
    similarities = np.sort(atlas.space("clip").vectors.astype(np.float32) @ asked)[::-1]
    assert isolation(similarities) == pytest.approx(distances[0] / distances[1:50].mean(), rel=1e-3)
    assert isolation(similarities[:49]) is None
    assert isolation(np.array([1.0, *[0.1] * 49])) == pytest.approx(nearness.RESOLUTION / np.sqrt(1.8))


@pytest.mark.parametrize("widest", [4096, 5])
def test_realism_is_the_largest_ball_over_the_distance(
    atlas: Atlas, widest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over all pictures where they are few; else over those near by and those with the widest balls."""
    monkeypatch.setattr(nearness, "WIDEST", widest)
    data = atlas.space("clip")
    vectors, train = data.vectors.astype(np.float64), np.ones(60, bool)
    radii = np.sort(np.linalg.norm(vectors[:, None] - vectors[None], axis=2), axis=1)[:, 15]
    for row in (3, 12, 40):
        asked = query(atlas, row)
        distances = np.linalg.norm(vectors - asked, axis=1)
        near = np.argsort(distances)[:10]
        looked = np.union1d(near, np.argsort(-radii)[:widest])
        similarities = (data.vectors[near].astype(np.float32) @ asked).astype(np.float32)
        found = Balls(data, train).realism(asked, near, similarities, train)
        assert found == pytest.approx((radii / distances)[looked].max(), rel=2e-3)
        assert found is not None and found > 1


def test_who_does_not_count_has_no_ball(atlas: Atlas) -> None:
    """A denied picture's ball, or that of a family left out, is looked at by nobody; none at all gives None."""
    data, asked = atlas.space("clip"), query(atlas, 12)
    balls = Balls(data, np.ones(60, bool))
    near = np.array([12])
    similarity = data.vectors[near].astype(np.float32) @ asked
    everyone = np.ones(60, bool)
    without = everyone & (np.arange(60) != 12)
    whole = balls.realism(asked, near, similarity, everyone)
    rest = balls.realism(asked, near, similarity, without)
    assert whole is not None and rest is not None
    assert rest < whole
    assert balls.realism(asked, near, similarity, ~everyone) is None


def test_the_cluster_is_the_one_that_most_of_the_nearest_are_in(atlas: Atlas) -> None:
    """Shares are of all that were asked; of equal ones the nearer wins; where none is in a cluster there is none."""
    data = atlas.space("clip")
    first, second = np.flatnonzero(data.cluster == 1), np.flatnonzero(data.cluster == 2)
    lone = np.flatnonzero(data.cluster == -1)
    labels = {1: "orange", 2: "green"}
    found = cluster_place(data, np.concatenate([second[:4], first[:6], lone[:5]]), labels)
    assert found is not None
    assert (found.cluster, found.label, found.runner_up) == (1, "orange", 2)
    assert (found.share, found.margin) == pytest.approx((6 / 15, 2 / 15))
    tied = cluster_place(data, np.concatenate([second[:3], first[:3]]), labels)
    assert tied is not None
    assert (tied.cluster, tied.margin, tied.runner_up) == (2, 0, 1)
    alone = cluster_place(data, np.concatenate([first[:3], lone[:1]]), {})
    assert alone is not None
    assert (alone.label, alone.share, alone.margin, alone.runner_up) == ("", 0.75, 0.75, None)
    assert cluster_place(data, lone, labels) is None


def test_weights_of_another_baseline_are_refused(small_atlas: Path) -> None:
    """One weight too few is no atlas: percentiles by family would be of others, or of nobody."""
    version = current(AtlasPaths(small_atlas))
    weights = np.load(version.array("clip", "weights"))
    write_array(version.array("clip", "weights"), weights[1:])
    republished(small_atlas)
    with pytest.raises(AtlasError, match=r"clip/weights.npy: expected shape \(48,\) as of baseline.npy, found \(47,\)"):
        Atlas.open(small_atlas)


def test_by_family_each_family_counts_once(tmp_path: Path) -> None:
    """A flood of variants does not move it: the share of families, each by its share of pictures that are below."""

    def flooded(record: Record) -> Record:
        return changed(family="flood", split=Split.TRAIN)(record) if record.id < 1210 else record

    atlas = Atlas.open(SmallAtlas(change=flooded).write(tmp_path / "flood"))
    data = atlas.space("clip")
    train = np.flatnonzero(atlas.train)
    cosines = data.vectors[train].astype(np.float32) @ data.vectors[train].astype(np.float32).T
    families = atlas.families[train]
    cosines[families[:, None] == families[None, :]] = -np.inf
    nearest = cosines.max(axis=1)
    asked = np.linspace(nearest.min() - 0.01, nearest.max() + 0.01, 7).astype(np.float32)
    expected = [
        100 * np.mean([np.mean(nearest[families == family] < value) for family in np.unique(families)])
        for value in asked
    ]
    assert data.family_percentiles(asked) == pytest.approx(np.array(expected), abs=1e-3)
    assert data.family_percentiles(asked)[[0, -1]].tolist() == [0, 100]
    assert np.abs(data.family_percentiles(asked) - data.percentiles(asked)).max() > 5
