"""Which vectors of an atlas stand nearest to a vector: its search index, opened once and asked with masks.

The index is of the kind that the build measured to be the fastest, see `explorer.indexes`. It lies in the cache and is
mapped, so opening reads nothing; faiss reads none that this user has not made, see `explorer.seals`. Building one takes
minutes of a million rows: no question waits for that. Until `prepare` is through, the vectors are compared one by one.
"""

from __future__ import annotations

import shutil
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer import cache, exact, indexes, seals
from explorer.atlas import Atlas
from explorer.errors import AtlasError, QueryError
from explorer.exact import Vectors, normalized
from explorer.index_choice import IndexChoice, IndexKind
from explorer.indexes import Found, Index
from explorer.layout import AtlasPaths, replacing
from explorer.progress import SILENT, Progress
from explorer.verify import current, read_meta

MAX_K = 10_000
_FEW_ROWS, _FEW_SHARE = 4096, 1 / 16
"""Where a mask leaves no more than this, its rows are compared one by one, see `is_few`."""
_AT_ONCE = 100_000
"""So many rows are in a flat index before anybody notices."""
_opening, _building = threading.Lock(), threading.Lock()
_opened: weakref.WeakKeyDictionary[Atlas, dict[str, VectorIndex]] = weakref.WeakKeyDictionary()


class VectorIndex:
    """All vectors of one space, ready to be searched from several threads."""

    def __init__(self, index: Index | None, vectors: npt.NDArray[np.float16]) -> None:
        """Take an index of `vectors`, float16 (n, d), unit length; None = not yet there, so all are compared."""
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
        """Map the index in the atlas's cache; build it where it is missing only if that takes no time."""
        file = _File(atlas, space)
        index = file.mapped()
        if index is None and file.choice.kind is IndexKind.FLAT and len(file.space.vectors) <= _AT_ONCE:
            index = file.built()
        return cls(index, file.space.vectors)

    def complete(self, atlas: Atlas, space: str, progress: Progress) -> None:
        """Build the index where it is missing; questions are answered meanwhile, and by it from then on."""
        if self._index is None:
            file = _File(atlas, space)
            progress.note(f"Building the search index of {space}; until it is there searches compare every picture")
            self._index = file.mapped() or file.built()
            progress.note(f"The search index of {space} is there")

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
        mask, index = None if left == count else allowed, self._index
        if index is None or (mask is not None and is_few(left, count)):
            return exact.knn(self._vectors, vectors, k, None if mask is None else np.flatnonzero(mask))
        similarities, rows = index.search(vectors, k, mask)
        if ((rows < 0) | (rows >= count)).any():
            raise AtlasError("the search index knows other rows than the atlas; remove the atlas's cache folder")
        return similarities, rows


def is_few(left: int, count: int) -> bool:
    """Whether so many allowed rows of all are compared one by one, because an index would have to look everywhere."""
    return left <= min(_FEW_ROWS, _FEW_SHARE * count)


def prepare(atlas: Atlas, progress: Progress = SILENT) -> None:
    """Build into the cache what it lacks of an atlas's indexes; its questions are answered meanwhile."""
    with _building:
        for space in atlas.spaces:
            VectorIndex.open(atlas, space).complete(atlas, space, progress)


def adopt(index: Path, paths: AtlasPaths, space: str) -> None:
    """Move an index that this user sealed elsewhere into the live version's cache, if it is there and the cache's not.

    A cache that cannot be kept costs time, not truth.
    """
    with suppress(OSError):
        meta = read_meta(current(paths))
        path = _path(paths.cache, meta, space)
        if index.exists() and seals.is_ours(index) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(index, path)
            _settle(path, paths)


def index_files(paths: AtlasPaths) -> Iterator[str]:
    """The names, in a cache, of the indexes that the versions which are there are searched by."""
    for folder in sorted(paths.versions.glob("[!.]*")):
        with suppress(AtlasError, KeyError):
            meta = read_meta(paths.version(folder.name))
            yield from [_path(paths.cache, meta, space).name for space in meta["spaces"]]


class _File:
    """Where in the cache the index of a space lies, and what it is made of."""

    def __init__(self, atlas: Atlas, space: str) -> None:
        self.space = atlas.space(space)
        self.choice = IndexChoice.of(atlas.meta["spaces"][space])
        self._paths, self._path = AtlasPaths(atlas.path), _path(atlas.cache_dir, atlas.meta, space)

    def mapped(self) -> Index | None:
        """The index, or None where there is none that this user has made of these vectors."""
        return indexes.mapped(self._path, self.choice, self.space.vectors.shape) if seals.is_ours(self._path) else None

    def built(self) -> Index:
        """The index, made anew and kept."""
        index = self._made()
        with suppress(OSError):  # a cache that cannot be kept costs time and memory, not truth
            with replacing(self._path) as handle:
                indexes.write(index, handle)
            _settle(self._path, self._paths)
            return self.mapped() or index
        return index

    def _made(self) -> Index:
        if self.choice.kind is IndexKind.IVF:
            return indexes.inverted(self.space.vectors, self.choice)
        if self.choice.kind is IndexKind.HNSW:
            return indexes.graph(self.space.vectors, self.choice, (1 - self.space.distances, self._neighbors()))
        return indexes.flat(self.space.vectors)

    def _neighbors(self) -> npt.NDArray[np.integer]:
        """The neighbors that the atlas names, int32 (n, k); faiss writes beyond its memory for one that is no row."""
        neighbors = self.space.neighbors
        if neighbors.size and not -1 <= neighbors.min() <= neighbors.max() < len(neighbors):
            raise AtlasError("neighbors.npy names rows that are not there; index the corpus again")
        return neighbors


def _path(folder: Path, meta: Mapping[str, Any], space: str) -> Path:
    choice, vectors = IndexChoice.of(meta["spaces"][space]), meta["files"][f"{space}/vectors.npy"]["sha256"]
    return cache.index_file(folder, space, vectors, f"{choice.settings}, faiss {indexes.VERSION}")


def _settle(path: Path, paths: AtlasPaths) -> None:
    """Seal a new index; those of other choices and other versions of faiss, of the same vectors, go."""
    seals.seal(path)
    cache.prune_indexes(path.parent, {path.name, *index_files(paths)})
