"""A version as columns and arrays: read whole, changed, written out as another one, without any new fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from explorer.layout import (
    ADDED_ARRAYS,
    CLUSTERS_SCHEMA,
    HASHED_VIEWS,
    SPACE_ARRAYS,
    THUMBNAILS_SCHEMA,
    VersionPaths,
    replacing,
    sync_folder,
    write_array,
    write_table,
)
from explorer.records import Split
from indexer.encoding.thumbnails import link

Arrays = Mapping[str, npt.NDArray[Any]]
"""Name of an array of a space, as `SPACE_ARRAYS` has it -> the array."""

REJECTED = "rejected.parquet"
ORIGINS = "origins.parquet"
_NO_REJECTED = pa.table({"key": pa.array([], pa.string())})
_NO_ORIGINS = pa.table({"id": pa.array([], pa.int64()), "manifest": pa.array([], pa.string())})


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """All of a version but its `atlas.json`, its ledger of ids and its data card.

    Attributes:
        records: `records.parquet`, n rows.
        hashes: uint64 (n, 3), see `explorer.fingerprints`; zeros where nothing is known of any picture.
        spaces: space -> its arrays, those of rows in the order of the records.
        clusters: `clusters.parquet`.
        thumbnails: `thumbnails.parquet`.
        packs: number of a pack -> its file; only those that `thumbnails` names count.
        rejected: `rejected.parquet`.
        origins: `origins.parquet`: `id` of the pictures that were appended and the mark of their manifest, see `tally`.
    """

    records: pa.Table
    hashes: npt.NDArray[np.uint64]
    spaces: Mapping[str, Arrays]
    clusters: pa.Table
    thumbnails: pa.Table
    packs: Mapping[int, Path]
    rejected: pa.Table
    origins: pa.Table

    @classmethod
    def read(cls, version: VersionPaths, meta: Mapping[str, Any]) -> Contents:
        """Read a version that was held against its `atlas.json`; large arrays stay on the disk."""
        thumbnails, records = pq.read_table(version.thumbnails), pq.read_table(version.records)
        return cls(
            records=records,
            hashes=_hashes(version, len(records)),
            spaces={space: _arrays(version, space) for space in meta["spaces"]},
            clusters=pa.Table.from_pylist(pq.read_table(version.clusters).to_pylist(), schema=CLUSTERS_SCHEMA),
            thumbnails=thumbnails,
            packs={number: version.pack(number) for number in pc.unique(thumbnails["pack"]).to_pylist()},
            rejected=_table(version, REJECTED, _NO_REJECTED),
            origins=_table(version, ORIGINS, _NO_ORIGINS),
        )

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """int64 (n,)."""
        return np.asarray(self.records["id"].to_numpy())

    @property
    def train(self) -> npt.NDArray[np.bool_]:
        """Which rows are of the split `train`, bool (n,)."""
        return np.asarray(pc.equal(self.records["split"], Split.TRAIN.value).to_numpy())

    def write(self, version: VersionPaths) -> None:
        """Fill an empty version; thumbnails that need not move are shared with the version that they come from."""
        write_table(version.records, self.records)
        write_hashes(version, self.hashes)
        for space, arrays in self.spaces.items():
            for name, array in arrays.items():
                write_array(version.array(space, name), array)
        write_table(version.clusters, self.clusters)
        write_table(version.root / REJECTED, self.rejected)
        if len(self.origins):
            write_table(version.root / ORIGINS, self.origins)
        write_table(version.thumbnails, self._write_packs(version))

    def _write_packs(self, version: VersionPaths) -> pa.Table:
        """Link the packs that are used whole, copy what is used of the others; return where everything lies now."""
        folder = version.pack(0).parent
        folder.mkdir(parents=True, exist_ok=True)
        moved = []
        for number, old in enumerate(sorted(pc.unique(self.thumbnails["pack"]).to_pylist())):
            path = self.packs[old]
            rows = self.thumbnails.filter(pc.equal(self.thumbnails["pack"], old)).sort_by("offset").to_pylist()
            if sum(row["length"] for row in rows) == path.stat().st_size:
                link(path, version.pack(number))
            else:
                rows = _copied(path, version.pack(number), rows)
            moved += [row | {"pack": number} for row in rows]
        sync_folder(folder)
        return pa.Table.from_pylist(moved, schema=THUMBNAILS_SCHEMA)


def write_hashes(version: VersionPaths, hashes: npt.NDArray[np.uint64]) -> None:
    """Write what pictures are known again by, where anything is known of any."""
    if hashes.any():
        write_array(version.hashes, hashes)


def _hashes(version: VersionPaths, count: int) -> npt.NDArray[np.uint64]:
    if not version.hashes.exists():
        return np.zeros((count, HASHED_VIEWS), np.uint64)
    return np.asarray(np.load(version.hashes, mmap_mode="r", allow_pickle=False))


def _copied(source: Path, target: Path, rows: list[dict[str, int]]) -> list[dict[str, int]]:
    """Copy some thumbnails of a pack into another; return their rows with their new offsets."""
    moved = []
    with source.open("rb") as reading, replacing(target) as writing:
        for row in rows:
            reading.seek(row["offset"])
            moved.append(row | {"offset": writing.tell()})
            writing.write(reading.read(row["length"]))
    return moved


def _table(version: VersionPaths, name: str, otherwise: pa.Table) -> pa.Table:
    """A table that not every version has."""
    path = version.root / name
    return pq.read_table(path) if path.exists() else otherwise


def _arrays(version: VersionPaths, space: str) -> Arrays:
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, (dtype, _) in SPACE_ARRAYS.items():
        if name in ADDED_ARRAYS and not version.array(space, name).exists():
            arrays[name] = np.full(len(arrays["points"]), ADDED_ARRAYS[name], dtype)
        else:
            arrays[name] = np.load(version.array(space, name), mmap_mode="r", allow_pickle=False)
    return arrays
