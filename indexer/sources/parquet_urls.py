"""Links and captions in Parquet: a file, a folder, a glob, or a data set of the hub; LAION's schema and its kin.

Rows stream by in batches; filters are applied to whole batches, and only what passes becomes a row. A row's key is its
key column where the manifest names one, else its link. Columns without a place in a record are kept in `extra`, but
for vectors and files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from explorer.errors import ManifestError, RejectReason
from explorer.links import LONGEST
from explorer.manifest import Manifest
from indexer import care
from indexer.sources import hub, tables
from indexer.sources.base import Fault, LeftOut, Link, SourceRow
from indexer.sources.described import Cells, Description, expect_columns
from indexer.sources.linked import LinkedPictures, LongKeys
from indexer.sources.parquet import ParquetTable, cells
from indexer.sources.paths import NamedFile, named_files
from indexer.sources.screen import Screen, thresholds

_ALL = "**/*.parquet"
_PANDAS_INDEX = "__index_level_"


@dataclass(frozen=True)
class _Part:
    """One file, and how its columns are to be understood."""

    name: str
    table: ParquetTable
    description: Description
    screen: Screen
    key: str

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """What is read of it; bytes only where they are known to be text."""
        known = {
            *self.description.columns.values(),
            *self.description.captions.values(),
            *self.screen.columns,
            self.key,
        }
        skipped = self.table.raw - known
        return tuple(name for name in self.table.names if name not in skipped and not name.startswith(_PANDAS_INDEX))


class ParquetUrlsSource(LinkedPictures):
    """The rows of Parquet files; see `indexer.sources.base.Source`."""

    def __init__(self, manifest: Manifest) -> None:
        """Read nothing yet."""
        self._manifest = manifest

    def rows(self) -> Iterator[SourceRow | LeftOut]:
        """Every row of every file, in the order of the files' names.

        Raises:
            ManifestError: a file cannot be read, lacks a column, or may not be used.
        """
        yield from self.rows_if(lambda key: True)

    def rows_if(self, wanted: Callable[[str], bool]) -> Iterator[SourceRow | LeftOut]:
        """The same, without those rows whose key is not wanted."""
        keys = LongKeys.of(self._key_texts())
        for part in self._parts:
            maker = _Maker(part, keys, wanted)
            start = 1
            for batch in part.table.batches(part.columns):
                screened = part.screen.screen(batch)
                yield from (LeftOut(reason, count) for reason, count in screened.left_out.items())
                yield from maker.rows(batch, screened.kept, start)
                start += batch.num_rows

    @property
    def columns_found(self) -> Mapping[str, str]:
        """Meaning -> column, in the first file."""
        return self._parts[0].description.columns

    @property
    def thresholds(self) -> Mapping[str, tables.Cell]:
        """What rows are held to: key of the manifest -> value."""
        return thresholds(self._manifest, self.columns_found)

    @cached_property
    def _parts(self) -> tuple[_Part, ...]:
        files = {file.name: ParquetTable(file.path) for file in self._files()}
        for table in files.values():
            expect_columns(self._manifest, table.names, str(table.path))
            care.review(self._manifest, table.names, str(table.path))
        admitted = care.admitted(self._manifest, self._shared(files.values()))
        return tuple(self._part(name, table, admitted) for name, table in files.items())

    def _part(self, name: str, table: ParquetTable, admitted: pa.Array | None) -> _Part:
        description = Description.of(self._manifest, table.names)
        link = description.columns.get("image_url")
        if link is None:
            listed = ", ".join(table.names[:12]) or "nothing"
            raise ManifestError(
                f"{table.path}: found the columns {listed}; expected one of links: name it as columns.image_url"
            )
        screen = Screen.of(self._manifest, table.names, str(table.path), admitted)
        key = tables.find_column(table.names, self._manifest.columns.get("key")) or link
        return _Part(name, table, description, screen, key)

    def _files(self) -> tuple[NamedFile, ...]:
        path, pattern = self._manifest.path or "", self._manifest.source.get("files")
        if path.startswith(hub.PREFIX):
            root = hub.dataset(path, pattern or _ALL, self._manifest.source.get("revision"))
        else:
            root = self._manifest.resolve(path)
            if hub.looks_like(path) and not root.exists():
                raise ManifestError(f"path: found nothing at {root}; a data set of the hub is named {hub.PREFIX}{path}")
        return named_files(root / pattern if pattern and root.is_dir() else root, ".parquet")

    def _shared(self, files: Iterable[ParquetTable]) -> Iterator[pa.Array]:
        """The column that `safety.intersect_with` is held against, of all files."""
        for table in files:
            yield from table.column(care.shared_column(self._manifest, table.names, str(table.path)))

    def _key_texts(self) -> Iterator[Iterable[str | None]]:
        """What the keys of all rows are made from."""
        for part in self._parts:
            yield from (map(tables.text, cells(piece)) for piece in part.table.column(part.key))


@dataclass(frozen=True)
class _Maker:
    """Makes the rows of one file that are wanted."""

    part: _Part
    keys: LongKeys
    wanted: Callable[[str], bool]

    def rows(self, batch: pa.RecordBatch, kept: npt.NDArray[np.bool_], start: int) -> Iterator[SourceRow]:
        """The kept rows of a batch whose first is number `start` of its file."""
        places = kept.nonzero()[0]
        chosen = batch.take(pa.array(places))
        columns = [cells(chosen[name]) for name in self.part.columns]
        for place, values in zip(places.tolist(), zip(*columns, strict=True), strict=True):
            row = self._row(dict(zip(self.part.columns, values, strict=True)), start + place)
            if row is not None:
                yield row

    def _row(self, row: Cells, number: int) -> SourceRow | None:
        link, name = self.part.description.link(row), tables.text(row[self.part.key])
        fault = self._fault(link, name)
        key = self.keys.unique(f"row {number} of {self.part.name}" if fault or name is None else name)
        if not self.wanted(key):
            return None
        return SourceRow(key=key, fault=fault) if fault else self.part.description.row(key, row, link=link)

    def _fault(self, link: Link | None, name: str | None) -> Fault | None:
        if link is None:
            return Fault(RejectReason.BAD_ROW, "found no link")
        if name is None:
            return Fault(RejectReason.BAD_ROW, f"found no key in column {self.part.key}")
        if len(link.url) > LONGEST:
            return Fault(RejectReason.BAD_ROW, f"found a link of more than {LONGEST:,} characters")
        return None
