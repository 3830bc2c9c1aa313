"""Where everything of an atlas lies on disk, what each file holds, and how a file is written whole or not at all.

Sources: the Arrow and Parquet formats (arrow.apache.org/docs/format), the NPY format (numpy.lib.format), `rename(2)`.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = 1
"""Raised when an older reader could no longer understand an atlas; added files and columns keep it."""

NEIGHBORS = 15
THUMBNAIL_SIDE = 256
HASHED_VIEWS = 3
PACK_BYTES = 64 * 1024 * 1024
ROW_GROUP = 2048
"""Rows that are decoded to read one: at a million, 1.3 ms for it instead of 3.5, and 7 % more bytes than by 8,192."""

SPACE_ARRAYS: Mapping[str, tuple[str, int]] = {
    "vectors": ("float16", 2),
    "mean": ("float32", 1),
    "points": ("float32", 2),
    "cluster": ("int32", 1),
    "subcluster": ("int32", 1),
    "neighbors": ("int32", 2),
    "distances": ("float32", 2),
    "baseline": ("float32", 1),
    "weights": ("float32", 1),
    "overlap": ("uint8", 1),
}
"""Name of each array of a space -> dtype and number of axes."""

UNMEASURED = 255
"""The overlap of a row where nobody has counted it."""

ADDED_ARRAYS: Mapping[str, int] = {"subcluster": -1, "weights": 0, "overlap": UNMEASURED}
"""Those that an atlas of an earlier program lacks -> what each of their rows is then."""

LEVELS = ("cluster", "subcluster")
"""The array of each level of clusters: 0 = coarse, 1 = fine, every cluster of which lies inside a coarse one."""

RECORDS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        ("family", pa.string()),
        ("captions", pa.map_(pa.string(), pa.string())),
        ("tags", pa.list_(pa.string())),
        *((name, pa.string()) for name in ("group", "image_url", "page_url", "host")),
        *((name, pa.string()) for name in ("author", "licence", "licence_url")),
        *((name, pa.int32()) for name in ("width", "height")),
        *((name, pa.float32()) for name in ("aesthetic", "punsafe", "pwatermark")),
        *((name, pa.string()) for name in ("sha256", "phash", "fetched_at")),
        pa.field("placed", pa.bool_(), nullable=False),
        ("extra", pa.string()),
    ]
)
"""`captions`: language -> text. `extra`: a JSON object of the source's other columns, or null."""

CLUSTERS_SCHEMA = pa.schema(
    [
        ("space", pa.string()),
        ("level", pa.int32()),
        ("cluster", pa.int32()),
        ("label", pa.string()),
        ("size", pa.int64()),
        ("exemplars", pa.list_(pa.int64())),
        ("parent", pa.int32()),
    ]
)

THUMBNAILS_SCHEMA = pa.schema(
    [("id", pa.int64()), ("pack", pa.int32()), ("offset", pa.int64()), ("length", pa.int32())]
)

_VERSION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class VersionPaths:
    """The files of one immutable version."""

    root: Path

    @property
    def meta(self) -> Path:
        """Schema number, manifest, settings, and the checksum and shape of every other file."""
        return self.root / "atlas.json"

    @property
    def records(self) -> Path:
        """`RECORDS_SCHEMA`, one row a picture; its order is the row order of every array."""
        return self.root / "records.parquet"

    @property
    def clusters(self) -> Path:
        """`CLUSTERS_SCHEMA`."""
        return self.root / "clusters.parquet"

    @property
    def thumbnails(self) -> Path:
        """`THUMBNAILS_SCHEMA`: where in which pack a thumbnail lies."""
        return self.root / "thumbnails.parquet"

    @property
    def card(self) -> Path:
        """DATA_CARD.md: for people, where the pictures come from and what was left out."""
        return self.root / "DATA_CARD.md"

    @property
    def hashes(self) -> Path:
        """uint64 (n, `HASHED_VIEWS`), what each picture is known again by, see `explorer.fingerprints`; 0 = unknown.

        There is none where no picture was ever at hand, and in an atlas of an earlier program.
        """
        return self.root / "hashes.npy"

    def pack(self, number: int) -> Path:
        """One file of thumbnails laid end to end."""
        return self.root / "thumbnails" / f"{number:05d}.pack"

    def array(self, space: str, name: str) -> Path:
        """One array of a space; `name` is a key of `SPACE_ARRAYS`."""
        return self.root / space / f"{name}.npy"

    def files(self) -> list[Path]:
        """Every file of the version but `atlas.json`, sorted."""
        found = (path for path in self.root.rglob("*") if path.is_file() and path != self.meta)
        return sorted(found)


@dataclass(frozen=True, slots=True)
class AtlasPaths:
    """The directory of an atlas."""

    root: Path

    @property
    def current(self) -> Path:
        """The live version's name."""
        return self.root / "CURRENT"

    @property
    def denylist(self) -> Path:
        """Takedowns, one JSON object a line."""
        return self.root / "denylist.jsonl"

    @property
    def workspace(self) -> Path:
        """What people made with the atlas."""
        return self.root / "workspace"

    @property
    def cache(self) -> Path:
        """What can be computed again."""
        return self.root / "cache"

    @property
    def build(self) -> Path:
        """What an unfinished build has so far."""
        return self.root / "build"

    @property
    def unfinished(self) -> Path:
        """What the unfinished build was begun with, and which shards it has; absent where there is none."""
        return self.build / "plan.json"

    @property
    def versions(self) -> Path:
        """The folder of the versions."""
        return self.root / "versions"

    def version(self, name: str) -> VersionPaths:
        """The files of version `name`; a name is a plain word, so that it can never lead elsewhere.

        Raises:
            ValueError: `name` is not such a word.
        """
        if not _VERSION_NAME.fullmatch(name):
            raise ValueError(f"{name[:40]!r} is not the name of a version")
        return VersionPaths(self.versions / name)

    def publish(self, name: str) -> None:
        """Let `name` be the live version, in one atomic step."""
        self.version(name)
        write_atomic(self.current, f"{name}\n".encode())


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes `path`'s place, whole and on the disk, when the block ends without an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with unfinished.open("xb+") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Let a rename inside `folder` reach the disk; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path`: whole or not at all."""
    with replacing(path) as handle:
        handle.write(data)


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write `array` in the NPY format, never as a pickle."""
    with replacing(path) as handle:
        np.save(handle, np.ascontiguousarray(array), allow_pickle=False)


def write_blocks(path: Path, blocks: Iterable[npt.NDArray[Any]], shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    """Write an array that is never in memory as a whole: `blocks` are its rows, some at a time.

    Raises:
        ValueError: they are more or fewer than `shape` has; nothing is written then.
    """
    with replacing(path) as handle:
        described = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(handle, described)
        count = 0
        for block in blocks:
            count += len(block)
            handle.write(np.ascontiguousarray(block, dtype).data)
        if count != shape[0]:
            raise ValueError(f"{path.name}: found {count} rows; expected {shape[0]}")


def write_table(path: Path, table: pa.Table) -> None:
    """Write `table` as Parquet."""
    with replacing(path) as handle:
        pq.write_table(table, handle, compression="zstd", row_group_size=ROW_GROUP)


def read_table(
    path: Path, columns: Sequence[str] | None = None, *, dictionaries: Sequence[str] = (), memory_map: bool = False
) -> pa.Table:
    """Read a table that `write_table` or `write_batches` wrote.

    pyarrow's own `read_table` imports pandas, which takes a fifth of a second.

    Args:
        path: the file.
        columns: which; None = all.
        dictionaries: columns to leave as dictionaries.
        memory_map: whether to map the file.
    """
    with pq.ParquetFile(path, read_dictionary=list(dictionaries), memory_map=memory_map) as file:
        return file.read(None if columns is None else list(columns))


def write_batches(path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
    """Write a table as Parquet that is never in memory as a whole; each batch becomes a row group."""
    with replacing(path) as handle, pq.ParquetWriter(handle, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def write_thumbnails(version: VersionPaths, thumbnails: Iterable[tuple[int, bytes]]) -> None:
    """Write thumbnails, given as id and WebP bytes, into packs of at most about 64 MiB, and their table."""
    rows: list[dict[str, int]] = []
    items = iter(thumbnails)
    number, item = 0, next(items, None)
    while item is not None:
        with replacing(version.pack(number)) as handle:
            while item is not None and handle.tell() < PACK_BYTES:
                identity, data = item
                rows.append({"id": identity, "pack": number, "offset": handle.tell(), "length": len(data)})
                handle.write(data)
                item = next(items, None)
        number += 1
    write_table(version.thumbnails, pa.Table.from_pylist(rows, schema=THUMBNAILS_SCHEMA))
