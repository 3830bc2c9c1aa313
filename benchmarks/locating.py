"""What a landing costs beside encoding the picture and searching for its nearest: nearness, place, copies, words.

Searching is what `search` does for a picture that is encoded: its 12 nearest in every space, with their records. Both
get the vectors, and the two take turns on the same pictures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import atlases
from benchmarks.parts import Part
from benchmarks.rows import Figure, Row, Times, held, milliseconds
from benchmarks.vectors import Data
from explorer.atlas import Atlas
from explorer.layout import HASHED_VIEWS
from explorer.models.loader import Models
from explorer.provenance import locate
from explorer.search import search_vector

SIZES = {100_000: 1.0, 1_000_000: 3.0}
"""Vectors -> minutes, the atlas given."""
REPEATS, WARMUP = 200, 5
SMALL, LARGE = 20e-3, 50e-3
"""What is promised of the difference, seconds: at the demo's size, at a million."""
SIDE = 512
"""Of the picture that is hashed, pixels."""
NOTE = """Held-out pictures are asked with the vectors that the atlas has of them. *Searching* is the 12 nearest in
every space with their records; the promise is about what a landing adds to that: its depth of 50 neighbors, families,
place, percentiles, isolation, realism, cluster, the map's truth, copies. The demo has two spaces and thumbnails that
candidates are laid over; the others have one space, and hashes by chance, since no picture of theirs is at hand."""


def measure(path: Path, data: str, bar: float) -> Iterator[Row]:
    """One atlas: a landing, the searches in it, and the difference."""
    atlas, picture = Atlas.open(path), Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB")
    models, n, chance = Models(atlas), len(atlas), np.random.default_rng(0)
    if atlas.hashes is None:
        atlas.hashes = chance.integers(1, 2**63, (n, HASHED_VIEWS), dtype=np.uint64)
    asked = chance.choice(np.flatnonzero(~atlas.train), REPEATS + WARMUP).tolist()
    vectors = [{space: atlas.space(space).vectors[row].astype(np.float32) for space in atlas.spaces} for row in asked]
    landing, searching = [], []
    for each in vectors:
        landing.append(seconds(lambda each=each: locate(atlas, models, picture, vectors=each)))
        searching.append(
            seconds(lambda each=each: [search_vector(atlas, space, vector) for space, vector in each.items()])
        )
    whole, search = (Times(tuple(times[WARMUP:])) for times in (landing, searching))
    added = Times(tuple(a - b for a, b in zip(landing[WARMUP:], searching[WARMUP:], strict=True)))
    yield Row(
        f"a landing among {n:,} pictures, {len(atlas.spaces)} spaces, without encoding",
        f"p50 {milliseconds(whole.p50)}, p99 {milliseconds(whole.p99)}; added p50 {milliseconds(added.p50)}",
        f"searching alone p50 {milliseconds(search.p50)}, p99 {milliseconds(search.p99)}",
        whole.p50 / search.p50,
        f"at most {milliseconds(bar)} added: {held(added.p50, bar)}",
        data,
        (Figure("a landing, beside searching, p50", n, added.p50 * 1e3, "ms"),),
    )


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def of_demo() -> Iterator[Row]:
    """On the demo's atlas."""
    yield from measure(atlases.demo(), "demo", SMALL)


def of_vectors(data: Data, n: int) -> Iterator[Row]:
    """On an atlas of ready-made vectors."""
    yield from measure(atlases.atlas(data, n), data.says, LARGE)


PARTS = (
    Part("locating/demo", of_demo, minutes=0.5),
    *(
        Part(f"locating/{data}-{n}", partial(of_vectors, data, n), minutes)
        for data in (Data.CLIP, Data.SYNTHETIC)
        for n, minutes in SIZES.items()
        if n <= data.most
    ),
)
