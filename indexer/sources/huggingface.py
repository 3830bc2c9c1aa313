"""A data set of Hugging Face's `datasets` with a column of pictures: on the hub, a clone of it, or what it saved.

It is read as a stream: first the words, then, when their turn comes, the pictures, as bytes. The splits' names become
train or heldout. A key is the column that the manifest names, else SPLIT/NUMBER.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from explorer.errors import ManifestError, PictureError, RejectReason
from explorer.manifest import Manifest
from explorer.records import Split
from indexer import care
from indexer.sources import tables
from indexer.sources.base import Decoder, Fault, LeftOut, SourceRow, plain
from indexer.sources.data_splits import DataSplit, open_splits
from indexer.sources.described import SPLITS, Cells, Description, Keys, expect_columns
from indexer.sources.folder import MAX_BYTES
from indexer.sources.parquet import cells
from indexer.sources.screen import Screen, thresholds

WORDS, PICTURES = 1000, 32
"""Rows that are read together: of words, and of pictures."""


@dataclass
class _Reading:
    """One split on its way: its columns, and its pictures, which are read forward.

    Attributes:
        image: the column of pictures.
        starts: the number of the first row of each part that was read so far.
    """

    split: DataSplit
    image: str
    starts: list[int] = field(default_factory=list)
    _part: int = -1
    _start: int = 0
    _column: pa.ChunkedArray | None = None
    _batches: Iterator[pa.Table] = field(default_factory=lambda: iter(()))

    @property
    def told(self) -> tuple[str, ...]:
        """The columns that are told in words."""
        return tuple(name for name in self.split.told if name != self.image)

    def tables(self) -> Iterator[pa.Table | ManifestError]:
        """The words of all rows, or why those of a part, or of what is left of it, cannot be read."""
        number = 0
        for part in range(self.split.parts):
            self.starts.append(number)
            try:
                for batch in self.split.batches(part, self.told or (self.image,), WORDS):
                    yield batch
                    number += batch.num_rows
            except ManifestError as error:
                yield error

    def picture(self, number: int) -> bytes | None:
        """The bytes of a row's picture, or of the file in the data set that its path names; None where there are none.

        Raises:
            ManifestError: it cannot be read.
            StopIteration: the part has become shorter.
        """
        part = bisect_right(self.starts, number) - 1
        ahead = 0 if self._column is None else 2 * len(self._column)
        if part != self._part or not self._start <= number < self._start + ahead:
            self._batches = self.split.batches(part, (self.image,), PICTURES, number - self.starts[part])
            self._part, self._start, self._column = part, number, None
        while self._column is None or number >= self._start + len(self._column):
            self._start += 0 if self._column is None else len(self._column)
            self._column = next(self._batches)[self.image]
        cell = self._column[number - self._start].as_py()
        data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
        if not isinstance(data, bytes) and isinstance(path, str):
            data = self.split.place.read(path, MAX_BYTES + 1)
        return data if isinstance(data, bytes) else None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a picture stands."""

    reading: _Reading
    number: int


class HuggingFaceSource:
    """The rows of a data set; see `indexer.sources.base.Source`."""

    def __init__(self, manifest: Manifest) -> None:
        """Read nothing yet."""
        self._manifest = manifest
        self._places: dict[str, _Place] = {}

    @property
    def decoder(self) -> Decoder:
        """See `Source`."""
        return plain

    def rows(self) -> Iterator[SourceRow | LeftOut]:
        """Every row of every split; of a file that is damaged the rest is one row, rejected with the split's name.

        Raises:
            ManifestError: there is no such data set, or it has no column that the manifest asks for.
        """
        keys, admitted = Keys(), care.admitted(self._manifest, self._shared())
        for reading in self._readings:
            screen = Screen.of(self._manifest, reading.told, self._where(reading), admitted)
            number = 0
            reading.starts.clear()
            for batch in reading.tables():
                if isinstance(batch, ManifestError):
                    name = f"{reading.split.name}, part {len(reading.starts)}"
                    yield SourceRow(keys.unique(name), fault=Fault(RejectReason.DAMAGED, str(batch)))
                    continue
                for each in self._passing(reading, screen, batch):
                    if isinstance(each, LeftOut):
                        yield each
                        continue
                    place = _Place(reading, number + each[0])
                    row = self._row(place, each[1], keys)
                    self._places[row.key] = place
                    yield row
                number += batch.num_rows

    @property
    def columns_found(self) -> Mapping[str, str]:
        """Meaning -> column, in the first split."""
        return self._descriptions[self._readings[0].split.name].columns

    @property
    def thresholds(self) -> Mapping[str, tables.Cell]:
        """What rows are held to: key of the manifest -> value."""
        return thresholds(self._manifest, self.columns_found)

    def signature(self, row: SourceRow) -> str:
        """The files' names, sizes and times, or the hub's commit, and the row's number."""
        place = self._places.get(row.key)
        return "none" if place is None else f"{place.reading.split.stamp}:{place.number}"

    def read(self, row: SourceRow) -> bytes:
        """The picture's bytes, or the file in the data set that its path names."""
        place = self._places[row.key]
        try:
            data = place.reading.picture(place.number)
        except (ManifestError, StopIteration) as error:
            detail = str(error) or "its file has changed; run the same command again"
            raise PictureError(RejectReason.DAMAGED, f"{row.key}: {detail}") from error
        if data is None:
            raise PictureError(RejectReason.MISSING, f"{row.key}: the data set holds no picture of it")
        if len(data) > MAX_BYTES:
            raise PictureError(RejectReason.TOO_LARGE, f"{row.key}: more than {MAX_BYTES >> 20} MiB")
        return data

    def _passing(self, reading: _Reading, screen: Screen, batch: pa.Table) -> Iterator[tuple[int, Cells] | LeftOut]:
        """The place in a batch of each row that passes, and what is told of it; the others as counts."""
        screened = screen.screen(batch)
        yield from (LeftOut(reason, count) for reason, count in screened.left_out.items())
        places = screened.kept.nonzero()[0]
        columns = {name: cells(batch[name].take(pa.array(places))) for name in reading.told}
        for name, names in reading.split.labels.items():
            columns[name] = [_label(names, cell) for cell in columns.get(name, ())]
        told = zip(*columns.values(), strict=True) if columns else [()] * len(places)
        for place, values in zip(places.tolist(), told, strict=True):
            yield place, dict(zip(columns, values, strict=True))

    def _row(self, place: _Place, told: Cells, keys: Keys) -> SourceRow:
        split = place.reading.split
        key_column = tables.find_column(tuple(told), self._manifest.columns.get("key"))
        name = tables.text(told.get(key_column)) if key_column is not None else None
        labels = (tables.text(told.get(column)) for column in split.labels)
        return self._descriptions[split.name].row(
            keys.unique(name or f"{split.name}/{place.number}"),
            told,
            caption=next(filter(None, labels), None),
            split=SPLITS.get(split.name.lower(), Split.TRAIN),
        )

    def _shared(self) -> Iterator[pa.Array]:
        """The column that `safety.intersect_with` is held against, of all splits."""
        for reading in self._readings:
            column = care.shared_column(self._manifest, reading.told, self._where(reading))
            for part in range(reading.split.parts):
                yield from (batch[column] for batch in reading.split.batches(part, (column,), WORDS))

    def _where(self, reading: _Reading) -> str:
        return f"{self._manifest.path}, split {reading.split.name}"

    @cached_property
    def _readings(self) -> tuple[_Reading, ...]:
        chosen = self._manifest.source.get("image")
        readings = tuple(_Reading(split, _image_column(split, chosen)) for split in open_splits(self._manifest))
        for reading in readings:
            expect_columns(self._manifest, reading.told, self._where(reading))
        return readings

    @cached_property
    def _descriptions(self) -> Mapping[str, Description]:
        """Name of a split -> what its columns mean."""
        return {each.split.name: Description.of(self._manifest, each.told) for each in self._readings}


def _image_column(split: DataSplit, chosen: str | None) -> str:
    """The column of pictures that is meant.

    Raises:
        ManifestError: it is not clear, or there is none.
    """
    pictures = split.pictures
    if chosen is not None and chosen in split.features:
        return chosen
    if chosen is None and len(pictures) == 1:
        return pictures[0]
    wanted = "nothing" if chosen is None else f"no column {chosen}"
    listed = ", ".join(pictures) or f"none among {', '.join(split.features)}"
    raise ManifestError(
        f"huggingface.image: found {wanted}; expected one column of pictures, of which split {split.name} has {listed}"
    )


def _label(names: Sequence[str], cell: tables.Cell) -> str | None:
    """The name of a class; its number is -1 where it is unknown."""
    return names[cell] if isinstance(cell, int) and 0 <= cell < len(names) else None
