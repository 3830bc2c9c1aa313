"""The embedded default, whole: built by its own verb, asked, landed in, held against the truth that its groups are."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree
from sklearn.metrics import normalized_mutual_info_score

from explorer import Atlas
from explorer.exact import knn
from explorer.models.loader import Models
from explorer.placement import place_vectors, placer
from explorer.search import picture_vectors
from indexer.sources import open_source
from webapp.cli import main

K = 15


def verb(*arguments: str) -> dict[str, Any]:
    """Run a verb with --json, in this process, which has the libraries loaded; return its one object."""
    said, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        code = main([*arguments, "--json"])
    assert code == 0, errors.getvalue()
    document: dict[str, Any] = json.loads(said.getvalue())
    return document


@pytest.fixture(scope="module")
def path(demo_atlas: Path) -> Path:
    """The demo's atlas; see `conftest.py`."""
    return demo_atlas


@pytest.fixture(scope="module")
def atlas(path: Path) -> Atlas:
    """The demo's atlas, open."""
    return Atlas.open(path)


@pytest.fixture(scope="module")
def groups(atlas: Atlas) -> NDArray[np.str_]:
    """The group of each row: the corpus's own truth, which no model was taught."""
    return np.array([record.group for record in atlas.records(atlas.ids)])


def test_the_build_accounts_for_every_row_and_verifies(path: Path, atlas: Atlas) -> None:
    """Outcomes add up to the corpus, a tenth of the families is held out, and every checksum is right."""
    status = verb("status", str(path))
    rows = len(list(open_source(atlas.manifest).rows()))
    assert sum(status["outcomes"].values()) == rows
    assert status["images"] == status["outcomes"]["indexed"] == len(atlas) == rows
    families = {family: bool(train) for family, train in zip(atlas.families, atlas.train, strict=True)}
    assert 0.08 < 1 - np.mean(list(families.values())) < 0.12
    assert verb("verify", str(path)) == {"ok": True, "problems": []}


def test_building_again_changes_nothing(path: Path, atlas: Atlas) -> None:
    """An unchanged corpus keeps its version."""
    assert verb("demo", "--no-serve", "--atlas", str(path))["version"] == atlas.version


@pytest.mark.parametrize(("words", "tag"), [("cat", "cat"), ("猫", "猫"), ("red heart", "heart"), ("红心", "心")])
def test_words_in_both_languages_find_their_pictures(path: Path, atlas: Atlas, words: str, tag: str) -> None:
    """Among the first ten that a word finds is one that bears it, and the hits come in order."""
    hits = verb("search", str(path), "--text", words, "-k", "10")["hits"]
    records = [atlas.record(hit["id"]) for hit in hits]
    bearing = [tag in " ".join([*record.captions.values(), *record.tags]) for record in records]
    assert any(bearing), [record.caption for record in records]
    assert [hit["similarity"] for hit in hits] == sorted((hit["similarity"] for hit in hits), reverse=True)


def test_hits_equal_brute_force_over_the_vectors(path: Path, atlas: Atlas) -> None:
    """`search --id` gives the most similar training rows and leaves the asked one out."""
    vectors = np.asarray(atlas.space("vae").vectors, dtype=np.float64)
    row = int(np.flatnonzero(atlas.train)[100])
    similarities = np.where(atlas.train, vectors @ vectors[row], -np.inf)
    similarities[row] = -np.inf
    hits = verb("search", str(path), "--id", str(atlas.ids[row]), "--space", "vae", "-k", "20")["hits"]
    np.testing.assert_allclose([hit["similarity"] for hit in hits], np.sort(similarities)[::-1][:20], atol=2e-3)


def test_neighbors_and_clusters_know_the_groups(atlas: Atlas, groups: NDArray[np.str_]) -> None:
    """In `clip` neighbors outside the family share the group far beyond chance, and clusters tell of groups."""
    data = atlas.space("clip")
    _, rows = knn(data.vectors, data.vectors, 60)
    agreements = []
    for row, found in enumerate(rows):
        others = found[atlas.families[found] != atlas.families[row]][:10]
        agreements.append(np.mean(groups[others] == groups[row]) if len(others) else np.nan)
    shares = np.unique(groups, return_counts=True)[1] / len(groups)
    chance = float((shares**2).sum())
    assert (np.nanmean(agreements) - chance) / (1 - chance) > 0.4  # 0 is chance, 1 is all
    inside = data.cluster >= 0
    shuffled = np.random.default_rng(0).permutation(groups[inside])
    told = normalized_mutual_info_score(groups[inside], data.cluster[inside])
    assert told > 3 * normalized_mutual_info_score(shuffled, data.cluster[inside])


@pytest.mark.parametrize("space", ["clip", "vae"])
def test_a_training_picture_lands_where_it_stands(atlas: Atlas, space: str) -> None:
    """With itself left out of the neighbors, the median is at most 5 % of the map radius from its own point."""
    data = atlas.space(space)
    rows = np.flatnonzero(atlas.train)
    points = placer(atlas, space).place(data.neighbors[rows], 1 - data.distances[rows])
    assert np.median(np.linalg.norm(points - data.points[rows], axis=1)) <= 0.05 * data.radius


@pytest.mark.filterwarnings("ignore:.*precomputed metric:UserWarning")  # what it says of itself
def test_held_out_pictures_keep_their_neighbors_as_umap_would(atlas: Atlas) -> None:
    """k-overlap of map and space (k = 15) is at least `UMAP.transform`'s minus 0.01, on a map of the same settings."""
    from umap import UMAP

    data = atlas.space("clip")
    vectors = np.asarray(data.vectors, dtype=np.float32)
    train = np.flatnonzero(atlas.train)
    heldout = vectors[~atlas.train]
    _, near = knn(vectors[train], heldout, K)
    settings = {"n_components": 3, "a": data.a, "b": data.b, "random_state": 0, "n_jobs": 1}
    # Cosine distances made by numpy: UMAP's own take a call of Python for each of seven million pairs.
    apart, across = (np.maximum(1 - each @ vectors[train].T, 0) for each in (vectors[train], heldout))
    np.fill_diagonal(apart, 0)
    fitted = UMAP(metric="precomputed", **settings).fit(apart)
    theirs = overlap(fitted.embedding_, fitted.transform(across), near)
    ours = overlap(data.points[train], place_vectors(atlas, "clip", heldout).points, near)
    assert ours >= theirs - 0.01


def overlap(cloud: NDArray[np.float32], points: NDArray[np.float32], near: NDArray[np.int64]) -> float:
    """Mean share of the K nearest on the map that are among the K nearest by the vectors."""
    found = cKDTree(cloud).query(points, K)[1]
    return float(np.mean([len(np.intersect1d(one, other)) / K for one, other in zip(found, near, strict=True)]))


@pytest.mark.parametrize("space", ["clip", "vae"])
def test_copies_land_on_their_originals(atlas: Atlas, space: str) -> None:
    """JPEG (quality 40) and resized copies of training pictures land within 2 % of the radius, in the median."""
    data, models = atlas.space(space), Models(atlas)
    source = open_source(atlas.manifest)
    by_key = {row.key: row for row in source.rows()}
    chosen = np.random.default_rng(0).choice(np.flatnonzero(atlas.train), 60, replace=False)
    rows = [by_key[record.key] for record in atlas.records(atlas.ids[chosen])]
    pictures = [source.decoder(source.read(row)).picture for row in rows]
    for change in (as_jpeg, lambda picture: picture.resize((48, 48), Image.Resampling.LANCZOS)):
        vectors = picture_vectors(atlas, models, space, [change(picture) for picture in pictures])
        points = place_vectors(atlas, space, vectors).points
        assert np.median(np.linalg.norm(points - data.points[chosen], axis=1)) <= 0.02 * data.radius


def as_jpeg(picture: Image.Image) -> Image.Image:
    """The picture after JPEG at quality 40."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=40)
    return Image.open(buffer).convert("RGB")


def test_a_prompt_becomes_a_picture_that_lands(path: Path, tmp_path: Path) -> None:
    """`generate` writes the picture, one picture a step and the report; `locate` lands it at the same place."""
    out = tmp_path / "made"
    made = verb("generate", str(path), "--prompt", "red heart", "--seed", "3", "--steps", "12", "--out", str(out))
    assert len(made["trajectory"]) == 12
    assert len(list((out / "steps").glob("*.png"))) == 12
    again = verb("locate", str(path), str(out / "picture.png"))
    radius = Atlas.open(path).space("clip").radius
    one, other = (np.array(report["landing"]["spaces"]["clip"]["point"]) for report in (made, again))
    assert np.linalg.norm(one - other) <= 0.02 * radius
    assert made["landing"]["verdict"]["name"] in ("copy", "nearer", "typical", "far")
    assert all(hit["page_url"].startswith("https://") for hit in made["landing"]["spaces"]["clip"]["hits"])


def test_a_cluster_exports_its_rows(path: Path, atlas: Atlas, tmp_path: Path) -> None:
    """The exported ids are the cluster's, each with its link, licence and author."""
    first = verb("clusters", str(path))["clusters"][0]
    target = tmp_path / "cluster.jsonl"
    cluster = str(first["cluster"])
    done = verb("export", str(path), "--cluster", cluster, "--format", "jsonl", "--out", str(target))
    rows = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    assert done["rows"] == len(rows) == first["size"]
    assert {row["id"] for row in rows} == set(atlas.ids[atlas.space("clip").cluster == first["cluster"]].tolist())
    assert all(row["licence"] == "CC BY-SA 4.0" and row["author"] and row["page_url"] for row in rows)
