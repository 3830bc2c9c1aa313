"""One pass over the pictures: each is read and decoded once, and leaves its vectors, its thumbnail and its hashes.

The pictures go in shards. A shard ends where a key's hash says so, so that new pictures in the middle of a corpus
change the shards around them and no others; each is saved under a key of all that its result depends on.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from explorer.errors import PictureError, RejectReason
from explorer.layout import write_array, write_table
from explorer.pictures import perceptual_hash, thumbnail_webp
from explorer.records import Space
from indexer.encoders import Encoder
from indexer.sources.base import Source, SourceRow
from indexer.thumbnails import PACK, PackedThumbnails, write_pack

REVISION = 1
"""Raised when the same pictures would give another result; part of a shard's key."""


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """How pictures are encoded.

    Attributes:
        shard: at most so many rows are lost when a build is killed.
        batch: pictures that go through a model together.
        ahead: batches that are decoded while one is in the models.
        thumbnail: the long side of a thumbnail, pixels.
    """

    shard: int = 512
    batch: int = 32
    ahead: int = 2
    thumbnail: int = 256


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
    thumbnail: bytes = b""
    vectors: Mapping[Space, npt.NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A shard as it lies on disk.

    Attributes:
        folder: where it lies.
        outcomes: of every row, without vectors and thumbnails.
        thumbnails: of the encoded rows.
    """

    folder: Path
    outcomes: tuple[Outcome, ...]
    thumbnails: PackedThumbnails

    def vectors(self, space: Space) -> npt.NDArray[np.float32]:
        """What a space's model gave for the encoded rows, float32 (m, d)."""
        return np.asarray(np.load(_vectors_file(self.folder, space), allow_pickle=False))


_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("key", "reason", "detail", "sha256", "phash")]
    + [(name, pa.int32()) for name in ("width", "height", "length")]
)
_TEXTS = ("key", "detail", "sha256", "phash", "width", "height")


def cut(rows: Sequence[SourceRow], options: EncodeOptions) -> Iterator[slice]:
    """Cut rows into shards of `options.shard / 4` to `options.shard` rows."""
    start, least = 0, max(options.shard // 4, 1)
    for end, row in enumerate(rows, start=1):
        is_end = hashlib.sha256(row.key.encode()).digest()[0] < 256 // max(least, 2)
        if end - start == options.shard or (is_end and end - start >= least):
            yield slice(start, end)
            start = end
    if start < len(rows):
        yield slice(start, len(rows))


def encode(
    source: Source, shards: Iterable[Sequence[SourceRow]], encoders: Sequence[Encoder], options: EncodeOptions
) -> Iterator[Outcome]:
    """Encode the rows of shards in their order; pictures are decoded in threads, a few batches ahead of the models.

    A batch never reaches over the end of a shard: a model's last bits depend on what else is in a batch, and a shard is
    to come out the same whether or not the shards before it were done in an earlier run.
    """
    batches = (shard[at : at + options.batch] for shard in shards for at in range(0, len(shard), options.batch))
    stopped = threading.Event()
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode") as pool:

        def submit(batch: Sequence[SourceRow]) -> list[Future[_Decoded]]:
            return [pool.submit(_decode, source, row, encoders, options, stopped) for row in batch]

        try:
            waiting = deque(submit(batch) for batch in islice(batches, 1 + options.ahead))
            while waiting:
                decoded = [future.result() for future in waiting.popleft()]
                waiting.extend(submit(batch) for batch in islice(batches, 1))
                yield from _embed(decoded, encoders)
        finally:
            stopped.set()


def save(folder: Path, outcomes: Iterable[Outcome], encoders: Sequence[Encoder]) -> None:
    """Write a shard into an empty folder."""
    kept = list(outcomes)
    encoded = [outcome for outcome in kept if outcome.reason is None]
    write_pack(folder / PACK, (outcome.thumbnail for outcome in encoded))
    for encoder in encoders:
        rows = [outcome.vectors[encoder.space] for outcome in encoded]
        vectors = np.stack(rows) if rows else np.empty((0, 0), np.float32)
        write_array(_vectors_file(folder, encoder.space), vectors)
    table = [
        {name: getattr(outcome, name) for name in _TEXTS}
        | {"reason": outcome.reason and outcome.reason.value, "length": len(outcome.thumbnail)}
        for outcome in kept
    ]
    write_table(folder / "rows.parquet", pa.Table.from_pylist(table, schema=_SCHEMA))


def load(folder: Path) -> Shard:
    """Read a shard that `save` wrote."""
    rows = pq.read_table(folder / "rows.parquet").to_pylist()
    outcomes = tuple(
        Outcome(reason=RejectReason(row["reason"]) if row["reason"] else None, **{name: row[name] for name in _TEXTS})
        for row in rows
    )
    lengths = tuple(row["length"] for row in rows if row["reason"] is None)
    return Shard(folder, outcomes, PackedThumbnails(folder / PACK, lengths))


def _vectors_file(folder: Path, space: Space) -> Path:
    return folder / f"{space.value}.npy"


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A picture on its way to the models."""

    outcome: Outcome
    prepared: Mapping[Space, Image.Image] = field(default_factory=dict)


def _decode(
    source: Source, row: SourceRow, encoders: Sequence[Encoder], options: EncodeOptions, stopped: threading.Event
) -> _Decoded:
    if stopped.is_set():
        return _Decoded(Outcome(row.key))
    try:
        data = source.read(row)
        picture = source.decode(row, data)
        thumbnail = source.thumbnail(row, data, picture)
    except PictureError as error:
        return _Decoded(Outcome(row.key, error.reason, str(error)))
    outcome = Outcome(
        key=row.key,
        sha256=hashlib.sha256(data).hexdigest(),
        phash=perceptual_hash(picture),
        width=picture.width,
        height=picture.height,
        thumbnail=thumbnail_webp(thumbnail, options.thumbnail),
    )
    return _Decoded(outcome, {encoder.space: encoder.prepare(picture) for encoder in encoders})


def _embed(decoded: Sequence[_Decoded], encoders: Sequence[Encoder]) -> Iterator[Outcome]:
    """The outcomes of a batch; a picture whose vector has no direction is rejected."""
    readable = [each for each in decoded if each.outcome.reason is None]
    vectors = {
        encoder.space: iter(encoder.encode([each.prepared[encoder.space] for each in readable]))
        for encoder in encoders
        if readable
    }
    for each in decoded:
        if each.outcome.reason is None:
            yield _with_vectors(each.outcome, {space: next(rows) for space, rows in vectors.items()})
        else:
            yield each.outcome


def _with_vectors(outcome: Outcome, vectors: Mapping[Space, npt.NDArray[np.float32]]) -> Outcome:
    bad = [space.value for space, vector in vectors.items() if not np.isfinite(vector).all() or not vector.any()]
    if bad:
        return Outcome(outcome.key, RejectReason.NOT_FINITE, f"its vector in {' and '.join(bad)} is zero or not finite")
    return replace(outcome, vectors=vectors)
