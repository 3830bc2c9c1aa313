"""How equal two builds of one corpus are: byte by byte with `--reproducible`, at what cost, and nearly without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import adjusted_rand_score

from benchmarks.atlases import DEMO, FOLDER, build
from benchmarks.parts import Part
from benchmarks.rows import Figure, Row, duration, held
from benchmarks.vectors import Data, source
from benchmarks.watch import Watched
from explorer.atlas import Atlas
from explorer.layout import AtlasPaths

LEAST_COSINE = 0.9999
"""What is promised of the vectors of two builds without `--reproducible`."""


def measure(name: str, corpus: Callable[[], Path], data: str) -> Iterator[Row]:
    """Two builds with `--reproducible`, two without, each from nothing."""
    manifest = corpus()
    plain, exact = ([FOLDER / f"{name}-{kind}-{number}" for number in (1, 2)] for kind in ("plain", "exact"))
    free = [build(manifest, path) for path in plain]
    bound = [build(manifest, path, "--reproducible") for path in exact]
    first, second = (Atlas.open(path) for path in plain)
    yield _cost(first, free, bound, data, are_equal=_files(exact[0]) == _files(exact[1]))
    for space in first.spaces:
        yield _likeness(first, second, space, data)


def _cost(atlas: Atlas, free: list[Watched], bound: list[Watched], data: str, *, are_equal: bool) -> Row:
    mine, peer = (min(run.seconds for run in runs) for runs in (bound, free))
    count = len(atlas.ids)
    return Row(
        f"`index --reproducible` of {count:,}, the faster of two builds",
        duration(mine),
        f"without it: {duration(peer)}",
        mine / peer,
        f"two builds have the same bytes: {'yes' if are_equal else 'NO'}",
        data,
        (Figure("build with --reproducible", count, mine, "s"),),
    )


def _likeness(first: Atlas, second: Atlas, space: str, data: str) -> Row:
    """Two builds without it, in one space."""
    same = np.array_equal(first.ids, second.ids)
    one, other = (each.space(space) for each in (first, second))
    cosine = _least_cosine(one.vectors, other.vectors)
    coarse, fine = (
        adjusted_rand_score(getattr(one, level), getattr(other, level)) for level in ("cluster", "subcluster")
    )
    return Row(
        f"two builds of {len(first.ids):,} without it, {space}",
        f"least cosine of a picture's two vectors {cosine:.6f}; adjusted Rand index of the clusters {coarse:.3f}, "
        f"of the finer ones {fine:.3f}",
        bar=f"ids equal: {'yes' if same else 'NO'}; cosine at least {LEAST_COSINE}: {held(LEAST_COSINE, cosine)}",
        data=data,
    )


def _least_cosine(one: npt.NDArray[np.float16], other: npt.NDArray[np.float16]) -> float:
    """Of the rows of two (n, d), block by block; their lengths are 1 but for the rounding of float16."""
    least = 1.0
    for start in range(0, len(one), 65_536):
        left, right = (np.asarray(each[start : start + 65_536], np.float64) for each in (one, other))
        lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        least = min(least, float(((left * right).sum(axis=1) / lengths).min()))
    return least


def _files(path: Path) -> dict[str, bytes]:
    """The live version, name by name and byte by byte."""
    paths = AtlasPaths(path)
    version = paths.version(paths.current.read_text().strip())
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in (version.meta, *version.files())}


PARTS = (
    Part("sameness/demo", partial(measure, "demo", lambda: DEMO, "demo"), 8.0),
    Part(
        "sameness/clip-100000",
        partial(measure, "clip-100000", lambda: source(Data.CLIP, 100_000), Data.CLIP.says),
        15.0,
    ),
)
