"""Whether the two levels of an atlas's clusters fit together, and say of their members what is true."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.layout import LEVELS, VersionPaths, read_table

Codes = npt.NDArray[np.int32]
Row = Mapping[str, Any]


def problems(version: VersionPaths, spaces: Iterable[str]) -> Iterator[str]:
    """What is wrong with the clusters of a version whose files are whole, one line each."""
    listed = read_table(version.clusters).to_pylist()
    for space in spaces:
        codes = [_codes(version, space, name) for name in LEVELS]
        for level, of in enumerate(codes):
            rows = [row for row in listed if row["space"] == space and row["level"] == level]
            yield from _size_problems(f"{space}/{LEVELS[level]}.npy", of, rows)
        fine = [row for row in listed if row["space"] == space and row["level"] == 1]
        yield from _nesting_problems(space, codes[0], codes[1], fine)


def _codes(version: VersionPaths, space: str, name: str) -> Codes:
    path = version.array(space, name)
    found: Codes = np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else np.empty(0, np.int32)
    return found


def _size_problems(name: str, codes: Codes, rows: Iterable[Row]) -> Iterator[str]:
    """Clusters that `clusters.parquet` and an array count differently."""
    numbers, counts = np.unique(codes[codes >= 0], return_counts=True)
    found = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    told = {row["cluster"]: row["size"] for row in rows}
    for cluster in sorted(found.keys() | told.keys()):
        if found.get(cluster, 0) != told.get(cluster, 0):
            yield (
                f"{name}: expected {told.get(cluster, 0)} pictures in cluster {cluster} as in clusters.parquet, "
                f"found {found.get(cluster, 0)}"
            )


def _nesting_problems(space: str, coarse: Codes, fine: Codes, rows: Iterable[Row]) -> Iterator[str]:
    """Fine clusters whose pictures are not all in the coarse one that `clusters.parquet` says."""
    inside = np.flatnonzero(fine >= 0)
    pairs = np.unique(np.stack([fine[inside], coarse[inside]], axis=1), axis=0).tolist()
    parents: dict[int, set[int]] = {}
    for cluster, parent in pairs:
        parents.setdefault(cluster, set()).add(parent)
    for row in rows:
        found = parents.get(row["cluster"], set())
        if found != {row["parent"]}:
            yield (
                f"{space}/subcluster.npy: expected cluster {row['cluster']} in cluster {row['parent']} of "
                f"{space}/cluster.npy alone, found it in {', '.join(map(str, sorted(found))) or 'none'}"
            )
