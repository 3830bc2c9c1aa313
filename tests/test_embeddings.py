"""The source `embeddings`: vectors and rows of clip-retrieval's files and of Parquet are those that were written."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from canary import poisoned
from color_encoders import picture

from explorer.errors import ManifestError, ModelError, RejectReason
from explorer.manifest import Manifest, from_dict
from indexer import corpus
from indexer.corpus import Selection
from indexer.sources.base import LeftOut, SourceRow
from indexer.sources.embeddings import EmbeddingsSource

DIM = 16
CLIP = "ViT-B-32/openai"


def vectors(count: int, seed: int = 0, dtype: str = "float16") -> npt.NDArray[Any]:
    """Unit vectors (count, DIM)."""
    rows = np.random.default_rng(seed).normal(size=(count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(dtype)


def table(start: int, count: int) -> dict[str, list[Any]]:
    """What clip-retrieval writes of the tars of img2dataset."""
    numbers = range(start, start + count)
    return {
        "image_path": [f"{number:09d}" for number in numbers],
        "caption": [f"picture {number}" for number in numbers],
        "url": [f"https://pictures.example/{number}.jpg" for number in numbers],
        "status": ["success"] * count,
        "original_width": [80] * count,
    }


def write_clip_retrieval(folder: Path, parts: Sequence[npt.NDArray[Any]]) -> Path:
    """The files of `clip-retrieval inference`, a part each."""
    (folder / "img_emb").mkdir(parents=True)
    (folder / "metadata").mkdir()
    start = 0
    for number, part in enumerate(parts):
        np.save(folder / "img_emb" / f"img_emb_{number}.npy", part)
        pq.write_table(pa.table(table(start, len(part))), folder / "metadata" / f"metadata_{number}.parquet")
        start += len(part)
    return folder


def write_parquet(path: Path, rows: npt.NDArray[Any], **columns: list[Any]) -> Path:
    """One Parquet file with a column of vectors, in several row groups."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = table(0, len(rows)) | {"vector": [row.tolist() for row in rows]} | columns
    pq.write_table(pa.table(told), path, row_group_size=7)
    return path


def manifest(path: Path, **tables: Any) -> Manifest:  # noqa: ANN401 - a manifest's tables
    """A manifest of this kind."""
    document = {"kind": "embeddings", "path": str(path), "models": {"clip": CLIP}} | tables
    return from_dict(document, base=Path("/"), file="test.toml")


def rows(source: EmbeddingsSource) -> list[SourceRow]:
    """The rows, whose keys are unique."""
    found = [row for row in source.rows() if isinstance(row, SourceRow)]
    assert len({row.key for row in found}) == len(found)
    return found


@pytest.mark.parametrize("dtype", ["float16", "float32", ">f4"])
def test_clip_retrieval(tmp_path: Path, dtype: str) -> None:
    """Rows come file by file in the order of their numbers, the eleventh after the second, each with its vector."""
    parts = [vectors(3 + number, seed=number, dtype=dtype) for number in range(12)]
    source = EmbeddingsSource(manifest(write_clip_retrieval(tmp_path, parts)))
    found, written = rows(source), np.concatenate(parts).astype(np.float32)
    assert [row.key for row in found] == [f"{number:09d}" for number in range(len(written))]
    np.testing.assert_array_equal(source.vectors(found), written)
    order = np.random.default_rng(1).permutation(len(found))
    np.testing.assert_array_equal(source.vectors([found[place] for place in order]), written[order])
    assert found[5].captions == {"und": "picture 5"}
    assert found[5].image_url == "https://pictures.example/5.jpg"
    assert found[5].extra == {"image_path": "000000005", "original_width": 80}
    assert source.describe() == {"clip": {"reference": CLIP, "revision": None, "fingerprint": None, "dim": DIM}}


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float16(), DIM), pa.large_list(pa.float64())])
def test_parquet_with_a_column_of_vectors(tmp_path: Path, kind: pa.DataType) -> None:
    """Lists of numbers in any of Arrow's forms come out as written, forward and in any order, over row groups."""
    written = vectors(40, dtype="float16").astype(np.float32)
    column = pa.array([row.astype(np.float16) if kind.value_type == pa.float16() else row for row in written], kind)
    path = write_parquet(tmp_path / "all.parquet", written, vector=column)
    source = EmbeddingsSource(manifest(path))
    found = rows(source)
    np.testing.assert_array_equal(source.vectors(found), written)
    order = np.random.default_rng(1).permutation(len(found))
    np.testing.assert_array_equal(source.vectors([found[place] for place in order]), written[order])


def test_vectors_that_are_missing_or_of_another_length_are_nan(tmp_path: Path) -> None:
    """What is no vector of the column's length is NaN in all its numbers, so that no other row moves."""
    written = vectors(10, dtype="float32")
    lists: list[Any] = [row.tolist() for row in written]
    lists[2], lists[5], lists[7] = None, [1.0], [None] * DIM
    source = EmbeddingsSource(manifest(write_parquet(tmp_path / "a.parquet", written, vector=lists)))
    found = source.vectors(rows(source))
    bad = np.isnan(found).all(axis=1)
    assert np.flatnonzero(bad).tolist() == [2, 5, 7]
    np.testing.assert_array_equal(found[~bad], written[~bad])


def test_keys(tmp_path: Path) -> None:
    """The manifest's column is the key, else image_path, else the link, else file and row; a second gets a number."""
    numbers = {"image_path": [None] * 4, "url": ["https://a.example/1"] * 2 + [None] * 2, "id": ["x", "y", "z", "x"]}
    path = write_parquet(tmp_path / "some.parquet", vectors(4), **numbers)
    assert [row.key for row in rows(EmbeddingsSource(manifest(path)))] == [
        "https://a.example/1", "https://a.example/1 2", "some/2", "some/3",
    ]  # fmt: skip
    chosen = EmbeddingsSource(manifest(path, columns={"key": "id"}))
    assert [row.key for row in rows(chosen)] == ["x", "y", "z", "x 2"]


def test_sample_is_drawn_by_keys_and_keeps_its_vectors(tmp_path: Path) -> None:
    """Rows that are not wanted are passed over before they are made; those that are have the vectors of their keys."""
    written = vectors(40, dtype="float32")
    chosen = manifest(write_parquet(tmp_path / "a.parquet", written))
    source = EmbeddingsSource(chosen)
    drawn = corpus.read(source, chosen, Selection(sample=7, seed=3))
    by_chance = sorted(range(40), key=lambda n: hashlib.sha256(f"3\0{n:09d}".encode()).digest()[:8])[:7]
    assert [row.key for row in drawn.rows] == [f"{number:09d}" for number in sorted(by_chance)]
    assert drawn.read == 40
    np.testing.assert_array_equal(source.vectors(drawn.rows), written[sorted(by_chance)])


def test_column_that_the_manifest_names_has_to_be_there(tmp_path: Path) -> None:
    """A column of the manifest that the table lacks is one line, with those that there are."""
    path = write_parquet(tmp_path / "a.parquet", vectors(3))
    with pytest.raises(
        ManifestError, match=r"columns\.author: found no column 'artist' .*; expected one of image_path"
    ):
        rows(EmbeddingsSource(manifest(path, columns={"author": "artist"})))
    assert len(rows(EmbeddingsSource(manifest(path, columns={"key": "URL"})))) == 3


def test_nothing_but_vectors_is_enough(tmp_path: Path) -> None:
    """Parquet with a column of vectors and no other has rows without words."""
    pq.write_table(pa.table({"vector": [row.tolist() for row in vectors(3)]}), tmp_path / "bare.parquet")
    source = EmbeddingsSource(manifest(tmp_path))
    assert [(row.key, row.captions) for row in rows(source)] == [(f"bare/{number}", {}) for number in range(3)]


def test_thumbnails_are_the_column_that_is_named(tmp_path: Path) -> None:
    """Bytes, or the bytes of `datasets`' pictures, are given as they are; without a name nothing is read."""
    data = io.BytesIO()
    picture("gold", 1).save(data, "PNG")
    both = {"png": [data.getvalue(), None, b""], "image": [{"bytes": data.getvalue(), "path": "x.png"}, None, None]}
    path = write_parquet(tmp_path / "a.parquet", vectors(3), **both)
    for column in both:
        source = EmbeddingsSource(manifest(path, embeddings={"thumbnails": column}))
        found = rows(source)
        assert [source.picture(row) for row in found] == [data.getvalue(), None, None]
        assert column not in found[0].extra
    plain = EmbeddingsSource(manifest(path))
    assert [plain.picture(row) for row in rows(plain)] == [None] * 3


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    """An .npy of objects, and a bare pickle called .npy, are refused in one line and not opened."""
    mark = tmp_path / "opened"
    evil = poisoned(mark)
    folder = write_clip_retrieval(tmp_path / "a", [vectors(3)])
    file = folder / "img_emb" / "img_emb_0.npy"
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|O", "fortran_order": False, "shape": (3, DIM)})
    for data in (evil, head.getvalue() + evil):
        file.write_bytes(data)
        with pytest.raises(ManifestError, match=r"img_emb_0\.npy: is no whole \.npy of numbers .* never unpickled"):
            rows(EmbeddingsSource(manifest(folder)))
    assert not mark.exists()


@pytest.mark.parametrize("cut", [0, 9, 90, 150, -1])
def test_cut_npy_is_refused(tmp_path: Path, cut: int) -> None:
    """An .npy that is cut off anywhere is refused by name, before a row is read."""
    folder = write_clip_retrieval(tmp_path, [vectors(3)])
    file = folder / "img_emb" / "img_emb_0.npy"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ManifestError, match=r"img_emb_0\.npy: is no whole"):
        rows(EmbeddingsSource(manifest(folder)))


def test_files_that_do_not_fit_together(tmp_path: Path) -> None:
    """Counts, lengths, types and partners that do not fit are one line each: file, found, expected, what to do."""
    counts = write_clip_retrieval(tmp_path / "counts", [vectors(3)])
    np.save(counts / "img_emb" / "img_emb_0.npy", vectors(4))
    lengths = write_clip_retrieval(tmp_path / "lengths", [vectors(3), vectors(3)[:, :8]])
    types = write_clip_retrieval(tmp_path / "types", [np.zeros((3, DIM), np.int8)])
    partner = write_clip_retrieval(tmp_path / "partner", [vectors(3), vectors(3)])
    (partner / "metadata" / "metadata_1.parquet").unlink()
    expected = {
        counts: r"metadata_0\.parquet: found 3 rows for the 4 vectors of img_emb_0\.npy",
        lengths: "img_emb_1: found vectors of 8 numbers, and of 16 in img_emb_0",
        types: r"found int8 \(3, 16\); expected float16 or float32",
        partner: r"img_emb_1\.npy: found no file of its number",
    }
    for folder, message in expected.items():
        with pytest.raises(ManifestError, match=message):
            rows(EmbeddingsSource(manifest(folder)))


def test_column_of_vectors_has_to_be_clear(tmp_path: Path) -> None:
    """Without a column of vectors, or with two, the manifest has to say which; a wrong name lists the right ones."""
    two = write_parquet(tmp_path / "two.parquet", vectors(3), other=[[1.0]] * 3)
    none = tmp_path / "none.parquet"
    pq.write_table(pa.table(table(0, 3)), none)
    for path, settings, message in (
        (two, {}, "expected one column of lists of numbers in .* which has vector, other"),
        (none, {}, "which has none"),
        (two, {"vectors": "vec"}, "found no column vec; .* which has vector, other"),
        (two, {"vectors": "vector", "thumbnails": "png"}, "embeddings.thumbnails: found no column png"),
    ):
        with pytest.raises(ManifestError, match=message):
            rows(EmbeddingsSource(manifest(path, embeddings=settings)))
    assert len(rows(EmbeddingsSource(manifest(two, embeddings={"vectors": "vector"})))) == 3


def test_filter_leaves_rows_out_without_moving_vectors(tmp_path: Path) -> None:
    """Rows under a bound are counted; the others keep their own vectors."""
    written = vectors(20, dtype="float32")
    path = write_parquet(tmp_path / "a.parquet", written, aesthetic=[float(number % 2) for number in range(20)])
    source = EmbeddingsSource(manifest(path, filter={"aesthetic_min": 1}))
    found = list(source.rows())
    kept = [row for row in found if isinstance(row, SourceRow)]
    assert sum(each.count for each in found if isinstance(each, LeftOut)) == 10
    assert {each.reason for each in found if isinstance(each, LeftOut)} == {RejectReason.FILTERED}
    np.testing.assert_array_equal(source.vectors(kept), written[1::2])


def test_embeddings_of_laion_stop_unless_vetted(tmp_path: Path) -> None:
    """Vectors of LAION's links stop as the links themselves do."""
    path = write_parquet(tmp_path / "a.parquet", vectors(3), similarity=[0.3] * 3, pwatermark=[0.1] * 3)
    with pytest.raises(ManifestError, match="Re-LAION"):
        rows(EmbeddingsSource(manifest(path)))


def test_model_need_not_be_here_but_has_to_be_a_model(tmp_path: Path) -> None:
    """A path without a model is kept as the model's name; what is no reference at all is said at once."""
    path = write_parquet(tmp_path / "a.parquet", vectors(3))
    far = EmbeddingsSource(manifest(path, models={"clip": "/nowhere/clip"}))
    assert far.describe()["clip"]["reference"] == "/nowhere/clip"
    with pytest.raises(ModelError, match="expected demo, hf-hub:org/name, ARCH/TAG"):
        EmbeddingsSource(manifest(path, models={"clip": "ViT-B-32"})).describe()


def test_signature_changes_with_the_files(tmp_path: Path) -> None:
    """Vectors that were written anew have other signatures, rows of one file different ones."""
    folder = write_clip_retrieval(tmp_path, [vectors(3)])
    source = EmbeddingsSource(manifest(folder))
    before = {source.signature(row) for row in rows(source)}
    assert len(before) == 3
    np.save(folder / "img_emb" / "img_emb_0.npy", vectors(3, seed=1))
    again = EmbeddingsSource(manifest(folder))
    assert not before & {again.signature(row) for row in rows(again)}
