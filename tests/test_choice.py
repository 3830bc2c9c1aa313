"""Which search index is chosen, and that every kind finds what it is said to find: held against brute force."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from small_atlas import SmallAtlas

from explorer import indexes, nearest, seals
from explorer.atlas import Atlas
from explorer.errors import AtlasError
from explorer.exact import knn, normalized
from explorer.index_choice import IndexChoice, IndexKind
from explorer.lines import state
from explorer.nearest import VectorIndex
from explorer.partition import Partition
from explorer.records import Space
from explorer.status import status
from indexer.mapping import choice, neighbors
from indexer.mapping.choice import Measured, SearchOptions
from indexer.mapping.pictures import Pictures
from indexer.mapping.spaces import SpaceOptions, SpaceStages
from indexer.stages import StageStore

IVF = IndexChoice(IndexKind.IVF, {"lists": 64, "probes": 12})
HNSW = IndexChoice(IndexKind.HNSW, {"links": 16, "building": 60, "effort": 96})
APPROXIMATE = (IVF, HNSW)

Vectors = npt.NDArray[np.float16]
Rows = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """4,000 unit vectors of 24 dimensions, in groups that run into each other."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 24))[rng.integers(40, size=4000)] + 0.7 * rng.normal(size=(4000, 24))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture(scope="module")
def built(vectors: Vectors) -> Mapping[IndexKind, VectorIndex]:
    """An index of each approximate kind."""
    return {each.kind: VectorIndex(indexes.built(vectors, each), vectors) for each in APPROXIMATE}


def share(found: Rows, truth: Rows) -> float:
    """The share of the true neighbors that was found."""
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, truth, strict=True)]))


@pytest.mark.parametrize("kind", [each.kind for each in APPROXIMATE])
@pytest.mark.parametrize("left", [1.0, 0.97, 0.5, 0.1, 0.015])
def test_masks_cost_no_recall(
    vectors: Vectors, built: Mapping[IndexKind, VectorIndex], kind: IndexKind, left: float
) -> None:
    """However many rows a mask leaves, only allowed ones are found, and nearly all of the nearest among them."""
    rng = np.random.default_rng(1)
    queries = vectors[:50] + rng.normal(scale=0.05, size=(50, 24))
    allowed = rng.random(len(vectors)) < left
    similarities, rows = built[kind].search(queries, 10, allowed)
    truth = knn(vectors, queries, 10, np.flatnonzero(allowed))
    assert allowed[rows].all()
    assert (np.diff(similarities, axis=1) <= 0).all()
    assert share(rows, truth[1]) >= 0.98


@pytest.mark.parametrize("kind", [each.kind for each in APPROXIMATE])
def test_a_mask_may_empty_the_surroundings_of_a_query(
    vectors: Vectors, built: Mapping[IndexKind, VectorIndex], kind: IndexKind
) -> None:
    """Without the half of the rows that is nearest to it a query finds exactly the nearest of the other half."""
    for query in vectors[:5]:
        allowed = np.ones(len(vectors), dtype=np.bool_)
        allowed[knn(vectors, query, 2000)[1][0]] = False
        truth = knn(vectors, query, 10, np.flatnonzero(allowed))
        similarities, rows = built[kind].search(query, 10, allowed)
        assert allowed[rows].all()
        np.testing.assert_allclose(similarities, truth[0], atol=2e-6)


@pytest.mark.parametrize("kind", [each.kind for each in APPROXIMATE])
@pytest.mark.parametrize("k", [50, 400, 4000])
def test_who_asks_for_more_has_more_looked_at(
    vectors: Vectors, built: Mapping[IndexKind, VectorIndex], kind: IndexKind, k: int
) -> None:
    """Recall, which was measured for ten, is as good for many; and as many come as were asked for."""
    similarities, rows = built[kind].search(vectors[:20], k)
    assert rows.shape == (20, k)
    assert (rows >= 0).all()
    assert share(rows, knn(vectors, vectors[:20], k)[1]) >= 0.98


def test_lists_with_too_few_rows_are_made_up_for(vectors: Vectors) -> None:
    """Where the lists around a query hold fewer rows than were asked for, the others are looked at too."""
    chosen = IndexChoice(IndexKind.IVF, {"lists": 256, "probes": 1})
    similarities, rows = indexes.built(vectors[:300], chosen).search(normalized(vectors[:50]), 11, None)
    assert (rows >= 0).all()
    assert np.isfinite(similarities).all()
    assert all(len(np.unique(found)) == 11 for found in rows)


def test_few_allowed_rows_are_all_compared(vectors: Vectors, built: Mapping[IndexKind, VectorIndex]) -> None:
    """Where a mask leaves a handful, all of them are found, nearest first, wherever they lie."""
    allowed = np.zeros(len(vectors), dtype=np.bool_)
    allowed[[5, 700, 3999]] = True
    for index in built.values():
        similarities, rows = index.search(vectors[:30], 10, allowed)
        assert (np.sort(rows, axis=1) == [5, 700, 3999]).all()
        np.testing.assert_allclose(similarities, knn(vectors, vectors[:30], 3, np.flatnonzero(allowed))[0], atol=2e-6)


@pytest.mark.parametrize("chosen", APPROXIMATE)
def test_an_atlas_is_searched_by_the_index_it_names(tmp_path: Path, chosen: IndexChoice) -> None:
    """The kind that `atlas.json` names is built, kept, mapped by the next start without being read, and told of."""
    told = {"kind": chosen.kind, "parameters": dict(chosen.parameters), "recall": 0.995, "queries": 500}
    meta = {"dim": 32, "a": 1.577, "b": 0.895, "recall": 0.995, "search": {**told, "p50_ms": 0.4, "p99_ms": 0.9}}
    extra = {"spaces": {"clip": meta}, "title": "shapes"}
    root = SmallAtlas(dims={"clip": 32}, extra_meta=extra).write(tmp_path / "atlas")
    atlas = Atlas.open(root)
    nearest.prepare(atlas)
    assert len(list((root / "cache").glob("clip-*.faiss"))) == 1
    found = VectorIndex.open(atlas, "clip").search(atlas.space("clip").vectors, 12)
    (file,) = (root / "cache").glob("clip-*.faiss")
    truth = knn(atlas.space("clip").vectors, atlas.space("clip").vectors, 12)
    np.testing.assert_allclose(found[0], truth[0], atol=2e-6)
    again = VectorIndex.open(Atlas.open(root), "clip").search(atlas.space("clip").vectors, 12)
    np.testing.assert_array_equal(again[1], found[1])
    assert json.loads(file.with_suffix(".json").read_bytes())["stamp"][1] == file.stat().st_size
    parameters = ", ".join(f"{name} {value}" for name, value in chosen.parameters.items())
    line = f"searched {chosen.kind} ({parameters}): recall@10 0.995 on 500 queries, p50 0.4 ms, p99 0.9 ms"
    assert line in state(status(root))


def test_a_known_index_is_not_read_at_the_next_start(small_atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose inode, size and time of change are known is mapped without its checksum; a touched one is not."""
    atlas = Atlas.open(small_atlas)
    VectorIndex.open(atlas, "clip")
    read: list[Path] = []
    monkeypatch.setattr(seals, "checksum", lambda path: read.append(path) or "another")
    VectorIndex.open(Atlas.open(small_atlas), "clip")
    assert not read
    (file,) = (small_atlas / "cache").glob("clip-*.faiss")
    file.touch()
    VectorIndex.open(Atlas.open(small_atlas), "clip")
    assert read


@pytest.mark.parametrize("search", [{"kind": "tree", "parameters": {}}, {"kind": "ivf", "parameters": {"lists": 9}}])
def test_an_index_that_nobody_knows_is_refused(search: Mapping[str, object]) -> None:
    """A kind or parameters that are not ours are a damaged atlas, said in a line."""
    with pytest.raises(AtlasError, match="index the corpus again"):
        IndexChoice.of({"search": search})


def test_fewer_rows_than_lists_are_no_fault(vectors: Vectors) -> None:
    """What is left of a large atlas after takedowns is searched by the index it had, down to one row."""
    for count in (1, 2, 30):
        for chosen in APPROXIMATE:
            index = VectorIndex(indexes.built(vectors[:count], chosen), vectors[:count])
            assert (np.sort(index.search(vectors[:3], 40)[1], axis=1) == np.arange(count)).all()


def test_the_fastest_that_finds_enough_is_chosen() -> None:
    """Speed counts among those whose recall is enough; without any clock the last does, which looks at the least."""

    def of(kind: IndexKind, recall: float, p50: float | None) -> Measured:
        return Measured(IndexChoice(kind), recall, p50, p50)

    flat, ivf, hnsw = of(IndexKind.FLAT, 1.0, 9), of(IndexKind.IVF, 0.991, 2), of(IndexKind.HNSW, 0.98, 1)
    assert choice.best([flat, ivf, hnsw]) is ivf
    assert choice.best([flat, of(IndexKind.IVF, 0.9, 1)]) is flat
    assert choice.best([flat, of(IndexKind.IVF, 0.99, 10)]) is flat
    quiet = [of(IndexKind.FLAT, 1.0, None), of(IndexKind.IVF, 0.99, None)]
    assert choice.best(quiet) is quiet[1]


@pytest.mark.parametrize("trained", [0.3, 0.04])
def test_a_choice_holds_for_every_split(tmp_path: Path, trained: float) -> None:
    """However few rows are of the split that is asked, those of the other and all together are found as well.

    A mask has more lists looked at, so an index that is measured with one alone would look at too few without it.
    """
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 64))[rng.integers(50, size=12_000)] + 0.6 * rng.normal(size=(12_000, 64))
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    train = rng.random(len(vectors)) < trained
    options = SearchOptions(fewest=1000, queries=200, by_recall=True)
    told = choice.choose(vectors, train, None, options, tmp_path)
    assert told["kind"] == "ivf"
    index = VectorIndex(indexes.built(vectors, IndexChoice.of({"search": told})), vectors)
    queries = normalized(rows[:200] + rng.normal(scale=0.1, size=(200, 64)))
    for allowed in (np.ones(len(vectors), np.bool_), ~train, train):
        truth = knn(vectors, queries, 10, np.flatnonzero(allowed))[1]
        assert share(index.search(queries, 10, allowed)[1], truth) >= 0.98


@pytest.mark.parametrize("heldout", [200, 0])
def test_the_choice_is_measured_on_held_out_rows(vectors: Vectors, tmp_path: Path, heldout: int) -> None:
    """Recall and times of all candidates are told; the winner's file is what it is said to be, and no other stays.

    Where nothing is held out, training rows ask, and do not count as their own neighbors.
    """
    train = np.arange(len(vectors)) >= heldout
    told = choice.choose(vectors, train, None, SearchOptions(fewest=1000, queries=100), tmp_path)
    assert [each["kind"] for each in told["candidates"]] == ["flat", "ivf", "hnsw"]
    assert all(0 < each["p50_ms"] <= each["p99_ms"] for each in told["candidates"])
    assert told["candidates"][0]["recall"] == 1
    assert (told["queries"], told["split"]) == (100, "heldout" if heldout else "train")
    assert told["recall"] >= 0.99
    assert [path.name for path in tmp_path.iterdir()] == ([] if told["kind"] == "flat" else ["index.faiss"])


def test_a_reproducible_choice_asks_no_clock(vectors: Vectors, tmp_path: Path) -> None:
    """By recall alone two runs say the same and write the same bytes, and no time is told."""
    train = np.arange(len(vectors)) >= 200
    options = SearchOptions(fewest=1000, queries=100, by_recall=True)
    runs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        told = choice.choose(vectors, train, None, options, tmp_path / name)
        runs.append((json.dumps(told), (tmp_path / name / "index.faiss").read_bytes()))
    assert runs[0] == runs[1]
    told = json.loads(runs[0][0])
    assert told["kind"] == "ivf"
    assert "_ms" not in runs[0][0]
    index = indexes.mapped(tmp_path / "one" / "index.faiss", IndexChoice.of({"search": told}), vectors.shape)
    assert index is not None
    found = VectorIndex(index, vectors).search(vectors[:200], 10, train)[1]
    assert share(found, knn(vectors, vectors[:200], 10, np.flatnonzero(train))[1]) >= 0.98


def test_few_rows_are_all_looked_at(vectors: Vectors, tmp_path: Path) -> None:
    """Below the size where it pays no other index is tried."""
    told = choice.choose(vectors, np.ones(len(vectors), np.bool_), None, SearchOptions(queries=50), tmp_path)
    assert [each["kind"] for each in told["candidates"]] == ["flat"]


def test_a_graph_that_takes_too_long_is_given_up(vectors: Vectors) -> None:
    """As soon as its first rows show that the whole would take longer than allowed."""
    assert indexes.graph(vectors, HNSW, most_seconds=0) is None


def test_lists_hold_every_row_once_around_the_nearest_center(vectors: Vectors) -> None:
    """Every row is in the list whose center it is nearest to; lists of equal rows are no fault."""
    found = Partition.of(vectors, 32)
    cosines = vectors.astype(np.float64) @ found.centers.astype(np.float64).T
    chosen = np.take_along_axis(cosines, found.lists[:, None].astype(np.int64), axis=1)[:, 0]
    np.testing.assert_allclose(chosen, cosines.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.centers, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(np.sort(np.concatenate(found.members())), np.arange(len(vectors)))
    equal = Partition.of(np.repeat(vectors[:2], 50, axis=0), 8)
    assert len(np.unique(equal.lists)) == 2


def test_a_file_of_another_index_is_none(vectors: Vectors, tmp_path: Path) -> None:
    """A file that is no index, one of another kind, or of other vectors, is not taken."""
    file = tmp_path / "one.faiss"
    handle = io.BytesIO()
    indexes.write(indexes.built(vectors[:100], IVF), handle)
    file.write_bytes(handle.getvalue())
    assert indexes.mapped(file, IVF, (100, 24)) is not None
    assert indexes.mapped(file, IVF, (99, 24)) is None
    assert indexes.mapped(file, HNSW, (100, 24)) is None
    file.write_bytes(b"no index")
    assert indexes.mapped(file, IVF, (100, 24)) is None


def test_neighbors_and_index_share_their_lists(
    vectors: Vectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a space's stages find in lists they keep, index and baseline use the same ones, and all of it is told."""
    monkeypatch.setattr(neighbors.find, "__kwdefaults__", {"exact_pairs": 0, "wide": False})
    rows = vectors[:1500].astype(np.float32)
    pictures = Pictures("key", np.arange(1500) >= 150, np.arange(1500, dtype=np.int32), ())
    options = SpaceOptions(search=SearchOptions(fewest=1000, queries=50, by_recall=True))
    stages = SpaceStages(Space.CLIP, pictures, lambda space: [rows], options, StageStore(tmp_path))
    search = json.loads((stages.search / "search.json").read_bytes())
    near = json.loads((stages.neighbors / "neighbors.json").read_bytes())
    assert near["method"] == "partitioned"
    assert search["kind"] == "ivf"
    assert search["parameters"]["lists"] == near["lists"] == len(np.load(stages.neighbors / "centers.npy"))
    assert len(np.load(stages.baseline / "baseline.npy")) == 1350
    again = SpaceStages(Space.CLIP, pictures, lambda space: [], options, StageStore(tmp_path))
    assert (again.search / "index.faiss").read_bytes() == (stages.search / "index.faiss").read_bytes()
