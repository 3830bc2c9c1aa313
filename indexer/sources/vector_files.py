"""Files of ready-made vectors: `.npy` as NumPy writes it, or a column of a Parquet file. Nothing in them is ever run.

What a row has no vector for, or one of another length, comes out as NaN, and is rejected as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from explorer.errors import ManifestError
from indexer.sources.parquet import ParquetTable

DTYPES = ("float16", "float32")

Rows = npt.NDArray[np.int64]
T = TypeVar("T")


class VectorFile(Protocol):
    """Vectors of one file; `rows` of them, each of `dim` numbers."""

    @property
    def rows(self) -> int:
        """How many."""
        ...

    @property
    def dim(self) -> int:
        """How long."""
        ...

    def take(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Some of them, float32 (n, dim); fastest where `rows`, int64 (n,), ascend."""
        ...


@dataclass(frozen=True)
class NpyVectors:
    """A `.npy` of float16 or float32 (n, d), mapped into memory.

    Raises:
        ManifestError: from every method, where it is not.
    """

    path: Path

    @property
    def rows(self) -> int:
        """See `VectorFile`."""
        return int(self._array.shape[0])

    @property
    def dim(self) -> int:
        """See `VectorFile`."""
        return int(self._array.shape[1])

    def take(self, rows: Rows) -> npt.NDArray[np.float32]:
        """See `VectorFile`."""
        return np.asarray(self._array[rows], dtype=np.float32)

    @cached_property
    def _array(self) -> npt.NDArray[np.floating]:
        try:
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ManifestError(
                f"{self.path}: is no whole .npy of numbers ({str(error)[:120]}); expected float16 or float32 (n, d): "
                "get it anew, or save it so; objects are never unpickled"
            ) from error
        if not isinstance(array, np.ndarray) or array.dtype.name not in DTYPES or array.ndim != 2:
            found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "an archive"
            raise ManifestError(f"{self.path}: found {found}; expected {' or '.join(DTYPES)} (n, d)")
        return array


@dataclass
class Window(Generic[T]):
    """One column of a table, of which one batch at a time is in memory; meant to be read forward.

    Attributes:
        convert: what a batch becomes.
        start: the first row of the batch in memory.
        end: the row after its last.
    """

    table: ParquetTable
    column: str
    convert: Callable[[pa.Array], T]
    start: int = 0
    end: int = 0
    _batch: T | None = None
    _batches: Iterator[pa.Array] = field(default_factory=lambda: iter(()))

    def at(self, row: int) -> T:
        """The batch that holds a row; its first row is `start`.

        Raises:
            IndexError: the column has no such row.
            ManifestError: the file cannot be read.
        """
        if not self.start <= row < 2 * self.end - self.start:  # nearer by a new start than by reading on
            self._batches = (batch.column(0) for batch in self.table.batches([self.column], row))
            self.start = self.end = row
            self._batch = None
        while row >= self.end or self._batch is None:
            column = next(self._batches, None)
            if column is None:
                raise IndexError(row)
            self.start, self.end = self.end, self.end + len(column)
            self._batch = self.convert(column)
        return self._batch


@dataclass(frozen=True)
class ParquetVectors:
    """A column of lists of numbers.

    Raises:
        ManifestError: from every method, where it cannot be read.
    """

    table: ParquetTable
    column: str

    @property
    def rows(self) -> int:
        """See `VectorFile`."""
        return self.table.rows

    @cached_property
    def dim(self) -> int:
        """See `VectorFile`: as long as the first that is there."""
        for column in self.table.column(self.column):
            lengths = pc.list_value_length(column).drop_null()
            if len(lengths) and lengths[0].as_py():
                return int(lengths[0].as_py())
        raise ManifestError(
            f"{self.table.path}: column {self.column} has no vector; name another as embeddings.vectors"
        )

    def take(self, rows: Rows) -> npt.NDArray[np.float32]:
        """See `VectorFile`."""
        taken = np.empty((len(rows), self.dim), np.float32)
        done = 0
        while done < len(rows):
            block = self._window.at(int(rows[done]))
            inside = (rows[done:] >= self._window.start) & (rows[done:] < self._window.end)
            count = len(inside) if inside.all() else int(inside.argmin())
            taken[done : done + count] = block[rows[done : done + count] - self._window.start]
            done += count
        return taken

    @cached_property
    def _window(self) -> Window[npt.NDArray[np.float32]]:
        return Window(self.table, self.column, self._matrix)

    def _matrix(self, column: pa.Array) -> npt.NDArray[np.float32]:
        """Lists as float32 (n, dim); NaN where one is missing or of another length."""
        lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
        is_whole = lengths == self.dim
        values = column.filter(pa.array(is_whole)).flatten().cast(pa.float32(), safe=False)
        matrix = np.full((len(column), self.dim), np.nan, np.float32)
        matrix[is_whole] = values.to_numpy(zero_copy_only=False).reshape(-1, self.dim)
        return matrix
