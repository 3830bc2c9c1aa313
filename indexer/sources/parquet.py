"""Parquet files of strangers, read in pieces of bounded size, of which nothing is ever run.

Arrow rebuilds extension types out of what the file says of them; types of old pyarrow were pickles, and other packages'
types may be still (CVE-2023-47248). So the footer is searched for such types before Arrow sees the file.
Sources: parquet.apache.org/docs/file-format, arrow.apache.org/docs/format/Columnar.html (extension types).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from explorer.errors import ManifestError
from indexer.sources.tables import LONGEST, Cell, expect_once, number

BATCH_ROWS = 65_536
BATCH_BYTES = 64 * 1024 * 1024
"""Of the columns that are read, before they are decoded; rows that are longer come in smaller batches."""

_BUFFER = 1024 * 1024
"""Bytes of a column that are read at a time: a row group may hold a million vectors, and whole columns of it."""
_NUMBER_BYTES = 4
"""What a number takes once it is decoded, at least, however well the file packs it."""
_MAGIC = b"PAR1"
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")
_EXTENSION = b"ARROW:extension:name"
_LONGEST_BYTES = 8 * LONGEST


@dataclass(frozen=True)
class ParquetTable:
    """One Parquet file.

    Raises:
        ManifestError: from every method, where the file cannot be read or holds an extension type.
    """

    path: Path

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that can be told in words, see `cells`; vectors and files are not among them."""
        return tuple(field.name for field in self._schema if _is_told(field.type))

    @property
    def raw(self) -> frozenset[str]:
        """Those of `names` that hold bytes; texts in files whose writer did not say so, or anything else."""
        return frozenset(field.name for field in self._schema if _is_bytes(field.type))

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self._file.metadata.num_rows)

    @property
    def vectors(self) -> tuple[str, ...]:
        """The columns whose values are lists of numbers with a fraction."""
        return tuple(field.name for field in self._schema if _is_vector(field.type))

    def has(self, name: str) -> bool:
        """Whether there is a column of that name, of whatever type."""
        return name in self._schema.names

    def batches(self, names: Sequence[str], start: int = 0) -> Iterator[pa.RecordBatch]:
        """The columns `names` of all rows from `start` on, in order; row groups before that are not read."""
        group = 0
        while group < self._file.num_row_groups and start >= self._file.metadata.row_group(group).num_rows:
            start -= self._file.metadata.row_group(group).num_rows
            group += 1
        groups = range(group, self._file.num_row_groups)
        try:
            for batch in self._file.iter_batches(self._batch_rows(names), groups, list(names)):
                if batch.num_rows > start:
                    yield batch.slice(start)
                start = max(start - batch.num_rows, 0)
        except (pa.ArrowException, OSError) as error:
            raise ManifestError(f"{self.path}: cannot be read ({_line(error)}); get the file anew") from error

    def column(self, name: str) -> Iterator[pa.Array]:
        """One column, in pieces."""
        for batch in self.batches([name]):
            yield batch.column(0)

    @property
    def _schema(self) -> pa.Schema:
        return self._file.schema_arrow

    @cached_property
    def _file(self) -> pq.ParquetFile:
        try:
            _refuse_extensions(self.path)
            file = pq.ParquetFile(self.path, pre_buffer=False, buffer_size=_BUFFER)
            expect_once(self.path, file.schema_arrow.names)
            return file
        except (pa.ArrowException, OSError) as error:
            raise ManifestError(f"{self.path}: is no Parquet file ({_line(error)}); name one that is") from error

    def _batch_rows(self, names: Sequence[str]) -> int:
        """As many rows as fit into `BATCH_BYTES` where they are longest."""
        wanted = set(names)
        least = BATCH_ROWS
        for group in map(self._file.metadata.row_group, range(self._file.metadata.num_row_groups)):
            columns = map(group.column, range(group.num_columns))
            size = sum(
                max(each.total_uncompressed_size, _NUMBER_BYTES * each.num_values)
                for each in columns
                if each.path_in_schema.split(".")[0] in wanted
            )
            least = min(least, group.num_rows * BATCH_BYTES // max(size, 1))
        return max(least, 1)


def cells(column: pa.Array | pa.ChunkedArray) -> list[Cell]:
    """A column as plain values: texts cut at 32,000 bytes, times as text, lists and structs as JSON.

    What is not finite, or cannot be told, is None.
    """
    column = _plain(column)
    kind = column.type
    if _is_text(kind) or _is_bytes(kind):
        return _texts(column)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return list(column.to_pylist())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = column.cast(pa.float64(), safe=False)
        return list(pc.if_else(pc.is_finite(numbers), numbers, None).to_pylist())
    if pa.types.is_temporal(kind):
        return _times(column)
    return [_as_json(value) for value in column]


def as_bytes(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as large_binary, so that its values can be compared with those of another type."""
    column = _plain(column)
    is_bytes = _is_text(column.type) or _is_bytes(column.type)
    return (column if is_bytes else column.cast(pa.string())).cast(pa.large_binary())


def as_numbers(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """A column as float64 (n,), NaN where it holds no number."""
    column = _plain(column)
    kind = column.type
    if (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
    ):
        numbers = column.cast(pa.float64(), safe=False)
        return np.asarray(numbers.fill_null(np.nan).to_numpy(zero_copy_only=False))
    told = (number(cell) for cell in cells(column))
    return np.array([np.nan if value is None else value for value in told], dtype=np.float64)


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column in one piece, of its storage's type, without a dictionary."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _texts(column: pa.Array) -> list[Cell]:
    raw = column.cast(pa.large_binary())
    if (pc.max(pc.binary_length(raw)).as_py() or 0) > _LONGEST_BYTES:
        raw = pc.binary_slice(raw, 0, _LONGEST_BYTES)
    told = raw.dictionary_encode()  # a text that comes again is the same object again
    values = [value.decode("utf-8", "replace") for value in told.dictionary.to_pylist()]
    return [None if at is None else values[at] for at in told.indices.to_pylist()]


def _times(column: pa.Array) -> list[Cell]:
    """Dates and times as ISO 8601; where a zone is given, in UTC."""
    if not pa.types.is_timestamp(column.type) or column.type.tz is None:
        return list(column.cast(pa.string()).to_pylist())
    plain = column.cast(pa.timestamp(column.type.unit)).cast(pa.string())
    return [None if value is None else f"{value}Z" for value in plain.to_pylist()]


def _as_json(value: pa.Scalar) -> Cell:
    """A list or a struct as JSON; None where it holds text that is none, or is longer than a cell may be."""
    try:
        told = json.dumps(value.as_py(), ensure_ascii=False, default=str)
    except (ValueError, TypeError, pa.ArrowException):
        return None
    return told if value.is_valid and len(told) <= LONGEST else None


def _is_text(kind: pa.DataType) -> bool:
    return any(check(kind) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _is_bytes(kind: pa.DataType) -> bool:
    return any(check(kind) for check in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))


def _is_told(kind: pa.DataType, *, inside: bool = False) -> bool:
    """Whether a column can be told in words; `inside` a list or a struct bytes are files, and never are."""
    if isinstance(kind, pa.BaseExtensionType):  # what Arrow made of Parquet's own types, JSON and UUID
        return _is_told(kind.storage_type, inside=inside)
    if pa.types.is_dictionary(kind):
        return _is_told(kind.value_type, inside=inside)
    if pa.types.is_nested(kind):
        parts = [kind.field(at).type for at in range(kind.num_fields)]
        return not _is_vector(kind) and all(_is_told(part, inside=True) for part in parts)
    return (not inside if _is_bytes(kind) else not pa.types.is_fixed_size_binary(kind)) or pa.types.is_decimal(kind)


def _is_vector(kind: pa.DataType) -> bool:
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(check(kind) for check in lists) and pa.types.is_floating(kind.value_type)


def _refuse_extensions(path: Path) -> None:
    """Search the footer's Arrow schema, which is in base64, before Arrow reads it."""
    for run in _BASE64.findall(_footer(path)):
        # What stands before the schema may look like base64 too and shift it, so it is tried at each of four places.
        if any(_EXTENSION in _decoded(run[shift:]) for shift in range(4)):
            raise ManifestError(
                f"{path}: found a column of an extension type, which would have to be run to be read; expected plain "
                "columns: write the file again without it"
            )


def _footer(path: Path) -> bytes:
    """The file's description of itself: its length and a magic number are the last 8 bytes."""
    with path.open("rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(size - 8, 0))
        tail = handle.read(8)
        if tail[4:] != _MAGIC:
            raise pa.ArrowInvalid("the magic number at its end is missing")
        handle.seek(max(size - 8 - int.from_bytes(tail[:4], "little"), 0))
        return handle.read()


def _decoded(run: bytes) -> bytes:
    run = run.rstrip(b"=")
    try:
        return base64.b64decode(run[: len(run) // 4 * 4])
    except binascii.Error:
        return b""


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
