"""How near training pictures come to each other: each one's cosine to its nearest that is no variant of it.

Most have a stranger among their neighbors, and that is it. The others, whose neighbors are all of their family, look
for one: among all training rows while that is the cheaper way, beyond in near lists, in as many as the exact strangers
of a sample need. Those lie farther off than neighbors, so what was enough for neighbors says nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explorer.exact import compare
from explorer.partition import Partition
from indexer.mapping import partitioned
from indexer.mapping.neighbors import EXACT_PAIRS, NO_ROW, Method, Neighbors, Way, is_exact_cheaper
from indexer.mapping.partitioned import Floats, Lists, Rows

REVISION = 3
"""Raised when the same neighbors would give another baseline; part of the stage's key."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The similarity that is usual between training pictures.

    Attributes:
        similarities: float32 (m,), cosines, ascending; without the rows that have nobody outside their family.
        weights: float32 (m,), of the same rows: 1 over how many of them are of its family.
        way: how the strangers were found that are nobody's neighbors.
    """

    similarities: Floats
    weights: Floats
    way: Way


def baseline(
    vectors: npt.NDArray[np.float16],
    train: npt.NDArray[np.bool_],
    families: npt.NDArray[np.int32],
    near: Neighbors,
    *,
    exact_pairs: int = EXACT_PAIRS,
    wide: bool = False,
) -> Baseline:
    """Measure it.

    Args:
        vectors: float16 (n, d), unit length; may be memory-mapped.
        train: bool (n,).
        families: int32 (n,), equal where two rows are of one family.
        near: the nearest training rows of the same n.
        exact_pairs: up to so many comparisons, of those whose neighbors are all of their family, they are exact.
        wide: see `explorer.exact.cosines`.
    """
    makers = np.flatnonzero(train)
    if len(np.unique(families[makers])) < 2:
        return Baseline(np.empty(0, dtype=np.float32), np.empty(0, dtype=np.float32), Way())
    rows = near.rows[makers]
    is_stranger = (rows != NO_ROW) & (families[rows] != families[makers][:, None])
    nearest = np.where(
        is_stranger.any(axis=1), near.similarities[makers, is_stranger.argmax(axis=1)], np.float32(-np.inf)
    )
    hidden, way = np.flatnonzero(~is_stranger.any(axis=1)), Way()
    strangers = Strangers(vectors, makers, families, wide)
    if is_exact_cheaper(len(hidden), len(makers), 0 if near.partition else len(vectors), exact_pairs):
        nearest[hidden] = strangers.exact(makers[hidden]).similarities
    else:
        nearest[hidden], way = strangers.in_lists(makers[hidden], near.partition)
    order = np.argsort(nearest, kind="stable")
    codes, members = np.unique(families[makers], return_inverse=True, return_counts=True)[1:]
    weights = (1 / members[codes]).astype(np.float32)
    return Baseline(nearest[order], weights[order], way)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The nearest strangers of some rows.

    Attributes:
        similarities: float32 (q,), cosines; -inf where none was found.
        rows: int64 (q,), -1 where none was found.
    """

    similarities: Floats
    rows: Rows

    @classmethod
    def none(cls, count: int) -> Found:
        """Of so many rows, to be filled."""
        return cls(np.full(count, -np.inf, dtype=np.float32), np.full(count, NO_ROW, dtype=np.int64))

    def offer(self, block: Rows | slice, scores: Floats, rows: Rows) -> None:
        """Take the best of (b, c) more scores of the strangers in `rows` (c,) where it is better than what there is."""
        if not len(rows):
            return
        best = scores.argmax(axis=1)
        values = scores[np.arange(len(scores)), best]
        is_better = values > self.similarities[block]
        self.rows[block] = np.where(is_better, rows[best], self.rows[block])
        self.similarities[block] = np.where(is_better, values, self.similarities[block])


@dataclass(frozen=True, slots=True, eq=False)
class Strangers:
    """Training rows, and whose variant each is.

    Attributes:
        vectors: float16 (n, d), unit length.
        makers: int64 (m,), the training rows.
        families: int32 (n,).
        wide: see `explorer.exact.cosines`.
    """

    vectors: npt.NDArray[np.float16]
    makers: Rows
    families: npt.NDArray[np.int32]
    wide: bool

    def exact(self, asked: Rows) -> Found:
        """The nearest of the rows asked (q,) among all training rows outside their family."""
        found = Found.none(len(asked))

        def use(block: slice, scores: Floats, start: int) -> None:
            rows = self.makers[start : start + scores.shape[1]]
            found.offer(block, self._told_apart(scores, asked[block], rows), rows)

        compare(self.vectors, self.vectors[asked], use, self.makers, wide=self.wide)
        return found

    def in_lists(self, asked: Rows, partition: Partition | None) -> tuple[Floats, Way]:
        """The cosines float32 (q,) of the same in near lists, and how well that went; all have a stranger somewhere.

        Those whose family fills all the lists around them look everywhere, but no more of them than a sample: that is
        a bound on the work. The others get the cosines found by those, in turn, which are spread as theirs would be.
        """
        lists = Lists.of(self.vectors, self.makers, partition, wide=self.wide)
        sample = partitioned.drawn(asked)
        truth = self.exact(asked[sample])
        probes, found = lists.probes(asked[sample], truth.rows[:, None]), Found.none(len(asked))

        def use(block: Rows, rows: Rows, scores: Floats) -> None:
            found.offer(block, self._told_apart(scores, asked[block], rows), rows)

        lists.each(asked, probes, use)
        recall = partitioned.recall(found.similarities[sample, None], truth.similarities[:, None])
        nearest = found.similarities
        nearest[sample] = truth.similarities
        lost = np.flatnonzero(~np.isfinite(nearest))
        if len(lost):
            nearest[lost] = np.resize(self.exact(asked[lost[partitioned.drawn(lost)]]).similarities, len(lost))
        return nearest, Way(Method.PARTITIONED, round(recall, 4), len(sample), len(lists.members), probes)

    def _told_apart(self, scores: Floats, asked: Rows, rows: Rows) -> Floats:
        """Scores (b, c), those of one family taken away."""
        scores[self.families[asked][:, None] == self.families[rows][None, :]] = -np.inf
        return scores
