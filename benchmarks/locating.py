"""What a landing costs beside encoding the picture and searching for its nearest: nearness, place, copies, words.

Searching is what `search` does for a picture that is encoded: its 12 nearest in every space, with their records. Both
get the vectors, and the two take turns on the same pictures.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from benchmarks import atlases
from benchmarks.parts import Part
from benchmarks.rows import Figure, Row, Times, held, milliseconds
from benchmarks.vectors import Data
from explorer.atlas import Atlas
from explorer.layout import HASHED_VIEWS
from explorer.models.loader import Models
from explorer.pictures import open_picture
from explorer.provenance import locate
from explorer.search import search_vector

SIZES = {100_000: 1.0, 1_000_000: 3.0}
"""Vectors -> minutes, the atlas given."""
REPEATS, WARMUP = 200, 5
SMALL, LARGE = 20e-3, 50e-3
"""What is promised of the difference, seconds: at the demo's size, at a million."""
NOTE = """Held-out pictures are asked with the vectors that the atlas has of them, and their own thumbnails for the look
at copies. *Searching* is the 12 nearest in every space with their records; the promise is about what a landing adds to
that: its depth of 50 neighbors, families, place, percentiles, isolation, realism, cluster, the map's truth, copies. The
demo has two spaces; the others have one, hashes by chance, and the demo's pictures behind their rows, since no picture
of theirs is at hand."""


class Pictured(Atlas):
    """An atlas of vectors alone, as if each row had a picture: one of the demo's, and hashes by chance."""

    shown: Atlas
    """Whose thumbnails these are."""

    def has_thumbnail(self, identity: int) -> bool:
        """Whether there is a picture: there always is."""
        return True

    def thumbnail(self, identity: int) -> bytes:
        """Some picture."""
        return self.shown.thumbnail(int(self.shown.ids[self.row(identity) % len(self.shown)]))


def measure(atlas: Atlas, data: str, bar: float) -> Iterator[Row]:
    """One atlas: a landing, the searches in it, and the difference; each of them comes first every second time."""
    models, n, chance = Models(atlas), len(atlas), np.random.default_rng(0)
    asked = chance.choice(np.flatnonzero(~atlas.train), REPEATS + WARMUP).tolist()
    landing, searching = list[float](), list[float]()
    for number, row in enumerate(asked):
        picture = open_picture(io.BytesIO(atlas.thumbnail(int(atlas.ids[row]))))
        vectors = {space: atlas.space(space).vectors[row].astype(np.float32) for space in atlas.spaces}
        calls: list[tuple[list[float], Callable[[], object]]] = [
            (landing, partial(locate, atlas, models, picture, vectors=vectors)),
            (searching, partial(_searched, atlas, vectors)),
        ]
        for times, call in calls[:: 1 if number % 2 else -1]:
            times.append(seconds(call))
    whole, search = (Times(tuple(times[WARMUP:])) for times in (landing, searching))
    added = Times(tuple(a - b for a, b in zip(landing[WARMUP:], searching[WARMUP:], strict=True)))
    many = f"{len(atlas.spaces)} space{'s' if len(atlas.spaces) > 1 else ''}"
    yield Row(
        f"a landing among {n:,} pictures, {many}, without encoding",
        f"p50 {milliseconds(whole.p50)}, p99 {milliseconds(whole.p99)}; added p50 {milliseconds(added.p50)}",
        f"searching alone p50 {milliseconds(search.p50)}, p99 {milliseconds(search.p99)}",
        whole.p50 / search.p50,
        f"at most {milliseconds(bar)} added: {held(added.p50, bar)}",
        data,
        (Figure("a landing, beside searching, p50", n, added.p50 * 1e3, "ms"),),
    )


def _searched(atlas: Atlas, vectors: Mapping[str, npt.NDArray[np.float32]]) -> None:
    for space, vector in vectors.items():
        search_vector(atlas, space, vector)


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def of_demo() -> Iterator[Row]:
    """On the demo's atlas."""
    yield from measure(Atlas.open(atlases.demo()), "demo", SMALL)


def of_vectors(data: Data, n: int) -> Iterator[Row]:
    """On an atlas of ready-made vectors."""
    atlas = Pictured.open(atlases.atlas(data, n))
    atlas.shown = Atlas.open(atlases.demo())
    atlas.hashes = np.random.default_rng(1).integers(1, 2**63, (n, HASHED_VIEWS), dtype=np.uint64)
    yield from measure(atlas, data.says, LARGE)


PARTS = (
    Part("locating/demo", of_demo, minutes=0.5),
    *(
        Part(f"locating/{data}-{n}", partial(of_vectors, data, n), minutes)
        for data in (Data.CLIP, Data.SYNTHETIC)
        for n, minutes in SIZES.items()
        if n <= data.most
    ),
)
