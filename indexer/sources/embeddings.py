"""Ready-made vectors: clip-retrieval's `img_emb/*.npy` with `metadata/*.parquet`, or Parquet with a column of vectors.

No picture is fetched and no model runs; the manifest's `models.clip` names the open_clip model that made the vectors.
A key is the column that the manifest names, else `image_path`, else the link, else FILE/ROW.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from explorer.manifest import Manifest
from explorer.models.references import Role, parse
from explorer.records import Space
from indexer import care
from indexer.sources import img2dataset, tables
from indexer.sources.base import LeftOut, SourceRow
from indexer.sources.described import Description, expect_columns
from indexer.sources.linked import LongKeys
from indexer.sources.parquet import cells
from indexer.sources.screen import Screen, thresholds
from indexer.sources.vector_parts import VectorPart, find_parts

IMAGE_PATH = "image_path"
"""clip-retrieval's column for what a picture was called when it was embedded."""


class EmbeddingsSource:
    """Rows with vectors; see `indexer.sources.base.VectorSource`. To be asked from one thread."""

    def __init__(self, manifest: Manifest) -> None:
        """Read nothing yet."""
        self._manifest = manifest
        self._numbers: dict[str, int] = {}

    def rows(self) -> Iterator[SourceRow | LeftOut]:
        """Every row, file after file.

        Raises:
            ManifestError: the files do not fit together, lack a column, or may not be used.
        """
        yield from self.rows_if(lambda key: True)

    def rows_if(self, wanted: Callable[[str], bool]) -> Iterator[SourceRow | LeftOut]:
        """The same, without those rows whose key is not wanted, of which nothing is remembered."""
        keys, admitted = LongKeys.of(self._names()), care.admitted(self._manifest, self._shared())
        for part in self._parts:
            screen = Screen.of(self._manifest, part.columns, str(part.table.path), admitted)
            description, naming = self._description(part), self._naming(part)
            for each in part.told(screen):
                if isinstance(each, LeftOut):
                    yield each
                    continue
                number, said = each
                key = keys.unique(_name(part, number, [said[column] for column in naming]))
                if wanted(key):
                    self._numbers[key] = part.first + number
                    yield description.row(key, said)

    @property
    def columns_found(self) -> Mapping[str, str]:
        """Meaning -> column, in the first file."""
        return self._description(self._parts[0]).columns

    @property
    def thresholds(self) -> Mapping[str, tables.Cell]:
        """What rows are held to: key of the manifest -> value."""
        return thresholds(self._manifest, self.columns_found)

    def signature(self, row: SourceRow) -> str:
        """The files' sizes and times, and the row's place in them."""
        number = self._numbers[row.key]
        return f"{self._part(number).stamp}:{number}"

    def describe(self) -> dict[str, dict[str, Any]]:
        """See `VectorSource`; which weights made the vectors is not known, only the model's name."""
        reference = parse(self._manifest.models.clip, Role.CLIP, self._manifest.base, here=False).text
        told = {"reference": reference, "revision": None, "fingerprint": None, "dim": self._parts[0].vectors.dim}
        return {Space.CLIP.value: told}

    def vectors(self, rows: Sequence[SourceRow]) -> npt.NDArray[np.float32]:
        """See `VectorSource`."""
        numbers = np.array([self._numbers[row.key] for row in rows], dtype=np.int64)
        of_part = np.searchsorted(self._firsts, numbers, side="right") - 1
        found = np.empty((len(rows), self._parts[0].vectors.dim), np.float32)
        for place in np.unique(of_part).tolist():
            part = self._parts[place]
            found[of_part == place] = part.vectors.take(numbers[of_part == place] - part.first)
        return found

    def picture(self, row: SourceRow) -> bytes | None:
        """The picture's file, as it stands in the column of thumbnails; None where there is none."""
        number = self._numbers[row.key]
        part = self._part(number)
        if part.pictures is None:
            return None
        column = part.pictures.at(number - part.first)
        value = column[number - part.first - part.pictures.start].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value  # `datasets` keeps bytes and a path together
        return data if isinstance(data, bytes) and data else None

    def _description(self, part: VectorPart) -> Description:
        return Description.of(self._manifest, part.columns, own=img2dataset.OWN)

    def _naming(self, part: VectorPart) -> list[str]:
        """The columns that keys are made from; the first that has something gives the key."""
        chosen = tables.find_column(part.columns, self._manifest.columns.get("key"))
        path = tables.find_column(part.columns, IMAGE_PATH)
        link = self._description(part).columns.get("image_url")
        return [column for column in (chosen, path, link) if column is not None]

    def _names(self) -> Iterator[list[str]]:
        """What the keys of all rows are made from, in pieces."""
        for part in self._parts:
            naming, start = self._naming(part), 0
            for batch in part.table.batches(naming):
                columns = [cells(column) for column in batch.columns]
                told = zip(*columns, strict=True) if columns else [()] * batch.num_rows
                yield [_name(part, number, values) for number, values in enumerate(told, start)]
                start += batch.num_rows

    def _shared(self) -> Iterator[pa.Array]:
        """The column that `safety.intersect_with` is held against, of all files."""
        for part in self._parts:
            yield from part.table.column(care.shared_column(self._manifest, part.columns, str(part.table.path)))

    def _part(self, number: int) -> VectorPart:
        return self._parts[bisect_right(self._firsts, number) - 1]

    @cached_property
    def _firsts(self) -> tuple[int, ...]:
        return tuple(part.first for part in self._parts)

    @cached_property
    def _parts(self) -> tuple[VectorPart, ...]:
        parts = find_parts(self._manifest)
        for part in parts:
            expect_columns(self._manifest, part.columns, str(part.table.path))
        return parts


def _name(part: VectorPart, number: int, told: Sequence[tables.Cell]) -> str:
    """What a row is called: by the first of its cells that has something, else by its place."""
    return next(filter(None, map(tables.text, told)), f"{part.name}/{number}")
