"""One query against an atlas's own index, and against its peers on the same vectors at the same recall.

Held-out vectors ask for their nearest training vectors, one query at a time on one thread. The truth is a flat index of
float32. The rounds of all take turns, so that each meets the machine as the others do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from statistics import median

import faiss
import hnswlib
import numpy as np
import numpy.typing as npt

from benchmarks import atlases
from benchmarks.parts import Part
from benchmarks.rows import Figure, Row, Times, duration, held, milliseconds
from benchmarks.vectors import DIM, Data
from explorer.atlas import Atlas
from explorer.nearest import VectorIndex
from explorer.records import Split

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

SIZES = {10_000: 3.0, 100_000: 5.0, 1_000_000: 25.0}
"""Vectors -> minutes, the atlas given."""
K = 10
RECALL = 0.99
QUERIES, ROUNDS, EACH = 1000, 5, 200
"""Queries whose recall counts; rounds of so many timed queries each."""
LINKS, CARE = 16, 200
"""hnswlib's M and ef_construction."""
BLOCK = 65_536
NOTE = """Held-out vectors ask one at a time on one thread, each side in turn; p50 and p99 are medians of five rounds of
200 queries. The atlas's index is asked with the mask of the training rows, as `search` asks it; its peers hold those
rows alone. The truth is a flat index of float32."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that answers queries.

    Attributes:
        name: for the table.
        ask: the rows of the K nearest of one query, best first, int64 (K,), among the training vectors.
    """

    name: str
    ask: Callable[[Floats], Rows]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a contender did.

    Attributes:
        recall: share of the true K nearest that it found.
        p50: seconds, median of the rounds'.
        p99: the same.
    """

    recall: float
    p50: float
    p99: float

    def __str__(self) -> str:
        return f"p50 {milliseconds(self.p50)}, p99 {milliseconds(self.p99)}, recall@{K} {self.recall:.3f}"


def measure(data: Data, n: int) -> Iterator[Row]:
    """The atlas's index beside flat float32, flat float16 and hnswlib."""
    atlas = Atlas.open(atlases.atlas(data, n))
    vectors, train = atlas.space("clip").vectors, np.flatnonzero(atlas.train)
    asked = np.flatnonzero(~atlas.train)[:QUERIES]
    queries = np.asarray(vectors[asked], np.float32)
    base = np.asarray(vectors[train], np.float32)
    faiss.omp_set_num_threads(1)
    exact = flat(faiss.ScalarQuantizer.QT_fp16, base)
    truth = _truth(base, queries)
    started = time.perf_counter()
    graph = hnsw(base, queries, truth)
    built = time.perf_counter() - started
    single = faiss.IndexFlatIP(DIM)
    single.add(base)
    del base
    contenders = (
        ours(atlas, train),
        Contender("flat float32", lambda query: single.search(query[None], K)[1][0]),
        Contender("flat float16", lambda query: exact.search(query[None], K)[1][0]),
        Contender(
            f"hnswlib (M {LINKS}, ef {graph.ef})", lambda query: graph.knn_query(query, K)[0][0].astype(np.int64)
        ),
    )
    standings = compare(contenders, queries, truth)
    yield from _rows(data, n, standings, built)


def _rows(data: Data, n: int, standings: Mapping[str, Standing], built: float) -> Iterator[Row]:
    (name, mine), *peers = standings.items()
    own = _figures("search, the atlas's own index", n, mine)
    for peer, theirs in peers:
        slower = f"; no slower: {held(mine.p50, theirs.p50)}" if n == max(SIZES) else ""
        added = f", built in {duration(built)}" if peer.startswith("hnswlib") else ""
        yield Row(
            f"search, {n:,} x {DIM}, one query: {name}",
            str(mine),
            f"{peer}: {theirs}{added}",
            mine.p50 / theirs.p50,
            f"recall at least {RECALL}: {held(RECALL, mine.recall)}{slower}",
            data.says,
            (own if peer == peers[0][0] else ()) + _figures(f"search, {peer.split(' (')[0]}", n, theirs),
        )


def _figures(series: str, n: int, standing: Standing) -> tuple[Figure, ...]:
    return (
        Figure(f"{series}, p50", n, standing.p50 * 1e3, "ms"),
        Figure(f"{series}, p99", n, standing.p99 * 1e3, "ms"),
    )


def ours(atlas: Atlas, train: Rows) -> Contender:
    """The index that the atlas was built with, asked as `search` asks it: for `train` alone."""
    index, allowed = VectorIndex.open(atlas, "clip"), atlas.allowed(Split.TRAIN)
    place = np.full(len(atlas.train), -1)
    place[train] = np.arange(len(train))
    kind = atlas.meta["spaces"]["clip"].get("search", {}).get("kind", "flat")
    return Contender(f"the atlas's own ({kind})", lambda query: place[index.search(query, K, allowed)[1][0]])


def flat(kind: int, base: Floats) -> faiss.IndexScalarQuantizer:
    """Every vector as it is, in a quantizer of faiss."""
    index = faiss.IndexScalarQuantizer(DIM, kind, faiss.METRIC_INNER_PRODUCT)
    for start in range(0, len(base), BLOCK):
        index.add(base[start : start + BLOCK])
    return index


def hnsw(base: Floats, queries: Floats, truth: Rows) -> hnswlib.Index:
    """The graph of hnswlib, with the least ef whose recall is enough."""
    graph = hnswlib.Index("ip", DIM)
    graph.init_index(len(base), M=LINKS, ef_construction=CARE, random_seed=0)
    graph.add_items(base)
    graph.set_num_threads(1)
    for ef in (round(K * 2 ** (step / 2)) for step in count()):
        graph.set_ef(min(ef, len(base)))
        if ef >= len(base) or recall(graph.knn_query(queries, K)[0], truth) >= RECALL:
            return graph
    raise AssertionError("ef grows without end")


def recall(found: npt.NDArray[np.integer], truth: Rows) -> float:
    """The share of the true nearest that was found; both (q, K)."""
    return float(np.mean([len(set(one) & set(other)) / K for one, other in zip(found, truth, strict=True)]))


def compare(contenders: tuple[Contender, ...], queries: Floats, truth: Rows) -> dict[str, Standing]:
    """Recall of each, and times of rounds that take turns; by the contenders' names, in their order."""
    found = {each.name: recall(np.array([each.ask(query) for query in queries]), truth) for each in contenders}
    rounds: dict[str, list[Times]] = {each.name: [] for each in contenders}
    chance = np.random.default_rng(0)
    for number in range(ROUNDS):
        sys.stderr.write(f"round {number + 1} of {ROUNDS}\n")
        turns = chance.integers(0, len(queries), EACH)
        for each in contenders:
            rounds[each.name].append(_round(each, queries[turns]))
    return {
        name: Standing(found[name], median(each.p50 for each in times), median(each.p99 for each in times))
        for name, times in rounds.items()
    }


def _round(contender: Contender, queries: Floats) -> Times:
    seconds = []
    for query in queries:
        started = time.perf_counter()
        contender.ask(query)
        seconds.append(time.perf_counter() - started)
    return Times(tuple(seconds))


def _truth(base: Floats, queries: Floats) -> Rows:
    rows: Rows = faiss.knn(queries, base, K, metric=faiss.METRIC_INNER_PRODUCT)[1].astype(np.int64)
    return rows


PARTS = tuple(
    Part(f"search/{data}-{n}", partial(measure, data, n), minutes)
    for data in Data
    for n, minutes in SIZES.items()
    if n <= data.most
)
