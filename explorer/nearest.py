"""Which vectors of an atlas stand nearest to a vector: its search index, opened once and asked with masks.

The index is of the kind that the build measured to be the fastest, see `explorer.indexes`. It lies in the cache and is
mapped, so opening reads nothing; its checksum is remembered by the file's inode, size and time of change, as those of
the atlas's own files are.
"""

from __future__ import annotations

import json
import shutil
import threading
import weakref
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from explorer import exact, indexes
from explorer.atlas import Atlas
from explorer.cache import index_file
from explorer.errors import AtlasError, QueryError
from explorer.exact import Vectors, normalized
from explorer.index_choice import IndexChoice, IndexKind
from explorer.indexes import Found, Index
from explorer.layout import AtlasPaths, replacing, write_atomic
from explorer.verify import checksum, current, read_meta, stamp

MAX_K = 10_000
_FEW_ROWS, _FEW_SHARE = 4096, 1 / 16
"""Where a mask leaves no more than this, its rows are compared one by one, see `is_few`."""
_opening = threading.Lock()
_opened: weakref.WeakKeyDictionary[Atlas, dict[str, VectorIndex]] = weakref.WeakKeyDictionary()


class VectorIndex:
    """All vectors of one space, ready to be searched from several threads."""

    def __init__(self, index: Index, vectors: npt.NDArray[np.float16]) -> None:
        """Take an index of `vectors`, float16 (n, d), unit length."""
        self._index, self._vectors = index, vectors

    @classmethod
    def open(cls, atlas: Atlas, space: str) -> VectorIndex:
        """The index of one space of an opened atlas: loaded once, however often it is asked for."""
        with _opening:
            known = _opened.setdefault(atlas, {})
            if space not in known:
                known[space] = cls._load(atlas, space)
            return known[space]

    @classmethod
    def _load(cls, atlas: Atlas, space: str) -> VectorIndex:
        """Map the index in the atlas's cache, or build it there where it is missing or damaged."""
        vectors, choice = atlas.space(space).vectors, IndexChoice.of(atlas.meta["spaces"][space])
        path = index_path(atlas.cache_dir, space, atlas.meta["files"][f"{space}/vectors.npy"]["sha256"], choice)
        index = _cached(path, choice, vectors.shape)
        if index is None:
            index = indexes.built(vectors, choice)
            with suppress(OSError):  # a cache that cannot be kept costs time and memory, not truth
                keep(index, path)
                index = _cached(path, choice, vectors.shape) or index
        return cls(index, vectors)

    def search(self, queries: Vectors, k: int, allowed: npt.NDArray[np.bool_] | None = None) -> Found:
        """The k most similar rows for each query, as far as the index finds them; see its recall in `atlas.json`.

        Args:
            queries: (q, d), of any length.
            k: how many; fewer are given where fewer are allowed.
            allowed: (n,), the rows that may be found; None = all.

        Returns:
            cosines float32 (q, k'), most similar first, and rows int64 (q, k').

        Raises:
            QueryError: a query has no direction or another dimension, or k is below 1.
        """
        vectors = normalized(queries)
        count, dim = self._vectors.shape
        if vectors.shape[1] != dim:
            raise QueryError(f"found a vector of {vectors.shape[1]} numbers; this space has {dim}")
        if not 1 <= k <= MAX_K:
            raise QueryError(f"found k = {k}; expected 1 to {MAX_K:,}")
        left = count if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, left)
        if k == 0:
            return np.empty((len(vectors), 0), np.float32), np.empty((len(vectors), 0), np.int64)
        if allowed is not None and is_few(left, count):
            return exact.knn(self._vectors, vectors, k, np.flatnonzero(allowed))
        similarities, rows = self._index.search(vectors, k, None if left == count else allowed)
        if ((rows < 0) | (rows >= count)).any():
            raise AtlasError("the search index knows other rows than the atlas; remove the atlas's cache folder")
        return similarities, rows


def is_few(left: int, count: int) -> bool:
    """Whether so many allowed rows of all are compared one by one, because an index would have to look everywhere."""
    return left <= min(_FEW_ROWS, _FEW_SHARE * count)


def prepare(paths: AtlasPaths) -> None:
    """Build into the cache what it lacks of the live version's indexes, so that no start waits for them.

    One that is flat takes no time to build, so it is left to the first question.
    """
    told = read_meta(current(paths))["spaces"]
    spaces = [space for space in told if IndexChoice.of(told[space]).kind is not IndexKind.FLAT]
    if spaces:
        atlas = Atlas.open(paths.root)
        for space in spaces:
            VectorIndex.open(atlas, space)


def index_path(folder: Path, space: str, vectors: str, choice: IndexChoice) -> Path:
    """Where in a cache the index of a space lies; `vectors` is the sha256 of its vectors' file."""
    return index_file(folder, space, vectors, f"{choice.settings}, faiss {indexes.VERSION}")


def keep(index: Index, path: Path) -> None:
    """Write an index and what it is known by."""
    with replacing(path) as handle:
        indexes.write(index, handle)
    _remember(path, checksum(path))


def adopt(index: Path, path: Path) -> None:
    """Move an index that was written elsewhere into a cache; nothing is done where there is one already, or none."""
    with suppress(OSError):  # a cache that cannot be kept costs time, not truth
        if index.exists() and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(index, path)
            _remember(path, checksum(path))


def _remember(path: Path, digest: str) -> None:
    write_atomic(path.with_suffix(".json"), json.dumps({"sha256": digest, "stamp": stamp(path)}).encode())


def _cached(path: Path, choice: IndexChoice, shape: tuple[int, ...]) -> Index | None:
    """The index in the cache, or None; faiss maps it only if its checksum is right, or was and nothing has changed."""
    try:
        known = json.loads(path.with_suffix(".json").read_bytes())
        digest = known["sha256"]
        if known.get("stamp") != stamp(path):
            if digest != checksum(path):
                return None
            with suppress(OSError):  # a memory that cannot be kept costs time, not truth
                _remember(path, digest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return indexes.mapped(path, choice, shape)
