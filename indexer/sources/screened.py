"""Rows that come one by one, as cells, held to what `indexer.sources.screen` holds tables to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

import pyarrow as pa

from explorer.manifest import Manifest
from indexer import care
from indexer.sources import tables
from indexer.sources.base import LeftOut
from indexer.sources.described import Cells, expect_columns
from indexer.sources.screen import Screen

GROUP = 1024
"""Rows that are held against the screen together."""
MAX_NAMES = 1000
"""Columns of which anything is known; a source whose every row has others of its own has no more."""


class Told(Protocol):
    """Anything of which a table says something."""

    @property
    def cells(self) -> Cells:
        """What it says; nothing where there is no table."""
        ...


T = TypeVar("T", bound=Told)


@dataclass
class CellScreen:
    """The screen of a source whose rows come as cells; their columns may differ from row to row.

    Attributes:
        where: the source, for messages.
        admitted: what `care.admitted` gave for it.
    """

    manifest: Manifest
    where: str
    admitted: pa.Array | None = None
    _screen: Screen = Screen()
    _names: tuple[str, ...] = ()

    def passing(self, rows: Iterable[T]) -> Iterator[T | LeftOut]:
        """Those rows that may go on, and how many may not; a row without cells has nothing to be held against.

        Raises:
            ManifestError: as `Screen.of`.
        """
        rows = iter(rows)
        while group := list(islice(rows, GROUP)):
            told = [row for row in group if row.cells]
            screen = self._screen_of(told)
            if not told or not screen.columns:
                yield from group
                continue
            screened = screen.screen(_table(screen, told))
            yield from (LeftOut(reason, count) for reason, count in screened.left_out.items())
            kept = iter(screened.kept.tolist())
            yield from (row for row in group if not row.cells or next(kept))

    def expect_columns(self) -> None:
        """Make sure, once all rows have passed, that every column which the manifest names was among theirs.

        Raises:
            ManifestError: one was not.
        """
        if len(self._names) < MAX_NAMES:
            expect_columns(self.manifest, self._names, self.where)

    def shared(self, rows: Iterable[Told]) -> Iterator[pa.Array]:
        """The column that `safety.intersect_with` is held against, in pieces."""
        rows = iter(rows)
        while group := [row.cells for row in islice(rows, GROUP)]:
            names = dict.fromkeys(name for each in group for name in each)
            if names:
                column = care.shared_column(self.manifest, tuple(names), self.where)
                yield pa.array([tables.text(each.get(column)) for each in group], pa.string())

    def _screen_of(self, told: Iterable[Told]) -> Screen:
        """The screen for all columns that were seen so far."""
        names = tuple(dict.fromkeys((*self._names, *(name for row in told for name in row.cells))))
        names = names[:MAX_NAMES]
        if names != self._names:
            self._names = names
            self._screen = Screen.of(self.manifest, names, self.where, self.admitted)
        return self._screen


def _table(screen: Screen, told: list[T]) -> pa.Table:
    """The columns that a screen looks at; numbers as float32, so that a value which was stored so meets its bound."""
    numbers = {bound.column for bound in screen.bounds}
    columns = {}
    for name in screen.columns:
        values = [row.cells.get(name) for row in told]
        is_number = name in numbers
        plain = list(map(tables.number, values)) if is_number else list(map(tables.text, values))
        columns[name] = pa.array(plain, pa.float32() if is_number else pa.string())
    return pa.table(columns)
