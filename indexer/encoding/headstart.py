"""Pictures that are decoded as soon as they are there, while others before them in the order are still waited for.

What comes out is what would come out anyway, and in the same order; only the workers do not stand idle until the last
link of a shard has been given up.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, TypeVar

from explorer.decoding import Workers
from explorer.errors import PictureError

T = TypeVar("T")

MOST_BYTES = 256 * 1024 * 1024
"""Of results that wait until their turn comes."""


def _let_pass(data: bytes) -> None:
    del data


class HeadStart(Generic[T]):
    """Between those who have files and the workers; `arrived` may be called in another thread than the rest."""

    def __init__(self, guard: Callable[[bytes], None] = _let_pass) -> None:
        """Take what raises `PictureError` for files that nobody may look at."""
        self._guard = guard
        self._workers: Workers | None = None
        self._lock = threading.RLock()
        self._is_beginning = False
        self._waiting: dict[bytes, Callable[[], bytes]] = {}
        self._begun: dict[bytes, Future[T]] = {}

    def arm(self, workers: Workers, prepare: Callable[[bytes], T], size: int) -> None:
        """Set what is done with a file, and about how many bytes come of it; until then nothing is begun."""
        self._prepare, self._most = prepare, max(1, MOST_BYTES // size)
        self._workers = workers
        self._begin()

    def arrived(self, data: bytes, again: Callable[[], bytes]) -> None:
        """Begin with a file that will be asked for, now or once a worker is free and there is room for the result.

        Args:
            data: the file.
            again: reads it again, in another thread; until then it is not held in memory.
        """
        try:
            self._guard(data)
        except PictureError:  # told to whoever reads the row
            return
        key = _key(data)
        with self._lock:
            if key in self._begun or key in self._waiting:
                return
            if self._waiting or not self._may_begin():
                self._waiting[key] = again
            else:
                self._begun[key] = self._submit(data)

    def take(self, data: bytes) -> Future[T]:
        """What becomes of a file, whether it was begun before or not."""
        if self._workers is None:
            raise RuntimeError("a head start is armed before anything is taken")
        key = _key(data)
        with self._lock:
            self._waiting.pop(key, None)
            begun = self._begun.pop(key, None)
        if begun is None:
            return self._submit(data)
        self._begin()  # there is room again
        return begun

    def _begin(self) -> None:
        """Begin with what waits, in the order of arrival, as far as the workers are free and there is room."""
        with self._lock:
            if self._is_beginning:  # what ends at once calls this within itself
                return
            self._is_beginning = True
            try:
                while self._waiting and self._may_begin():
                    key = next(iter(self._waiting))
                    again = self._waiting.pop(key)
                    with suppress(OSError):  # it is gone, or whoever reads the row is told why it cannot be read
                        self._begun[key] = self._submit(again())
            finally:
                self._is_beginning = False

    def _may_begin(self) -> bool:
        return self._workers is not None and not self._workers.is_busy and len(self._begun) < self._most

    def _submit(self, data: bytes) -> Future[T]:
        assert self._workers is not None
        begun = self._workers.submit(self._prepare, data)
        begun.add_done_callback(lambda _: self._begin())
        return begun


def _key(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
