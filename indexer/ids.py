"""Ids: given once to a key, the same in every rebuild, never given to another key.

The ledger keeps every key that ever had an id, by its hash, so that a picture that comes back is known again and a
picture that was taken down leaves no name behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from explorer.layout import AtlasPaths, VersionPaths, write_table

FIRST = 1
_SCHEMA = pa.schema([("key_hash", pa.binary(16)), ("id", pa.int64()), ("forgotten", pa.bool_())])


@dataclass(frozen=True, slots=True)
class Ledger:
    """Which id each key has.

    Attributes:
        ids: hash of a key -> its id.
        following: the id that the next new key gets.
        forgotten: the ids of pictures that were taken down and removed.
    """

    ids: Mapping[bytes, int]
    following: int = FIRST
    forgotten: frozenset[int] = frozenset()

    @classmethod
    def read(cls, paths: AtlasPaths) -> Ledger:
        """The ledger of an atlas: of every version there is, so that one damaged version gives no id away again."""
        ids: dict[bytes, int] = {}
        forgotten: set[int] = set()
        for folder in sorted(paths.versions.glob("[!.]*")):
            with suppress(OSError, pa.ArrowException):
                table = pq.read_table(_path(VersionPaths(folder)))
                known = table.filter(pc.is_valid(table["key_hash"]))
                ids |= zip(known["key_hash"].to_pylist(), known["id"].to_pylist(), strict=True)
                if "forgotten" in table.column_names:
                    forgotten.update(table.filter(pc.field("forgotten"))["id"].to_pylist())
        last = max((*ids.values(), *forgotten), default=FIRST - 1)
        return cls(ids, last + 1, frozenset(forgotten))

    def with_keys(self, kind: str, keys: Iterable[str]) -> Ledger:
        """The ledger with an id for each of these keys."""
        ids = dict(self.ids)
        following = self.following
        for key in keys:
            if ids.setdefault(key_hash(kind, key), following) == following:
                following += 1
        return Ledger(ids, following, self.forgotten)

    def without(self, ids: Iterable[int]) -> Ledger:
        """The ledger that knows these pictures as removed; their ids stay theirs."""
        return Ledger(self.ids, self.following, self.forgotten | set(ids))

    def of(self, kind: str, keys: Iterable[str]) -> npt.NDArray[np.int64]:
        """The ids of keys that it has, int64 (n,)."""
        return np.array([self.ids[key_hash(kind, key)] for key in keys], dtype=np.int64)

    def write(self, version: VersionPaths) -> None:
        """Keep it in a version."""
        named = np.fromiter(self.ids.values(), np.int64, len(self.ids))
        forgotten = np.array(sorted(self.forgotten), np.int64)
        nameless = np.setdiff1d(forgotten, named)  # an atlas that another program wrote may lack the keys of some
        ids = np.concatenate([named, nameless])
        hashes = pa.array([*self.ids, *[None] * len(nameless)], pa.binary(16))
        columns = [hashes, pa.array(ids), pa.array(np.isin(ids, forgotten))]
        write_table(_path(version), pa.Table.from_arrays(columns, schema=_SCHEMA))


def key_hash(kind: str, key: str) -> bytes:
    """16 bytes for a key: what a picture is in its source, the kind of the source included."""
    return hashlib.sha256(f"{kind}\0{key}".encode()).digest()[:16]


def _path(version: VersionPaths) -> Path:
    return version.root / "ids.parquet"
