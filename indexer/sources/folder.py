"""A folder of pictures; captions from metadata.csv, metadata.jsonl or a .txt beside the file, else the file's name.

The tables are those of Hugging Face's `imagefolder`: a column `file_name`, relative to the table's own folder, and any
others. A picture's key is its path from the folder, with "/" on every system. Links are taken over only where they are
http or https; the path of a picture on this machine never becomes one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from explorer.errors import ManifestError, PictureError, RejectReason
from explorer.manifest import Manifest, SplitRule
from indexer.sources import tables
from indexer.sources.base import Decoder, Fault, SourceRow, plain
from indexer.sources.csv_file import read_csv
from indexer.sources.described import LANGUAGE_UNKNOWN, Cells, Descriptions, Keys, expect_columns

PICTURES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"}
)
"""What is taken for a picture by its name; what cannot be read is counted as rejected, and never passed over."""
TABLES = ("metadata.jsonl", "metadata.csv")
MAX_BYTES = 256 * 1024 * 1024
MAX_TEXT = 16_384

_WORD_BREAKS = re.compile(r"[\s_\-.]+")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A picture's path from the folder, and its row in a table; or why a row of a table tells of nothing."""

    path: str
    cells: Cells
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class _Described:
    """What the tables say.

    Attributes:
        pictures: path of a picture, from the folder -> its row; the first row of a path counts.
        broken: what to call a row that cannot be read -> why not.
    """

    pictures: dict[str, Cells] = field(default_factory=dict)
    broken: dict[str, Fault] = field(default_factory=dict)


@dataclass(frozen=True)
class FolderSource:
    """The pictures of a folder; see `indexer.sources.base.Source`.

    Attributes:
        root: the folder.
        recursive: whether folders inside belong to it; hidden ones and atlases never do.
        table: the one table to read, from `root`; by default every `TABLES` on the way.
        columns: meaning -> column, before the usual names.
        captions: language -> column.
        split_column: the column that says train or heldout.
    """

    root: Path
    recursive: bool = True
    table: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=dict)
    split_column: str | None = None

    @property
    def decoder(self) -> Decoder:
        """See `Source`."""
        return plain

    @property
    def columns_found(self) -> Mapping[str, str]:
        """Meaning -> column, where a table was first met."""
        return self._descriptions.columns_found

    def rows(self) -> Iterator[SourceRow]:
        """Every file that looks like a picture and every row of a table, in the order of the keys."""
        if not self.root.is_dir():
            raise ManifestError(f"path: found no folder {self.root}; name the folder that holds the pictures")
        for key in sorted(self._entries):
            yield self._row(key, self._entries[key])

    def signature(self, row: SourceRow) -> str:
        """The file's size and times."""
        path = self._path(row)
        try:
            status = path.stat()
        except OSError:
            return "missing"
        if not path.is_file():
            return "missing"
        return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"

    def read(self, row: SourceRow) -> bytes:
        """The file."""
        path = self._path(row)
        try:
            if not path.is_file():
                raise PictureError(RejectReason.MISSING, f"{row.key}: there is no such file in {self.root}")
            if path.stat().st_size > MAX_BYTES:
                raise PictureError(RejectReason.TOO_LARGE, f"{row.key}: more than {MAX_BYTES >> 20} MiB")
            return path.read_bytes()
        except (OSError, ValueError) as error:
            raise PictureError(RejectReason.MISSING, f"{row.key}: cannot be read ({error})") from error

    @cached_property
    def _entries(self) -> dict[str, _Entry]:
        """Every picture by its key; where several claim one key, it is numbered from the second on."""
        told = self._described()
        described = told.pictures
        names = dict.fromkeys(name for cells in described.values() for name in cells)
        expect_columns(self._told, names, f"a table of {self.root}")
        key_column = self.columns.get("key", "")
        keys, entries = Keys(), dict[str, _Entry]()
        for path in sorted({*described, *self._files}):
            cells = described.get(path, {})
            key = tables.text(cells.get(key_column)) or path.encode("utf-8", "replace").decode()
            entries[keys.unique(key)] = _Entry(path, cells)
        return entries | {key: _Entry("", {}, fault) for key, fault in told.broken.items()}

    @cached_property
    def _files(self) -> frozenset[str]:
        """Paths of the pictures, from the folder."""
        found: set[str] = set()
        for folder, inside, names in os.walk(self.root):
            if "CURRENT" in names and "versions" in inside:
                inside.clear()  # an atlas: its pictures are thumbnails and generated ones
                continue
            inside[:] = [name for name in inside if self.recursive and not name.startswith(".")]
            here = Path(folder).relative_to(self.root)
            found.update((here / name).as_posix() for name in names if _is_picture(name))
        return frozenset(found)

    def _described(self) -> _Described:
        """What all tables say."""
        described = _Described()
        column = self.columns.get("file", "file_name")
        for table in self._tables():
            if not table.is_file():
                raise ManifestError(f"folder.metadata: found no file {table}; name a .csv or .jsonl inside the folder")
            here = table.parent.relative_to(self.root)
            rows = (tables.read_jsonl if table.suffix.lower() == ".jsonl" else read_csv)(table, column)
            for number, row in enumerate(rows, 1):
                if isinstance(row, Fault):
                    described.broken[f"row {number} of {(here / table.name).as_posix()}"] = row
                elif (name := tables.text(row[column])) is not None:
                    described.pictures.setdefault(os.path.normpath(here / name).replace(os.sep, "/"), row)
        return described

    def _tables(self) -> list[Path]:
        if self.table is not None:
            return [self.root / self.table]
        folders = {self.root, *(self.root / above for path in self._files for above in PurePosixPath(path).parents)}
        return [folder / name for folder in sorted(folders) for name in TABLES if (folder / name).is_file()]

    def _path(self, row: SourceRow) -> Path:
        """The picture's file; a path that a table leads out of the folder with leads nowhere."""
        entry = self._entries.get(row.key)
        name = PurePosixPath(entry.path if entry else "")
        return self.root / ("" if name.is_absolute() or ".." in name.parts else name)

    def _row(self, key: str, entry: _Entry) -> SourceRow:
        if entry.fault is not None:
            return SourceRow(key, fault=entry.fault)
        row = self._descriptions.row(key, entry.cells)
        if row.captions or row.fault is not None:
            return row
        stem = PurePosixPath(entry.path).stem.encode("utf-8", "replace").decode()
        return replace(row, captions={LANGUAGE_UNKNOWN: self._beside(entry.path) or readable(stem)})

    @cached_property
    def _descriptions(self) -> Descriptions:
        return Descriptions(self._told, own=[self.columns.get("file", "file_name")])

    @property
    def _told(self) -> Manifest:
        """As much of the manifest as tables are read by."""
        split = SplitRule(column=self.split_column)
        return Manifest("folder", self.root, columns=self.columns, captions=self.captions, split=split)

    def _beside(self, path: str) -> str | None:
        """The text of a .txt beside a picture."""
        picture = self.root / path
        for beside in (picture.with_suffix(".txt"), picture.with_name(f"{picture.name}.txt")):
            if path in self._files and beside.is_file():
                with beside.open(encoding="utf-8-sig", errors="replace") as handle:
                    return tables.text(handle.read(MAX_TEXT))
        return None


def readable(stem: str) -> str:
    """A file's name as words: "red_car-2" becomes "red car 2"."""
    return tables.text(_WORD_BREAKS.sub(" ", stem)) or stem


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in PICTURES
