"""Progress as an object that is passed in; the silent one is the default."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """What a long piece of work reports to."""

    def track(self, items: Iterable[T], *, stage: str, total: int | None = None) -> Generator[T, None, None]:
        """Yield `items`, counting each one as done in `stage`."""
        ...

    def note(self, message: str) -> None:
        """Say one line about the work."""
        ...


class Silent:
    """A `Progress` that says nothing."""

    def track(self, items: Iterable[T], *, stage: str, total: int | None = None) -> Generator[T, None, None]:
        """Yield `items` unchanged."""
        del stage, total
        yield from items

    def note(self, message: str) -> None:
        """Say nothing."""
        del message


SILENT = Silent()
