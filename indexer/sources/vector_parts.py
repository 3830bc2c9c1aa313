"""Vectors that lie together with a table that tells of them: which files of a source of embeddings belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from explorer.errors import ManifestError
from explorer.manifest import Manifest
from indexer.sources.base import LeftOut
from indexer.sources.described import Cells
from indexer.sources.parquet import ParquetTable, cells
from indexer.sources.paths import NamedFile, named_files
from indexer.sources.screen import Screen
from indexer.sources.vector_files import NpyVectors, ParquetVectors, VectorFile, Window

VECTORS, METADATA = "img_emb", "metadata"
"""clip-retrieval's folders."""

_NUMBER = re.compile(r"[0-9]*$")


@dataclass(frozen=True)
class VectorPart:
    """Vectors that lie together, and the table that tells of them.

    Attributes:
        name: in keys, where rows have none of their own.
        stamp: differs whenever one of the files may.
        thumbnails: the column of picture files, if any is wanted.
        first: the number of its first row in the whole source.
    """

    name: str
    stamp: str
    vectors: VectorFile
    table: ParquetTable
    thumbnails: str | None
    first: int = 0

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that are told in words."""
        return tuple(name for name in self.table.names if name != self.thumbnails)

    @cached_property
    def pictures(self) -> Window[pa.Array] | None:
        """The column of picture files."""
        return Window(self.table, self.thumbnails, lambda column: column) if self.thumbnails is not None else None

    def told(self, screen: Screen) -> Iterator[tuple[int, Cells] | LeftOut]:
        """The number of each row that passes, within the part, and what the table says of it; the others as counts."""
        start = 0
        for batch in self.table.batches(self.columns):
            screened = screen.screen(batch)
            yield from (LeftOut(reason, count) for reason, count in screened.left_out.items())
            places = screened.kept.nonzero()[0]
            columns = [cells(column.take(pa.array(places))) for column in batch.columns]
            told = zip(*columns, strict=True) if columns else [()] * len(places)
            for place, values in zip(places.tolist(), told, strict=True):
                yield start + place, dict(zip(self.columns, values, strict=True))
            start += batch.num_rows


def find_parts(manifest: Manifest) -> tuple[VectorPart, ...]:
    """The parts of a source of embeddings, in their order.

    Raises:
        ManifestError: there is none, or the files do not fit together.
    """
    root = manifest.resolve(manifest.path or ".")
    found = _of_folders(root, manifest) if (root / VECTORS).is_dir() else _of_tables(root, manifest)
    parts: list[VectorPart] = []
    first = 0
    for part in found:
        _check(part, parts[0] if parts else part)
        parts.append(replace(part, first=first))
        first += part.vectors.rows
    return tuple(parts)


def _of_folders(root: Path, manifest: Manifest) -> Iterator[VectorPart]:
    """clip-retrieval's files; `img_emb_7.npy` belongs to `metadata_7.parquet`, whatever stands before the number."""
    if not (root / METADATA).is_dir():
        raise ManifestError(f"path: found {VECTORS} without {METADATA} in {root}; name the folder that holds both")
    tables = {_number(file): file for file in named_files(root / METADATA, ".parquet")}
    files = {_number(file): file for file in named_files(root / VECTORS, ".npy")}
    alone = sorted(tables.keys() ^ files.keys())
    if alone:
        lone = (tables | files)[alone[0]].path
        raise ManifestError(f"{lone}: found no file of its number in {VECTORS} and {METADATA}; get both anew")
    for number in sorted(files, key=lambda text: (len(text.lstrip("0")), text)):
        file, table = files[number], tables[number]
        yield VectorPart(
            name=file.name,
            stamp=f"{file.stamp} {table.stamp}",
            vectors=NpyVectors(file.path),
            table=ParquetTable(table.path),
            thumbnails=manifest.source.get("thumbnails"),
        )


def _of_tables(root: Path, manifest: Manifest) -> Iterator[VectorPart]:
    """Parquet files that hold vectors of their own."""
    for file in named_files(root, ".parquet"):
        table = ParquetTable(file.path)
        yield VectorPart(
            name=file.name,
            stamp=file.stamp,
            vectors=ParquetVectors(table, _vector_column(table, manifest.source.get("vectors"))),
            table=table,
            thumbnails=manifest.source.get("thumbnails"),
        )


def _vector_column(table: ParquetTable, chosen: str | None) -> str:
    columns = table.vectors
    if chosen in columns:
        return str(chosen)
    if chosen is None and len(columns) == 1:
        return columns[0]
    wanted = f"embeddings.vectors: found no column {chosen}" if chosen else "embeddings.vectors: found nothing"
    listed = ", ".join(columns) or "none"
    raise ManifestError(f"{wanted}; expected one column of lists of numbers in {table.path}, which has {listed}")


def _check(part: VectorPart, first: VectorPart) -> None:
    """Hold a part against its own table, and against the first part."""
    path = part.table.path
    if part.vectors.rows != part.table.rows:
        raise ManifestError(
            f"{path}: found {part.table.rows:,} rows for the {part.vectors.rows:,} vectors of {part.name}.npy; "
            "expected one for each: get both anew"
        )
    if part.vectors.dim != first.vectors.dim:
        raise ManifestError(
            f"{part.name}: found vectors of {part.vectors.dim} numbers, and of {first.vectors.dim} in {first.name}; "
            "expected one model's: index them apart"
        )
    if part.thumbnails is not None and not part.table.has(part.thumbnails):
        raise ManifestError(f"embeddings.thumbnails: found no column {part.thumbnails} in {path}; name another")


def _number(file: NamedFile) -> str:
    match = _NUMBER.search(file.name)
    return match[0] if match else ""
