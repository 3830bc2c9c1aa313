"""The stages of one space, from what its model gave to its map and clusters, each kept under all that it depends on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer import placement, seals
from explorer.layout import NEIGHBORS, write_array, write_atomic, write_blocks
from explorer.partition import Partition
from explorer.records import Space
from indexer.mapping import (
    alignment,
    baseline,
    choice,
    cluster,
    descent,
    labels,
    neighbors,
    overlap,
    project,
    start,
    vectors,
    wording,
)
from indexer.mapping.alignment import aligned
from indexer.mapping.choice import SearchOptions
from indexer.mapping.cluster import ClusterOptions, RowCluster
from indexer.mapping.neighbors import NeighborOptions, Neighbors, Way
from indexer.mapping.pictures import Pictures
from indexer.mapping.project import MapOptions
from indexer.mapping.wording import Wording
from indexer.stages import StageStore, digest, digest_each, libraries


@dataclass(frozen=True, slots=True)
class SpaceOptions:
    """How neighbors are found, search indexes chosen, and maps and clusters made."""

    neighbors: NeighborOptions = field(default_factory=NeighborOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
    map: MapOptions = field(default_factory=MapOptions)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)


class SpaceStages:
    """The stages of one space; each property is the folder of a result, made when first asked for."""

    def __init__(
        self,
        space: Space,
        pictures: Pictures,
        blocks: Callable[[Space], Iterable[npt.NDArray[np.float32]]],
        options: SpaceOptions,
        store: StageStore,
        onto: SpaceStages | None = None,
    ) -> None:
        """Say what the stages work on.

        Args:
            space: the space.
            pictures: the encoded rows.
            blocks: reads what the model of a space gave for them, see `indexer.mapping.vectors.Blocks`.
            options: how maps and clusters are made.
            store: where results are kept.
            onto: the space whose map this one is laid over; None = it stands as it comes.
        """
        self.space, self._onto = space, onto
        self._pictures, self._blocks, self._options, self._store = pictures, blocks, options, store

    def array(self, name: str) -> Path:
        """The file of one of the space's arrays, by its name in `explorer.layout.SPACE_ARRAYS`."""
        folders: dict[str, Path] = {
            **dict.fromkeys(("vectors", "mean"), self.vectors),
            **dict.fromkeys(("neighbors", "distances"), self.neighbors),
            **dict.fromkeys(("baseline", "weights"), self.baseline),
            **{"points": self.map, "overlap": self.overlap},
            **dict.fromkeys(("cluster", "subcluster"), self.clusters),
        }
        return folders[name] / f"{name}.npy"

    def meta(self) -> dict[str, Any]:
        """What `atlas.json` says of the space."""
        made = json.loads((self.map / "map.json").read_bytes())
        near = json.loads((self.neighbors / "neighbors.json").read_bytes())
        search = json.loads((self.search / "search.json").read_bytes())
        usual = json.loads((self.baseline / "baseline.json").read_bytes())
        kept = json.loads((self.overlap / "overlap.json").read_bytes())
        found = {"neighbors": near, "baseline": usual, "search": search, **kept}
        labeled = {"labels": {"checked": self._told_clusters["labels_checked"]}}
        return {"dim": int(_load(self.vectors, "mean").shape[0]), **made, **found, **labeled}

    def row_clusters(self) -> list[RowCluster]:
        """The clusters, by rows."""
        return [RowCluster(**row | {"exemplars": tuple(row["exemplars"])}) for row in self._told_clusters["clusters"]]

    @property
    def _told_clusters(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.clusters / "clusters.json").read_bytes())
        return told

    @cached_property
    def vectors(self) -> Path:
        """vectors.npy and mean.npy."""

        def make(folder: Path) -> None:
            train, read = self._pictures.train, partial(self._blocks, self.space)
            dim = next(iter(read())).shape[1]
            mean = vectors.center(read, train) if self.space is Space.VAE else np.zeros(dim, np.float32)
            framed = (vectors.in_frame(raw, mean) for raw in read())
            write_blocks(folder / "vectors.npy", framed, (len(train), dim), np.float16)
            write_array(folder / "mean.npy", mean)

        return self._store.result("vectors", self._vectors_inputs, make)

    @cached_property
    def neighbors(self) -> Path:
        """neighbors.npy, similarities.npy, distances.npy, neighbors.json; centers.npy and lists.npy if approximate."""

        def make(folder: Path) -> None:
            wide = self._options.neighbors.wide
            found = neighbors.find(_mapped(self.vectors, "vectors"), self._pictures.train, NEIGHBORS, wide=wide)
            write_array(folder / "neighbors.npy", found.rows)
            write_array(folder / "similarities.npy", found.similarities)
            write_array(folder / "distances.npy", found.distances)
            write_atomic(folder / "neighbors.json", json.dumps(found.way.told()).encode())
            if found.partition is not None:
                write_array(folder / "centers.npy", found.partition.centers)
                write_array(folder / "lists.npy", found.partition.lists)

        return self._store.result("neighbors", self._neighbors_inputs, make)

    @cached_property
    def search(self) -> Path:
        """search.json, and a sealed index.faiss until the version that it belongs to is published."""

        def make(folder: Path) -> None:
            found, train = _mapped(self.vectors, "vectors"), self._pictures.train
            chosen = choice.choose(found, train, self._lists(), self._options.search, folder)
            if (folder / "index.faiss").exists():
                seals.seal(folder / "index.faiss")
            write_atomic(folder / "search.json", json.dumps(chosen).encode())

        inputs = {
            "neighbors": digest(self._neighbors_inputs),
            "options": self._options.search,
            "revision": choice.REVISION,
            "libraries": libraries("faiss-cpu", "faiss-gpu", "numpy"),
        }
        return self._store.result("search", inputs, make)

    @cached_property
    def baseline(self) -> Path:
        """baseline.npy and weights.npy, and baseline.json with how they were found."""

        def make(folder: Path) -> None:
            pictures, found = self._pictures, _mapped(self.vectors, "vectors")
            wide = self._options.neighbors.wide
            made = baseline.baseline(found, pictures.train, pictures.families, self._found_neighbors(), wide=wide)
            write_array(folder / "baseline.npy", made.similarities)
            write_array(folder / "weights.npy", made.weights)
            write_atomic(folder / "baseline.json", json.dumps(made.way.told()).encode())

        inputs = {
            "neighbors": digest(self._neighbors_inputs),
            "families": digest(self._pictures.families),
            "revision": baseline.REVISION,
        }
        return self._store.result("baseline", inputs, make)

    @cached_property
    def map(self) -> Path:
        """points.npy, and map.json with how the map was made and what it is laid over."""

        def make(folder: Path) -> None:
            train, onto = self._pictures.train, self._onto
            wide, found = self._options.neighbors.wide, self._found_neighbors()
            made = project.project(_mapped(self.vectors, "vectors"), train, found, self._options.map, wide=wide)
            points = aligned(made.points, _load(onto.map, "points"), train) if onto else made.points
            write_array(folder / "points.npy", points)
            fit = {"fitted": made.fitted, "placed": len(train) - made.fitted}
            told = {**fit, "aligned_to": onto.space.value if onto else None}
            curve = {"a": made.a, "b": made.b, "layout": made.layout.value, "map": told}
            write_atomic(folder / "map.json", json.dumps(curve).encode())

        return self._store.result("project", self._map_inputs, make)

    @cached_property
    def overlap(self) -> Path:
        """overlap.npy, and overlap.json with the share of the neighbors that the map keeps."""

        def make(folder: Path) -> None:
            near = _load(self.neighbors, "neighbors")
            counted = overlap.overlap(_load(self.map, "points"), self._pictures.train, near)
            write_array(folder / "overlap.npy", counted)
            write_atomic(folder / "overlap.json", json.dumps({"overlap": overlap.mean_share(counted, near)}).encode())

        inputs = {
            "map": digest(self._map_inputs),
            "revision": overlap.REVISION,
            "libraries": libraries("scipy", "numpy"),
        }
        return self._store.result("overlap", inputs, make)

    @cached_property
    def clusters(self) -> Path:
        """cluster.npy, subcluster.npy and clusters.json."""
        words = self._pictures.words if self.space is Space.CLIP else None

        def make(folder: Path) -> None:
            pictures = self._pictures
            near = _load(self.neighbors, "neighbors")
            found = cluster.find(_load(self.map, "points"), pictures.train, near, self._options.cluster)
            groups = cluster.groups(found, _load(self.map, "points"), pictures.families, pictures.texts)
            seen = _mapped(self.vectors, "vectors")
            named = labels.named(groups, Wording(words.embed, seen) if words else None)
            write_array(folder / "cluster.npy", found.coarse)
            write_array(folder / "subcluster.npy", found.fine)
            listed = [asdict(each) for each in cluster.listed(groups, named.labels, self._options.cluster.exemplars)]
            told = {"labels_checked": named.is_checked, "clusters": listed}
            write_atomic(folder / "clusters.json", json.dumps(told, ensure_ascii=False).encode())

        inputs = {
            "map": digest(self._map_inputs),
            "families": digest(self._pictures.families),
            "texts": digest_each([text.caption, text.tags] for text in self._pictures.texts),
            "options": self._options.cluster,
            "words": words.key if words else None,
            "revisions": [cluster.REVISION, labels.REVISION, wording.REVISION],
            "libraries": libraries("fast-plscan", "scikit-learn", "scipy", "numpy"),
        }
        return self._store.result("cluster", inputs, make)

    @property
    def _vectors_inputs(self) -> dict[str, Any]:
        return {
            "space": self.space.value,
            "encoded": self._pictures.key,
            "train": digest(self._pictures.train),
            "revision": vectors.REVISION,
            "libraries": libraries("numpy"),
        }

    @property
    def _neighbors_inputs(self) -> dict[str, Any]:
        return {
            "vectors": digest(self._vectors_inputs),
            "k": NEIGHBORS,
            "options": self._options.neighbors,
            "revision": neighbors.REVISION,
            "libraries": libraries("faiss-cpu", "faiss-gpu", "numpy"),
        }

    @property
    def _map_inputs(self) -> dict[str, Any]:
        return {
            "neighbors": digest(self._neighbors_inputs),
            "options": self._options.map,
            "onto": digest(self._onto._map_inputs) if self._onto else None,
            "revisions": [each.REVISION for each in (project, start, descent, placement, alignment)],
            "libraries": libraries("umap-learn", "numba", "scipy", "numpy"),
        }

    def _found_neighbors(self) -> Neighbors:
        way = Way.of(json.loads((self.neighbors / "neighbors.json").read_bytes()))
        return Neighbors(_load(self.neighbors, "neighbors"), _load(self.neighbors, "similarities"), way, self._lists())

    def _lists(self) -> Partition | None:
        """The lists that neighbors were looked for in, if they were."""
        if not (self.neighbors / "lists.npy").exists():
            return None
        return Partition(_load(self.neighbors, "centers"), _load(self.neighbors, "lists"))


def _mapped(folder: Path, name: str) -> npt.NDArray[Any]:
    return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))


def _load(folder: Path, name: str) -> npt.NDArray[Any]:
    return np.asarray(np.load(folder / f"{name}.npy", allow_pickle=False))
