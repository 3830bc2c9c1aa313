"""Work done ahead of whoever needs it, in a thread, as far as there is room."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_GLANCE = 0.1
"""Seconds between two looks at whether to stop, for a thread that waits."""


@dataclass(frozen=True, slots=True)
class _End:
    """The last thing in a queue, and what ended it if that was an error."""

    error: BaseException | None = None


class Ahead(Generic[T]):
    """Iterates in a thread of its own, up to `depth` items ahead; what that raises is raised to whoever takes them.

    Use it as a context: leaving it stops the thread, at the latest when its next item is there.
    """

    def __init__(self, items: Iterable[T], depth: int, name: str, stopped: threading.Event | None = None) -> None:
        """Prepare.

        Args:
            items: what to iterate over; may itself be `Ahead`.
            depth: how far ahead.
            name: of the thread.
            stopped: set when the context is left; those that feed one another share it, and stop together.
        """
        self._items = items
        self._queue: Queue[T | _End] = Queue(depth)
        self._stopped = stopped or threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        while True:
            try:
                self._queue.get_nowait()
            except Empty:
                break
        self._thread.join(timeout=10 * _GLANCE)

    def __iter__(self) -> Iterator[T]:
        while not self._stopped.is_set():
            try:
                item = self._queue.get(timeout=_GLANCE)
            except Empty:
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def _run(self) -> None:
        end = _End()
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as error:  # whatever it is, it belongs to whoever waits for the items
            end = _End(error)
        self._put(end)

    def _put(self, item: T | _End) -> bool:
        """Wait for room; False where nobody wants the item any more."""
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=_GLANCE)
            except Full:
                continue
            return not self._stopped.is_set()  # leaving the context makes room, which is no wish for another item
        return False


class Room:
    """A number of bytes that several may take and must give back."""

    def __init__(self, size: int) -> None:
        self._size = self._left = size
        self._changed = threading.Condition()

    def take(self, size: int) -> None:
        """Wait until there is room; what is larger than all of it waits for all of it."""
        with self._changed:
            self._changed.wait_for(lambda: self._left >= min(size, self._size))
            self._left -= size

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._left += size
            self._changed.notify_all()
