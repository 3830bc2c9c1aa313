"""Ready-made vectors in the place of a model's: rows become outcomes, and nothing but a thumbnail is ever decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.decoding import Workers
from explorer.errors import ModelError, PictureError, RejectReason
from explorer.manifest import Manifest
from explorer.models.references import Role, parse
from explorer.records import Space
from indexer.encoding.encode import Outcome
from indexer.encoding.encoders import Encoder, ModelSet, local_words
from indexer.encoding.prepared import Prepared, prepare
from indexer.encoding.timings import Timings
from indexer.guard import Guard
from indexer.mapping.wording import Words
from indexer.sources.base import Source, SourceRow, VectorSource, plain

CHUNK = 512
"""Rows whose vectors are read together, and whose thumbnails are decoded ahead."""


class GivenModels(ModelSet):
    """The models of a source of vectors: they are named, and make none of them."""

    def __init__(self, manifest: Manifest, source: VectorSource) -> None:
        super().__init__(manifest, "cpu", Path())
        self._source = source

    def describe(self) -> dict[str, dict[str, Any]]:
        """See `ModelSet`."""
        return self._source.describe()

    def words(self) -> Words | None:
        """See `ModelSet`; a model that would have to be downloaded is left alone."""
        told = self.describe().get(Space.CLIP.value) or {}
        with suppress(ModelError):
            return local_words(parse(str(told["reference"]), Role.CLIP), "cpu", int(told["dim"]))
        return None

    def load(self) -> tuple[Encoder, ...]:
        """Nothing: the vectors are there."""
        return ()


def models_of(
    source: Source | VectorSource, manifest: Manifest, device: str, memory: Path, encoders: Sequence[Encoder] | None
) -> ModelSet:
    """The models that a source's vectors come from; for the arguments see `ModelSet`."""
    if isinstance(source, VectorSource):
        return GivenModels(manifest, source)
    return ModelSet(manifest, device, memory, encoders)


@dataclass(frozen=True, slots=True)
class _Given:
    """A row with its vector, and its thumbnail on the way."""

    row: SourceRow
    vector: npt.NDArray[np.float32]
    picture: Future[Prepared] | PictureError | None


def given(
    source: VectorSource,
    rows: Iterable[SourceRow],
    guard: Guard,
    *,
    thumbnail: int,
    workers: Workers,
    timings: Timings,
) -> Iterator[Outcome]:
    """What becomes of rows that bring their vectors, in their order.

    Args:
        source: where they come from.
        rows: the rows.
        guard: whom their links and thumbnails have passed, or pass now.
        thumbnail: its long side, pixels; none is made if 0.
        workers: processes to decode thumbnails in.
        timings: counts reading, and the decoding of thumbnails.
    """
    rows, waiting = iter(rows), deque[_Given]()
    decode = partial(prepare, plain, (), thumbnail)
    while chunk := list(islice(rows, CHUNK)):
        with timings.reading.thread():
            vectors = unit(source.vectors(chunk))
            begun = [
                _Given(row, vector, _begun(source, row, guard, workers, decode) if thumbnail else None)
                for row, vector in zip(chunk, vectors, strict=True)
            ]
        yield from (_outcome(waiting.popleft(), timings) for _ in range(len(waiting)))
        waiting.extend(begun)
    yield from (_outcome(each, timings) for each in waiting)


def unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale to unit length, float32 (n, d); what has no direction becomes NaN.

    In float64, where no float32 is so large or so small that its square is lost.
    """
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    has_direction = np.isfinite(lengths) & (lengths > 0)
    return np.where(has_direction, wide / np.where(has_direction, lengths, 1), np.nan).astype(np.float32)


def _begun(
    source: VectorSource, row: SourceRow, guard: Guard, workers: Workers, decode: partial[Prepared]
) -> Future[Prepared] | PictureError | None:
    """A thumbnail that is being made, or why its row may not be shown, or nothing where there is no picture."""
    data = source.picture(row) if row.fault is None else None
    if data is None:
        return None
    try:
        guard.data(data)
    except PictureError as error:
        return error
    return workers.submit(decode, data)


def _outcome(given: _Given, timings: Timings) -> Outcome:
    row = given.row
    if row.fault is not None:
        return Outcome(row.key, row.fault.reason, row.fault.detail)
    if isinstance(given.picture, PictureError):
        return Outcome(row.key, given.picture.reason, str(given.picture))
    if not np.isfinite(given.vector).all():
        return Outcome(
            row.key, RejectReason.NOT_FINITE, "its vector is missing, zero, not finite, or of another length"
        )
    vectors = {Space.CLIP: given.vector}
    try:
        prepared = given.picture.result() if given.picture is not None else None
    except PictureError:  # a thumbnail that cannot be decoded is none; the vector stands
        prepared = None
    if prepared is None:
        return Outcome(row.key, vectors=vectors)
    timings.decoding.add(0, prepared.seconds)
    return Outcome(row.key, phash=prepared.phash, hashes=prepared.hashes, thumbnail=prepared.thumbnail, vectors=vectors)
