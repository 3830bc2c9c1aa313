"""Rows of an atlas for other programs: links, licence, place and cluster of pictures, in one of `formats`.

Links other than http and https are left out, and so are pictures that are flagged as unsafe.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from explorer.atlas import Atlas, as_ids
from explorer.errors import QueryError
from explorer.formats import FORMATS, WRITERS, Row, Writer
from explorer.layout import LEVELS, replacing
from explorer.links import web_link
from explorer.records import Record, Space
from explorer.spaces import SpaceData

_BATCH = 4096
_EXACT_FLOAT = 2**53
_INT64 = range(-(2**63), 2**63)

_TEXTS = ("group", "split", "family", "image_url", "page_url", "author", "licence", "licence_url")
_LINKS = ("image_url", "page_url", "licence_url")

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Source:
    """What rows are made from."""

    atlas: Atlas
    data: SpaceData
    labels: Sequence[Mapping[int, str]]
    extra: tuple[str, ...]

    def batches(self, ids: Ids) -> Iterator[list[Row]]:
        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            yield _of_present(self.atlas, some, self._rows)

    def _rows(self, ids: Ids) -> list[Row]:
        rows = self.atlas.rows(ids).tolist()
        return [self._row(record, row) for record, row in zip(self.atlas.records(ids), rows, strict=True)]

    def _row(self, record: Record, row: int) -> Row:
        values: Row = {"id": record.id, "key": record.key, "caption": record.caption}
        values |= {"captions": dict(record.captions), "tags": list(record.tags)}
        values |= {name: getattr(record, name) for name in _TEXTS}
        values |= {name: web_link(values[name]) for name in _LINKS}
        values["split"] = record.split.value
        values |= zip(_axes(self.data.name), self.data.points[row].tolist(), strict=True)
        for level, name in enumerate(LEVELS):
            cluster = int(self.data.clusters(level)[row])
            values |= {name: cluster if cluster >= 0 else None, f"{name}_label": self.labels[level].get(cluster)}
        return values | {f"extra.{name}": record.extra.get(name) for name in self.extra}


def export(
    atlas: Atlas, ids: Sequence[int], format: str, out: Path | str | BinaryIO, *, space: str = Space.CLIP
) -> int:
    """Write pictures of an atlas, one row each, in the order given; flagged ones are left out.

    Args:
        atlas: where they are.
        ids: which.
        format: one of `FORMATS`.
        out: a file that is replaced when all is written, or a handle to write to.
        space: whose map and clusters the rows tell of.

    Returns:
        the number of rows; what `ids` has more of is flagged, or was taken down meanwhile.

    Raises:
        QueryError: the format, the space or an id is unknown, or the file cannot be written.
    """
    prepared = _prepare(atlas, ids, format, space)
    try:
        with _target(out) as handle:
            return sum(prepared.written(handle))
    except OSError as error:
        raise QueryError(f"{out}: cannot be written ({error.strerror}); name another file") from error


@dataclass(frozen=True, slots=True)
class Stream:
    """A file that is made while it is sent.

    Attributes:
        rows: how many it will hold, less what is taken down before its turn comes.
        flagged: how many of the ids asked for are left out as unsafe.
        pieces: the file's bytes, in order.
    """

    rows: int
    flagged: int
    pieces: Iterator[bytes]


def stream(atlas: Atlas, ids: Sequence[int] | Ids, format: str, *, space: str = Space.CLIP) -> Stream:
    """What `export` writes, piece by piece as the rows are read; however many they are, some thousands are held.

    Raises:
        QueryError: at once, as `export` does.
        AtlasError: at any piece, where the version is gone meanwhile.
    """
    prepared = _prepare(atlas, ids, format, space)
    return Stream(len(prepared.ids), len(ids) - len(prepared.ids), _pieces(prepared))


def _pieces(prepared: _Prepared) -> Iterator[bytes]:
    gathered = _Gathered()
    for _ in prepared.written(cast(BinaryIO, gathered)):
        yield gathered.taken()
    yield gathered.taken()


class _Gathered(io.RawIOBase):
    """A file that is only written to; what was written is taken out as it comes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - whatever has bytes
        part = bytes(data)
        self._parts.append(part)
        self._length += len(part)
        return len(part)

    def tell(self) -> int:
        return self._length

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An export of which all is known but the rows themselves."""

    source: _Source
    ids: Ids
    schema: pa.Schema
    write: Writer

    def written(self, handle: BinaryIO) -> Iterator[int]:
        """Write, and stop after every batch to say how many rows it had."""
        return self.write(handle, self.schema, self.source.batches(self.ids))


def _prepare(atlas: Atlas, ids: Sequence[int] | Ids, format: str, space: str) -> _Prepared:
    write = WRITERS.get(format)
    if write is None:
        raise QueryError(f"found format {format[:40]!r}; expected one of {', '.join(FORMATS)}")
    data = atlas.space(space)
    wanted = as_ids(ids)
    shown = wanted[~atlas.flagged[atlas.rows(wanted)]]
    labels = [{each.cluster: each.label for each in atlas.clusters(space, level)} for level in range(len(LEVELS))]
    extra = _extra_types(atlas, shown)
    return _Prepared(_Source(atlas, data, labels, tuple(extra)), shown, _schema(space, extra), write)


def _of_present(atlas: Atlas, ids: Ids, read: Callable[[Ids], list[Row]]) -> list[Row]:
    """What is read of those pictures that nobody has taken down since they were asked for."""
    while True:
        present = ids[np.isin(ids, atlas.ids[atlas.denied], invert=True)]
        try:
            return read(present)
        except QueryError:
            ids = present
            if not np.isin(ids, atlas.ids[atlas.denied]).any():  # no takedown came between the two lines above
                raise


def _target(out: Path | str | BinaryIO) -> AbstractContextManager[BinaryIO]:
    return replacing(Path(out)) if isinstance(out, (str, Path)) else nullcontext(out)


def _axes(space: str) -> tuple[str, ...]:
    return tuple(f"{space}_{axis}" for axis in "xyz")


def _schema(space: str, extra: Mapping[str, pa.DataType]) -> pa.Schema:
    fixed = [pa.field("id", pa.int64()), pa.field("key", pa.string()), pa.field("caption", pa.string())]
    fixed += [pa.field("captions", pa.map_(pa.string(), pa.string())), pa.field("tags", pa.list_(pa.string()))]
    fixed += [pa.field(name, pa.string()) for name in _TEXTS]
    fixed += [pa.field(name, pa.float32()) for name in _axes(space)]
    for name in LEVELS:
        fixed += [pa.field(name, pa.int32()), pa.field(f"{name}_label", pa.string())]
    return pa.schema(fixed + [pa.field(f"extra.{name}", column) for name, column in extra.items()])


def _extra_types(atlas: Atlas, ids: Ids) -> dict[str, pa.DataType]:
    """The further columns of these very pictures: name -> a type that holds all its values exactly."""
    seen: dict[str, set[str]] = {}
    for start in range(0, len(ids), _BATCH):
        for extra in _of_present(atlas, ids[start : start + _BATCH], atlas.extras):
            for name, value in extra.items():
                seen.setdefault(name, set()).add(_kind(value))
    return {name: _column_type(kinds - {"nothing"}) for name, kinds in sorted(seen.items())}


def _kind(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "whole" if abs(value) <= _EXACT_FLOAT else "long" if value in _INT64 else "text"
    return "float" if isinstance(value, float) else "text"


def _column_type(kinds: set[str]) -> pa.DataType:
    if not kinds:
        return pa.string()
    if kinds <= {"whole", "long"}:
        return pa.int64()
    if kinds <= {"whole", "float"}:
        return pa.float64()
    return pa.bool_() if kinds == {"bool"} else pa.string()
