"""Pictures that are decoded as soon as they are there, while others before them in the order are still waited for.

What comes out is what would come out anyway, and in the same order; only the workers do not stand idle until the last
link of a shard has been given up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future
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
        self._begun: dict[bytes, Future[T]] = {}

    def arm(self, workers: Workers, prepare: Callable[[bytes], T], size: int) -> None:
        """Set what is done with a file, and about how many bytes come of it; until then nothing is begun."""
        self._prepare, self._most = prepare, max(1, MOST_BYTES // size)
        self._workers = workers

    def arrived(self, data: bytes) -> None:
        """Begin with a file that will be asked for, if a worker is free and there is room for the result."""
        if self._workers is None or self._workers.is_busy or len(self._begun) >= self._most:
            return
        try:
            self._guard(data)
        except PictureError:  # told to whoever reads the row
            return
        key = _key(data)
        if key not in self._begun:
            self._begun[key] = self._workers.submit(self._prepare, data)

    def take(self, data: bytes) -> Future[T]:
        """What becomes of a file, whether it was begun before or not."""
        begun = self._begun.pop(_key(data), None) if self._begun else None
        if begun is not None:
            return begun
        if self._workers is None:
            raise RuntimeError("a head start is armed before anything is taken")
        return self._workers.submit(self._prepare, data)


def _key(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
