"""Which vectors stand nearest to a vector: exact inner products through faiss, which is imported nowhere else.

The index holds the atlas's float16 vectors as they are, and its answers equal brute force over them, up to ties and the
rounding of float32 sums.
"""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from explorer.atlas import Atlas
from explorer.cache import index_file
from explorer.errors import QueryError
from explorer.layout import replacing, write_atomic
from explorer.spaces import SpaceData
from explorer.verify import checksum

Vectors = npt.NDArray[np.float16] | npt.NDArray[np.float32] | npt.NDArray[np.float64]

MAX_K = 10_000
_BLOCK = 65_536
_opening = threading.Lock()
_opened: weakref.WeakKeyDictionary[Atlas, dict[str, VectorIndex]] = weakref.WeakKeyDictionary()
_SETTINGS = "IndexScalarQuantizer,QT_fp16,inner product"


def normalized(vectors: Vectors) -> npt.NDArray[np.float32]:
    """Scale each row of (n, d) to unit length, float32.

    Raises:
        QueryError: a row has no direction: it is zero, or not finite.
    """
    rows = np.atleast_2d(np.asarray(vectors, dtype=np.float64))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise QueryError("a vector is zero or not finite, so it is near to nothing; ask with another picture or text")
    return np.ascontiguousarray(rows / lengths, dtype=np.float32)


def knn(base: Vectors, queries: Vectors, k: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The k most similar rows of `base` for each query, exactly.

    Args:
        base: (n, d), unit length.
        queries: (q, d), of any length.
        k: how many; at most n are given.

    Returns:
        cosines float32 (q, min(k, n)), most similar first, and their rows int64 (q, min(k, n)).
    """
    stored = np.ascontiguousarray(base, dtype=np.float32)
    similarities, rows = faiss.knn(normalized(queries), stored, min(k, len(stored)), metric=faiss.METRIC_INNER_PRODUCT)
    return similarities, rows.astype(np.int64)


class VectorIndex:
    """All vectors of one space, ready to be searched from several threads."""

    def __init__(self, index: Any) -> None:  # noqa: ANN401 - faiss has no types
        self._index = index

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
        """Read the index from the atlas's cache, or build it there where it is missing or damaged."""
        data = atlas.space(space)
        digest = atlas.meta["files"][f"{space}/vectors.npy"]["sha256"]
        path = index_file(atlas.cache_dir, space, digest, f"{_SETTINGS} faiss {faiss.__version__}")
        index = _cached(path, data)
        if index is None:
            index = _built(data)
            with suppress(OSError):  # a cache that cannot be kept costs time, not truth
                _keep(index, path)
        return cls(index)

    def search(
        self, queries: Vectors, k: int, allowed: npt.NDArray[np.bool_] | None = None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """The k most similar rows for each query.

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
        if vectors.shape[1] != self._index.d:
            raise QueryError(f"found a vector of {vectors.shape[1]} numbers; this space has {self._index.d}")
        if not 1 <= k <= MAX_K:
            raise QueryError(f"found k = {k}; expected 1 to {MAX_K:,}")
        parameters = None
        if allowed is not None:
            k = min(k, int(np.count_nonzero(allowed)))
            bits = np.packbits(allowed, bitorder="little")
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        k = min(k, self._index.ntotal)
        if k == 0:
            return np.empty((len(vectors), 0), np.float32), np.empty((len(vectors), 0), np.int64)
        with _threads(len(vectors)):
            similarities, rows = self._index.search(vectors, k, params=parameters)
        return similarities, rows


@contextmanager
def _threads(queries: int) -> Iterator[None]:
    """At most one thread a query: faiss shares out queries, and threads without one only wait, at full speed."""
    most = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(min(most, queries))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(most)


def _built(data: SpaceData) -> Any:  # noqa: ANN401 - faiss has no types
    count, dim = data.vectors.shape
    index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    for start in range(0, count, _BLOCK):
        index.add(np.ascontiguousarray(data.vectors[start : start + _BLOCK], dtype=np.float32))
    return index


def _keep(index: Any, path: Path) -> None:  # noqa: ANN401 - faiss has no types
    with replacing(path) as handle:
        faiss.write_index(index, faiss.PyCallbackIOWriter(handle.write))
    write_atomic(path.with_suffix(".json"), json.dumps({"sha256": checksum(path)}).encode())


def _cached(path: Path, data: SpaceData) -> Any:  # noqa: ANN401 - faiss has no types
    """The index in the cache, or None; faiss reads it only after its checksum was right."""
    try:
        if json.loads(path.with_suffix(".json").read_bytes())["sha256"] != checksum(path):
            return None
        index = faiss.read_index(str(path))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None
    return index if (index.ntotal, index.d) == data.vectors.shape else None
