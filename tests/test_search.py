"""Search: what is found equals brute force over the vectors, and what was taken down is never found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_atlas import COLORS, SmallAtlas

from explorer.atlas import Atlas
from explorer.denylist import DenyKind, hashed
from explorer.errors import QueryError
from explorer.exact import knn
from explorer.nearest import VectorIndex
from explorer.records import Split
from explorer.search import hits, picture_vectors, search_id, search_image, search_text

Floats = npt.NDArray[np.float32]


@pytest.fixture
def atlas(small_atlas: Path) -> Atlas:
    """A small atlas, opened."""
    return Atlas.open(small_atlas)


class ColorEncoder:
    """Words and pictures of a color are embedded where the atlas's pictures of that color are."""

    def __init__(self, atlas: Atlas, space: str) -> None:
        data = atlas.space(space)
        self._groups = np.stack([data.vectors[10 * g : 10 * g + 10].astype(np.float32).mean(0) for g in range(6)])
        self._mean = data.mean

    def embed_texts(self, texts: list[str]) -> Floats:
        return np.stack([self._groups[COLORS.index(text)] for text in texts])

    def embed_pictures(self, pictures: list[Image.Image]) -> Floats:
        known = {Image.new("RGB", (1, 1), color).getpixel((0, 0)): color for color in COLORS}
        return self.embed_texts([known[picture.getpixel((0, 0))] for picture in pictures])

    def pooled(self, pictures: list[Image.Image]) -> Floats:
        return self.embed_pictures(pictures) + self._mean


class ColorModels:
    """The encoders of both spaces."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas

    def clip(self) -> ColorEncoder:
        return ColorEncoder(self._atlas, "clip")

    def vae(self) -> ColorEncoder:
        return ColorEncoder(self._atlas, "vae")


def brute_force(vectors: npt.NDArray[Any], queries: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Cosines (q, n) in double precision."""
    queries = queries.astype(np.float64)
    return (queries / np.linalg.norm(queries, axis=1, keepdims=True)) @ vectors.astype(np.float64).T


def assert_is_top(cosines: npt.NDArray[np.float64], similarities: Floats, rows: npt.NDArray[np.int64]) -> None:
    """The rows found are the most similar ones, in order; where two are equally similar either may come."""
    for expected, found, order in zip(cosines, similarities, rows, strict=True):
        assert len(set(order.tolist())) == len(order)
        np.testing.assert_allclose(found, expected[order], atol=2e-6)
        np.testing.assert_allclose(found, np.sort(expected)[::-1][: len(order)], atol=2e-6)


def test_search_equals_brute_force_also_after_save_and_load(tmp_path: Path) -> None:
    """The index finds what brute force finds, for queries of any length, when built and when loaded."""
    atlas = Atlas.open(SmallAtlas(dims={"clip": 96, "vae": 17}).write(tmp_path / "atlas"))
    rng = np.random.default_rng(3)
    for space in atlas.spaces:
        vectors = np.asarray(atlas.space(space).vectors)
        noise = rng.normal(size=(40, vectors.shape[1])) * 10.0 ** rng.uniform(-6, 6, size=(40, 1))
        queries = np.concatenate([noise, -vectors[:5].astype(np.float64)])
        built = VectorIndex.open(atlas, space)
        loaded = VectorIndex.open(Atlas.open(atlas.path), space)
        assert built is not loaded
        for index in (built, loaded):
            assert_is_top(brute_force(vectors, queries), *index.search(queries, 12))


def test_equal_vectors_are_found_in_any_order(tmp_path: Path) -> None:
    """With every vector there three times the similarities are still those of brute force."""
    base = np.random.default_rng(0).normal(size=(20, 8))
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    vectors = np.tile(base, (3, 1)).astype(np.float16)
    queries = np.random.default_rng(1).normal(size=(9, 8))
    assert_is_top(brute_force(vectors, queries), *knn(vectors, queries, 10))


@given(n=st.integers(1, 40), q=st.integers(1, 5), d=st.integers(1, 20), k=st.integers(1, 50), seed=st.integers(0, 9))
def test_knn_equals_brute_force(n: int, q: int, d: int, k: int, seed: int) -> None:
    """Whatever the shapes, `knn` gives the min(k, n) most similar rows."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(n, d)) + 0.01
    base = (base / np.linalg.norm(base, axis=1, keepdims=True)).astype(np.float32)
    queries = 100 * (rng.normal(size=(q, d)) + 0.01)
    similarities, rows = knn(base, queries, k)
    assert rows.shape == similarities.shape == (q, min(k, n))
    assert (similarities.dtype, rows.dtype) == (np.float32, np.int64)
    assert_is_top(brute_force(base, queries), similarities, rows)


def test_only_allowed_rows_are_found(atlas: Atlas) -> None:
    """A mask holds for every query, and where fewer rows are allowed than asked for there are fewer hits."""
    rng = np.random.default_rng(0)
    vectors = np.asarray(atlas.space("clip").vectors)
    queries = rng.normal(size=(8, 32))
    for share in (0.02, 0.3, 1.0):
        allowed = rng.random(60) < share
        allowed[7] = True
        similarities, rows = VectorIndex.open(atlas, "clip").search(queries, 12, allowed)
        assert rows.shape == (8, min(12, allowed.sum()))
        assert allowed[rows].all()
        assert_is_top(np.where(allowed, brute_force(vectors, queries), -9), similarities, rows)
    similarities, rows = VectorIndex.open(atlas, "clip").search(queries, 12, np.zeros(60, bool))
    assert rows.shape == similarities.shape == (8, 0)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "no sidecar", "wrong sidecar", "other index"])
def test_a_damaged_cache_is_rebuilt(small_atlas: Path, damage: str) -> None:
    """An index in the cache whose checksum is wrong is never read by faiss; it is made anew, and then is right."""
    atlas = Atlas.open(small_atlas)
    query = np.random.default_rng(0).normal(size=(1, 32))
    expected = VectorIndex.open(atlas, "clip").search(query, 12)
    VectorIndex.open(atlas, "vae")
    clip, vae = (next((small_atlas / "cache").glob(f"{space}-*.faiss")) for space in ("clip", "vae"))
    good = clip.read_bytes()
    sidecar = clip.with_suffix(".json")
    if damage == "flip":
        clip.write_bytes(good[:60] + bytes([good[60] ^ 255]) + good[61:])
    elif damage == "cut":
        clip.write_bytes(good[: len(good) // 2])
    elif damage == "empty":
        clip.write_bytes(b"")
    elif damage == "no sidecar":
        sidecar.unlink()
    elif damage == "wrong sidecar":
        sidecar.write_text("[]")
    else:
        clip.write_bytes(vae.read_bytes())
        sidecar.write_bytes(vae.with_suffix(".json").read_bytes())
    found = VectorIndex.open(Atlas.open(small_atlas), "clip").search(query, 12)
    np.testing.assert_array_equal(found[1], expected[1])
    assert clip.read_bytes() == good


def test_a_cache_that_cannot_be_written_costs_only_time(small_atlas: Path) -> None:
    """Search works where the index cannot be kept."""
    atlas = Atlas.open(small_atlas)
    atlas.cache_dir = Path("/proc/self/task/nowhere")
    assert len(search_id(atlas, 1000)) == 12


def test_the_index_is_loaded_once(atlas: Atlas) -> None:
    """All questions to one opened atlas share one index a space."""
    assert VectorIndex.open(atlas, "clip") is VectorIndex.open(atlas, "clip")
    assert VectorIndex.open(atlas, "clip") is not VectorIndex.open(atlas, "vae")


@pytest.mark.parametrize(
    ("query", "k", "words"),
    [
        (np.zeros((1, 32)), 5, "zero or not finite"),
        (np.full((1, 32), np.nan), 5, "zero or not finite"),
        (np.full((1, 32), np.inf), 5, "zero or not finite"),
        (np.ones((1, 31)), 5, "found a vector of 31 numbers; this space has 32"),
        (np.ones((1, 32)), 0, "found k = 0; expected 1 to 10,000"),
        (np.ones((1, 32)), 10_001, "expected 1 to 10,000"),
    ],
)
def test_questions_without_an_answer_say_why(atlas: Atlas, query: Floats, k: int, words: str) -> None:
    """A query without direction, of another dimension, or for no hits is refused in one line."""
    with pytest.raises(QueryError, match=words):
        VectorIndex.open(atlas, "clip").search(query, k)


def test_hits_carry_all_that_a_reader_wants(atlas: Atlas) -> None:
    """A hit agrees with the record, the map, the cluster and the percentile of its row."""
    found = search_id(atlas, 1000, k=59, split=None)
    space = atlas.space("clip")
    assert {hit.id for hit in found} == set(atlas.ids.tolist()) - {1000}
    assert [hit.similarity for hit in found] == sorted((hit.similarity for hit in found), reverse=True)
    for hit in found:
        row, record = atlas.row(hit.id), atlas.record(hit.id)
        assert (hit.caption, hit.page_url, hit.licence) == (record.caption, record.page_url, record.licence)
        assert (hit.split, hit.family, hit.image_url) == (record.split, record.family, record.image_url)
        np.testing.assert_array_equal(np.array(hit.point, np.float32), space.points[row])
        assert hit.cluster == (None if space.cluster[row] < 0 else space.cluster[row])
        cosine = float(space.vectors[row].astype(np.float64) @ space.vectors[0].astype(np.float64))
        assert hit.similarity == pytest.approx(cosine, abs=2e-4)
        share = 100 * np.mean(space.baseline < np.float32(hit.similarity))
        assert hit.percentile == pytest.approx(share)


def test_a_split_is_held_to(atlas: Atlas) -> None:
    """By default only training pictures are found; held-out ones or both on demand, each with its split."""
    for split, expected in ((Split.TRAIN, {Split.TRAIN}), (Split.HELDOUT, {Split.HELDOUT}), (None, set(Split))):
        assert {hit.split for hit in search_id(atlas, 1000, k=60, split=split)} == expected
    assert len(search_id(atlas, 1000, k=60)) == 47
    assert len(search_id(atlas, 1000, k=60, split=Split.HELDOUT)) == 12


@pytest.mark.parametrize("color", COLORS)
def test_words_find_their_group_without_a_percentile(atlas: Atlas, color: str) -> None:
    """The nearest pictures to a word are those of its meaning; no percentile is claimed for them."""
    found = search_text(atlas, ColorModels(atlas), color, k=8)
    assert {hit.caption.split()[0] for hit in found} == {color}
    assert {hit.percentile for hit in found} == {None}


@pytest.mark.parametrize("space", ["clip", "vae"])
def test_pictures_find_their_group_with_a_percentile(atlas: Atlas, space: str) -> None:
    """The nearest pictures to a picture are those of its group, in `vae` after the corpus mean is taken off."""
    models, picture = ColorModels(atlas), Image.new("RGB", (9, 9), "teal")
    found = search_image(atlas, models, picture, space, k=8)
    assert {hit.caption.split()[0] for hit in found} == {"teal"}
    assert all(hit.percentile is not None and 0 <= hit.percentile <= 100 for hit in found)
    vector = picture_vectors(atlas, models, space, [picture])
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_words_have_bounds_and_need_the_space_of_words(atlas: Atlas, tmp_path: Path) -> None:
    """A blank or endless text is refused, and so is any text where there is no `clip`."""
    for text in ("", " \n", "a" * 2001):
        with pytest.raises(QueryError, match="expected 1 to 2,000"):
            search_text(atlas, ColorModels(atlas), text)
    wordless = Atlas.open(SmallAtlas(dims={"vae": 16}).write(tmp_path / "wordless"))
    with pytest.raises(QueryError, match="this atlas has vae"):
        search_text(wordless, ColorModels(atlas), "red")


def test_what_was_taken_down_is_not_found(small_atlas: Path) -> None:
    """A takedown holds for the next question to an index that is open already."""
    atlas = Atlas.open(small_atlas)
    nearest = search_id(atlas, 1000, k=1)[0]
    key = atlas.record(nearest.id).key
    entry = {"kind": "key", "sha256": hashed(DenyKind.KEY, key), "at": "2025-01-01T00:00:00Z"}
    (small_atlas / "denylist.jsonl").write_text(json.dumps(entry) + "\n")
    assert nearest.id not in {hit.id for hit in search_id(atlas, 1000, k=60, split=None)}
    with pytest.raises(QueryError, match="not in this atlas"):
        search_id(atlas, nearest.id)


def test_no_hits_are_no_fault(atlas: Atlas) -> None:
    """An empty answer is an empty tuple."""
    assert hits(atlas, "clip", np.empty(0, np.float32), np.empty(0, np.int64)) == ()


def test_opening_an_atlas_loads_neither_faiss_nor_torch(small_atlas: Path) -> None:
    """A reader who only browses pays for no search index and no model."""
    program = (
        "import sys; from explorer.atlas import Atlas; atlas = Atlas.open(sys.argv[1]); atlas.record(1000); "
        "print(sorted({'faiss', 'torch', 'sklearn', 'umap', 'dash'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program, str(small_atlas)], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
