"""What is too much to hold at once: arrays and tables written piece by piece, digests of millions, and means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer import layout
from explorer.records import Record, Split
from explorer.rows import record_batches, records_table
from indexer.mapping import vectors
from indexer.sources.base import SourceRow
from indexer.stages import digest, digest_each

CUTS = st.lists(st.integers(0, 40), max_size=5).map(lambda cuts: [0, *sorted(cuts), 40])


def pieces(array: npt.NDArray[Any], cuts: list[int]) -> Iterator[npt.NDArray[Any]]:
    """The rows of an array, in pieces; some may be empty."""
    return (array[start:end] for start, end in zip(cuts, cuts[1:], strict=False))


@settings(max_examples=25, deadline=None)
@given(CUTS)
def test_pieces_make_the_file_of_the_whole(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    """However rows are cut, the file is byte for byte the one that NumPy writes of them all."""
    folder = tmp_path_factory.mktemp("npy")
    whole = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float16)
    np.save(folder / "whole.npy", whole)
    layout.write_blocks(folder / "cut.npy", pieces(whole, cuts), whole.shape, np.float16)
    assert (folder / "cut.npy").read_bytes() == (folder / "whole.npy").read_bytes()


@pytest.mark.parametrize("end", [39, 41])
def test_rows_too_few_or_too_many_leave_no_file(tmp_path: Path, end: int) -> None:
    """An array whose head would lie is not written, and nothing is left of it."""
    with pytest.raises(ValueError, match=f"found {end} rows; expected 40"):
        layout.write_blocks(tmp_path / "a.npy", [np.zeros((end, 2))], (40, 2), np.float32)
    assert list(tmp_path.iterdir()) == []


def test_records_in_batches_are_the_table(tmp_path: Path) -> None:
    """Records written batch by batch read as the table of all of them, a row group a batch."""
    count = layout.ROW_GROUP + 5
    records = [Record(id=number, key=str(number), split=Split.TRAIN, captions={"en": "a"}) for number in range(count)]
    layout.write_batches(tmp_path / "r.parquet", record_batches(records), layout.RECORDS_SCHEMA)
    read = pq.ParquetFile(tmp_path / "r.parquet")
    assert read.metadata.num_row_groups == 2
    assert read.read().equals(records_table(records))


@settings(max_examples=25, deadline=None)
@given(CUTS, st.floats(-3, 3))
def test_mean_and_vectors_do_not_depend_on_the_pieces(cuts: list[int], away: float) -> None:
    """The training rows' mean is float64's over all of them, and vectors are unit length around it."""
    rng = np.random.default_rng(1)
    raw = (rng.normal(size=(40, 6)) + away).astype(np.float32)
    train = rng.random(40) < 0.7
    mean = vectors.center(lambda: pieces(raw, cuts), train)
    np.testing.assert_allclose(mean, raw[train].astype(np.float64).mean(axis=0), rtol=1e-6, atol=1e-7)
    whole = vectors.in_frame(raw, mean)
    np.testing.assert_array_equal(np.concatenate([vectors.in_frame(part, mean) for part in pieces(raw, cuts)]), whole)
    centered = raw - mean
    np.testing.assert_allclose(whole, centered / np.linalg.norm(centered, axis=1, keepdims=True), atol=5e-4)


def test_copies_of_one_picture_stay_where_they_are() -> None:
    """A corpus without any direction from its mean has no mean taken off."""
    raw = np.tile(np.array([[1.0, 2.0, 2.0]], np.float32), (4, 1))
    mean = vectors.center(lambda: [raw[:1], raw[1:]], np.ones(4, np.bool_))
    np.testing.assert_array_equal(mean, np.zeros(3))
    np.testing.assert_allclose(vectors.in_frame(raw, mean), raw / 3, atol=1e-3)


def test_arrays_have_digests_of_their_own() -> None:
    """Values, dtype and shape count, and nothing else; a view digests as its copy."""
    numbers = np.arange(12, dtype=np.int32)
    others = [numbers + 1, numbers.astype(np.int64), numbers.reshape(3, 4), numbers[:11]]
    assert len({digest(each) for each in [numbers, *others]}) == 5
    every = np.arange(24, dtype=np.int32)[::2]
    assert digest(every) == digest(every.copy())


def test_a_row_more_less_or_otherwise_changes_the_digest_of_all() -> None:
    """No two of these lists of rows have the same digest, and equal ones do, from whatever they come."""
    rows = [SourceRow("a", captions={"en": "b"}), SourceRow("c")]
    others = [rows[:1], rows[::-1], [*rows, SourceRow("d")], [rows[0], replace(rows[1], split=Split.HELDOUT)], []]
    assert len({digest_each(each) for each in [rows, *others]}) == 6
    assert digest_each(iter(rows)) == digest_each([replace(row) for row in rows])
