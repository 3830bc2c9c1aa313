"""Clusters on a map and their names."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from indexer.mapping import cluster
from indexer.mapping.cluster import ClusterOptions
from indexer.mapping.labels import Member, PictureText, labels

KINDS = ("red car", "blue boat", "old house")


def near(points: npt.NDArray[np.float32], train: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """The 15 nearest training rows on the map, in place of those in a space."""
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    apart[:, ~train] = np.inf
    np.fill_diagonal(apart, np.inf)
    rows = np.argsort(apart, axis=1)[:, :15]
    return np.where(np.take_along_axis(apart, rows, axis=1) < 8, rows, -1).astype(np.int32)


def scene() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], list[PictureText]]:
    """Three groups of 60, 40 and 20 points far from each other, then 6 points alone; captions say the group."""
    rng = np.random.default_rng(0)
    sizes = (60, 40, 20)
    group = np.repeat(np.arange(3), sizes)
    points = 12 * np.eye(3)[group] + rng.normal(scale=0.6, size=(120, 3))
    alone = 60 * np.concatenate([np.eye(3), -np.eye(3)])
    texts = [PictureText(f"a {KINDS[kind]}, number {row}", ("vehicle",)) for row, kind in enumerate(group)]
    texts += [PictureText(f"thing {row}", ()) for row in range(6)]
    return np.concatenate([points, alone]).astype(np.float32), np.arange(126, dtype=np.int32), texts


def test_groups_are_found_numbered_by_size_and_named() -> None:
    """Each group is one cluster, the largest is 0, its name says what it is, and lone points are in none."""
    points, families, texts = scene()
    train = np.ones(126, bool)
    made = cluster.find(points, train, families, near(points, train), texts, ClusterOptions())
    assert [each.cluster for each in made.clusters] == [0, 1, 2]
    assert made.cluster.dtype == np.int32
    for number, (start, end) in enumerate([(0, 60), (60, 100), (100, 120)]):
        assert (made.cluster[start:end] == number).mean() > 0.9
        assert made.clusters[number].size == (made.cluster == number).sum()
        assert made.clusters[number].label.startswith(KINDS[number])
    assert (made.cluster[120:] == cluster.NONE).all()


def test_heldout_rows_join_the_cluster_they_stand_in() -> None:
    """A held-out row makes no cluster; it joins the one that most of its nearest training pictures are in."""
    points, families, texts = scene()
    train = np.arange(126) % 5 != 0
    made = cluster.find(points, train, families, near(points, train), texts, ClusterOptions())
    group = np.repeat([0, 1, 2, cluster.NONE], (60, 40, 20, 6))
    assert np.array_equal(made.cluster[~train], group[~train])
    assert sum(each.size for each in made.clusters) == (made.cluster >= 0).sum()


def test_exemplars_are_central_and_of_different_families() -> None:
    """The pictures that show a cluster are its own, near its middle, no two of one family while there are others."""
    points, _, texts = scene()
    families = (np.arange(126) // 4).astype(np.int32)
    train = np.ones(126, bool)
    made = cluster.find(points, train, families, near(points, train), texts, ClusterOptions(exemplars=8))
    for each in made.clusters[:2]:
        rows = np.array(each.exemplars)
        assert (made.cluster[rows] == each.cluster).all()
        assert len(set(families[rows])) == 8
        members = points[made.cluster == each.cluster]
        middle = members.mean(axis=0)
        reach = np.linalg.norm(members - middle, axis=1)
        assert np.linalg.norm(points[rows[0]] - middle) <= np.median(reach)


def test_too_few_points_have_no_clusters() -> None:
    """A handful of pictures is no reason to fail, or to find groups."""
    for count in (1, 2, 5):
        points = np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)
        texts = [PictureText("x", ())] * count
        train, families = np.ones(count, bool), np.arange(count, dtype=np.int32)
        made = cluster.find(points, train, families, near(points, train), texts, ClusterOptions())
        assert made.clusters == ()
        assert (made.cluster == cluster.NONE).all()


def test_one_cluster_never_swallows_the_map() -> None:
    """Where density alone would give one group with a crumb beside it, the finer groups inside are taken."""
    rng = np.random.default_rng(4)
    groups = rng.normal(scale=2.2, size=(12, 3)).repeat(60, axis=0) + rng.normal(scale=0.5, size=(720, 3))
    points = np.concatenate([groups, 40 + rng.normal(scale=0.1, size=(20, 3))]).astype(np.float32)
    train, texts = np.ones(740, bool), [PictureText("x", ())] * 740
    made = cluster.find(points, train, np.arange(740, dtype=np.int32), near(points, train), texts, ClusterOptions())
    assert max(each.size for each in made.clusters) <= 370
    assert len(made.clusters) > 3


def members(*captions: str, tags: tuple[str, ...] = ()) -> list[Member]:
    """Pictures of different families with these captions."""
    return [Member(number, PictureText(caption, tags)) for number, caption in enumerate(captions)]


def test_labels_are_phrases_and_none_comes_twice() -> None:
    """Words that belong together stay together; two clusters that say the same are told apart by a picture."""
    named = labels(
        {
            0: members("dark skin tone", "hand: dark skin tone", "dark skin tone, waving"),
            1: members("slice of pizza", "a slice of pizza", "one slice of pizza"),
            2: members("slice of pizza", "a slice of pizza", "the slice of pizza"),
            3: members("12 34", "!!", "56"),
        }
    )
    assert named[0].startswith("dark skin tone")
    assert named[1].startswith("slice of pizza")
    assert named[2].startswith("slice of pizza (")
    assert named[3] == "like 12 34"
    assert len(set(named.values())) == 4


def test_a_family_counts_once() -> None:
    """Ten variants of one motif do not outvote three others."""
    many = [Member(0, PictureText("spotted owl", ())) for _ in range(10)]
    few = [Member(number, PictureText("green frog", ())) for number in (1, 2, 3)]
    named = labels({0: [*many, *few], 1: members("tall tree", "old tree")})
    assert named[0].startswith("green frog")


def test_captions_in_other_scripts_have_labels() -> None:
    """Letters are letters: a cluster of Chinese captions is named in Chinese."""
    named = labels({0: members("红色 汽车", "红色 汽车"), 1: members("蓝色 船", "蓝色 船")})
    assert "红色 汽车" in named[0]
    assert "蓝色" in named[1]
