"""Which search index a space gets: the fastest of those that find 99 of 100 nearest, measured here and written down.

Every candidate is asked from its mapped file, as it will be in service, and has to find enough twice: among all rows,
which is what masks widen a search from, and among the training rows, which most are asked for; the lower recall is
told. The queries are held-out pictures, or, where too few are held out, training pictures; a query never counts as its
own neighbor. The truth is brute force in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer import indexes
from explorer.exact import knn, normalized
from explorer.index_choice import IndexChoice, IndexKind
from explorer.indexes import Index, Near
from explorer.layout import replacing
from explorer.nearest import is_few
from explorer.partition import Partition, lists_for
from explorer.records import Split
from indexer.mapping.partitioned import recall

REVISION = 4
"""Raised when the same vectors would get another index; part of the stage's key."""
LEAST_RECALL = 0.99
_K = indexes.MEASURED_K - 1
_FEWEST_HELD_OUT = 100
_TIMED, _TIMED_SECONDS = 200, 5.0
_LINKS = 24
_EFFORTS = (128, 192, 256, 384, 512)
"""No less, however good the recall is: words lie farther from pictures than pictures do from each other. Of what is
nearest to words among 100,000 of the demo's CLIP 128 find 98.6 %; with 16 links they find 97.6 %, and 32 find 94.6 %.
"""
_PROBES = tuple(sorted({round(share * 2**step) for step in range(13) for share in (1, 1.5)}))

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How an index is chosen.

    Attributes:
        fewest: with fewer rows than this all are looked at: that takes about a millisecond at 512 dimensions.
        queries: how many are asked.
        by_recall: choose by the number of rows and by recall alone, so that every machine chooses alike.
    """

    fewest: int = 20_000
    queries: int = 500
    by_recall: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of the rows before they are searched.

    Attributes:
        near: their nearest training rows.
        partition: their lists; None where there are none yet.
    """

    near: Near
    partition: Partition | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """One candidate.

    Attributes:
        choice: what was measured.
        recall: of the nearest 10.
        p50: median of one search, milliseconds; None where nothing is timed.
        p99: the same of the slowest hundredth.
    """

    choice: IndexChoice
    recall: float
    p50: float | None
    p99: float | None

    def told(self) -> dict[str, Any]:
        """As JSON."""
        times = {"p50_ms": self.p50, "p99_ms": self.p99} if self.p50 is not None else {}
        return {**asdict(self.choice), "recall": self.recall, **times}


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is right to find.

    Attributes:
        allowed: bool (n,), among which rows; None = all.
        own: whether the queries are of these rows, so that each finds itself first.
        cosines: float32 (q, k), exact, most similar first, a query's own left out.
    """

    allowed: Mask | None
    own: bool
    cosines: Floats

    @classmethod
    def of(cls, vectors: npt.NDArray[np.float16], queries: Floats, allowed: Mask | None, *, own: bool) -> Truth:
        """Find out by brute force."""
        among = None if allowed is None else np.flatnonzero(allowed)
        return cls(allowed, own, knn(vectors, queries, _K + own, among)[0][:, int(own) :])

    def recall(self, index: Index, queries: Floats) -> float:
        """The share of the nearest that an index finds, ties allowed; it is the index that looks, no short cut."""
        found, _ = index.search(queries, self.cosines.shape[1] + self.own, self.allowed)
        return round(recall(found[:, int(self.own) :], self.cosines), 4)


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """What candidates are asked.

    Attributes:
        vectors: float16 (n, d), unit length; may be memory-mapped.
        queries: float32 (q, d), of rows, unit length.
        split: of these rows.
        truths: among all rows; among those of the split `train`, where these are others and an index is asked for them.
    """

    vectors: npt.NDArray[np.float16]
    queries: Floats
    split: Split
    truths: tuple[Truth, ...]

    @classmethod
    def of(cls, vectors: npt.NDArray[np.float16], train: Mask, count: int) -> Questions:
        """Draw queries, always the same ones, and find out what is right."""
        heldout = np.flatnonzero(~train)
        own = len(heldout) < _FEWEST_HELD_OUT
        among = np.flatnonzero(train) if own else heldout
        queries = normalized(vectors[np.sort(np.random.default_rng(0).permutation(among)[:count])])
        truths = [Truth.of(vectors, queries, None, own=True)]
        if not train.all() and not is_few(int(np.count_nonzero(train)), len(train)):
            truths.append(Truth.of(vectors, queries, train, own=own))
        return cls(vectors, queries, Split.TRAIN if own else Split.HELDOUT, tuple(truths))

    def recall(self, index: Index) -> float:
        """The share of the nearest that an index finds, where it finds the least of them; 0.99 of all is enough."""
        found = 1.0
        for truth in self.truths:
            found = min(found, truth.recall(index, self.queries))
            if found < LEAST_RECALL:
                break
        return found

    def milliseconds(self, index: Index) -> tuple[float, float]:
        """What one search takes as most are asked, for training pictures: the median and the slowest hundredth."""
        allowed, spent = self.truths[-1].allowed, []
        until = perf_counter() + _TIMED_SECONDS
        for query in np.random.default_rng(1).permutation(self.queries)[:_TIMED]:
            start = perf_counter()
            index.search(query[None], _K, allowed)
            spent.append(1e3 * (perf_counter() - start))
            if perf_counter() > until:
                break
        return round(float(np.median(spent)), 3), round(float(np.quantile(spent, 0.99)), 3)


def choose(
    vectors: npt.NDArray[np.float16], train: Mask, known: Known, options: SearchOptions, folder: Path
) -> dict[str, Any]:
    """Choose an index and leave it in a folder as `index.faiss`, but for a flat one, which takes no time to build.

    Args:
        vectors: float16 (n, d), unit length; may be memory-mapped.
        train: bool (n,), any of them true.
        known: of the same n.
        options: how.
        folder: an empty one; losers are gone from it in the end.

    Returns:
        what `atlas.json` says of it: `kind`, `parameters`, `recall`, `p50_ms`, `p99_ms`, `queries`, their `split`, and
        all `candidates`.
    """
    questions = Questions.of(vectors, train, options.queries)
    candidates: list[Measured] = []
    for measured, path in _candidates(questions, known, options, folder):
        candidates.append(measured)
        if best(candidates) is measured and measured.choice.kind is not IndexKind.FLAT:
            path.replace(folder / "index.faiss")
        else:
            path.unlink()
    return {
        **best(candidates).told(),
        "queries": len(questions.queries),
        "split": questions.split.value,
        "candidates": [each.told() for each in candidates],
    }


def best(candidates: list[Measured]) -> Measured:
    """The fastest whose recall is enough; where nothing is timed, the last: candidates come slowest first."""
    good = [each for each in candidates if each.recall >= LEAST_RECALL or each.choice.kind is IndexKind.FLAT]
    return min(reversed(good), key=lambda each: 0.0 if each.p50 is None else each.p50)


def _candidates(
    questions: Questions, known: Known, options: SearchOptions, folder: Path
) -> Iterator[tuple[Measured, Path]]:
    """Every index that may be chosen, searched as thoroughly as recall demands, and its file; the simplest first."""
    vectors = questions.vectors
    flat = IndexChoice()
    yield _tuned(questions, [flat], indexes.flat(vectors), options, folder)
    if len(vectors) < options.fewest:
        return
    lists = known.partition or Partition.of(vectors, lists_for(len(vectors)), wide=options.by_recall)
    choices = [
        IndexChoice(IndexKind.IVF, {"lists": len(lists.centers), "probes": probes})
        for probes in _PROBES
        if 2 * probes <= len(lists.centers)
    ]
    yield _tuned(questions, choices, indexes.inverted(vectors, choices[0], lists), options, folder)
    if options.by_recall:
        return
    choices = [IndexChoice(IndexKind.HNSW, {"links": _LINKS, "effort": effort}) for effort in _EFFORTS]
    yield _tuned(questions, choices, indexes.graph(vectors, choices[0], known.near), options, folder)


def _tuned(
    questions: Questions, choices: Sequence[IndexChoice], index: Index, options: SearchOptions, folder: Path
) -> tuple[Measured, Path]:
    """The first of some choices, ever more thorough, whose recall is enough, else the last; and the index's file."""
    path = folder / f"{choices[0].kind}.faiss"
    with replacing(path) as handle:
        indexes.write(index, handle)
    index = indexes.mapped(path, choices[0], questions.vectors.shape) or index
    for choice in choices:
        index = indexes.tuned(index, choice)
        found = questions.recall(index)
        if found >= LEAST_RECALL:
            break
    p50, p99 = (None, None) if options.by_recall else questions.milliseconds(index)
    return Measured(choice, found, p50, p99), path
