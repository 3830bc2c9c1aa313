"""Search indexes over float16 vectors, and the only room that knows faiss.

Three kinds, each in a file that is mapped and not read: `flat` looks at every vector; `ivf` at the lists around the
query (Sivic & Zisserman 2003, "Video Google"); `hnsw` walks a graph (Malkov & Yashunin 2016, arXiv 1603.09320). Which
one an atlas has was measured when it was built, see `indexer.mapping.choice`. All hold float16 as the atlas does, so
nothing is lost on the way in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

import faiss
import numpy as np
import numpy.typing as npt

from explorer.adjacency import both_ways
from explorer.exact import Rows, Vectors, largest, normalized
from explorer.index_choice import IndexChoice, IndexKind
from explorer.partition import Partition, lists_for

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Found = tuple[Floats, Rows]
Near = tuple[Floats, npt.NDArray[np.integer]]
"""Each row's nearest: cosines float32 (n, k) and rows (n, k), -1 where there are fewer."""

VERSION: str = faiss.__version__
MEASURED_K = 11
"""Recall was measured for so many neighbors, a row itself and ten others; who asks for more has more looked at."""
_BLOCK = 65_536
_BUILDING = 100
"""Candidates for each link of a graph's upper levels."""
_FP16 = faiss.ScalarQuantizer.QT_fp16
_ENOUGH = 0.9
"""A mask that takes fewer rows than a tenth away is no reason to look at more lists."""
_EMPTIED = 4
"""A mask that leaves this many times fewer rows around a query than it leaves everywhere makes a stranger of the query:
the rows that are left are far from it, recall was not measured for such, and all of them are looked at."""
_MOST_OF = 0.5
"""Beyond this share of the lists, or with less than this share of the rows allowed in a graph, all are looked at."""


class Index(Protocol):
    """What an index can do."""

    raw: Any

    def search(self, queries: Floats, k: int, allowed: Mask | None) -> Found:
        """Cosines float32 (q, k) and rows int64 (q, k), most similar first; -1 where no more was found.

        Args:
            queries: float32 (q, d), unit length.
            k: at most as many as are allowed.
            allowed: bool (n,); None = all.
        """
        ...


@dataclass
class Flat:
    """Every vector is looked at."""

    raw: Any

    def search(self, queries: Floats, k: int, allowed: Mask | None) -> Found:
        """See `Index`."""
        return _search(
            self.raw, queries, k, None if allowed is None else faiss.SearchParameters(sel=_selector(allowed))
        )


@dataclass
class Inverted:
    """The lists around a query are looked at.

    Attributes:
        probes: how many lists were enough for `MEASURED_K` neighbors without a mask.
        centers: float32 (l, d), of the lists.
    """

    raw: Any
    probes: int
    centers: Floats

    def search(self, queries: Floats, k: int, allowed: Mask | None) -> Found:
        """See `Index`; as many lists are looked at as hold as many allowed rows as were enough without a mask."""
        lists = len(self.centers)
        probes = math.ceil(self.probes * max(k / MEASURED_K, 1))
        if allowed is not None and probes < _MOST_OF * lists:
            scores, most = queries @ self.centers.T, probes
            wanted = max(self._probes(near, probes, allowed) for near in largest(scores, most)[1])
            if wanted > most:
                most = math.ceil(_EMPTIED * probes * len(allowed) / max(int(np.count_nonzero(allowed)), 1))
                wanted = max(self._probes(near, probes, allowed) for near in largest(scores, most)[1])
            probes = wanted if wanted <= most else lists
        selector = None if allowed is None else _selector(allowed)
        probes = lists if probes >= _MOST_OF * lists else probes
        similarities, rows = _search(self.raw, queries, k, faiss.SearchParametersIVF(sel=selector, nprobe=probes))
        if (short := (rows < 0).any(axis=1)).any():  # the lists hold fewer than k
            everywhere = faiss.SearchParametersIVF(sel=selector, nprobe=lists)
            similarities[short], rows[short] = _search(self.raw, queries[short], k, everywhere)
        return similarities, rows

    def _probes(self, near: Rows, probes: int, allowed: Mask) -> int:
        """How many of the lists `near`, nearest first, hold as many allowed rows as the first `probes` hold rows.

        At least `probes`; one more than there are where all of them do not.
        """
        sizes = self.raw.invlists.list_size
        rows = _ENOUGH * sum(sizes(number) for number in near[:probes].tolist())
        held = 0
        for place, number in enumerate(near.tolist(), start=1):
            held += self._allowed(number, allowed)
            if held >= rows:
                return max(place, probes)
        return len(near) + 1

    def _allowed(self, number: int, allowed: Mask) -> int:
        """Allowed rows in a list."""
        held = self.raw.invlists
        if not (size := held.list_size(number)):
            return 0
        return int(np.count_nonzero(allowed[faiss.rev_swig_ptr(held.get_ids(number), size)]))


@dataclass
class Graph:
    """A graph is walked."""

    raw: Any
    effort: int
    most: ClassVar[int] = 4096
    """Beyond this effort looking at every vector is faster."""

    def search(self, queries: Floats, k: int, allowed: Mask | None) -> Found:
        """See `Index`; every allowed vector is looked at where a mask leaves few, or few near the query.

        The graph is walked without the mask, and what is not allowed is left out then: so recall is what was measured.
        """
        share = 1.0 if allowed is None else max(float(np.count_nonzero(allowed)) / len(allowed), 1e-9)
        effort = math.ceil(self.effort * max(k / MEASURED_K, 1) / share)
        if share >= _MOST_OF and effort <= self.most:
            parameters = faiss.SearchParametersHNSW(efSearch=effort)
            similarities, rows = _search(self.raw, queries, k if allowed is None else max(effort, k), parameters)
            is_left_out = (rows < 0) if allowed is None else (rows < 0) | ~allowed[rows]
            order = np.argsort(is_left_out, axis=1, kind="stable")[:, :k]
            if not np.take_along_axis(is_left_out, order, axis=1).any():
                return np.take_along_axis(similarities, order, axis=1), np.take_along_axis(rows, order, axis=1)
        return Flat(faiss.downcast_index(self.raw.storage)).search(queries, k, allowed)


def flat(vectors: Vectors) -> Index:
    """An index of (n, d) unit vectors that looks at all of them."""
    raw = faiss.IndexScalarQuantizer(vectors.shape[1], _FP16, faiss.METRIC_INNER_PRODUCT)
    _add(raw, vectors)
    return Flat(raw)


def inverted(vectors: Vectors, choice: IndexChoice, partition: Partition | None = None) -> Index:
    """An index of (n, d) unit vectors in lists; `partition` are these, where they are known already."""
    lists = min(choice.parameters["lists"], lists_for(len(vectors)))
    return tuned(_inverted(vectors, partition or Partition.of(vectors, lists)), choice)


def graph(vectors: Vectors, choice: IndexChoice, near: Near) -> Index:
    """An index of (n, d) unit vectors that are linked with their neighbors, which are known; see `both_ways`.

    Only the few rows of the levels above, by which a walk begins, are looked for: a fraction of the work.
    """
    links = choice.parameters["links"]
    raw = faiss.IndexHNSWSQ(vectors.shape[1], _FP16, links, faiss.METRIC_INNER_PRODUCT)
    raw.hnsw.efConstruction, raw.init_level0 = _BUILDING, False
    _add(raw, vectors)
    if raw.hnsw.entry_point < 0:  # of a few rows none may be on a level above
        raw.hnsw.entry_point, raw.hnsw.max_level = 0, 0
    similarities, rows = both_ways(*near, 2 * links)
    distances = -similarities  # faiss's graphs take the nearer for the less
    raw.init_level_0_from_knngraph(rows.shape[1], faiss.swig_ptr(distances), faiss.swig_ptr(rows))
    return tuned(raw, choice)


def tuned(index: Any, choice: IndexChoice) -> Index:  # noqa: ANN401 - faiss has no types
    """An index, or faiss's own, searched as thoroughly as a choice says."""
    raw = getattr(index, "raw", index)
    if choice.kind is IndexKind.IVF:
        centers = raw.quantizer.reconstruct_n(0, raw.nlist)
        return Inverted(raw, min(choice.parameters["probes"], raw.nlist), centers)
    return Graph(raw, choice.parameters["effort"]) if choice.kind is IndexKind.HNSW else Flat(raw)


def write(index: Index, handle: BinaryIO) -> None:
    """Write an index into an open file."""
    faiss.write_index(index.raw, faiss.PyCallbackIOWriter(handle.write))


def mapped(path: Path, choice: IndexChoice, shape: tuple[int, ...]) -> Index | None:
    """The index in a file that was checked, mapped; None where it is not one of (n, d) = `shape` vectors."""
    try:
        raw = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        fits = isinstance(raw, _RAW[choice.kind]) and (raw.ntotal, raw.d) == shape
        return tuned(raw, choice) if fits else None
    except RuntimeError:  # faiss's own, of every kind
        return None


def has_gpu() -> bool:
    """Whether this faiss can use a CUDA device that is here."""
    return hasattr(faiss, "GpuIndexFlatIP") and faiss.get_num_gpus() > 0


def knn_on_gpu(base: Vectors, queries: Vectors, k: int, among: Rows) -> Found:
    """As `explorer.exact.knn`, on the first CUDA device, where the rows `among` have to fit as float32."""
    index = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), base.shape[1])
    for start in range(0, len(among), _BLOCK):
        index.add(np.ascontiguousarray(base[among[start : start + _BLOCK]], dtype=np.float32))
    parts = [
        index.search(normalized(queries[start : start + _BLOCK]), min(k, len(among)))
        for start in range(0, len(queries), _BLOCK)
    ]
    return np.concatenate([part[0] for part in parts]), among[np.concatenate([part[1] for part in parts])]


_RAW = {
    IndexKind.FLAT: faiss.IndexScalarQuantizer,
    IndexKind.IVF: faiss.IndexIVFScalarQuantizer,
    IndexKind.HNSW: faiss.IndexHNSWSQ,
}


def _add(raw: Any, vectors: Vectors) -> None:  # noqa: ANN401 - faiss has no types
    for start in range(0, len(vectors), _BLOCK):
        raw.add(np.ascontiguousarray(vectors[start : start + _BLOCK], dtype=np.float32))


def _inverted(vectors: Vectors, partition: Partition) -> Any:  # noqa: ANN401 - faiss has no types
    """Lists of the float16 vectors as they are; each is added whole, so that none is larger than it must be."""
    lists, dim = partition.centers.shape
    quantizer = faiss.IndexFlatIP(dim)
    quantizer.add(partition.centers)
    raw = faiss.IndexIVFScalarQuantizer(quantizer, dim, lists, _FP16, faiss.METRIC_INNER_PRODUCT, False)
    quantizer.this.disown()
    raw.own_fields = raw.is_trained = True
    for number, rows in enumerate(partition.members()):
        if len(rows):
            codes = np.ascontiguousarray(vectors[rows], dtype=np.float16).view(np.uint8)
            raw.invlists.add_entries(number, len(rows), faiss.swig_ptr(rows), faiss.swig_ptr(codes))
    raw.ntotal = len(vectors)
    return raw


def _selector(allowed: Mask) -> Any:  # noqa: ANN401 - faiss has no types
    return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))


def _search(raw: Any, queries: Floats, k: int, parameters: Any) -> Found:  # noqa: ANN401 - faiss has no types
    with _threads(len(queries)):
        similarities, rows = raw.search(queries, k, params=parameters)
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
