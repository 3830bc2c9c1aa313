"""Neighbors, map and index against UMAP alone, and placing on UMAP's own map against `UMAP.transform`.

Both sides get the same settings, and both are warm: they have laid out a few thousand rows before the clock starts.
Our side runs the stages of a build as a build does; UMAP gets the same training vectors and looks for neighbors itself.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
from scipy.spatial import cKDTree

from benchmarks import placing
from benchmarks.parts import Part
from benchmarks.placing import Asked, seconds, shared
from benchmarks.rows import Figure, Row, duration, held
from benchmarks.vectors import CHUNK, DIM, HELDOUT, Data, unit_vectors
from benchmarks.watch import Watch
from explorer.exact import knn
from explorer.layout import NEIGHBORS
from explorer.records import Space
from indexer.mapping import neighbors
from indexer.mapping.phrases import PictureText
from indexer.mapping.pictures import Pictures
from indexer.mapping.project import MapOptions, project
from indexer.mapping.spaces import SpaceOptions, SpaceStages
from indexer.stages import StageStore

Vectors = npt.NDArray[np.float16]
Points = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

SIZES = {10_000: 3.0, 100_000: 20.0, 200_000: 60.0}
"""Vectors -> minutes."""
ROUNDS = 3
WARM = 5_000
EPOCHS = 200
ASKED = 1000
"""Rows whose k-overlap counts, and new vectors that are placed."""
STAGES = ("neighbors", "search", "map")
"""What our side does in the time that is compared; `search` builds and measures the index."""
FIT_SIZES = (25_000, 50_000, 100_000)
"""Rows whose fits are measured one by one; of the most, half a fit is held against the whole."""
SHARE, WORSE = 0.5, 0.01
"""What is promised: of UMAP's time, and of k-overlap."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Vectors that are laid out, and those that are placed after.

    Attributes:
        vectors: float16 (n, 512).
        train: bool (n,).
        asked: int64 (q,), held-out rows.
        near: int64 (q, 15), their exact nearest training rows.
        similarities: float32 (q, 15), the cosines.
    """

    vectors: Vectors
    train: npt.NDArray[np.bool_]
    asked: Rows
    near: Rows
    similarities: npt.NDArray[np.float32]

    @classmethod
    def of(cls, data: Data, n: int) -> Case:
        """The first n vectors, a hundredth of them held out."""
        vectors = unit_vectors(data, n)
        train = np.random.default_rng(0).random(n) >= HELDOUT
        asked = np.flatnonzero(~train)[:ASKED]
        similarities, near = knn(vectors, vectors[asked], NEIGHBORS, np.flatnonzero(train))
        return cls(vectors, train, asked, near, similarities)

    @property
    def known(self) -> npt.NDArray[np.float32]:
        """The training vectors, float32 (m, 512)."""
        return self.vectors[self.train].astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A map and what it took.

    Attributes:
        points: float32 (m, 3), of the training rows.
        seconds: by stage.
        a: of the map's curve.
        b: the same.
    """

    points: Points
    seconds: Mapping[str, float]
    a: float
    b: float

    @property
    def total(self) -> float:
        """Seconds."""
        return sum(self.seconds.values())


def measure(data: Data, n: int) -> Iterator[Row]:
    """Maps of the same training vectors, in turns; then places of the held-out ones on UMAP's map."""
    case = Case.of(data, n)
    warm = Case.of(data, WARM)
    _ours(warm, MapOptions(epochs=EPOCHS, threads_from=0)), _theirs(warm)
    ours, theirs = [], []
    for number in range(ROUNDS):
        sys.stderr.write(f"round {number + 1} of {ROUNDS}\n")
        ours.append(_ours(case, MapOptions(epochs=EPOCHS)))
        model, made = _theirs(case)
        theirs.append(made)
    yield _map_row(data, n, case, ours, theirs)
    near = np.searchsorted(np.flatnonzero(case.train), case.near)
    asked = Asked(case.vectors[case.asked].astype(np.float32), near, case.similarities)
    last = theirs[-1]
    yield from placing.rows(data, n, asked, model, placing.Standing(last.points, last.a, last.b))


def _ours(case: Case, options: MapOptions) -> Made:
    """The stages of one space, without its vectors' own."""
    texts = [PictureText("")] * len(case.train)
    pictures = Pictures("benchmark", case.train, np.arange(len(case.train), dtype=np.int32), texts)

    def blocks(_: Space) -> Iterator[npt.NDArray[np.float32]]:
        for first in range(0, len(case.vectors), CHUNK):
            yield case.vectors[first : first + CHUNK].astype(np.float32)

    with tempfile.TemporaryDirectory() as folder:
        stages = SpaceStages(Space.CLIP, pictures, blocks, SpaceOptions(map=options), StageStore(Path(folder)))
        _ = stages.vectors
        spent = {stage: seconds(partial(getattr, stages, stage)) for stage in STAGES}
        points, meta = np.load(stages.array("points"), allow_pickle=False), json.loads(_map_json(stages))
    return Made(points[case.train], spent, meta["a"], meta["b"])


def _map_json(stages: SpaceStages) -> bytes:
    return (stages.map / "map.json").read_bytes()


def _theirs(case: Case) -> tuple[Any, Made]:
    """UMAP as a person would call it, with our settings and all processors; the fitted model too."""
    from umap import UMAP

    own, vectors = MapOptions(), case.known
    model = UMAP(
        n_components=3,
        n_neighbors=own.neighbors,
        min_dist=own.min_dist,
        n_epochs=EPOCHS,
        init=own.start.value,
        metric="cosine",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of umap-learn about its own dependencies; none of them is ours to mend
        spent = seconds(lambda: model.fit_transform(vectors))
    return model, Made(model.embedding_, {"umap": spent}, float(model._a), float(model._b))


def _map_row(data: Data, n: int, case: Case, ours: list[Made], theirs: list[Made]) -> Row:
    mine, peer = median(each.total for each in ours), median(each.total for each in theirs)
    kept, peers_kept = (median(_overlap(case, each.points) for each in made) for made in (ours, theirs))
    spent = {stage: median(each.seconds[stage] for each in ours) for stage in STAGES}
    return Row(
        f"neighbors + map + index of {n:,} x {DIM}, median of {ROUNDS}",
        f"{duration(mine)} ({', '.join(f'{stage} {duration(each)}' for stage, each in spent.items())}), "
        f"k-overlap {kept:.3f}",
        f"`umap.UMAP(n_components=3).fit_transform` alone: {duration(peer)}, k-overlap {peers_kept:.3f}",
        mine / peer,
        f"at most half the time: {held(mine, SHARE * peer)}; k-overlap within {WORSE}: "
        f"{held(peers_kept - WORSE, kept)}",
        data.says,
        (
            Figure("neighbors + map + index", n, mine, "s"),
            *(Figure(f"of these, {stage}", n, each, "s") for stage, each in spent.items()),
            Figure("UMAP alone", n, peer, "s"),
        ),
    )


def _overlap(case: Case, points: Points) -> float:
    """The share of a training row's 15 nearest in the space that are among its 15 nearest on the map; the mean."""
    makers = np.flatnonzero(case.train)
    asked = np.random.default_rng(1).permutation(len(makers))[:ASKED]
    _, rows = knn(case.vectors, case.vectors[makers[asked]], NEIGHBORS + 1, makers)
    near = np.searchsorted(makers, rows)
    found = cKDTree(points).query(points[asked], NEIGHBORS + 1)[1]
    return shared(*(_without(each, asked) for each in (near, found)))


def _without(rows: Rows, own: Rows) -> list[Rows]:
    return [each[each != row][:NEIGHBORS] for each, row in zip(rows, own, strict=True)]


def fits() -> Iterator[Row]:
    """What a fit costs by its size, and what a map loses where only half of its rows are fitted together."""
    data, n = Data.SYNTHETIC, FIT_SIZES[-1]
    _fitted(Case.of(data, WARM), WARM)
    whole = [_fitted(Case.of(data, size), size) for size in FIT_SIZES]
    half = _fitted(Case.of(data, n), n // 2)
    yield Row(
        f"map of {n:,} x {DIM}, its neighbors known: half fitted, the rest placed",
        f"{duration(half.seconds)}, k-overlap {half.overlap:.3f}",
        f"all in one fit: {duration(whole[-1].seconds)}, k-overlap {whole[-1].overlap:.3f}",
        half.seconds / whole[-1].seconds,
        f"one fit holds {', '.join(f'{fit.bytes / 2**20:,.0f} MB at {fit.n:,}' for fit in whole)}",
        data.says,
        tuple(
            Figure(series, fit.n, value, unit)
            for fit in whole
            for series, value, unit in (("one fit", fit.seconds, "s"), ("one fit, memory", fit.bytes / 2**20, "MB"))
        ),
    )


@dataclass(frozen=True, slots=True)
class Fit:
    """What a map took once neighbors were known; those within a sample are found anew.

    Attributes:
        n: rows.
        seconds: of the clock.
        bytes: the most that was held beyond what there was before.
        overlap: k-overlap.
    """

    n: int
    seconds: float
    bytes: int
    overlap: float


def _fitted(case: Case, most: int) -> Fit:
    """A map of all rows with at most so many in the fit, by one thread."""
    near = neighbors.find(case.vectors, case.train, NEIGHBORS)
    options = MapOptions(epochs=EPOCHS, fit_most=most, threads_from=None)
    watch = Watch(os.getpid())
    watch.start()
    before, started = psutil.Process().memory_info().rss, perf_counter()
    points = project(case.vectors, case.train, near, options).points
    spent, held = perf_counter() - started, max(watch.peak - before, 0)
    return Fit(len(case.train), spent, held, _overlap(case, points[case.train]))


PARTS = (
    *(
        Part(f"maps/{data}-{n}", partial(measure, data, n), minutes)
        for data in Data
        for n, minutes in SIZES.items()
        if n <= data.most
    ),
    Part("maps/fits", fits, 6.0),
)
