"""Strangers' Parquet: nothing in it is run, and every cell becomes a plain value."""

from __future__ import annotations

import datetime
import decimal
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import ManifestError
from indexer.sources.parquet import BATCH_BYTES, ParquetTable, as_bytes, as_numbers, cells

_TRAP = """
import pathlib, pickle, sys
import pyarrow as pa, pyarrow.parquet as pq
from explorer.errors import ManifestError
from indexer.sources import parquet

class Trap(pa.ExtensionType):
    def __init__(self):
        super().__init__(pa.string(), "stranger.pickled")
    def __arrow_ext_serialize__(self):
        return pickle.dumps(print)
    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        pathlib.Path(sys.argv[2]).touch()
        return cls()

pa.register_extension_type(Trap())
if sys.argv[3] == "unguarded":
    parquet._refuse_extensions = lambda path: None
try:
    print(parquet.ParquetTable(pathlib.Path(sys.argv[1])).names)
except ManifestError as error:
    print(error)
"""


def write(path: Path, table: pa.Table | dict[str, object], **settings: object) -> ParquetTable:
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **settings)
    return ParquetTable(path)


def column(values: pa.Array, path: Path) -> list[object]:
    table = write(path, {"c": values})
    (batch,) = table.batches(["c"])
    return cells(batch.column(0))


class PickledType(pa.ExtensionType):
    """A type as packages make them, whose description is a pickle."""

    def __init__(self) -> None:
        super().__init__(pa.string(), "stranger.pickled")

    def __arrow_ext_serialize__(self) -> bytes:
        return b"cposix\nsystem\n."

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> PickledType:
        return cls()


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A Parquet file with an extension type among many plain columns, so that its schema lies deep in the footer."""
    values = pa.array(["a", "b"])
    columns = {"url": values, "odd": pa.ExtensionArray.from_storage(PickledType(), values)}
    write(tmp_path / "trap.parquet", pa.table(columns | {f"c{at}": values for at in range(20)}))
    return tmp_path / "trap.parquet"


def test_an_extension_type_is_refused_by_name(trap: Path) -> None:
    """The refusal says what was found and what to do."""
    with pytest.raises(ManifestError, match="found a column of an extension type.*write the file again without it"):
        _ = ParquetTable(trap).names


@pytest.mark.parametrize("guard", ["guarded", "unguarded"])
def test_an_extension_type_is_never_rebuilt(trap: Path, tmp_path: Path, guard: str) -> None:
    """Where a program has such a type registered, its code runs without the guard, and does not run with it."""
    canary = tmp_path / "canary"
    command = [sys.executable, "-c", _TRAP, str(trap), str(canary), guard]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."}, check=True)
    assert canary.exists() == (guard == "unguarded")
    assert ("extension type" in done.stdout) == (guard == "guarded")


def test_the_types_that_parquet_itself_has_are_read(tmp_path: Path) -> None:
    """JSON and UUID, which Arrow may make extension types of, are no reason to refuse a file."""
    path = tmp_path / "duck.parquet"
    made = "SELECT 'https://a.example/1' AS url, '{\"a\": 1}'::JSON AS facts, gen_random_uuid() AS uid"
    duckdb.sql(f"COPY ({made}) TO '{path}'")
    table = ParquetTable(path)
    assert table.names == ("url", "facts")
    (batch,) = table.batches(table.names)
    assert cells(batch["facts"]) == ['{"a": 1}']


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"no parquet at all", b"PAR1" + b"\x00" * 40 + b"\xff\xff\xff\x7fPAR1"]
)
def test_what_is_no_parquet_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    """An empty, foreign or cut-off file is a fault of one line with the file's name."""
    (tmp_path / "bad.parquet").write_bytes(content)
    with pytest.raises(ManifestError, match=r"bad\.parquet: is no Parquet file") as caught:
        _ = ParquetTable(tmp_path / "bad.parquet").names
    assert "\n" not in str(caught.value)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """One of them would be dropped without a word."""
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["url", "url"])
    with pytest.raises(ManifestError, match=r"found 2 columns named 'url'; expected each name once"):
        _ = write(tmp_path / "two.parquet", table).names


def test_a_damaged_page_is_one_clear_line(tmp_path: Path) -> None:
    """A file whose footer is right and whose pages are not stops with a line, and with no crash."""
    table = write(
        tmp_path / "cut.parquet", {"url": [f"https://a.example/{at}" for at in range(5000)]}, compression="zstd"
    )
    data = bytearray(table.path.read_bytes())
    data[100:2000] = os.urandom(1900)
    table.path.write_bytes(data)
    with pytest.raises(ManifestError, match=r"cut\.parquet: cannot be read"):
        list(table.batches(["url"]))


def test_long_rows_come_in_small_batches(tmp_path: Path) -> None:
    """A megabyte of caption in each row makes batches small, however well the file is compressed."""
    table = write(tmp_path / "long.parquet", {"c": ["x" * 1_000_000 for _ in range(200)]}, compression="zstd",
                  use_dictionary=False)  # fmt: skip
    assert table.path.stat().st_size < 1_000_000
    sizes = [batch.num_rows for batch in table.batches(["c"])]
    assert sum(sizes) == 200
    assert max(sizes) <= 70  # of a megabyte each


def test_vectors_that_the_file_packs_well_come_in_batches_that_fit_when_they_are_unpacked(tmp_path: Path) -> None:
    """A hundred megabytes of equal numbers are a small column on the disk; their batches are bounded all the same."""
    dim, count = 1024, 25_000
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.full(dim * count, 0.5, np.float32)), dim)
    found = write(tmp_path / "packed.parquet", pa.table({"vector": vectors}))
    assert found.path.stat().st_size < 1024 * 1024
    sizes = [batch.num_rows for batch in found.batches(["vector"])]
    assert sum(sizes) == count
    assert max(sizes) * dim * 4 <= BATCH_BYTES


def test_texts_that_are_no_utf8_and_very_long_ones_are_tamed(tmp_path: Path) -> None:
    """Lone surrogates and broken bytes become marks, and no text is longer than 32,000 bytes."""
    raw = pa.array([b"a\xed\xa0\x80b", b"caf\xe9", b"", None, "漢".encode() * 20_000], pa.binary())
    texts = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    found = column(texts, tmp_path / "t.parquet")
    assert found[1:4] == ["caf\ufffd", "", None]
    assert found[0].startswith("a\ufffd")  # type: ignore[attr-defined]
    assert len(found[4].encode()) <= 32_001  # type: ignore[attr-defined]
    assert [str(each).encode() for each in found]


def test_every_type_becomes_a_plain_value(tmp_path: Path) -> None:
    """Numbers, truths, times, lists and structs arrive as JSON could hold them; what is not finite as None."""
    noon = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
    expected = {
        "int": (pa.array([2**63 - 1, None]), [2**63 - 1, None]),
        "uint": (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
        "bool": (pa.array([True, None]), [True, None]),
        "half": (pa.array(np.array([1.5, np.nan], np.float16)), [1.5, None]),
        "double": (pa.array([0.25, float("inf"), float("nan"), None]), [0.25, None, None, None]),
        "decimal": (pa.array([decimal.Decimal("1.50")]), [1.5]),
        "day": (pa.array([datetime.date(2024, 5, 1)]), ["2024-05-01"]),
        "time": (pa.array([noon], pa.timestamp("ms", "Europe/Berlin")), ["2024-05-01 12:00:00.000Z"]),
        "local": (pa.array([noon.replace(tzinfo=None)], pa.timestamp("us")), ["2024-05-01 12:00:00.000000"]),
        "list": (pa.array([["a", "b"], None]), ['["a", "b"]', None]),
        "struct": (pa.array([{"a": 1, "b": "é"}]), ['{"a": 1, "b": "é"}']),
        "null": (pa.nulls(2), [None, None]),
        "dictionary": (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
    }
    for name, (values, wanted) in expected.items():
        assert column(values, tmp_path / f"{name}.parquet") == wanted, name


def test_vectors_and_files_are_no_columns_to_tell(tmp_path: Path) -> None:
    """Lists of fractions and anything that holds bytes inside are not read as words; plain bytes may be."""
    table = write(
        tmp_path / "t.parquet",
        {
            "vector": pa.array([[0.5, 1.0]]),
            "fixed": pa.array([[0.5, 1.0]], pa.list_(pa.float32(), 2)),
            "image": pa.array([{"bytes": b"\x89PNG", "path": "a.png"}]),
            "raw": pa.array([b"https://a.example/1"]),
            "uuid": pa.array([b"0" * 16], pa.binary(16)),
            "tags": pa.array([["a"]]),
        },
    )
    assert table.names == ("raw", "tags")
    assert table.raw == {"raw"}


def test_numbers_are_found_in_any_column() -> None:
    """Texts that are numbers count as such, and all else is NaN."""
    found = as_numbers(pa.array(["0.5", " 1e3 ", "x", None, "inf", ""]))
    assert found[:2].tolist() == [0.5, 1000.0]
    assert np.isnan(found[2:]).all()
    assert as_numbers(pa.array([True, False])).tolist() == [1.0, 0.0]
    assert np.isnan(as_numbers(pa.array([[1], [2]]))).all()


def test_columns_of_two_types_can_be_compared() -> None:
    """A link is the same as text, as bytes and in a dictionary; a number is its digits."""
    links = pa.array(["https://a.example/é", None])
    as_dictionary, as_raw = links.dictionary_encode(), links.cast(pa.binary())
    for other in (as_dictionary, as_raw, links.cast(pa.large_string()), pa.chunked_array([links])):
        assert as_bytes(other).equals(as_bytes(links))
    assert as_bytes(pa.array([-5])).to_pylist() == [b"-5"]


@settings(deadline=None)
@given(st.lists(st.none() | st.binary(max_size=40), max_size=20))
def test_any_bytes_become_text_that_a_file_can_hold(values: list[bytes | None]) -> None:
    """Whatever stands in a column of text, its cells are UTF-8, one for each row."""
    raw = pa.array(values, pa.binary())
    found = cells(pa.Array.from_buffers(pa.string(), len(raw), raw.buffers()))
    assert [cell is None for cell in found] == [value is None for value in values]
    assert all(isinstance(cell, str) and cell.encode() is not None for cell in found if cell is not None)
