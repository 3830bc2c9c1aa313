"""A version without some of its pictures: nothing is fitted anew, what named the ones that go is made again.

The map, its clusters and every vector stay as they are. Who had one of them among its nearest gets the next one; the
baseline is taken anew; a cluster gets its new size and exemplars, and another label where its label said something that
none of its other pictures says. The mean of `vae` stays: it is the frame that the vectors stand in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, count
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from explorer.exact import normalized
from explorer.layout import LEVELS, NEIGHBORS
from explorer.records import caption_of
from indexer.editing.contents import Arrays, Contents
from indexer.mapping import neighbors
from indexer.mapping.baseline import baseline
from indexer.mapping.cluster import groups
from indexer.mapping.density import NONE, Levels
from indexer.mapping.labels import Groups, Key, Named, is_borne, named
from indexer.mapping.neighbors import NO_ROW, Neighbors
from indexer.mapping.overlap import overlap
from indexer.mapping.phrases import PictureText

Mask = npt.NDArray[np.bool_]

_BLOCK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Which rows stay.

    Attributes:
        mask: bool (n,), over the rows of the old version.
        train: bool (m,), of those that stay.
        families: int32 (m,), the same.
        exemplars: how many a cluster shows.
    """

    mask: Mask
    train: Mask
    families: npt.NDArray[np.int32]
    exemplars: int


def without(contents: Contents, kept: Kept) -> Contents:
    """What is left of a version when only some of its rows stay."""
    records = contents.records.filter(pa.array(kept.mask))
    spaces = {space: _space(arrays, kept) for space, arrays in contents.spaces.items()}
    clusters = [
        row
        for space, arrays in contents.spaces.items()
        for row in _Clusters(contents, kept, records, spaces[space], arrays).rows(space)
    ]
    return replace(
        contents,
        records=records,
        hashes=np.asarray(contents.hashes[kept.mask]),
        spaces=spaces,
        clusters=pa.Table.from_pylist(clusters, schema=contents.clusters.schema),
        thumbnails=_of(contents.thumbnails, records),
        origins=_of(contents.origins, records),
    )


def renamed(before: Contents, after: Contents, space: str) -> bool:
    """Whether a cluster of a space bears another name in the version after, which no model of words has judged."""
    named = [
        {(row["level"], row["cluster"]): row["label"] for row in each.clusters.to_pylist() if row["space"] == space}
        for each in (before, after)
    ]
    return any(label != named[0].get(key) for key, label in named[1].items())


def cosines(vectors: npt.NDArray[np.float16], rows: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """The similarity of every row to some others, float32 (n, k); -inf where `rows` (n, k) names none."""
    found = np.full(rows.shape, -np.inf, dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        others = np.asarray(vectors[rows[block]], dtype=np.float32)
        near = np.einsum("qd,qkd->qk", normalized(vectors[block]), others)
        found[block] = np.where(rows[block] == NO_ROW, -np.inf, near)
    return found


def _of(table: pa.Table, records: pa.Table) -> pa.Table:
    """The rows of a table that are about these records."""
    return table.filter(pc.is_in(table["id"], records["id"].combine_chunks()))


def _space(arrays: Arrays, kept: Kept) -> Arrays:
    """The arrays of a space for the rows that stay."""
    vectors = np.asarray(arrays["vectors"][kept.mask])
    points = np.asarray(arrays["points"][kept.mask])
    near, distances = _neighbors(arrays, vectors, kept)
    usual = baseline(vectors, kept.train, kept.families, Neighbors(near, cosines(vectors, near)))
    return {
        "vectors": vectors,
        "mean": arrays["mean"],
        "points": points,
        "cluster": np.asarray(arrays["cluster"][kept.mask]),
        "subcluster": np.asarray(arrays["subcluster"][kept.mask]),
        "neighbors": near,
        "distances": distances,
        "baseline": usual.similarities,
        "weights": usual.weights,
        "overlap": overlap(points, kept.train, near),
    }


def _neighbors(
    arrays: Arrays, vectors: npt.NDArray[np.float16], kept: Kept
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Rows of the nearest (m, 15) and their distances, found anew for those who lose one of theirs."""
    place = np.where(kept.mask, np.cumsum(kept.mask) - 1, NO_ROW).astype(np.int32)
    old = np.asarray(arrays["neighbors"][kept.mask])
    near = np.where(old == NO_ROW, NO_ROW, place[old])
    distances = np.array(arrays["distances"][kept.mask])
    bereft = np.flatnonzero(((old != NO_ROW) & (near == NO_ROW)).any(axis=1))
    found = neighbors.find(vectors, kept.train, NEIGHBORS, bereft)
    near[bereft], distances[bereft] = found.rows, found.distances
    return near, distances


class _Clusters:
    """The clusters of one space when some of their pictures go."""

    def __init__(self, contents: Contents, kept: Kept, records: pa.Table, arrays: Arrays, before: Arrays) -> None:
        """Say what there is.

        Args:
            contents: of the old version.
            kept: the rows that stay.
            records: theirs, m rows.
            arrays: of the space, of the same rows.
            before: of the space, of the n rows of the old version.
        """
        self._old, self._kept, self._records, self._arrays = contents, kept, records, arrays
        gone = ~kept.mask
        self._bereft = {
            Key(level, cluster)
            for level, name in enumerate(LEVELS)
            for cluster in np.unique(before[name][gone]).tolist()
            if cluster != NONE
        }

    def rows(self, space: str) -> Iterator[dict[str, Any]]:
        """The rows of `clusters.parquet`; a cluster keeps its number, and goes with its last picture."""
        listed = [row for row in self._old.clusters.to_pylist() if row["space"] == space]
        used = defaultdict[int | None, set[str]](
            set
        )  # parent -> what it and its parts are named; None: all coarse ones
        for row in listed:
            used[row["parent"]].add(row["label"])
            used[row["cluster"]] |= {row["label"]} if row["level"] == 0 else set()
        for row in listed:
            key = Key(row["level"], row["cluster"])
            if key not in self._bereft:
                yield row
            elif key in self._groups.central:
                label = self._label(key, row["label"], used[row["parent"]])
                used[row["parent"]].add(label)
                members = self._groups.central[key]
                ids = self._records["id"].to_numpy()[members[: self._kept.exemplars]]
                yield row | {"size": len(members), "exemplars": ids.tolist(), "label": label}

    @cached_property
    def _groups(self) -> Groups:
        levels = Levels(self._arrays["cluster"], self._arrays["subcluster"])
        return groups(levels, self._arrays["points"], self._kept.families, self._texts)

    @cached_property
    def _texts(self) -> list[PictureText]:
        columns = ("captions", "key", "tags")
        rows = zip(*(self._records[name].to_pylist() for name in columns), strict=True)
        return [PictureText(caption_of(dict(captions or ()), key), tuple(tags or ())) for captions, key, tags in rows]

    @cached_property
    def _names(self) -> Named:
        """The names that the clusters would be given now."""
        return named(self._groups)

    def _label(self, key: Key, label: str, used: Collection[str]) -> str:
        """The old label where the others bear it, else one of their own."""
        if is_borne(label, [self._texts[row] for row in self._groups.central[key].tolist()]):
            return label
        found = self._names.labels[key]
        numbered = (f"group {number}" for number in count(key.cluster + 1))
        return next(name for name in chain([found], numbered) if name not in used)
