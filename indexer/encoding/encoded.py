"""What became of a corpus's rows: the encoded ones, in order, and the rejected ones with their reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from explorer.errors import BuildError, RejectReason
from explorer.records import Space, Split, caption_of
from indexer.encoding.encode import Outcome, Shard
from indexer.encoding.timings import Timings
from indexer.mapping.phrases import PictureText
from indexer.mapping.pictures import Pictures
from indexer.mapping.vectors import in_frame
from indexer.mapping.wording import Words
from indexer.sources.base import SourceRow
from indexer.stages import digest, digest_each

INDEXED = "indexed"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is not in the atlas, and why."""

    row: SourceRow
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Encoded:
    """Every row of the corpus, as its shards left it.

    Attributes:
        rows: n rows, the encoded ones; their place is the row number in every array of the version.
        outcomes: n, of the same rows.
        rejected: the others.
        left_out: rows that were counted and never looked at, by reason.
        shards: where vectors and thumbnails lie, in the order of the rows.
    """

    rows: tuple[SourceRow, ...]
    outcomes: tuple[Outcome, ...]
    rejected: tuple[Rejected, ...]
    left_out: Mapping[RejectReason, int]
    shards: tuple[Shard, ...]

    @classmethod
    def of(
        cls,
        rows: Sequence[SourceRow],
        left_out: Mapping[RejectReason, int],
        shards: Sequence[Shard],
        *,
        may_be_none: bool = False,
    ) -> Self:
        """Bring rows and outcomes together; `may_be_none` where it is no fault that no picture is left.

        Raises:
            BuildError: every row was rejected.
        """
        outcomes = [outcome for shard in shards for outcome in shard.outcomes]
        both = list(zip(rows, outcomes, strict=True))
        kept = [(row, outcome) for row, outcome in both if outcome.reason is None]
        rejected = tuple(Rejected(row, outcome) for row, outcome in both if outcome.reason is not None)
        if not kept and not may_be_none:
            first = f"{rejected[0].row.key}: {rejected[0].outcome.detail}"
            raise BuildError(f"all {len(rejected)} pictures were rejected (the first is {first}); mend some of them")
        return cls(
            tuple(row for row, _ in kept), tuple(outcome for _, outcome in kept), rejected, left_out, tuple(shards)
        )

    def with_rows(self, rows: tuple[SourceRow, ...]) -> Self:
        """The same pictures, said otherwise: in other families, in other splits.

        Raises:
            BuildError: no row of the split `train` is left to make a map of.
        """
        if not any(row.split is Split.TRAIN for row in rows):
            raise BuildError(f"all {len(rows)} pictures are held out; leave some in `train`, which makes the map")
        return replace(self, rows=rows)

    def undated(self) -> Self:
        """The same pictures, without the time that each was fetched at, which no two builds share."""
        return replace(self, outcomes=tuple(replace(outcome, fetched_at=None) for outcome in self.outcomes))

    @property
    def counts(self) -> dict[str, int]:
        """Outcome -> rows; they add up to the rows of the corpus."""
        reasons = Counter(self.left_out)
        reasons.update(each.outcome.reason for each in self.rejected if each.outcome.reason is not None)
        return {INDEXED: len(self.rows), **{f"rejected:{reason}": reasons[reason] for reason in sorted(reasons)}}

    @property
    def timings(self) -> Timings:
        """What reading, decoding, the models and writing took, in this run and in those before."""
        total = Timings()
        for shard in self.shards:
            total.add(shard.timings)
        return total

    def blocks(self, space: Space) -> Iterator[npt.NDArray[np.float32]]:
        """What the model of a space gave, float32 (m, d) a shard."""
        return (shard.vectors(space) for shard in self.shards if shard.thumbnails.lengths)

    def hashes(self) -> npt.NDArray[np.uint64]:
        """What the pictures are known again by, uint64 (n, 3); 0 = unknown, see `explorer.fingerprints`."""
        return np.concatenate([shard.hashes() for shard in self.shards])

    def framed(self, space: Space, mean: npt.NDArray[np.float32] | None = None) -> npt.NDArray[np.float16]:
        """The same as unit vectors, float16 (n, d), with `mean` (d,) taken off; see `indexer.mapping.vectors`."""
        dim = next(self.blocks(space)).shape[1]
        frame = np.zeros(dim, np.float32) if mean is None else mean
        start, framed = 0, np.empty((len(self.rows), dim), np.float16)
        for raw in self.blocks(space):
            framed[start : start + len(raw)] = in_frame(raw, frame)
            start += len(raw)
        return framed

    def key(self, planned: str) -> str:
        """Stands for all that the vectors depend on; `planned` for what their shards do."""
        return digest([planned, digest_each(row.key for row in self.rows)])

    def pictures(self, key: str, words: Words | None = None) -> Pictures:
        """What the stages of a space need to know; for `key` and `words` see there."""
        firsts: dict[str, int] = {}
        families = (
            place if row.family is None else firsts.setdefault(row.family, place) for place, row in enumerate(self.rows)
        )
        return Pictures(
            key=key,
            train=np.fromiter((row.split is Split.TRAIN for row in self.rows), np.bool_, len(self.rows)),
            families=np.fromiter(families, np.int32, len(self.rows)),
            texts=[_text(row) for row in self.rows],
            words=words,
        )


def _text(row: SourceRow) -> PictureText:
    """English caption and tags where there are some: labels of one language read better than a mixture."""
    language = "en" if "en" in row.captions else next(iter(row.captions), "en")
    return PictureText(caption_of(row.captions, row.key), row.tags.get(language, ()))
