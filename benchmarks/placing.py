"""New vectors on a map that stands: `explorer.placement` against `UMAP.transform`, each in a process of its own.

Both place on UMAP's own map, and both get the vectors one by one. Ours is given their neighbors, since a landing has
them from its search anyway; UMAP looks for them itself.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from benchmarks.rows import Figure, Row, Times, duration, held, milliseconds
from benchmarks.vectors import Data

Points = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

STEADY_P50, STEADY_P99, FIRST, WORSE = 5e-3, 10e-3, 1.0, 0.01
"""What is promised: seconds, seconds, seconds, and k-overlap."""
REPEATS = 300


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """New vectors.

    Attributes:
        vectors: float32 (q, d), unit length.
        near: int64 (q, k), their nearest among those who made the map.
        similarities: float32 (q, k), the cosines.
    """

    vectors: npt.NDArray[np.float32]
    near: Rows
    similarities: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """A map.

    Attributes:
        points: float32 (m, 3), of those who made it.
        a: of its curve.
        b: the same.
    """

    points: Points
    a: float
    b: float


def rows(data: Data, n: int, asked: Asked, model: object, made: Standing) -> Iterator[Row]:
    """New vectors on UMAP's own map, first and steady, each side in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "map.npz", points=made.points, curve=np.array([made.a, made.b]))
        np.savez(folder / "asked.npz", vectors=asked.vectors, near=asked.near, similarities=asked.similarities)
        (folder / "model.pickle").write_bytes(pickle.dumps(model))
        ours, theirs = (_apart(side, folder) for side in ("place", "transform"))
    yield Row(
        f"first placement in a fresh process, map of {n:,}, reading it included, its search not",
        milliseconds(ours.first),
        f"`UMAP.transform`: {duration(theirs.first)}",
        ours.first / theirs.first,
        f"at most 1 s: {held(ours.first, FIRST)}",
        data.says,
        (Figure("placement, first", n, ours.first, "s"), Figure("UMAP.transform, first", n, theirs.first, "s")),
    )
    kept, peers_kept = (_placed_overlap(each.points, made.points, asked.near) for each in (ours, theirs))
    yield Row(
        f"placement of one vector on a map of {n:,}, steady, its search not counted",
        f"p50 {milliseconds(ours.steady.p50)}, p99 {milliseconds(ours.steady.p99)}, k-overlap {kept:.3f}",
        f"`UMAP.transform`, its search in it: p50 {milliseconds(theirs.steady.p50)}, "
        f"p99 {milliseconds(theirs.steady.p99)}, k-overlap {peers_kept:.3f}",
        ours.steady.p50 / theirs.steady.p50,
        f"p50 at most 5 ms: {held(ours.steady.p50, STEADY_P50)}; p99 at most 10 ms: "
        f"{held(ours.steady.p99, STEADY_P99)}; k-overlap within {WORSE}: {held(peers_kept - WORSE, kept)}",
        data.says,
        (
            Figure("placement, p50", n, ours.steady.p50 * 1e3, "ms"),
            Figure("placement, p99", n, ours.steady.p99 * 1e3, "ms"),
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """New vectors on a map that stands, and what that took.

    Attributes:
        points: float32 (q, 3).
        first: seconds, reading the map included.
        steady: of single vectors after.
    """

    points: Points
    first: float
    steady: Times


def _placed_overlap(placed: Points, points: Points, near: Rows) -> float:
    return shared(cKDTree(points).query(placed, near.shape[1])[1], near)


def _apart(side: str, folder: Path) -> Places:
    """Place the vectors in a process of its own."""
    subprocess.run([sys.executable, "-m", "benchmarks.placing", side, str(folder)], check=True)
    with np.load(folder / f"{side}.npz") as told:
        return Places(told["points"], float(told["first"]), Times(tuple(told["steady"])))


def _place(folder: Path) -> Callable[[slice], Points]:
    """Our way: the map's points and its curve are all that is read."""
    from explorer.placement import Placer

    with np.load(folder / "map.npz") as told, np.load(folder / "asked.npz") as asked:
        placer = Placer(told["points"], np.ones(len(told["points"]), np.bool_), *told["curve"].tolist())
        near, similarities = asked["near"], asked["similarities"]
    return lambda rows: placer.place(near[rows], similarities[rows])


def _transform(folder: Path) -> Callable[[slice], Points]:
    """UMAP's: the fitted model, which holds the vectors."""
    model = pickle.loads((folder / "model.pickle").read_bytes())  # noqa: S301 - written by this run
    with np.load(folder / "asked.npz") as asked:
        vectors = asked["vectors"]
    return lambda rows: np.asarray(model.transform(vectors[rows]), np.float32)


def shared(first: Sequence[Rows] | Rows, second: Sequence[Rows] | Rows) -> float:
    """The mean share of the second's rows among the first's, both (q, k)."""
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(first, second, strict=True)]))


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """Place vectors one by one, for `_apart`."""
    side, folder = sys.argv[1], Path(sys.argv[2])
    make = {"place": _place, "transform": _transform}[side]
    import explorer.placement  # noqa: F401 - what a session has loaded anyway, before the clock starts

    warnings.simplefilter("ignore")
    started = time.perf_counter()
    place = make(folder)
    place(slice(0, 1))
    first = time.perf_counter() - started
    count = np.load(folder / "asked.npz")["near"].shape[0]
    steady = [seconds(lambda row=row: place(slice(row, row + 1))) for row in range(min(count, REPEATS))]
    np.savez(folder / f"{side}.npz", points=place(slice(0, count)), first=first, steady=steady)


if __name__ == "__main__":
    main()
