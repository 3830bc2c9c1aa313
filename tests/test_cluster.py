"""Clusters on a map and their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

from explorer.errors import ModelError
from indexer.mapping import cluster, density, phrases
from indexer.mapping.cluster import ClusterOptions, RowCluster
from indexer.mapping.density import NONE, Levels, Sizes
from indexer.mapping.labels import Groups, Key, is_borne, named
from indexer.mapping.phrases import LONGEST, TAG_WEIGHT, Phrases, PictureText, is_silent
from indexer.mapping.wording import Wording

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


@dataclass(frozen=True)
class Made:
    """What `cluster` makes of a scene."""

    cluster: npt.NDArray[np.int32]
    subcluster: npt.NDArray[np.int32]
    clusters: list[RowCluster]

    def level(self, level: int) -> list[RowCluster]:
        """The clusters of one level."""
        return [each for each in self.clusters if each.level == level]


def made_of(
    points: npt.NDArray[np.float32],
    train: npt.NDArray[np.bool_],
    families: npt.NDArray[np.int32],
    texts: list[PictureText],
    options: ClusterOptions,
) -> Made:
    """Find clusters, name and list them, as the build does."""
    found = cluster.find(points, train, near(points, train), options)
    groups = cluster.groups(found, points, families, texts)
    return Made(found.coarse, found.fine, cluster.listed(groups, named(groups).labels, options.exemplars))


def test_groups_are_found_numbered_by_size_and_named() -> None:
    """Each group is one cluster, the largest is 0, its name says what it is, and lone points are in none."""
    points, families, texts = scene()
    train = np.ones(126, bool)
    made = made_of(points, train, families, texts, ClusterOptions())
    assert [each.cluster for each in made.level(0)] == [0, 1, 2]
    assert made.cluster.dtype == np.int32
    for number, (start, end) in enumerate([(0, 60), (60, 100), (100, 120)]):
        assert (made.cluster[start:end] == number).mean() > 0.9
        assert made.clusters[number].size == (made.cluster == number).sum()
        assert made.clusters[number].label.startswith(KINDS[number])
    assert (made.cluster[120:] == NONE).all()


def test_heldout_rows_join_the_cluster_they_stand_in() -> None:
    """A held-out row makes no cluster; it joins the one that most of its nearest training pictures are in."""
    points, families, texts = scene()
    train = np.arange(126) % 5 != 0
    made = made_of(points, train, families, texts, ClusterOptions())
    group = np.repeat([0, 1, 2, NONE], (60, 40, 20, 6))
    assert np.array_equal(made.cluster[~train], group[~train])
    assert sum(each.size for each in made.level(0)) == (made.cluster >= 0).sum()


def test_exemplars_are_central_and_of_different_families() -> None:
    """The pictures that show a cluster are its own, near its middle, no two of one family while there are others."""
    points, _, texts = scene()
    families = (np.arange(126) // 4).astype(np.int32)
    train = np.ones(126, bool)
    made = made_of(points, train, families, texts, ClusterOptions(exemplars=8))
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
        train, families = np.ones(count, bool), np.arange(count, dtype=np.int32)
        made = made_of(points, train, families, [PictureText("x", ())] * count, ClusterOptions())
        assert made.clusters == []
        assert (made.cluster == NONE).all()
        assert (made.subcluster == NONE).all()


def test_one_cluster_never_swallows_the_map() -> None:
    """Where density alone would give one group with a crumb beside it, the finer groups inside are taken."""
    rng = np.random.default_rng(4)
    groups = rng.normal(scale=2.2, size=(12, 3)).repeat(60, axis=0) + rng.normal(scale=0.5, size=(720, 3))
    points = np.concatenate([groups, 40 + rng.normal(scale=0.1, size=(20, 3))]).astype(np.float32)
    train, texts = np.ones(740, bool), [PictureText("x", ())] * 740
    made = made_of(points, train, np.arange(740, dtype=np.int32), texts, ClusterOptions())
    assert max(each.size for each in made.level(0)) <= 370
    assert len(made.level(0)) > 3


def cloud(seed: int) -> npt.NDArray[np.float32]:
    """600 points in groups of groups, some of them exactly on another, with points strewn between."""
    rng = np.random.default_rng(seed)
    wide = rng.normal(scale=8, size=(5, 3)).repeat(4, axis=0)
    narrow = (wide + rng.normal(scale=1.2, size=(20, 3))).repeat(28, axis=0)
    points = np.concatenate([narrow + rng.normal(scale=0.2, size=narrow.shape), rng.normal(scale=8, size=(40, 3))])
    points[:6] = points[6:12]
    return points.astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_coarse_clusters_are_those_of_hdbscan(seed: int) -> None:
    """The coarse level is scikit-learn's HDBSCAN to the point, which is quadratic and another program."""
    points = cloud(seed)
    for size, samples in ((12, 1), (25, 4)):
        theirs = HDBSCAN(min_cluster_size=size, min_samples=samples, max_cluster_size=300, copy=True)
        # its min_samples counts the point itself from the second on
        expected = theirs.fit_predict(points.astype(np.float64))
        found = density.levels(points, Sizes(size, 5, 0.5, max(samples - 1, 1)))
        assert adjusted_rand_score(expected, found.coarse) == 1
        assert np.array_equal(expected == NONE, found.coarse == NONE)


@pytest.mark.parametrize("seed", range(4))
def test_fine_clusters_lie_inside_coarse_ones(seed: int) -> None:
    """Every fine cluster is a proper part of one coarse cluster, at most half of it, and its siblings are others."""
    found = density.levels(cloud(seed), Sizes(60, 10, 0.5, 1))
    assert found.fine.max() > found.coarse.max() >= 1
    for number in range(found.fine.max() + 1):
        rows = np.flatnonzero(found.fine == number)
        assert len(rows) >= 10
        (parent,) = set(found.coarse[rows].tolist())
        assert parent != NONE
        assert len(rows) <= (found.coarse == parent).sum() / 2
        assert len(set(found.fine[(found.coarse == parent) & (found.fine != NONE)].tolist())) > 1


def test_joining_keeps_the_levels_nested() -> None:
    """A row joins a fine cluster only of its own coarse one, and who is in one already stays in it."""
    before = Levels(
        np.array([0, 0, 0, 1, 1, 0, NONE, NONE], np.int32), np.array([0, 0, 1, 2, 2] + [NONE] * 3, np.int32)
    )
    neighbors = np.full((8, 5), NONE, np.int32)
    neighbors[5] = [3, 4, 0, 1, NONE]  # half of them of another coarse cluster, half of a fine one of its own
    neighbors[6] = [0, 2, 5, 3, 7]  # most of coarse 0, no half of any fine one
    neighbors[7] = [3, 4, 6, 7, 6]  # too few of any
    after = cluster.joined(before, neighbors, 0.5)
    assert after.coarse.tolist() == [0, 0, 0, 1, 1, 0, 0, NONE]
    assert after.fine.tolist() == [0, 0, 1, 2, 2, 0, NONE, NONE]


def members(*captions: str, tags: tuple[str, ...] = ()) -> list[PictureText]:
    """What pictures with these captions say."""
    return [PictureText(caption, tags) for caption in captions]


def groups_of(*coarse: list[PictureText], families: list[int] | None = None, fine: list[int] | None = None) -> Groups:
    """Clusters of these pictures, numbered as they come, with the first ones the most central."""
    texts = [text for group in coarse for text in group]
    codes = np.repeat(np.arange(len(coarse)), [len(group) for group in coarse]).astype(np.int32)
    parts = np.full(len(texts), NONE, np.int32) if fine is None else np.array(fine, np.int32)
    central = {
        Key(level, number): rows for level, of in enumerate((codes, parts)) for number, rows in cluster.members(of)
    }
    own = np.arange(len(texts)) if families is None else np.array(families)
    return Groups(texts, own.astype(np.int32), codes, parts, central)


def names(groups: Groups, level: int = 0) -> list[str]:
    """The names of one level's clusters."""
    return [label for key, label in named(groups).labels.items() if key.level == level]


def test_labels_are_phrases_and_none_comes_twice() -> None:
    """Words that belong together stay together; two clusters that say the same are told apart by a picture."""
    found = names(
        groups_of(
            members("dark skin tone", "hand: dark skin tone", "dark skin tone, waving"),
            members("slice of pizza", "a slice of pizza", "one slice of pizza"),
            members("slice of pizza", "a slice of pizza", "the slice of pizza"),
            members("12 34", "!!", "56"),
        )
    )
    assert found[0].startswith("dark skin tone")
    assert found[1].startswith("slice of pizza")
    assert found[2].startswith("slice of pizza (")
    assert found[3] == "like 12 34"
    assert len(set(found)) == 4


def test_a_family_counts_once() -> None:
    """Ten variants of one motif do not outvote three others."""
    many, few = members("spotted owl") * 10, members("green frog") * 3
    found = names(groups_of([*many, *few], members("tall tree", "old tree"), families=[0] * 10 + [1, 2, 3, 4, 5]))
    assert found[0].startswith("green frog")


def test_captions_in_other_scripts_have_labels() -> None:
    """Letters are letters: a cluster of Chinese captions is named in Chinese."""
    found = names(groups_of(members("红色 汽车", "红色 汽车"), members("蓝色 船", "蓝色 船")))
    assert "红色 汽车" in found[0]
    assert "蓝色" in found[1]


def test_fine_labels_refine_the_coarse_one() -> None:
    """A part is named by what tells it from its siblings, not by what its cluster is called already."""
    cats = members(*["black cat sleeping"] * 3, *["white cat jumping"] * 3, *["cat"] * 2)
    found = named(groups_of(cats, members("red car", "red car"), fine=[0] * 3 + [1] * 3 + [NONE] * 4)).labels
    assert found[Key(0, 0)].startswith("cat")
    assert found[Key(1, 0)].startswith("black cat") or found[Key(1, 0)].startswith("sleeping")
    assert {"white", "jumping"} & set(found[Key(1, 1)].replace(",", "").split())
    assert not {found[Key(1, 0)], found[Key(1, 1)]} & {"cat", found[Key(0, 0)]}


def test_labels_are_held_against_the_pictures() -> None:
    """Of two phrases that captions bear alike, the one goes first that the space puts nearer to the cluster."""
    groups = groups_of(members(*["lemon, lovely"] * 4), members(*["blue whale"] * 4))
    vectors = np.repeat(np.eye(2, 2, dtype=np.float16), 4, axis=0)

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        near = {"lemon": 0.9, "lovely": 0.4}
        return np.array([[near.get(text, 0.1), 0.1] for text in texts], np.float32)

    checked = named(groups, Wording(embed, vectors))
    assert checked.is_checked
    assert (checked.labels[Key(0, 0)], named(groups).labels[Key(0, 0)]) == ("lemon, lovely", "lovely, lemon")


def test_labels_do_without_a_model_that_is_gone() -> None:
    """A model that cannot be loaded leaves the names as captions make them, and that stands beside them."""

    def gone(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        raise ModelError("no such model")

    groups = groups_of(members("red car", "red car"), members("old house", "old house"))
    found = named(groups, Wording(gone, np.ones((4, 2), np.float16)))
    assert (found.labels, found.is_checked) == (named(groups).labels, False)


def plain_phrases(text: PictureText) -> dict[str, float]:
    """The phrases of one picture, read word by word."""
    found: dict[str, float] = {}
    for part, weight in [*((tag, TAG_WEIGHT) for tag in text.tags), (text.caption, 1.0)]:
        for piece in re.split(r"[^\w\s'’-]+", part.lower()):
            words = re.findall(r"[^\W\d_]{2,}(?:['’-][^\W\d_]+)*", piece)
            for start in range(len(words)):
                for some in (words[start : start + length] for length in range(1, LONGEST + 1)):
                    if not is_silent(some[0]) and not is_silent(some[-1]):
                        found[" ".join(some)] = weight
    return found


@given(st.lists(st.tuples(st.text("ab of-'.,;3é汽", max_size=24), st.lists(st.text("ab ,c", max_size=6), max_size=2))))
def test_phrases_are_those_that_a_reader_finds(given_texts: list[tuple[str, list[str]]]) -> None:
    """The matrix of phrases says of every picture what reading it word by word says."""
    texts = [PictureText(caption, tuple(tags)) for caption, tags in given_texts]
    read = Phrases.of(texts)
    for row, text in enumerate(texts):
        own = read.said[[row]]
        assert {read.text(each): float(much) for each, much in zip(own.indices, own.data, strict=True)} == (
            plain_phrases(text)
        )


def test_the_rarest_words_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more words than numbers for them, those that come least often are passed over."""
    monkeypatch.setattr(phrases, "MOST_WORDS", 2)
    read = Phrases.of(members("red car", "red car", "red whale"))
    assert {read.text(each) for each in range(len(read.codes))} == {"red", "car", "red car"}


def test_a_label_goes_on_where_another_picture_bears_it() -> None:
    """A name of phrases, with or without a caption behind it, or of a caption alone, is borne by who says all of it."""
    texts = members("red car: old", "a house", tags=("vehicle",))
    assert is_borne("red car, vehicle", texts)
    assert is_borne("house (red car: old)", texts)
    assert is_borne("like a house", texts)
    assert is_borne("group 3", texts)
    assert not is_borne("red house", texts)
    assert not is_borne("red car (a boat)", texts)
