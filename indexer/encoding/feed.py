"""Pictures on their way to the models: read, decoded in worker processes, and laid side by side, batch after batch."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from explorer.errors import PictureError
from indexer.encoding.ahead import Ahead, Room
from indexer.encoding.headstart import HeadStart
from indexer.encoding.prepared import Prepared
from indexer.encoding.reading import Work
from indexer.encoding.timings import Spent, Timings
from indexer.sources.base import SourceRow

IN_FLIGHT = 256 * 1024 * 1024
"""Bytes of files that wait to be decoded."""

Squares = Mapping[int, npt.NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Fed:
    """A row with its picture, or with why it has none; `fetched_at` as in `PictureReader`."""

    row: SourceRow
    picture: Prepared | PictureError
    fetched_at: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """A batch, ready for the models.

    Attributes:
        fed: n rows.
        squares: side -> uint8 (m, side, side, 3), of the m rows that have a picture.
        timings: what reading and decoding took.
    """

    fed: tuple[Fed, ...]
    squares: Squares
    timings: Timings


@dataclass(frozen=True, slots=True)
class Feed:
    """Makes stacks out of works.

    Attributes:
        head: the way to the workers that decode.
        size: rows a stack; it never reaches over the end of a work.
        ahead: stacks that are begun before they are needed.
    """

    head: HeadStart[Prepared]
    size: int
    ahead: int

    @contextmanager
    def stacks(self, works: Iterable[Work]) -> Iterator[Iterable[Stack]]:
        """Stacks in the order of the rows, made in two threads: one reads, one waits for the workers and stacks."""
        stopped = threading.Event()
        with (
            Ahead(self._begun(works), self.ahead, "read", stopped) as begun,
            Ahead(map(_stacked, begun), 1, "stack", stopped) as stacked,
        ):
            yield stacked

    def _begun(self, works: Iterable[Work]) -> Iterator[_Batch]:
        room = Room(IN_FLIGHT)
        for work in works:
            rows = iter(work.rows)
            while batch := list(islice(rows, self.size)):
                spent = Spent()
                yield _Batch([self._begin(work, row, room, spent) for row in batch], spent)

    def _begin(self, work: Work, row: SourceRow, room: Room, spent: Spent) -> _Begun:
        if row.fault is not None:
            return _Begun(row, PictureError(row.fault.reason, row.fault.detail))
        try:
            with spent.thread():
                data = work.reader.read(row)
        except PictureError as error:
            return _Begun(row, error)
        size = len(data)
        room.take(size)
        picture = self.head.take(data)
        picture.add_done_callback(lambda _: room.give(size))
        return _Begun(row, picture, work.reader.fetched_at(row))


@dataclass(frozen=True, slots=True)
class _Begun:
    """A row whose picture is being decoded, or why it is not."""

    row: SourceRow
    picture: Future[Prepared] | PictureError
    fetched_at: str | None = None

    def fed(self) -> Fed:
        """Wait for the picture."""
        try:
            picture = self.picture.result() if isinstance(self.picture, Future) else self.picture
        except PictureError as error:
            picture = error
        return Fed(self.row, picture, self.fetched_at)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows that go together, and what reading them took."""

    begun: Sequence[_Begun]
    reading: Spent


def _stacked(batch: _Batch) -> Stack:
    fed = tuple(each.fed() for each in batch.begun)
    pictures = [each.picture for each in fed if isinstance(each.picture, Prepared)]
    sides = pictures[0].squares if pictures else ()
    squares = {side: np.stack([picture.squares[side] for picture in pictures]) for side in sides}
    seconds = sum(picture.seconds for picture in pictures)
    return Stack(fed, squares, Timings(reading=batch.reading, decoding=Spent(0, seconds)))
