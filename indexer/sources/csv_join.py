"""CSV files joined on a key: one has a row for each picture, others know more of what the pictures show.

Links are made by a template. Columns of the joined files are added to those of the pictures; where two have the same
name, the pictures' own counts. A row whose key names nothing is kept with what it has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from explorer.errors import ManifestError, RejectReason
from explorer.links import LONGEST
from explorer.manifest import Manifest
from indexer import care
from indexer.sources import tables
from indexer.sources.base import Fault, LeftOut, SourceRow
from indexer.sources.csv_file import csv_columns, read_csv
from indexer.sources.described import Cells, Description, expect_columns
from indexer.sources.linked import LinkedPictures, LongKeys
from indexer.sources.screen import thresholds
from indexer.sources.screened import CellScreen

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Template:
    """A text with {column} in it.

    What stands at the beginning is the start of a link and is taken as it is; anything else is quoted, so that a cell
    cannot become another part of the link than the one where it stands.
    """

    text: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it asks for."""
        return tuple(_PLACEHOLDER.findall(self.text))

    def fill(self, cells: Cells) -> str | None:
        """The text for a row; None where one of the columns holds nothing."""
        if any(tables.text(cells.get(column)) is None for column in self.columns):
            return None

        def value(found: re.Match[str]) -> str:
            cell = tables.text(cells[found[1]]) or ""
            return cell if found.start() == 0 else quote(cell, safe="")

        return _PLACEHOLDER.sub(value, self.text)


@dataclass(frozen=True, slots=True)
class _Picture:
    """One row of the file of pictures: its number from 1, and what all files say of it, or why it cannot be read."""

    number: int
    cells: Cells
    fault: Fault | None = None


class CsvJoinSource(LinkedPictures):
    """The rows of a joined CSV file; see `indexer.sources.base.Source`."""

    def __init__(self, manifest: Manifest) -> None:
        """Read nothing yet."""
        self._manifest = manifest
        self._root = manifest.resolve(manifest.path or ".")
        self._pictures = self._root / manifest.source["pictures"]
        self._others = [self._root / name for name in manifest.source.get("join", ())]
        self._unset: tuple[str, ...] = tuple(manifest.source.get("leave_out_where_set", ()))
        links = {name: manifest.source.get(name) for name in ("image_url", "page_url")}
        self._links = {name: Template(text) for name, text in links.items() if text is not None}

    def rows(self) -> Iterator[SourceRow | LeftOut]:
        """Every row of the file of pictures, in its order.

        Raises:
            ManifestError: a file cannot be read, lacks a column, or may not be used.
        """
        screen = CellScreen(self._manifest, str(self._pictures))
        screen.admitted = care.admitted(self._manifest, screen.shared(self._told()))
        keys = LongKeys.of([(self._name(each.cells) for each in self._told())])
        for each in screen.passing(self._told()):
            if isinstance(each, LeftOut):
                yield each
            elif any(tables.text(each.cells.get(column)) for column in self._unset):
                yield LeftOut(RejectReason.FILTERED)
            else:
                yield self._row(each, keys)

    @property
    def columns_found(self) -> Mapping[str, str]:
        """Meaning -> column."""
        return self._description.columns

    @property
    def thresholds(self) -> Mapping[str, tables.Cell]:
        """What rows are held to: key of the manifest -> value."""
        held = thresholds(self._manifest, self.columns_found)
        return {**held, **({"csv-join.leave_out_where_set": ", ".join(self._unset)} if self._unset else {})}

    def _row(self, picture: _Picture, keys: LongKeys) -> SourceRow:
        url, name = tables.text(picture.cells.get("image_url")), self._name(picture.cells)
        if picture.fault is not None:
            fault = picture.fault
        elif url is None or name is None:
            wanted = ", ".join(self._links["image_url"].columns if url is None else [self._manifest.columns["key"]])
            fault = Fault(RejectReason.BAD_ROW, f"found nothing in one of its columns {wanted}")
        elif len(url) >= LONGEST:
            fault = Fault(RejectReason.BAD_ROW, f"found a link of {LONGEST:,} characters or more")
        else:
            return self._description.row(keys.unique(name), picture.cells, link=self._description.link(picture.cells))
        return SourceRow(key=keys.unique(f"row {picture.number} of {self._pictures.name}"), fault=fault)

    def _name(self, cells: Cells) -> str | None:
        """What the row's key is made from."""
        return tables.text(cells.get(self._key))

    @cached_property
    def _key(self) -> str:
        return tables.find_column(self._names, self._manifest.columns.get("key")) or "image_url"

    def _told(self) -> Iterator[_Picture]:
        """Every row of the file of pictures, with what the others add to it and the links that are made of that."""
        on = self._manifest.source.get("on", "")
        own = self._names[0]  # asking for the names makes sure that the manifest's are among them
        for number, row in enumerate(read_csv(self._pictures, own), 1):
            if isinstance(row, Fault):
                yield _Picture(number, {}, row)
                continue
            cells = dict(row)
            for other in self._looked_up:
                cells = {**other.find(tables.text(row.get(on))), **cells}
            made = {name: template.fill(cells) for name, template in self._links.items()}
            yield _Picture(number, {**cells, **made})

    @cached_property
    def _looked_up(self) -> tuple[_Lookup, ...]:
        to = self._manifest.source.get("to", self._manifest.source.get("on", ""))
        return tuple(_Lookup.read(path, to) for path in self._others)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The columns of all files and those of the links; every one that the manifest names is among them."""
        own = csv_columns(self._pictures)
        names = tuple(dict.fromkeys([*own, *(name for path in self._others for name in csv_columns(path))]))
        source = self._manifest.source
        if self._others and "on" not in source:
            raise ManifestError("csv-join.on: found nothing; expected the column that names a row of the joined files")
        _expect("on", [source["on"]] if "on" in source else [], own)
        _expect("leave_out_where_set", self._unset, names)
        for key, template in self._links.items():
            _expect(key, template.columns, names)
        expect_columns(self._manifest, names, str(self._pictures))
        return tuple(dict.fromkeys([*names, *self._links]))

    @cached_property
    def _description(self) -> Description:
        return Description.of(self._manifest, self._names)


@dataclass(frozen=True)
class _Lookup:
    """A joined file: its columns, and its rows by their key."""

    columns: tuple[str, ...]
    rows: Mapping[str, tuple[tables.Cell, ...]]

    @classmethod
    def read(cls, path: Path, key: str) -> _Lookup:
        """Read a file; of several rows with one key the first counts. What cannot be read tells of nothing."""
        columns = csv_columns(path)
        rows: dict[str, tuple[tables.Cell, ...]] = {}
        for row in read_csv(path, key):
            if isinstance(row, Fault):
                continue
            name = tables.text(row[key])
            if name is not None:
                rows.setdefault(name, tuple(row.get(column) for column in columns))
        return cls(columns, rows)

    def find(self, key: str | None) -> Cells:
        """The row with this key; nothing where there is none."""
        row = self.rows.get(key) if key is not None else None
        return {} if row is None else dict(zip(self.columns, row, strict=True))


def _expect(key: str, wanted: Iterable[str], names: Collection[str]) -> None:
    for column in wanted:
        if column not in names:
            listed = ", ".join(list(names)[:40]) or "nothing"
            raise ManifestError(f"csv-join.{key}: found no column {column!r}; expected one of {listed}")
