"""CSV files as strangers write them: a row that cannot be read is one row, and stops nothing.

A quote that is never closed would make one cell of all that follows. So a row has a bound, and so has the file's end:
the row whose first line leads over either is broken, and reading goes on with the line after that one.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from explorer.errors import ManifestError, RejectReason
from indexer.sources.base import Fault
from indexer.sources.tables import Cell, expect_column, expect_once

LONGEST_ROW = 1 << 20
"""Characters of a row, all its lines together; eight times what Python's reader grants a cell."""
MOST_BROKEN = 1000
"""Rows that may be broken before the file is taken for something else than CSV."""


def read_csv(path: Path, file_column: str) -> Iterator[dict[str, Cell] | Fault]:
    """Rows of a CSV file with a head, cells as text, "" as None; in the place of a row that cannot be read its fault.

    Raises:
        ManifestError: the file cannot be read, is not UTF-8, or not CSV, or has no column `file_column`.
    """
    with _opened(path) as table:
        expect_column(path, file_column, table.names)
        yield from table.rows()


def csv_columns(path: Path) -> tuple[str, ...]:
    """The head of a CSV file.

    Raises:
        ManifestError: as `read_csv`.
    """
    with _opened(path) as table:
        return table.names


@contextmanager
def _opened(path: Path) -> Iterator[_Table]:
    # Python's own bound, which holds for the whole process, must not be reached before ours.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_ROW))
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            yield _Table(path, handle)
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: found a byte that is not UTF-8 at {error.start}; save it as UTF-8") from error
    except csv.Error as error:
        raise ManifestError(f"{path}: found a head that is not CSV ({error}); mend it") from error
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror}); name a CSV file") from error


class _Table:
    """A file that is being read; its head has been."""

    def __init__(self, path: Path, handle: TextIO) -> None:
        self._path, self._lines = path, _Lines(handle)
        self._reader = csv.reader(self._lines)
        self.names = tuple(next(self._reader, ()))
        self._lines.done()
        expect_once(path, self.names)

    def rows(self) -> Iterator[dict[str, Cell] | Fault]:
        """The rows under the head; empty lines are none."""
        broken = 0
        while True:
            try:
                row = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                broken += 1
                if broken > MOST_BROKEN:
                    raise ManifestError(
                        f"{self._path}: found more than {MOST_BROKEN:,} rows that cannot be read, the last at line "
                        f"{self._lines.number} ({error}); expected a CSV file"
                    ) from error
                yield Fault(RejectReason.BAD_ROW, f"line {self._lines.number}: {error}")
                self._lines.again()
                continue
            self._lines.done()
            if row:
                yield dict.fromkeys(self.names) | {
                    name: cell or None for name, cell in zip(self.names, row, strict=False)
                }


class _Lines:
    """The lines of a file; those of a row that does not end are given again, but for the first.

    Attributes:
        number: of the line that the row begins with which is being read.
    """

    def __init__(self, handle: TextIO) -> None:
        self.number = 1
        self._handle = handle
        self._waiting: deque[str] = deque()
        self._row: list[str] = []
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """The next line of the row.

        Raises:
            csv.Error: the row is too long, or the file ends before it does.
        """
        line = self._waiting.popleft() if self._waiting else self._read()
        if not line:
            if self._row:
                raise csv.Error("found a quote that is never closed")
            raise StopIteration
        self._row.append(line)
        self._size += len(line)
        if self._size > LONGEST_ROW:
            raise csv.Error(f"found a row of more than {LONGEST_ROW:,} characters, or a quote that is never closed")
        return line

    def done(self) -> None:
        """The row is whole; the next line begins another."""
        self.number += len(self._row)
        self._row, self._size = [], 0

    def again(self) -> None:
        """The row is broken; its second line begins another."""
        self._waiting.extendleft(reversed(self._row[1:]))
        self.number += 1
        self._row, self._size = [], 0

    def _read(self) -> str:
        """A line from the file; of one that is too long the beginning, which is still too long."""
        line = self._handle.readline(LONGEST_ROW + 1)
        if len(line) > LONGEST_ROW:
            rest = line
            while rest and not rest.endswith(("\n", "\r")):
                rest = self._handle.readline(LONGEST_ROW)
        return line
