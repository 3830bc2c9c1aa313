"""One pass over the pictures: each is read and decoded once, and leaves its vectors, its thumbnail and its hashes.

The pictures go in shards. A shard ends where a key's hash says so, so that new pictures in the middle of a corpus
change the shards around them and no others; each is saved under a key of all that its result depends on.

Three hands work at a time: a thread reads files and passes them to worker processes that decode them, a thread stacks
what comes back, and whoever asks for the outcomes runs the models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.decoding import Workers
from explorer.errors import PictureError, RejectReason
from explorer.layout import HASHED_VIEWS, write_array, write_atomic, write_table
from explorer.records import Space
from indexer.encoding.batches import Batches
from indexer.encoding.encoders import Encoder
from indexer.encoding.feed import Fed, Feed, Stack
from indexer.encoding.headstart import HeadStart
from indexer.encoding.prepared import Prepared, prepare, room
from indexer.encoding.reading import Work
from indexer.encoding.thumbnails import PACK, PackedThumbnails, write_pack
from indexer.encoding.timings import Timings
from indexer.sources.base import Decoder, SourceRow

REVISION = 4
"""Raised when the same pictures would give another result; part of a shard's key."""


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """How pictures are encoded.

    Attributes:
        shard: at most so many rows are lost when a build is killed; None = 512 pictures, or 8,192 ready-made vectors,
            which cost next to nothing.
        batch: at most so many pictures go through a model together; None = as many as are fast and as there is room
            for. A model's last bits depend on it, so a build that is to be reproduced needs a number.
        ahead: batches that are decoded while one is in the models.
        thumbnail: the long side of a thumbnail, pixels; 0 = no thumbnails.
    """

    shard: int | None = None
    batch: int | None = None
    ahead: int = 2
    thumbnail: int = 256


_NO_VECTORS: Mapping[Space, npt.NDArray[np.float32]] = MappingProxyType({})
_NO_HASHES = np.zeros(HASHED_VIEWS, np.uint64)
"""One of each for all of a million outcomes that were read back."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row: `reason` None = encoded, else rejected, with `detail` in words."""

    key: str
    reason: RejectReason | None = None
    detail: str | None = None
    sha256: str | None = None
    phash: str | None = None
    width: int | None = None
    height: int | None = None
    fetched_at: str | None = None
    thumbnail: bytes = b""
    hashes: npt.NDArray[np.uint64] = field(default_factory=lambda: _NO_HASHES, compare=False)
    vectors: Mapping[Space, npt.NDArray[np.float32]] = field(default_factory=lambda: _NO_VECTORS)


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A shard as it lies on disk.

    Attributes:
        folder: where it lies.
        outcomes: of every row, without hashes, vectors and thumbnails.
        thumbnails: of the encoded rows.
        timings: what it took.
    """

    folder: Path
    outcomes: tuple[Outcome, ...]
    thumbnails: PackedThumbnails
    timings: Timings

    def vectors(self, space: Space) -> npt.NDArray[np.float32]:
        """What a space's model gave for the encoded rows, float32 (m, d)."""
        return np.asarray(np.load(_vectors_file(self.folder, space), allow_pickle=False))

    def hashes(self) -> npt.NDArray[np.uint64]:
        """What the encoded rows are known again by, uint64 (m, 3); see `explorer.fingerprints`."""
        return np.asarray(np.load(self.folder / _HASHES, allow_pickle=False))


_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("key", "reason", "detail", "sha256", "phash", "fetched_at")]
    + [(name, pa.int32()) for name in ("width", "height", "length")]
)
_PLAIN = ("key", "detail", "sha256", "phash", "width", "height", "fetched_at")
_TIMINGS = "timings.json"
_HASHES = "hashes.npy"
_PICTURES, _VECTORS = 512, 8192
"""Rows of a shard, where nothing else is said."""


def cut(rows: Sequence[SourceRow], options: EncodeOptions, *, are_vectors: bool = False) -> Iterator[slice]:
    """Cut rows into shards of `options.shard / 4` to `options.shard` rows."""
    most = options.shard or (_VECTORS if are_vectors else _PICTURES)
    start, least = 0, max(most // 4, 1)
    ending = 2**32 // max(least, 2)
    for end, row in enumerate(rows, start=1):
        is_long = end - start >= least
        if end - start == most or (is_long and _drawn(row.key) < ending):
            yield slice(start, end)
            start = end
    if start < len(rows):
        yield slice(start, len(rows))


def encode(
    works: Iterable[Work],
    decoder: Decoder,
    encoders: Sequence[Encoder],
    options: EncodeOptions,
    *,
    workers: Workers,
    timings: Timings,
    expected: int = 0,
    head: HeadStart[Prepared] | None = None,
) -> Iterator[Outcome]:
    """Encode the rows of works in their order.

    A batch never reaches over the end of a work: a model's last bits depend on what else is in a batch, and a shard is
    to come out the same whether or not the shards before it were done in an earlier run.

    Args:
        works: pulled ahead of the models, in another thread; may wait for what is being fetched.
        decoder: the source's.
        encoders: one a space.
        options: how.
        workers: processes to decode in.
        timings: counts what each outcome took by the time that it is yielded.
        expected: rows in all works, about; see `Batches`.
        head: told of files that arrive before the rows before them are there.
    """
    with timings.model.process():
        batches = [Batches(encoder, _size(options, encoder), expected) for encoder in encoders]
    sides = tuple(sorted({encoder.side for encoder in encoders}))
    head = head or HeadStart()
    head.arm(workers, partial(prepare, decoder, sides, options.thumbnail), room(sides, options.thumbnail))
    feed = Feed(head, max(each.size for each in batches), options.ahead)
    with feed.stacks(works) as stacks:
        asked = perf_counter()
        for stack in stacks:
            timings.add(stack.timings)
            timings.decoding.add(perf_counter() - asked, 0)
            with timings.model.process():
                outcomes = _embedded(stack, batches)
            yield from outcomes
            asked = perf_counter()


def save(folder: Path, outcomes: Iterable[Outcome], spaces: Sequence[Space], timings: Timings) -> None:
    """Write a shard into an empty folder, with what was counted in `timings` since the shard before."""
    kept = list(outcomes)
    with timings.writing.process():
        encoded = [outcome for outcome in kept if outcome.reason is None]
        write_pack(folder / PACK, (outcome.thumbnail for outcome in encoded))
        for space in spaces:
            rows = [outcome.vectors[space] for outcome in encoded]
            vectors = np.stack(rows) if rows else np.empty((0, 0), np.float32)
            write_array(_vectors_file(folder, space), vectors)
        hashes = [outcome.hashes for outcome in encoded]
        write_array(folder / _HASHES, np.array(hashes, np.uint64).reshape(-1, HASHED_VIEWS))
        table = [
            {name: getattr(outcome, name) for name in _PLAIN}
            | {"reason": outcome.reason and outcome.reason.value, "length": len(outcome.thumbnail)}
            for outcome in kept
        ]
        write_table(folder / "rows.parquet", pa.Table.from_pylist(table, schema=_SCHEMA))
    write_atomic(folder / _TIMINGS, json.dumps(timings.take().to_dict()).encode())


def load(folder: Path) -> Shard:
    """Read a shard that `save` wrote."""
    rows = pq.read_table(folder / "rows.parquet").to_pylist()
    outcomes = tuple(
        Outcome(reason=RejectReason(row["reason"]) if row["reason"] else None, **{name: row[name] for name in _PLAIN})
        for row in rows
    )
    lengths = tuple(row["length"] for row in rows if row["reason"] is None)
    timings = Timings.from_dict(json.loads((folder / _TIMINGS).read_bytes()))
    return Shard(folder, outcomes, PackedThumbnails(folder / PACK, lengths), timings)


def _drawn(key: str) -> int:
    """A number from 0 up to 2**32 that looks drawn by chance and is the same every time."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")


def _vectors_file(folder: Path, space: Space) -> Path:
    return folder / f"{space.value}.npy"


def _size(options: EncodeOptions, encoder: Encoder) -> int | None:
    """The batch size that is asked for, or the smaller one that a model on the CPU wants of its own."""
    return options.batch and min(options.batch, encoder.batch or options.batch)


def _embedded(stack: Stack, batches: Sequence[Batches]) -> list[Outcome]:
    """The outcomes of a batch; a picture for which there is no room, or whose vector has no direction, is rejected."""
    rows = {
        each.encoder.space: iter(each.vectors(stack.squares[each.encoder.side])) if stack.squares else iter(())
        for each in batches
    }
    outcomes = []
    for fed in stack.fed:
        outcome = _outcome(fed)
        if outcome.reason is None:
            outcome = _with_vectors(outcome, {space: next(vectors) for space, vectors in rows.items()})
        outcomes.append(outcome)
    return outcomes


def _outcome(fed: Fed) -> Outcome:
    picture = fed.picture
    if isinstance(picture, PictureError):
        return Outcome(fed.row.key, picture.reason, str(picture))
    return Outcome(
        key=fed.row.key,
        sha256=picture.sha256,
        phash=picture.phash,
        hashes=picture.hashes,
        width=picture.width,
        height=picture.height,
        fetched_at=fed.fetched_at,
        thumbnail=picture.thumbnail,
    )


def _with_vectors(outcome: Outcome, found: Mapping[Space, npt.NDArray[np.float32] | None]) -> Outcome:
    vectors = {space: vector for space, vector in found.items() if vector is not None}
    if len(vectors) < len(found):
        lacking = " and ".join(space.value for space in found if space not in vectors)
        detail = f"there is not memory enough for its vector in {lacking}, even alone; free some, or use --device cpu"
        return Outcome(outcome.key, RejectReason.MEMORY, detail)
    bad = [space.value for space, vector in vectors.items() if not np.isfinite(vector).all() or not vector.any()]
    if bad:
        return Outcome(outcome.key, RejectReason.NOT_FINITE, f"its vector in {' and '.join(bad)} is zero or not finite")
    return replace(outcome, vectors=vectors)
