"""Tars of pictures with their captions, as img2dataset writes them: `KEY.jpg KEY.txt KEY.json` beside SHARD.parquet.

A shard is walked through header by header, and a picture is read from its place when its turn comes; nothing is
extracted. Of a damaged shard the readable samples are kept, and the rest are rejected with the shard's name. Beside
pictures only `.txt` and `.json` are read; whatever else a tar brings, such as a pickle, is never opened. A key is
SHARD/KEY, where SHARD is the tar's path from the folder without its ending.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from explorer.errors import ManifestError, PictureError, RejectReason
from explorer.manifest import Manifest
from indexer import care
from indexer.sources import img2dataset, tables
from indexer.sources.base import Decoder, Fault, LeftOut, SourceRow, plain
from indexer.sources.described import Cells, Descriptions, Keys, table_rows
from indexer.sources.folder import MAX_BYTES, MAX_TEXT
from indexer.sources.parquet import ParquetTable
from indexer.sources.paths import NamedFile, named_files
from indexer.sources.samples import Sample, samples
from indexer.sources.screen import thresholds
from indexer.sources.screened import CellScreen
from indexer.sources.tar import Damage, Member

MAX_JSON = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a picture lies; `stamp` differs whenever its shard may."""

    shard: Path
    stamp: str
    member: Member


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row on its way.

    Attributes:
        key: within its shard.
        cells: what the table beside the shard says of it, else the .json in it.
        caption: of the .txt, where the cells have none of img2dataset's.
        fault: why there is no picture.
        member: the picture, where there is one that may be read.
    """

    key: str
    cells: Cells
    caption: str | None = None
    fault: Fault | None = None
    member: Member | None = None


class WebDatasetSource:
    """The samples of tars; see `indexer.sources.base.Source`."""

    def __init__(self, manifest: Manifest) -> None:
        """Take `path`, a tar, a folder of them or a glob, and the table `[webdataset]`; nothing is read yet."""
        self._manifest = manifest
        self._path = manifest.resolve(manifest.path or ".")
        self._descriptions = Descriptions(manifest, own=img2dataset.OWN)
        self._places: dict[str, _Place] = {}

    @property
    def decoder(self) -> Decoder:
        """See `Source`."""
        return plain

    @property
    def columns_found(self) -> Mapping[str, str]:
        """Meaning -> column, in the first shard."""
        return self._descriptions.columns_found

    @property
    def thresholds(self) -> Mapping[str, tables.Cell]:
        """What rows are held to: key of the manifest -> value."""
        return thresholds(self._manifest, self.columns_found)

    def rows(self) -> Iterator[SourceRow | LeftOut]:
        """Every sample, then what img2dataset could not fetch and what the shard has lost, shard by shard.

        Raises:
            ManifestError: there is no shard, or none tells of a column that the manifest names.
        """
        keys, screen = Keys(), self._screen()
        for shard in named_files(self._path, ".tar"):
            stamp = shard.stamp
            for entry in screen.passing(self._entries(shard)):
                if isinstance(entry, LeftOut):
                    yield entry
                    continue
                row = self._row(shard, entry)
                row = replace(row, key=keys.unique(row.key), fault=entry.fault or row.fault)
                if entry.member is not None:
                    self._places[row.key] = _Place(shard.path, stamp, entry.member)
                yield row
        screen.expect_columns()

    def signature(self, row: SourceRow) -> str:
        """The shard's size and times, and the picture's place in it."""
        place = self._places.get(row.key)
        return "none" if place is None else f"{place.stamp}:{place.member.offset}:{place.member.size}"

    def read(self, row: SourceRow) -> bytes:
        """The member, out of its shard."""
        place = self._places[row.key]
        if place.member.size > MAX_BYTES:
            raise PictureError(RejectReason.TOO_LARGE, f"{row.key}: more than {MAX_BYTES >> 20} MiB")
        try:
            return _data(place.shard, place.member, MAX_BYTES)
        except OSError as error:
            raise PictureError(RejectReason.DAMAGED, f"{place.shard}: cannot be read ({error})") from error

    def _screen(self) -> CellScreen:
        screen = CellScreen(self._manifest, str(self._path))
        if self._manifest.safety.intersect_with is None:
            return screen
        entries = (entry for shard in named_files(self._path, ".tar") for entry in self._entries(shard))
        return replace(screen, admitted=care.admitted(self._manifest, screen.shared(entries)))

    def _entries(self, shard: NamedFile) -> Iterator[_Entry]:
        return _ShardReading(shard, self._manifest.source.get("picture")).run()

    def _row(self, shard: NamedFile, entry: _Entry) -> SourceRow:
        column = tables.find_column(tuple(entry.cells), self._manifest.columns.get("key"))
        told = tables.text(entry.cells.get(column)) if column is not None else None
        name = tables.text(entry.key)
        key = told or (f"{shard.name}/{name}" if name else shard.name)
        return self._descriptions.row(key, entry.cells, caption=entry.caption)


@dataclass
class _ShardReading:
    """The way through one shard.

    Attributes:
        ending: of the members that hold the pictures; None = any that is a picture by its name.
        damage: what was found broken so far, in words.
    """

    shard: NamedFile
    ending: str | None
    damage: list[str] = field(default_factory=list)

    def run(self) -> Iterator[_Entry]:
        """The samples of the tar, then the rows that the table has beyond them, then the damage if nothing tells it."""
        table = self._table()
        has_table = bool(table)
        try:
            for each in samples(self.shard.path):
                if isinstance(each, Damage):
                    self.damage.append(each.why)
                else:
                    yield self._entry(each, table.pop(each.key, None))
        except OSError as error:
            self.damage.append(f"it cannot be read ({error.strerror})")
        for key, cells in table.items():
            fault = img2dataset.fault(cells) or self._lost(f"{key} is not in {self.shard.path.name}")
            yield _Entry(key, cells, fault=fault)
        if self.damage and not has_table:
            yield _Entry("", {}, fault=self._lost(""))

    def _entry(self, sample: Sample, cells: Cells | None) -> _Entry:
        member = sample.picture(self.ending)
        fault = self._fault(sample, member)
        cells = self._json(sample.parts.get("json")) if cells is None else cells
        return _Entry(
            key=sample.key,
            cells=cells,
            caption=self._text(sample.parts.get("txt")) if cells.get(img2dataset.CAPTION) is None else None,
            fault=fault,
            member=member if fault is None else None,
        )

    def _fault(self, sample: Sample, member: Member | None) -> Fault | None:
        name = f"{sample.key[:80]!r} in {self.shard.path.name}"
        if sample.key.startswith("/") or ".." in sample.key.split("/"):
            return Fault(RejectReason.BAD_ROW, f"{name} has a name that leads out of the shard")
        if member is None:
            return self._lost(f"{name} has no picture among .{', .'.join(list(sample.parts)[:5])[:80]}")
        if not member.plain:
            return Fault(RejectReason.BAD_ROW, f"{name} is a link, a device, or a file with holes")
        return None

    def _lost(self, otherwise: str) -> Fault:
        """Why a picture is not there: the shard is damaged, else what is said `otherwise`."""
        if not self.damage:
            return Fault(RejectReason.MISSING, otherwise)
        more = f" (and {len(self.damage) - 1} more)" if len(self.damage) > 1 else ""
        return Fault(RejectReason.DAMAGED, f"{self.shard.path.name} is damaged: {self.damage[0]}{more}")

    def _table(self) -> dict[str, Cells]:
        """What the Parquet file beside the shard says, by key; empty where there is none that can be read."""
        path = self.shard.path.with_suffix(".parquet")
        if not path.is_file():
            return {}
        try:
            return {
                key: cells
                for cells in table_rows(ParquetTable(path))
                if isinstance(key := cells.get(img2dataset.KEY), str)
            }
        except ManifestError as error:
            self.damage.append(str(error))
            return {}

    def _text(self, member: Member | None) -> str | None:
        data = self._beside(member, MAX_TEXT)
        return None if data is None else data.decode("utf-8-sig", "replace")

    def _json(self, member: Member | None) -> Cells:
        """The plain values of a JSON object; empty where there is none that can be read."""
        data = self._beside(member, MAX_JSON)
        try:
            found = json.loads(data) if data is not None else {}
        except (ValueError, RecursionError):
            return {}
        return {name: tables.cell(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def _beside(self, member: Member | None, most: int) -> bytes | None:
        return None if member is None or not member.plain else _data(self.shard.path, member, most)


def _data(path: Path, member: Member, most: int) -> bytes:
    """A member's data, at most so many bytes.

    Raises:
        OSError: the archive cannot be read.
    """
    with path.open("rb") as handle:
        handle.seek(member.offset)
        return handle.read(min(member.size, most))
